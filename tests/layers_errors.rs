//! What goes wrong is said with the place, what was expected, and what came.

use layerwise::models::SharedLayer;
use layerwise::prelude::*;
use ndarray::{ArrayD, IxDyn, array};

fn zeros(shape: &[usize]) -> Tensor {
    ArrayD::zeros(IxDyn(shape)).into_shared()
}

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

/// Building a model for samples of a shape fails with this message.
#[test]
fn settings_and_shapes_are_checked_when_a_model_is_built() {
    let cases: Vec<(Box<dyn Layer>, &[usize], &str)> = vec![
        (boxed(Dense::new(0)), &[4], "units must be at least 1, got 0"),
        (boxed(Dense::new(2)), &[], "input of one sample: expected a last axis of features, got shape []"),
        (boxed(Dense::new(2)), &[3, 0], "input of one sample: expected a last axis of features, got shape [3, 0]"),
        (boxed(Dropout::new(1.0)), &[4], "dropout rate must be at least 0 and below 1, got 1"),
        (boxed(Dropout::new(-0.1)), &[4], "dropout rate must be at least 0 and below 1, got -0.1"),
        (boxed(Dropout::new(f64::NAN)), &[4], "dropout rate must be at least 0 and below 1, got NaN"),
        (boxed(BatchNormalization::new().momentum(1.5)), &[4], "momentum must be from 0 to 1, got 1.5"),
        (boxed(BatchNormalization::new().momentum(f64::NAN)), &[4], "momentum must be from 0 to 1, got NaN"),
        (boxed(BatchNormalization::new().epsilon(0.0)), &[4], "epsilon must be a finite number above 0, got 0"),
        (
            boxed(BatchNormalization::new().epsilon(f64::INFINITY)),
            &[4],
            "epsilon must be a finite number above 0, got inf",
        ),
        (boxed(BatchNormalization::new()), &[], "input of one sample: expected a last axis of features, got shape []"),
        (boxed(Embedding::new(0, 4)), &[4], "vocabulary must be at least 1, got 0"),
        (boxed(Embedding::new(4, 0)), &[4], "dimension must be at least 1, got 0"),
        (
            boxed(Embedding::new((1 << 24) + 1, 1)),
            &[4],
            "vocabulary must be at most 16777216, up to which f32 holds whole numbers exactly, got 16777217",
        ),
        (boxed(SimpleRnn::new(0)), &[5, 3], "units must be at least 1, got 0"),
        (boxed(SimpleRnn::new(2)), &[3], "input of one sample: expected shape (time, features), got shape [3]"),
        (
            boxed(SimpleRnn::new(2)),
            &[0, 3],
            "input of one sample: expected at least one time step and one feature, got shape [0, 3]",
        ),
        (
            boxed(SimpleRnn::new(2).activation(Activation::Gelu)),
            &[5, 3],
            "activation of SimpleRNN must be one whose derivative follows from its output (Tanh, Relu, Sigmoid, \
             Linear...), got Gelu",
        ),
        (
            boxed(SimpleRnn::new(2).activation(Activation::LeakyRelu(-0.5))),
            &[5, 3],
            "activation of SimpleRNN must be one whose derivative follows from its output (Tanh, Relu, Sigmoid, \
             Linear...), got LeakyRelu(-0.5)",
        ),
        (
            boxed(Reshape::new([5, 2])),
            &[4, 3],
            "input of one sample: expected 10 values for shape [5, 2], got shape [4, 3]",
        ),
        (
            boxed(Reshape::new([5, -1])),
            &[4, 3],
            "input of one sample: expected a multiple of 5 values for shape [5, -1], got shape [4, 3]",
        ),
        (
            boxed(Reshape::new([-1, 2, -1])),
            &[4, 3],
            "shape of Reshape must be made of positive numbers and at most one -1, got [-1, 2, -1]",
        ),
        (
            boxed(Reshape::new([12, 0])),
            &[4, 3],
            "shape of Reshape must be made of positive numbers and at most one -1, got [12, 0]",
        ),
        (
            boxed(Residual::new(Dense::new(3))),
            &[4],
            "output of the body: expected shape [4] of the shortcut (give a projection where the body changes the \
             shape), got shape [3]",
        ),
        (
            boxed(Residual::new(Dense::new(3)).projection(Dense::new(2))),
            &[4],
            "output of the body: expected shape [2] of the shortcut, got shape [3]",
        ),
        (
            boxed(Sequential::new().add(Dense::new(3)).add(Residual::new(Sequential::new().add(Dropout::new(2.0))))),
            &[4],
            "layer 1.body.0 (Dropout): dropout rate must be at least 0 and below 1, got 2",
        ),
        (
            boxed(Sequential::new().add(Dense::new(3)).add(SimpleRnn::new(3))),
            &[4],
            "layer 1 (SimpleRNN): input of one sample: expected shape (time, features), got shape [3]",
        ),
        (
            boxed(Sequential::new().add(Residual::new(Activation::Tanh).projection(Dense::new(0)))),
            &[4],
            "layer 0.projection (Dense): units must be at least 1, got 0",
        ),
        (
            boxed(Dense::new(2).weight_initializer(Initializer::Uniform { low: 1.0, high: -1.0 })),
            &[4],
            "uniform initializer must be low < high, both finite, got 1..-1",
        ),
    ];
    for (mut model, input, message) in cases {
        let error = model.initialize(input, 0).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

/// A layer, the shape of one sample that it is built for, a batch, and the message.
type Use = (Box<dyn Layer>, &'static [usize], Tensor, &'static str);

/// Using a built model on a batch fails with this message, forwards and in `predict`.
#[test]
fn what_a_layer_depends_on_is_checked_in_use() -> Result<()> {
    let ids = |ids: &[f32]| Tensor::from_shape_vec(IxDyn(&[1, ids.len()]), ids.to_vec()).unwrap();
    let cases: Vec<Use> = vec![
        (boxed(Dense::new(2)), &[4], zeros(&[3, 5]), "input: expected 4 features on the last axis, got shape [3, 5]"),
        (boxed(Dense::new(2)), &[4], zeros(&[4]), "input: expected shape (batch, ..., 4), got shape [4]"),
        (
            boxed(BatchNormalization::new()),
            &[4],
            zeros(&[3, 5]),
            "input: expected 4 features on the last axis, got shape [3, 5]",
        ),
        (boxed(BatchNormalization::new()), &[4], zeros(&[4]), "input: expected shape (batch, ..., 4), got shape [4]"),
        (
            boxed(SimpleRnn::new(2)),
            &[5, 3],
            zeros(&[2, 5, 4]),
            "input: expected shape (batch, time, 3) with at least one time step, got shape [2, 5, 4]",
        ),
        (
            boxed(SimpleRnn::new(2)),
            &[5, 3],
            zeros(&[5, 3]),
            "input: expected shape (batch, time, 3) with at least one time step, got shape [5, 3]",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[0.0, 5.0, 6.0]),
            "token id at [0, 2]: expected a whole number from 0 to 5, got 6",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[0.0, 1.5, 0.0]),
            "token id at [0, 1]: expected a whole number from 0 to 5, got 1.5",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[-1.0, 1.5, 0.0]),
            "token id at [0, 0]: expected a whole number from 0 to 5, got -1",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[0.0, -0.25, 0.0]),
            "token id at [0, 1]: expected a whole number from 0 to 5, got -0.25",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[f32::NAN, 0.0, 0.0]),
            "token id at [0, 0]: expected a whole number from 0 to 5, got NaN",
        ),
        (
            boxed(Embedding::new(6, 2)),
            &[3],
            ids(&[f32::INFINITY, 0.0, 0.0]),
            "token id at [0, 0]: expected a whole number from 0 to 5, got inf",
        ),
        (
            boxed(Reshape::new([2, 2])),
            &[4],
            zeros(&[3, 5]),
            "input of one sample: expected 4 values for shape [2, 2], got shape [5]",
        ),
        (
            boxed(Sequential::new().add(Flatten::new()).add(Sequential::new().add(Dense::new(2)))),
            &[2, 3],
            zeros(&[4, 2, 2]),
            "layer 1.0 (Dense): input: expected 6 features on the last axis, got shape [4, 4]",
        ),
        (
            boxed(Residual::new(Sequential::new().add(Embedding::new(2, 1)).add(Flatten::new()))),
            &[1],
            array![[1.0_f32], [5.0]].into_dyn().into_shared(),
            "layer body.0 (Embedding): token id at [1, 0]: expected a whole number from 0 to 1, got 5",
        ),
    ];
    for (mut model, sample, x, message) in cases {
        model.initialize(sample, 0)?;
        let error = model.forward(&x, &mut Context::training(&*model, 0)).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert_eq!(model.predict(&x).expect_err(message).to_string(), message);
    }
    Ok(())
}

#[test]
fn unbuilt_layers_say_so_with_their_place() {
    let message = "used before it was built: call `initialize` on the model, or `fit`, which builds it from the data";
    let alone: [Box<dyn Layer>; 4] =
        [boxed(Dense::new(2)), boxed(BatchNormalization::new()), boxed(Embedding::new(4, 2)), boxed(SimpleRnn::new(2))];
    for layer in alone {
        let kind = layer.kind().to_owned();
        assert_eq!(layer.predict(&zeros(&[2, 3, 3])).unwrap_err().to_string(), message, "{kind}");
        let mut model = Sequential::new().add(Flatten::new());
        model.push(layer);
        let error = Residual::new(model).predict(&zeros(&[2, 3])).unwrap_err();
        assert_eq!(error.to_string(), format!("layer body.1 ({kind}): {message}"));
        assert!(matches!(error.root(), Error::NotBuilt));
    }
}

#[test]
fn a_built_layer_is_not_built_again_for_another_width() -> Result<()> {
    let mut model = Sequential::new().add(Dense::new(3)).add(BatchNormalization::new());
    model.initialize(&[4], 0)?;
    let error = model.initialize(&[5], 0).unwrap_err().to_string();
    assert_eq!(error, "layer 0 (Dense): input: expected 4 features on the last axis, got shape [5]");
    let error = model.layers_mut()[1].initialize(&[2], 0).unwrap_err().to_string();
    assert_eq!(error, "input: expected 3 features on the last axis, got shape [2]");
    Ok(())
}

#[test]
fn statistics_of_too_few_values_are_refused() -> Result<()> {
    let mut layer = BatchNormalization::new().unbiased(true);
    layer.initialize(&[3], 0)?;
    let error = layer.forward(&zeros(&[1, 3]), &mut Context::training(&layer, 0)).unwrap_err().to_string();
    assert_eq!(error, "input: expected at least 2 values of each channel to train on, got shape [1, 3]");
    let mut layer = BatchNormalization::new();
    layer.initialize(&[3], 0)?;
    let error = layer.forward(&zeros(&[0, 3]), &mut Context::training(&layer, 0)).unwrap_err().to_string();
    assert_eq!(error, "input: expected at least 1 values of each channel to train on, got shape [0, 3]");
    Ok(())
}

/// A merge, the shapes of one sample of each input, and the messages for shapes and for batches of two.
type Join = (Box<dyn Merge>, Vec<Vec<usize>>, &'static str, &'static str);

#[test]
fn inputs_that_cannot_be_joined_name_both_shapes_and_the_number() {
    let shapes = |shapes: &[&[usize]]| shapes.iter().map(|shape| shape.to_vec()).collect::<Vec<_>>();
    let tensors = |shapes: &[Vec<usize>]| shapes.iter().map(|shape| zeros(&[&[2], &shape[..]].concat())).collect();
    let cases: Vec<Join> = vec![
        (
            Box::new(Add::new()),
            shapes(&[&[3], &[3], &[4]]),
            "input 2: expected shape [3] of the inputs before (an extent may be 1 in one of them), got shape [4]",
            "input 2: expected shape [2, 3] of the inputs before (an extent may be 1 in one of them), got shape [2, 4]",
        ),
        (
            Box::new(Add::new()),
            shapes(&[&[3]]),
            "the number of inputs of Add must be at least 2, got 1",
            "the number of inputs of Add must be at least 2, got 1",
        ),
        (
            Box::new(Concatenate::new(-1)),
            shapes(&[]),
            "the number of inputs of Concatenate must be at least 2, got 0",
            "the number of inputs of Concatenate must be at least 2, got 0",
        ),
        (
            Box::new(Concatenate::new(-1)),
            shapes(&[&[3, 2], &[4, 2]]),
            "input 1: expected shape [3, _] as input 0 has it, got shape [4, 2]",
            "input 1: expected shape [2, 3, _] as input 0 has it, got shape [2, 4, 2]",
        ),
        (
            Box::new(Concatenate::new(1)),
            shapes(&[&[3, 2], &[4, 2], &[4, 5]]),
            "input 2: expected shape [_, 2] as input 0 has it, got shape [4, 5]",
            "input 2: expected shape [2, _, 2] as input 0 has it, got shape [2, 4, 5]",
        ),
        (
            Box::new(Concatenate::new(0)),
            shapes(&[&[3], &[3]]),
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got 0",
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got 0",
        ),
        (
            Box::new(Concatenate::new(-2)),
            shapes(&[&[3], &[3]]),
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got -2",
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got -2",
        ),
        (
            Box::new(Concatenate::new(2)),
            shapes(&[&[3], &[3]]),
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got 2",
            "axis of Concatenate must be an axis of 2 other than 0, the batch, got 2",
        ),
    ];
    for (merge, inputs, of_shapes, of_tensors) in cases {
        assert_eq!(merge.output_shape(&inputs).unwrap_err().to_string(), of_shapes);
        let xs: Vec<Tensor> = tensors(&inputs);
        let error = merge.forward(&xs, &mut Context::inference()).unwrap_err().to_string();
        assert_eq!(error, of_tensors);
    }
}

#[test]
fn graphs_that_are_none_are_refused() -> Result<()> {
    let mut other = Graph::new();
    let foreign_layer = {
        other.share(Dense::new(1));
        other.share(Dense::new(1));
        other.share(Dense::new(1))
    };
    let mut foreign = other.input();
    for _ in 0..4 {
        foreign = other.apply(foreign_layer, foreign);
    }

    let mut graph = Graph::new();
    let x = graph.input();
    graph.add(Dense::new(2), x);
    let error = graph.initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "graph: no outputs: finish it with `outputs(&[...])`");

    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Dense::new(2), x);
    let z = graph.add(Dense::new(2), foreign);
    let mut graph = graph.outputs(&[y, z]);
    let error = graph.initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "graph: node 2 reads node 4 of another graph");

    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.apply(foreign_layer, x);
    let error = graph.outputs(&[y]).initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "graph: node 1 applies layer 2 of another graph");

    let mut graph = Graph::new();
    let x = graph.input();
    graph.add(Dense::new(2), x);
    let error = graph.outputs(&[foreign]).initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "graph: output 0 is node 4 of another graph");

    let mut graph = Graph::new();
    let (a, b) = (graph.input(), graph.input());
    let sum = graph.merge(Add::new(), &[a, b]);
    let (left, right) = (graph.add(Dense::new(2), sum), graph.add(Dense::new(2), a));
    graph.name("right");
    let mut graph = graph.outputs(&[left, right]);
    let error = graph.initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "inputs of the graph: expected length 2, got 1");
    let error = graph.initialize_all(&[vec![3], vec![4]], 0).unwrap_err().to_string();
    assert_eq!(
        error,
        "layer 0 (Add): input 1: expected shape [3] of the inputs before (an extent may be 1 in one of them), got shape [4]"
    );
    graph.initialize_all(&[vec![3], vec![3]], 0)?;
    let error = graph.predict_all(&[zeros(&[1, 3])]).unwrap_err().to_string();
    assert_eq!(error, "inputs of the graph: expected length 2, got 1");
    let error = graph.predict_all(&[zeros(&[1, 3]), zeros(&[1, 2])]).unwrap_err().to_string();
    assert_eq!(
        error,
        "layer 0 (Add): input 1: expected shape [1, 3] of the inputs before (an extent may be 1 in one of them), got shape [1, 2]"
    );
    let error = graph.predict_all(&[zeros(&[1, 4]), zeros(&[1, 4])]).unwrap_err().to_string();
    assert_eq!(error, "layer 1 (Dense): input: expected 3 features on the last axis, got shape [1, 4]");
    let mut model = Sequential::new().add(graph);
    let error = model.initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(error, "layer 0 (Graph): inputs of the graph: expected length 2, got 1");

    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Dense::new(2), x);
    let mut model = Sequential::new().add(graph.outputs(&[x, y]));
    let error = model.initialize(&[3], 0).unwrap_err().to_string();
    assert_eq!(
        error,
        "layer 0 (Graph): graph: it has 2 outputs and is used as if it had one: `predict_all` gives them all"
    );
    let error = model.predict(&zeros(&[2, 3])).unwrap_err().to_string();
    assert_eq!(
        error,
        "layer 0 (Graph): graph: it has 2 outputs and is used as if it had one: `predict_all` gives them all"
    );

    let merged = {
        let mut graph = Graph::new();
        let x = graph.input();
        let nothing = graph.merge(Add::new(), &[]);
        graph.outputs(&[x, nothing])
    };
    let error = merged.output_shapes(&[vec![3]]).unwrap_err().to_string();
    assert_eq!(error, "layer 0 (Add): the number of inputs of Add must be at least 2, got 0");
    Ok(())
}

/// Wires something to a graph's own node, a foreign node and a foreign layer, and the fault of it.
type Wiring = (fn(&mut Graph, Node, Node, SharedLayer) -> Node, &'static str);

/// Their numbers exist in this graph too, and the shapes fit: only the handle tells them apart.
#[test]
fn handles_of_another_graph_are_refused_even_where_their_numbers_exist() {
    let mut other = Graph::new();
    let (foreign, foreign_layer) = (other.input(), other.share(Dense::new(3)));

    let wirings: [Wiring; 4] = [
        (|graph, _, foreign, _| graph.add(Dense::new(3), foreign), "node 2 reads node 0 of another graph"),
        (|graph, own, foreign, _| graph.merge(Add::new(), &[own, foreign]), "node 2 reads node 0 of another graph"),
        (|graph, own, _, layer| graph.apply(layer, own), "node 2 applies layer 0 of another graph"),
        (|_, _, foreign, _| foreign, "output 1 is node 0 of another graph"),
    ];
    for (wire, fault) in wirings {
        let mut graph = Graph::new();
        let x = graph.input();
        let own = graph.add(Dense::new(3), x);
        let wired = wire(&mut graph, own, foreign, foreign_layer);
        let mut graph = graph.outputs(&[own, wired]);
        let message = format!("graph: {fault}");
        assert_eq!(graph.initialize_all(&[vec![3]], 0).unwrap_err().to_string(), message);
        assert_eq!(graph.output_shapes(&[vec![3]]).unwrap_err().to_string(), message);
        assert_eq!(graph.summary(&[3]).map(|_| ()).unwrap_err().to_string(), message);
        let error = graph.predict_all(&[zeros(&[2, 3])]).unwrap_err();
        assert!(matches!(error.root(), Error::Graph(_)), "{error}");
    }
}

#[test]
fn a_layer_of_one_input_refuses_two() {
    let mut layer = Dense::new(2);
    let error = layer.initialize_all(&[vec![3], vec![3]], 0).unwrap_err().to_string();
    assert_eq!(error, "input shapes of a layer with one input and one output: expected length 1, got 2");
}

#[test]
fn closures_that_keep_no_promise_are_named() -> Result<()> {
    let lambda = || {
        Lambda::new(
            "halve",
            |sample| Ok(vec![sample[0] / 2]),
            |x| Ok(x.clone()),
            |_, y, _| Ok(y.slice_axis(ndarray::Axis(0), (..1).into()).to_owned().into_shared()),
        )
    };
    let mut model = Sequential::new().add(Activation::Relu).add(lambda());
    assert_eq!(model.initialize(&[4], 0)?, [2]);
    let error = model.predict(&zeros(&[3, 4])).unwrap_err().to_string();
    assert_eq!(error, "layer 1 (halve): output of the closure: expected 3 samples of shape [2], got shape [3, 4]");

    let (x, ctx) = (zeros(&[3, 4]), &mut Context::inference());
    let error = lambda().backward(&x, &x, &x, true, ctx).unwrap_err().to_string();
    assert_eq!(error, "gradient from the closure: expected the input's shape [3, 4], got shape [1, 4]");
    let error = Lambda::new("none", |_| Err(Error::custom("not today")), |x| Ok(x.clone()), |_, _, dy| Ok(dy.clone()))
        .initialize(&[3], 0)
        .unwrap_err();
    assert_eq!(error.to_string(), "not today");
    Ok(())
}

#[test]
fn a_batch_of_no_samples_gives_none() -> Result<()> {
    let layers: [(Box<dyn Layer>, &[usize]); 6] = [
        (boxed(Dense::new(2).activation(Activation::Softmax)), &[4]),
        (boxed(SimpleRnn::new(2)), &[3, 4]),
        (boxed(Embedding::new(3, 2)), &[4]),
        (boxed(Reshape::new([2, -1])), &[4]),
        (boxed(Dropout::new(0.5)), &[4]),
        (boxed(Residual::new(Dense::new(4))), &[4]),
    ];
    for (mut layer, sample) in layers {
        let built = layer.initialize(sample, 0)?;
        let x = zeros(&[&[0], sample].concat());
        let mut ctx = Context::training(&*layer, 0);
        let y = layer.forward(&x, &mut ctx)?;
        assert_eq!(y.shape(), [&[0], &built[..]].concat(), "{}", layer.kind());
        let dx = layer.backward(&x, &y, &y, true, &mut ctx)?;
        assert!(dx.is_none_or(|dx| dx.shape() == x.shape()), "{}", layer.kind());
    }
    Ok(())
}

#[test]
fn nan_flows_through_every_layer() -> Result<()> {
    let layers: [Box<dyn Layer>; 7] = [
        boxed(Dense::new(2).activation(Activation::Relu)),
        boxed(Dropout::new(0.5)),
        boxed(BatchNormalization::new()),
        boxed(SimpleRnn::new(2).activation(Activation::Relu)),
        boxed(Flatten::new()),
        boxed(Residual::new(Activation::Relu)),
        boxed(Lambda::elementwise("double", |x: f32| 2.0 * x, |_| 2.0)),
    ];
    let x = Tensor::from_elem(IxDyn(&[2, 3, 2]), f32::NAN);
    for mut layer in layers {
        layer.initialize(&[3, 2], 0)?;
        let trained = layer.forward(&x, &mut Context::training(&*layer, 0))?;
        let used = layer.predict(&x)?;
        assert!(trained.iter().chain(&used).all(|y| y.is_nan()), "{}", layer.kind());
    }
    Ok(())
}
