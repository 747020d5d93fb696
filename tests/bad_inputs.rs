//! What users do wrong around models, data sets and trainers, and what they are told.

use layerwise::metrics::Accuracy;
use layerwise::prelude::*;
use layerwise::to_tensor;
use ndarray::{Array1, Array2, arr0, array};

fn message<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

fn x() -> Array2<f32> {
    Array2::from_shape_fn((6, 4), |(row, column)| (row as f32 - column as f32) / 4.0)
}

fn labels() -> Array1<usize> {
    array![0, 1, 2, 0, 1, 2]
}

fn classifier() -> Sequential {
    Sequential::new().add(Dense::new(5).activation(Activation::Relu)).add(Dense::new(3))
}

fn built() -> Sequential {
    let mut model = classifier();
    model.initialize(&[4], 0).unwrap();
    model
}

fn trainer() -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).progress(Progress::Silent)
}

#[test]
fn samples_that_do_not_fit_the_network() {
    let narrow = Array2::<f32>::zeros((6, 3));
    let expected = "layer 0 (Dense): input: expected 4 features on the last axis, got shape [3]";
    assert_eq!(message(trainer().fit(&mut built(), (&narrow, &labels()))), expected);
    assert_eq!(message(trainer().evaluate(&built(), (&narrow, &labels()))), expected);
    let narrow_set = Dataset::new(&narrow, &labels()).unwrap();
    assert_eq!(message(trainer().step(&mut built(), &narrow_set)), expected);
    // Also after steps on samples that fit.
    let (mut model, mut used) = (built(), trainer());
    used.fit(&mut model, (&x(), &labels())).unwrap();
    assert_eq!(message(used.fit(&mut model, (&narrow, &labels()))), expected);
    assert_eq!(message(used.step(&mut model, &narrow_set)), expected);

    let expected = "layer 0 (Dense): input: expected 4 features on the last axis, got shape [6, 3]";
    assert_eq!(message(built().predict(&narrow)), expected);
    let validated = trainer().validation_data((&narrow, &labels())).unwrap().fit(&mut built(), (&x(), &labels()));
    assert_eq!(
        message(validated),
        "validation data: layer 0 (Dense): input: expected 4 features on the last axis, got shape [3]"
    );
}

#[test]
fn an_error_deep_inside_names_the_whole_path() {
    let block = || Residual::new(Sequential::new().add(Dense::new(5)).add(Dense::new(4)));
    let mut model = Sequential::new().add(Activation::Tanh).add(block()).add(Dense::new(3));
    model.initialize(&[4], 0).unwrap();
    let expected = "layer 1.body.0 (Dense): input: expected 4 features on the last axis, got shape [6, 2]";
    assert_eq!(message(model.predict(&Array2::<f32>::zeros((6, 2)))), expected);

    let mut model = Sequential::new().add(Dense::new(3)).add(block());
    let expected = "layer 1 (Residual): output of the body: expected shape [3] of the shortcut (give a projection where \
                    the body changes the shape), got shape [4]";
    assert_eq!(message(trainer().fit(&mut model, (&x(), &labels()))), expected);

    let mut model = Sequential::new().add(Sequential::new().add(Dense::new(3)).add(Dense::new(0)));
    assert_eq!(message(model.initialize(&[4], 0)), "layer 0.1 (Dense): units must be at least 1, got 0");

    let mut graph = Graph::new();
    let input = graph.input();
    let hidden = graph.add(Sequential::new().add(Dense::new(3)).add(Dense::new(2)), input);
    graph.name("encoder");
    let mut model = graph.outputs(&[hidden]);
    model.initialize(&[4], 0).unwrap();
    let expected = "layer encoder.0 (Dense): input: expected 4 features on the last axis, got shape [6, 2]";
    assert_eq!(message(model.predict(&Array2::<f32>::zeros((6, 2)))), expected);
}

#[test]
fn arrays_that_are_no_data_set() {
    let weights = |weights: Array1<f32>| Dataset::new(&x(), &labels()).unwrap().weights(&weights);
    let mut large = Array1::<u32>::zeros(6);
    large[4] = (1 << 24) + 1;
    let large = large;
    for (got, expected) in [
        (
            message(Dataset::<f32>::new(&x(), &array![0, 1])),
            "samples of target 0 against input 0: expected length 6, got 2",
        ),
        (
            message(trainer().fit(&mut classifier(), (&x(), &array![0, 1]))),
            "samples of target 0 against input 0: expected length 6, got 2",
        ),
        (
            message(Dataset::<f32>::new(&Array2::<f32>::zeros((0, 4)), &Array1::<f32>::zeros(0))),
            "the data set is empty",
        ),
        (message(Dataset::<f32>::new(&Array2::<f32>::zeros((6, 0)), &labels())), "the data set is empty"),
        (message(Dataset::<f32>::new(&arr0(1.0), &labels())), "input 0: expected an axis of samples, got shape []"),
        (message(Dataset::<f32>::new(&x(), &arr0(1.0))), "target 0: expected an axis of samples, got shape []"),
        (message(Dataset::<f32>::of_tensors(Vec::new(), Vec::new())), "the list of inputs of a data set is empty"),
        (
            message(Dataset::<f32>::new(&x(), &large)),
            "target at [4]: expected a number that f32 holds exactly, got 16777217",
        ),
        (
            message(Dataset::<f32>::new(&array![[0u64, 1], [1 << 40, 2]], &array![0, 1])),
            "input at [1, 0]: expected a number that f32 holds exactly, got 1099511627776",
        ),
        (
            message(built().predict(&array![[0i64, 1, 2, -(1 << 40)]])),
            "input at [0, 3]: expected a number that f32 holds exactly, got -1099511627776",
        ),
        (message(weights(array![1.0, 1.0])), "sample weights against samples: expected length 6, got 2"),
        (
            message(weights(array![1.0, 1.0, -0.5, 1.0, 1.0, 1.0])),
            "sample weight at [2]: expected a finite number of at least 0, got -0.5",
        ),
        (
            message(weights(array![1.0, 1.0, 1.0, 1.0, 1.0, f32::NAN])),
            "sample weight at [5]: expected a finite number of at least 0, got NaN",
        ),
        (
            message(Dataset::<f32>::new(&x(), &labels()).unwrap().rows(&[0, 6])),
            "row number at [1]: expected below 6, the number of samples, got 6",
        ),
        (message(Dataset::<f32>::new(&x(), &labels()).unwrap().rows(&[])), "the list of rows is empty"),
    ] {
        assert_eq!(got, expected);
    }
    assert!(Dataset::<f64>::new(&x().mapv(f64::from), &large).is_ok());
}

#[test]
fn settings_of_a_trainer_that_cannot_work() {
    for (mut trainer, expected) in [
        (trainer().batch_size(0), "batch_size must be at least 1, got 0"),
        (trainer().epochs(0), "epochs must be at least 1, got 0"),
        (trainer().shards(0), "shards must be at least 1, got 0"),
        (trainer().threads(0), "threads must be at least 1, got 0"),
        (trainer().shards(1 << 20), "shards must be at most 4096, got 1048576"),
        (trainer().threads(1 << 20), "threads must be at most 4096, got 1048576"),
        (
            Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(-0.1)),
            "learning rate must be a finite number of at least 0, got -0.1",
        ),
        (trainer().clip_norm(-1.0), "clip_norm must be a finite number above 0, got -1"),
        (trainer().clip_norm_each(0.0), "clip_norm_each must be a finite number above 0, got 0"),
        (trainer().clip_value(f64::INFINITY), "clip_value must be a finite number above 0, got inf"),
        (
            trainer().clip_norm(1.0).clip_norm_each(2.0),
            "clip_norm_each must be the only way of clipping, without clip_norm, got 2",
        ),
        (trainer().accumulate(0), "accumulate must be at least 1 batch, got 0"),
        (trainer().rate_for("0", f64::NAN), "factor of rate_for \"0\" must be a finite number of at least 0, got NaN"),
        (
            trainer().decay_for("encoder", 0.0),
            "names of decay_for must be those of parameters of the model (0.weight, 0.bias, 1.weight, 1.bias...), got \
             \"encoder\"",
        ),
        (trainer().first_output_weight(f64::NAN), "weight of the loss of output 0 must be finite, got NaN"),
        (
            trainer().metric_of(1, Accuracy::new()),
            "output of metric accuracy must be below 1, the number of losses, got 1",
        ),
        (
            trainer().validation_split(ValidationSplit::Last(1.5)),
            "validation fraction must be above 0 and below 1, got 1.5",
        ),
    ] {
        let mut model = built();
        let before = model.params()[0].1.get().unwrap().clone();
        assert_eq!(message(trainer.fit(&mut model, (&x(), &labels()))), expected);
        assert_eq!(model.params()[0].1.get().unwrap(), before);
    }
}

#[test]
fn settings_that_a_single_step_refuses_too() {
    let data = Dataset::new(&x(), &labels()).unwrap();
    for (mut trainer, expected) in [
        (trainer().shards(0), "shards must be at least 1, got 0"),
        (
            trainer().metric_of(1, Accuracy::new()),
            "output of metric accuracy must be below 1, the number of losses, got 1",
        ),
    ] {
        for mut model in [built(), Sequential::new()] {
            assert_eq!(message(trainer.step(&mut model, &data)), expected);
            assert_eq!(message(trainer.evaluate(&model, &data)), expected);
        }
    }
    // A builder method after the first step is looked at as well.
    let (mut model, mut used) = (built(), trainer());
    used.step(&mut model, &data).unwrap();
    let mut used = used.shards(0);
    assert_eq!(message(used.step(&mut model, &data)), "shards must be at least 1, got 0");
    let mut used = used.shards(1).clip_norm(f64::NAN);
    assert_eq!(message(used.step(&mut model, &data)), "clip_norm must be a finite number above 0, got NaN");
}

#[test]
fn a_network_that_is_used_before_it_is_built() {
    let expected = "layer 0 (Dense): used before it was built: call `initialize` on the model, or `fit`, which builds \
                    it from the data";
    assert_eq!(message(classifier().predict(&x())), expected);
    assert_eq!(message(trainer().predict_proba(&classifier(), &x())), expected);
    assert_eq!(message(trainer().evaluate(&classifier(), (&x(), &labels()))), expected);
}

#[test]
fn samples_that_are_none() {
    for (got, expected) in [
        (
            message(built().predict(&Array2::<f32>::zeros((0, 4)))),
            "the array of samples to predict, of shape [0, 4], is empty",
        ),
        (
            message(built().predict(&Array2::<f32>::zeros((3, 0)))),
            "the array of samples to predict, of shape [3, 0], is empty",
        ),
        (
            message(built().predict(&arr0(1.0_f32))),
            "samples to predict: expected at least one axis, that of the samples, got shape []",
        ),
        // One sample without an axis of samples.
        (
            message(built().predict(&Array1::<f32>::zeros(4))),
            "layer 0 (Dense): input: expected shape (batch, ..., 4), got shape [4]",
        ),
        (
            message(built().predict_all(&[to_tensor(&Array2::<f32>::zeros((0, 4))).unwrap()])),
            "the array of samples to predict, of shape [0, 4], is empty",
        ),
    ] {
        assert_eq!(got, expected);
    }
}

#[test]
fn a_value_among_many_samples_is_named_by_its_row_in_the_data() {
    let mut model = Sequential::new().add(Embedding::new(10, 3)).add(Flatten::new());
    model.initialize(&[2], 0).unwrap();
    let mut ids = Array2::<usize>::zeros((600, 2));
    ids[[500, 1]] = 10;
    let expected = "layer 0 (Embedding): token id at [500, 1]: expected a whole number from 0 to 9, got 10";
    assert_eq!(message(model.predict(&ids)), expected);
    assert_eq!(message(trainer().evaluate(&model, (&ids, &Array1::<usize>::zeros(600)))), expected);
}

#[test]
fn a_main_that_returns_an_error_shows_the_sentence() {
    let error = classifier().predict(&x()).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[test]
fn a_summary_for_samples_that_do_not_fit_names_the_layer() {
    let mut model = Sequential::new().add(Residual::new(Sequential::new().add(Dense::new(4)))).add(Dense::new(2));
    model.initialize(&[4], 0).unwrap();
    let expected = "layer 0.body.0 (Dense): input: expected 4 features on the last axis, got shape [5]";
    assert_eq!(message(model.summary(&[5])), expected);
    assert_eq!(message(model.summary(&[4])), "no error");
}

#[test]
fn inputs_of_a_network_with_two_of_them() {
    let build = || {
        let mut graph = Graph::new();
        let (left, right) = (graph.input(), graph.input());
        let (a, b) = (graph.add(Dense::new(2), left), graph.add(Dense::new(3), right));
        graph.outputs(&[a, b])
    };
    let mut model = build();
    model.initialize_all(&[vec![4], vec![2]], 0).unwrap();
    let input = |rows, features| to_tensor(&Array2::<f32>::zeros((rows, features))).unwrap();
    for (got, expected) in [
        (message(model.predict_all(&[input(3, 4)])), "inputs of the graph: expected length 2, got 1"),
        (message(model.predict_all(&[])), "inputs of the graph: expected length 2, got 0"),
        (
            message(model.predict_all(&[input(3, 4), input(2, 2)])),
            "samples of input 1 against input 0: expected length 3, got 2",
        ),
        (
            message(model.predict_all(&[input(3, 4), input(3, 4)])),
            "layer 1 (Dense): input: expected 2 features on the last axis, got shape [3, 4]",
        ),
        (message(model.predict(&x())), "inputs of the graph: expected length 2, got 1"),
    ] {
        assert_eq!(got, expected);
    }
    let one_target = Dataset::of_tensors(vec![input(3, 4), input(3, 2)], vec![input(3, 2)]).unwrap();
    let two_targets = Dataset::of_tensors(vec![input(3, 4), input(3, 2)], vec![input(3, 2), input(3, 3)]).unwrap();
    let one_loss = || Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).progress(Progress::Silent);
    let two_losses = || one_loss().output(MeanSquaredError::new(), 1.0);
    for (got, expected) in [
        (
            message(one_loss().fit(&mut build(), &two_targets)),
            "losses of the trainer against outputs of the model: expected length 2, got 1",
        ),
        (
            message(two_losses().output(MeanSquaredError::new(), 1.0).fit(&mut build(), &two_targets)),
            "losses of the trainer against outputs of the model: expected length 2, got 3",
        ),
        (
            message(two_losses().fit(&mut build(), &one_target)),
            "targets of the data set against outputs of the model: expected length 2, got 1",
        ),
        (
            message(two_losses().validation_data(&one_target).unwrap().fit(&mut build(), &two_targets)),
            "validation data: targets against outputs of the model: expected length 2, got 1",
        ),
        (
            message(two_losses().step_with(&mut model, &two_targets, &MeanSquaredError::new())),
            "outputs of a network whose step has a loss of its own: expected length 1, got 2",
        ),
        (message(two_losses().fit(&mut build(), &two_targets)), "no error"),
    ] {
        assert_eq!(got, expected);
    }
    // A network with two outputs and nothing to learn.
    let mut graph = Graph::new();
    let input = graph.input();
    let a = graph.add(Activation::Tanh, input);
    let mut model = graph.outputs(&[a, input]);
    let expected = "losses of the trainer against outputs of the model: expected length 2, got 1";
    let targets = Dataset::of_tensors(vec![to_tensor(&x()).unwrap()], vec![to_tensor(&x()).unwrap(); 2]).unwrap();
    assert_eq!(message(one_loss().step(&mut model, &targets)), expected);
    assert_eq!(message(one_loss().fit(&mut model, &targets)), expected);
    assert_eq!(message(two_losses().fit(&mut model, &targets)), "no error");
}

#[test]
fn targets_that_the_loss_cannot_take() {
    let fit = |outcome: Result<History>| message(outcome);
    // In order, so that the place in the batch is the place in the data.
    let softmax = |y: &Array1<f32>| fit(trainer().shuffle(false).fit(&mut classifier(), (&x(), y)));
    let squares = |y: &Array2<f32>| {
        let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).progress(Progress::Silent);
        fit(trainer.fit(&mut classifier(), (&x(), y)))
    };
    let binary = |y: &Array1<f32>| {
        let trainer = Trainer::new(BinaryCrossEntropy::new(), Sgd::new(0.1)).progress(Progress::Silent);
        fit(trainer.shuffle(false).fit(&mut Sequential::new().add(Dense::new(1)), (&x(), y)))
    };
    for (wrong, got) in [(3.0, "3"), (1.5, "1.5"), (-1.0, "-1"), (f32::NAN, "NaN")] {
        let expected = format!("class label at [3]: expected a whole number from 0 to 2, got {got}");
        assert_eq!(softmax(&array![0.0, 1.0, 2.0, wrong, 1.0, 0.0]), expected);
    }
    assert_eq!(squares(&Array2::zeros((6, 1))), "target: expected shape [6, 3], as the output, got shape [6, 1]");
    assert_eq!(binary(&array![0.0, 1.0, 0.0, 2.0, 0.0, 1.0]), "target at [3]: expected a number from 0 to 1, got 2");
    assert_eq!(
        fit(trainer().fit(&mut classifier(), (&x(), &Array2::<f32>::zeros((6, 2))))),
        "target: expected class labels of shape [6] or [6, 1], or probabilities of shape [6, 3], for an output of \
         shape [6, 3], got shape [6, 2]"
    );
    let mut one_logit = Sequential::new().add(Dense::new(1));
    assert_eq!(
        fit(trainer().fit(&mut one_logit, (&x(), &labels()))),
        "output of SoftmaxCrossEntropy: expected (batch, ..., classes) with 2 classes or more; for one logit use \
         BinaryCrossEntropy, got shape [6, 1]"
    );
}

#[test]
fn a_number_that_is_none_among_the_inputs() {
    let mut x = x();
    x[[4, 2]] = f32::NAN;
    let mut trainer = trainer().batch_size(2).shuffle(false);
    let expected = "loss is NaN at step 3; the weights are as they were before this step";
    assert_eq!(message(trainer.fit(&mut built(), (&x, &labels()))), expected);
}

#[test]
fn a_sequential_without_layers_gives_back_what_it_gets() -> Result<()> {
    let mut model = Sequential::new();
    assert_eq!(model.initialize(&[4], 0)?, [4]);
    assert_eq!(model.predict(&x())?, x().into_dyn());
    // So a data set whose targets fit is a fit, and others are told what does not.
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).progress(Progress::Silent);
    trainer.fit(&mut model, (&x(), &x()))?;
    let expected = "target: expected shape [6, 4], as the output, got shape [6]";
    assert_eq!(message(trainer.fit(&mut model, (&x(), &labels()))), expected);
    Ok(())
}

#[test]
fn weights_that_do_not_fit_a_parameter() {
    let mut model = built();
    let mut params = model.params_mut();
    let expected = "parameter: expected shape [4, 5], got shape [5, 4]";
    assert_eq!(message(params[0].1.set(&Array2::<f32>::zeros((5, 4)))), expected);
    assert_eq!(params[0].0, "0.weight");
}
