//! Every gradient held against finite differences, alone and in networks.

#[path = "common/gradients.rs"]
mod gradients;

use gradients::{check, check_in, input};
use layerwise::prelude::*;
use layerwise::{GradCheck, gradcheck, gradcheck_loss, gradcheck_merge};
use ndarray::{ArrayD, IxDyn};

const BOTH: [Mode; 2] = [Mode::Training, Mode::Inference];

/// Token ids below `vocabulary`.
fn ids(shape: &[usize], vocabulary: usize) -> Tensor<f64> {
    let mut number = 0;
    let next = || {
        number += 1;
        (number * number % vocabulary) as f64
    };
    ArrayD::from_shape_simple_fn(IxDyn(shape), next).into_shared()
}

const ACTIVATIONS: [Activation; 10] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::LeakyRelu(0.0),
    Activation::LeakyRelu(-0.5),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Softmax,
    Activation::Gelu,
    Activation::GeluTanh,
];

#[test]
fn activations_alone_and_fused() -> Result<()> {
    for activation in ACTIVATIONS {
        for shape in [&[3, 4][..], &[2, 3, 2], &[2, 2, 2, 3]] {
            let [report, _] = check(activation, &[input(shape)])?;
            assert_eq!(report.compared, shape.iter().product::<usize>(), "{activation:?}");
            check(Dense::of(4).activation(activation), &[input(shape)])?;
            check(Dense::of(1).activation(activation).without_bias(), &[input(shape)])?;
        }
    }
    Ok(())
}

#[test]
fn layers_without_parameters() -> Result<()> {
    for shape in [&[3, 4][..], &[2, 3, 2], &[2, 3, 2, 2]] {
        let x = [input(shape)];
        for rate in [0.0, 0.3, 0.9] {
            check(Dropout::new(rate), &x)?;
        }
        check(Flatten::new(), &x)?;
        check(Reshape::new([2, -1]), &x)?;
        check(Lambda::elementwise("cube", |x: f64| x * x * x, |x| 3.0 * x * x), &x)?;
    }
    Ok(())
}

#[test]
fn batch_normalization_over_every_rank() -> Result<()> {
    for shape in [&[5, 3][..], &[2, 4], &[3, 2, 2], &[2, 2, 3, 2]] {
        let x = [input(shape)];
        let [training, inference] = check(BatchNormalization::of(), &x)?;
        let channels = shape[shape.len() - 1];
        assert_eq!(training.compared, x[0].len() + 2 * channels);
        assert_eq!(training.compared, inference.compared);
        check(BatchNormalization::of().unbiased(true).epsilon(1e-5).momentum(0.5), &x)?;
        check(BatchNormalization::of().without_center(), &x)?;
        check(BatchNormalization::of().without_scale(), &x)?;
        check(BatchNormalization::of().without_center().without_scale(), &x)?;
    }
    Ok(())
}

#[test]
fn frozen_batch_normalization_has_the_gradient_of_inference() -> Result<()> {
    let x = input(&[4, 3]);
    let mut layer = BatchNormalization::of();
    check_in(Mode::Training, &mut layer, std::slice::from_ref(&x))?;
    for (name, param) in layer.params_mut() {
        // The weights still learn.
        param.set_frozen(name.starts_with("running"));
    }
    let report = gradcheck(&mut layer, std::slice::from_ref(&x), &GradCheck::default())?;
    assert_eq!(report.compared, 12 + 6);
    assert_eq!(layer.forward(&x, &mut Context::training(&layer, 0))?, layer.predict(&x)?);
    layer.freeze();
    assert_eq!(gradcheck(&mut layer, &[x], &GradCheck::default())?.compared, 12);
    Ok(())
}

#[test]
fn embedding_has_no_gradient_of_its_ids() -> Result<()> {
    for shape in [&[4][..], &[2, 3], &[2, 2, 2]] {
        let [report, _] = check(Embedding::of(5, 3), &[ids(shape, 5)])?;
        assert_eq!(report.compared, 15);
    }
    Ok(())
}

#[test]
fn recurrence_over_one_and_several_steps() -> Result<()> {
    for activation in ACTIVATIONS {
        if matches!(activation, Activation::Gelu | Activation::GeluTanh | Activation::LeakyRelu(-0.5)) {
            continue;
        }
        for shape in [[2, 1, 3], [1, 4, 2], [3, 5, 2]] {
            let layer = || SimpleRnn::of(3).activation(activation);
            let [report, _] = check(layer(), &[input(&shape)])?;
            assert_eq!(report.compared, shape.iter().product::<usize>() + 3 * shape[2] + 9 + 3);
            check(layer().return_sequences(), &[input(&shape)])?;
            check(layer().return_sequences().without_bias(), &[input(&shape)])?;
            check(layer().without_bias(), &[input(&shape)])?;
        }
    }
    Ok(())
}

#[test]
fn merges_of_two_and_three() -> Result<()> {
    let options = GradCheck::default();
    for shape in [&[3, 4][..], &[2, 3, 2], &[2, 2, 2, 3]] {
        let x = input(shape);
        let xs = [x.clone(), (&x * 2.0).into_shared(), (&x - 3.0).into_shared()];
        for count in [2, 3] {
            assert_eq!(gradcheck_merge(Add::new(), &xs[..count], &options)?.compared, count * x.len());
        }
        for axis in 1..shape.len() {
            let mut other = shape.to_vec();
            other[axis] += 2;
            let xs = [x.clone(), input(&other), x.clone()];
            gradcheck_merge(Concatenate::new(axis as isize), &xs, &options)?;
            gradcheck_merge(Concatenate::new(axis as isize - shape.len() as isize), &xs[..2], &options)?;
        }
    }
    Ok(())
}

/// y = a b, written by a user.
struct Multiply;

impl Merge<f64> for Multiply {
    fn kind(&self) -> &str {
        "Multiply"
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        Ok(inputs[0].clone())
    }

    fn forward(&self, xs: &[Tensor<f64>], _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok((&xs[0] * &xs[1]).into_shared())
    }

    fn backward(
        &self,
        xs: &[Tensor<f64>],
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<f64>>],
        _: &mut Context<f64>,
    ) -> Result<()> {
        for number in [0, 1] {
            if want(number) {
                dxs[number] = Some((dy * &xs[1 - number]).into_shared());
            }
        }
        Ok(())
    }
}

#[test]
fn a_node_may_meet_itself_in_a_merge() -> Result<()> {
    for join in 0..3 {
        let mut graph = Graph::<f64>::of();
        let x = graph.input();
        let h = graph.add(Dense::of(3).activation(Activation::Tanh), x);
        let y = match join {
            0 => graph.merge(Add::new(), &[h, h, x]),
            1 => graph.merge(Concatenate::new(1), &[h, x, h]),
            _ => graph.merge(Multiply, &[h, h]),
        };
        check(graph.outputs(&[y]), &[input(&[2, 3])])?;
    }
    Ok(())
}

/// A graph with one input and one output, a shared layer, and a branch that no output reaches.
fn block(width: usize) -> Graph<f64> {
    let mut graph = Graph::of();
    let x = graph.input();
    let shared = graph.share(Dense::of(width).activation(Activation::Gelu));
    let once = graph.apply(shared, x);
    let twice = graph.apply(shared, once);
    let dropped = graph.add(Dropout::new(0.25), twice);
    graph.add(BatchNormalization::of(), dropped); // leads nowhere
    let sum = graph.merge(Add::new(), &[x, dropped, once]);
    let both = graph.merge(Concatenate::new(-1), &[sum, x]);
    let narrow = graph.add(Dense::of(width), both);
    graph.outputs(&[narrow])
}

/// All layers, nested.
fn everything() -> Sequential<f64> {
    let inner = Residual::new(Sequential::of().add(BatchNormalization::of()).add(block(4)));
    let outer = Residual::new(Sequential::of().add(inner).add(Dense::of(3))).projection(Dense::of(3).without_bias());
    Sequential::of()
        .add(Embedding::of(6, 3))
        .add(SimpleRnn::of(4).return_sequences())
        .add(Dropout::new(0.2))
        .add(BatchNormalization::of().unbiased(true))
        .add(outer)
        .add(Sequential::of())
        .add(Lambda::elementwise("square", |x: f64| x * x, |x| 2.0 * x))
        .add(Reshape::new([-1, 2]))
        .add(SimpleRnn::of(5))
        .add(Flatten::new())
        .add(Dense::of(2).activation(Activation::Softmax))
}

#[test]
fn a_nested_network_of_all_of_them() -> Result<()> {
    for mode in BOTH {
        let mut model = everything();
        let report = check_in(mode, &mut model, &[ids(&[3, 4], 6)])?;
        let trainable = model.params().iter().filter(|(_, p)| p.is_trainable()).map(|(_, p)| p.len()).sum::<usize>();
        assert_eq!(report.compared, trainable);
    }
    Ok(())
}

#[test]
fn frozen_parts_get_no_gradient_and_let_it_through() -> Result<()> {
    for frozen in 0..11 {
        let mut model = everything();
        check_in(Mode::Training, &mut model, &[ids(&[3, 4], 6)])?;
        model.layers_mut()[frozen].freeze();
        let report = gradcheck(&mut model, &[ids(&[3, 4], 6)], &GradCheck::default())?;
        let trainable = model.params().iter().filter(|(_, p)| p.is_trainable()).map(|(_, p)| p.len()).sum::<usize>();
        assert_eq!(report.compared, trainable, "layer {frozen} frozen");
    }
    let mut model = everything();
    check_in(Mode::Training, &mut model, &[ids(&[3, 4], 6)])?;
    model.layers_mut()[..10].iter_mut().for_each(|layer| layer.freeze());
    assert_eq!(gradcheck(&mut model, &[ids(&[3, 4], 6)], &GradCheck::default())?.compared, 5 * 2 + 2);
    Ok(())
}

#[test]
fn two_inputs_and_two_outputs_with_a_shared_tower() -> Result<()> {
    let mut graph = Graph::<f64>::of();
    let (left, right) = (graph.input(), graph.input());
    let tower = graph.share(Sequential::of().add(block(3)).add(SimpleRnn::of(2)));
    let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
    let both = graph.merge(Concatenate::new(-1), &[a, b]);
    let deep = graph.add(Residual::new(Dense::of(4).activation(Activation::Tanh)), both);
    let sum = graph.merge(Add::new(), &[a, b]);
    let model = graph.outputs(&[deep, sum, deep]);
    // The tower meets two lengths of time.
    check(model, &[input(&[2, 3, 3]), input(&[2, 5, 3])])?;
    Ok(())
}

#[test]
fn an_input_that_is_an_output_and_one_that_nobody_reads() -> Result<()> {
    let mut graph = Graph::<f64>::of();
    let (x, other, _unread) = (graph.input(), graph.input(), graph.input());
    let y = graph.add(Dense::of(2), x);
    let model = graph.outputs(&[y, other, x]);
    check(model, &[input(&[2, 3]), input(&[2, 2]), input(&[2, 1])])?;
    Ok(())
}

#[test]
fn a_graph_stands_in_a_sequential_and_empty_containers_stand_anywhere() -> Result<()> {
    let model = Sequential::of().add(block(4)).add(block(4)).add(Sequential::of());
    check(model, &[input(&[3, 4])])?;
    check(Sequential::of(), &[input(&[3, 4])])?;
    check(Residual::new(Sequential::of()), &[input(&[3, 4])])?;
    check(Residual::new(Residual::new(Residual::new(Dense::of(2)))), &[input(&[3, 2])])?;
    check(Residual::new(Activation::Relu).projection(Sequential::of()), &[input(&[3, 2])])?;
    Ok(())
}

/// Two layers that share one weight.
#[test]
fn tied_weights_have_one_gradient() -> Result<()> {
    struct Twice {
        first: Param<f64>,
        second: Param<f64>,
    }
    impl Layer<f64> for Twice {
        layerwise::visit_params!(f64; first, second);

        fn kind(&self) -> &str {
            "Twice"
        }

        fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
            init.param(&mut self.first, input, &Initializer::GlorotUniform)?;
            init.param(&mut self.second, input, &Initializer::GlorotUniform)?;
            Ok(input.to_vec())
        }

        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
            Ok(input.to_vec())
        }

        fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
            Ok((x * self.first.get()? * self.second.get()?).into_shared())
        }

        fn backward(
            &self,
            x: &Tensor<f64>,
            _: &Tensor<f64>,
            dy: &Tensor<f64>,
            _: bool,
            ctx: &mut Context<f64>,
        ) -> Result<Option<Tensor<f64>>> {
            for (own, other) in [(&self.first, &self.second), (&self.second, &self.first)] {
                if let Some(grad) = ctx.grad(own) {
                    grad.add_tensor(&(dy * x * other.get()?).sum_axis(ndarray::Axis(0)).into_shared())?;
                }
            }
            Ok(Some((dy * self.first.get()? * self.second.get()?).into_shared()))
        }
    }
    let first = Param::new();
    let mut layer = Twice { second: first.tied(), first };
    layer.initialize(&[3], 0)?;
    let report = gradcheck(&mut layer, &[input(&[2, 3])], &GradCheck::default())?;
    assert_eq!(report.compared, 6 + 3);
    Ok(())
}

/// y = x w, with a mistake of one's choice.
struct Faulty {
    weight: Param<f64>,
    mistake: Mistake,
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    None,
    WeightGradient,
    InputGradient,
    OverwritesGradient,
    GradientOnlyWithTheInputs,
    WrongNeeds,
    NotANumber,
    WrongShape,
}

impl Layer<f64> for Faulty {
    layerwise::visit_params!(f64; weight);

    fn kind(&self) -> &str {
        "Faulty"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.weight, input, &Initializer::Constant(0.5))?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok((x * self.weight.get()?).into_shared())
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        want_dx: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        let leaves_out = self.mistake == Mistake::GradientOnlyWithTheInputs && !want_dx;
        if let (Some(grad), false) = (ctx.grad(&self.weight), leaves_out) {
            let factor = if self.mistake == Mistake::WeightGradient { 1.001 } else { 1.0 };
            let gradient = (dy * x).sum_axis(ndarray::Axis(0)) * factor;
            match self.mistake {
                Mistake::OverwritesGradient => grad.into_parts().0.copy_from_slice(gradient.as_slice().unwrap()),
                _ => grad.add_tensor(&gradient.into_shared())?,
            }
        }
        let dx = dy * self.weight.get()?;
        Ok(want_dx.then(|| match self.mistake {
            Mistake::InputGradient => dx.mapv(|dx| dx + 1e-4).into_shared(),
            Mistake::NotANumber => dx.mapv(|_| f64::NAN).into_shared(),
            Mistake::WrongShape => dx.sum_axis(ndarray::Axis(0)).into_shared(),
            _ => dx.into_shared(),
        }))
    }

    fn needs(&self) -> layerwise::Needs {
        let input = self.mistake != Mistake::WrongNeeds;
        layerwise::Needs { input, output: false }
    }
}

#[test]
fn mistakes_are_found_and_named() {
    let run = |mistake| {
        let mut layer = Faulty { weight: Param::new(), mistake };
        layer.initialize(&[2], 0)?;
        gradcheck(&mut layer, &[input(&[3, 2])], &GradCheck::default())
    };
    assert_eq!(run(Mistake::None).unwrap().compared, 8);
    for (mistake, message) in [
        (Mistake::WeightGradient, "gradient of weight["),
        (Mistake::InputGradient, "gradient of input 0[0, 0]: backward gives "),
        (Mistake::OverwritesGradient, "gradient of weight[0]: backward gives "),
        (Mistake::GradientOnlyWithTheInputs, "without the gradient of the input, "),
        (Mistake::NotANumber, "gradient of input 0[0, 0]: backward gives NaN, finite differences give "),
        (Mistake::WrongShape, "gradient of the input: expected shape [3, 2], got shape [2]"),
    ] {
        let error = run(mistake).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
#[should_panic = "IncompatibleShape"]
fn a_layer_that_reads_what_it_said_it_does_not_need_is_found() {
    let mut layer = Faulty { weight: Param::new(), mistake: Mistake::WrongNeeds };
    layer.initialize(&[2], 0).unwrap();
    let _ = gradcheck(&mut layer, &[input(&[3, 2])], &GradCheck::default());
}

#[test]
fn the_check_leaves_the_layer_as_it_was() -> Result<()> {
    let mut model = everything();
    check_in(Mode::Training, &mut model, &[ids(&[3, 4], 6)])?;
    let before: Vec<_> = model.params().iter().map(|(_, p)| p.get().cloned()).collect::<Result<_>>()?;
    gradcheck(&mut model, &[ids(&[3, 4], 6)], &GradCheck::default())?;
    let after: Vec<_> = model.params().iter().map(|(_, p)| p.get().cloned()).collect::<Result<_>>()?;
    assert_eq!(before, after);
    Ok(())
}

/// sum (y - t)^2, with a factor in the gradient that ought to be 2.
struct Squares {
    factor: f64,
}

impl Loss<f64> for Squares {
    fn kind(&self) -> &str {
        "Squares"
    }

    fn denominator(&self, output: &[usize], _: &Tensor<f64>, _: Option<&[f64]>) -> Result<f64> {
        Ok(output.iter().product::<usize>() as f64)
    }

    fn compute(
        &self,
        output: &Tensor<f64>,
        target: &Tensor<f64>,
        samples: layerwise::losses::Samples<'_, f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<(f64, Option<Tensor<f64>>)> {
        let error = output - target;
        let value = samples.scale * error.mapv(|e| e * e).sum();
        Ok((value, Some((error * (self.factor * samples.scale)).into_shared())))
    }
}

#[test]
fn losses_are_checked_too() -> Result<()> {
    let (output, target) = (input(&[3, 2]), (input(&[3, 2]) * 0.3).into_shared());
    let options = GradCheck::default();
    assert_eq!(gradcheck_loss(&Squares { factor: 2.0 }, &output, &target, None, &options)?.compared, 6);
    let error = gradcheck_loss(&Squares { factor: 1.0 }, &output, &target, None, &options).unwrap_err().to_string();
    assert!(error.starts_with("gradient of output[0, 0]: backward gives "), "{error}");
    Ok(())
}
