//! A run that is taken up again has the same bits as one that was never interrupted: in every weight, state and slot, in
//! the history, whatever the optimizer, and wherever the run was left.

#[path = "common/saved.rs"]
mod saved;

use std::path::Path;

use layerwise::data::augmentation::{MixUp, RandomCrop, RandomFlip};
use layerwise::data::datasets;
use layerwise::layers::SpatialDropout2d;
use layerwise::metrics::{F1, MeanAbsoluteError, R2};
use layerwise::optimizers::{Adadelta, Adafactor, Adagrad, Adamax, Lamb, Lion, Muon, Nadam, RAdam, RmsProp};
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use layerwise::to_tensor;
use layerwise::train::CallbackState;
use ndarray::{Array2, s};
use saved::{Saved, contents, course};

/// A training: a model that is not built, a trainer, and data.
struct Setup<A: Scalar> {
    model: Box<dyn Layer<A>>,
    trainer: Trainer<A>,
    data: Dataset<A>,
}

/// Stops the run once the optimizer has taken so many steps; 0 does not stop it.
struct StopAfter(u64);

impl<A: Scalar> Callback<A> for StopAfter {
    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if event.step == self.0 {
            event.stop();
        }
        Ok(())
    }
}

/// Saves a checkpoint in its folder at every event at which one can be saved.
struct SaveAlways(std::path::PathBuf);

impl SaveAlways {
    fn save<A: Scalar>(&self, when: &str, event: &mut Event<'_, A>) -> Result<()> {
        event.save_checkpoint(self.0.join(format!("{when}-{}-{}", event.epoch, event.batch)));
        Ok(())
    }
}

impl<A: Scalar> Callback<A> for SaveAlways {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.save("train", event)
    }

    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.save("begin", event)
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.save("batch", event)
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.save("end", event)
    }

    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.save("over", event)
    }
}

/// The end of a training: what its checkpoint would hold, its history, its steps.
fn finish<A: Scalar>(mut setup: Setup<A>, from: Option<&Path>) -> Result<(Saved, String, u64)> {
    if let Some(path) = from {
        setup.trainer.load_checkpoint(&mut *setup.model, path)?;
    }
    let history = setup.trainer.fit(&mut *setup.model, &setup.data)?;
    Ok((contents(&setup.trainer, &*setup.model)?, course(&history), setup.trainer.steps()))
}

/// Stops after every single step, each time with a new trainer and a new model, and at the end compares with a run in
/// one go. Then takes up the run from every event of one at which a checkpoint was saved while it went on.
fn check<A: Scalar>(name: &str, make: impl Fn() -> Result<Setup<A>>) -> Result<()> {
    let (whole, whole_course, steps) = finish(make()?, None)?;
    assert!(steps >= 6, "{name}: {steps} steps are too few to stop between");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("stopped");
    for step in 1..=steps {
        let mut setup = make()?;
        setup.trainer = setup.trainer.callback(StopAfter(step));
        if step > 1 {
            setup.trainer.load_checkpoint(&mut *setup.model, &path)?;
            assert_eq!(setup.trainer.steps(), step - 1, "{name}");
        }
        setup.trainer.fit(&mut *setup.model, &setup.data)?;
        assert_eq!(setup.trainer.steps(), step, "{name}");
        setup.trainer.save_checkpoint(&*setup.model, &path)?;
    }
    let (stopped, stopped_course, _) = finish(make()?, Some(&path))?;
    assert!(stopped == whole, "{name}: stopped after every step");
    assert_eq!(stopped_course, whole_course, "{name}");

    let mut setup = make()?;
    setup.trainer = setup.trainer.callback(SaveAlways(folder.path().to_owned()));
    setup.trainer.fit(&mut *setup.model, &setup.data)?;
    assert!(contents(&setup.trainer, &*setup.model)? == whole, "{name}: saving has changed the run");
    std::fs::remove_file(&path).expect("it was written");
    for file in std::fs::read_dir(folder.path()).expect("it is there") {
        let path = file.expect("it is there").path();
        let (end, end_course, _) = finish(make()?, Some(&path))?;
        assert!(end == whole, "{name}: {}", path.display());
        assert_eq!(end_course, whole_course, "{name}: {}", path.display());
    }
    Ok(())
}

/// 28 irises and their kinds.
fn irises<A: Scalar>() -> Result<Dataset<A>> {
    let iris = datasets::iris();
    let rows: Vec<usize> = (0..28).map(|row| 5 * row + row % 3).collect();
    let x = iris.features.select(ndarray::Axis(0), &rows).mapv(|x| A::of(f64::from(x)));
    let labels = iris.labels.select(ndarray::Axis(0), &rows).mapv(|label| A::of(label as f64));
    Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![labels.into_dyn().into_shared()])
}

/// A network with dropout and batch normalisation on irises: 3 epochs of 3 batches, the last of them smaller.
fn mlp<A: Scalar>(optimizer: impl Optimizer<A> + 'static, shards: usize) -> Result<Setup<A>> {
    let model = Sequential::of()
        .add(Dense::of(6).activation(Activation::Tanh))
        .add(BatchNormalization::of())
        .add(Dropout::new(0.3))
        .add(Dense::of(3));
    let trainer = Trainer::of(SoftmaxCrossEntropy::new(), optimizer)
        .metric(Accuracy::new())
        .metric(F1::new())
        .validation_split(ValidationSplit::Shuffled(0.2))
        .epochs(3)
        .batch_size(9)
        .seed(11)
        .shards(shards)
        .progress(Progress::Silent);
    Ok(Setup { model: Box::new(model), trainer, data: irises()? })
}

#[test]
fn every_optimizer_goes_on() -> Result<()> {
    check("sgd", || mlp::<f32>(Sgd::new(0.1), 1))?;
    check("momentum", || mlp::<f32>(Sgd::new(0.1).momentum(0.9).weight_decay(0.01), 1))?;
    check("nesterov", || mlp::<f32>(Sgd::new(0.1).momentum(0.9).nesterov(true).scaled_velocity(true), 1))?;
    check("adam", || mlp::<f32>(Adam::new(0.01), 1))?;
    check("adam with decay", || mlp::<f64>(Adam::new(Cosine::new(0.01, 7).warmup(3)).weight_decay(0.1), 1))?;
    check("adamw", || mlp::<f32>(AdamW::new(Cosine::new(0.01, 7).minimum(1e-3)).betas(0.8, 0.9), 1))?;
    check("adam with amsgrad", || mlp::<f32>(Adam::new(0.01).amsgrad(true), 1))?;
    check("rmsprop", || mlp::<f32>(RmsProp::new(0.01).centered(true).momentum(0.9), 2))?;
    check("adagrad", || mlp::<f32>(Adagrad::new(0.1).initial_accumulator(0.1), 1))?;
    check("adadelta", || mlp::<f64>(Adadelta::new(1.0), 1))?;
    check("adamax", || mlp::<f32>(Adamax::new(0.01), 1))?;
    check("nadam", || mlp::<f32>(Nadam::new(0.01), 1))?;
    check("radam", || mlp::<f32>(RAdam::new(0.01).betas(0.9, 0.99), 1))?;
    check("lion", || mlp::<f32>(Lion::new(0.01), 1))?;
    check("lamb", || mlp::<f32>(Lamb::new(0.01).weight_decay(0.1), 2))?;
    check("adafactor", || mlp::<f32>(Adafactor::new(0.01), 1))?;
    check("muon", || mlp::<f64>(Muon::new(0.01), 2))
}

#[test]
fn several_shards_go_on() -> Result<()> {
    check("adam in 3 shards", || mlp::<f32>(Adam::new(0.01), 3))?;
    check("clipped", || {
        let mut setup = mlp::<f64>(Sgd::new(0.1).momentum(0.5), 2)?;
        setup.trainer = setup.trainer.clip_norm(0.05);
        Ok(setup)
    })
}

#[test]
fn gathered_gradients_go_on() -> Result<()> {
    check("gathered in 2 shards", || {
        let mut setup = mlp::<f32>(Adam::new(0.01), 2)?;
        setup.trainer = setup.trainer.accumulate(2).clip_norm(0.1).rate_for("0", 0.5);
        Ok(setup)
    })?;
    check("gathered with penalties and constraints", || {
        let mut setup = mlp::<f64>(AdamW::new(0.01).weight_decay(0.1), 1)?;
        setup.trainer = setup.trainer.accumulate(2).clip_value(0.01).no_decay_for_biases_and_norms();
        let model = Sequential::of()
            .add(Embedding::of(9, 3).weight_regularizer(Regularizer::L2(0.1)))
            .add(Flatten::new())
            .add(BatchNormalization::of())
            .add(Dense::of(3).weight_constraint(NormConstraint::max(0.5)).bias_regularizer(Regularizer::L1(0.1)));
        setup.model = Box::new(model);
        let ids = setup.data.inputs()[0].mapv(f64::round).into_shared();
        setup.data = Dataset::of_tensors(vec![ids], setup.data.targets().to_vec())?;
        Ok(setup)
    })
}

#[test]
fn augmented_images_go_on() -> Result<()> {
    check("convolutions", || {
        let digits = datasets::digits_images();
        let data = Dataset::new(&digits.images.slice(s![..26, .., .., ..]), &digits.labels.slice(s![..26]))?;
        let model = Sequential::new()
            .add(Conv2d::new(4, 3).padding(layerwise::layers::Padding::Same))
            .add(BatchNormalization::new())
            .add(Activation::Relu)
            .add(SpatialDropout2d::new(0.2))
            .add(MaxPool2d::new(2))
            .add(Flatten::new())
            .add(Dense::new(10));
        let trainer = Trainer::new(SoftmaxCrossEntropy::new(), AdamW::new(0.01))
            .augment(RandomFlip::horizontal())
            .augment(RandomCrop::new(1))
            .augment(MixUp::new(10))
            .epochs(3)
            .batch_size(10)
            .shards(2)
            .threads(2)
            .progress(Progress::Silent);
        Ok(Setup { model: Box::new(model), trainer, data })
    })
}

/// Two inputs, a layer that is used twice, two outputs.
fn graph() -> Result<Setup<f64>> {
    let x = Array2::from_shape_fn((20, 3), |(row, column)| ((row + 3 * column) as f64).sin());
    let ids = Array2::from_shape_fn((20, 2), |(row, column)| (row + column) % 5);
    let numbers = x.map_axis(ndarray::Axis(1), |row| row.sum());
    let labels = ndarray::Array1::from_shape_fn(20, |row| row % 3);
    let inputs = vec![to_tensor(&x)?, to_tensor(&ids)?];
    let data = Dataset::of_tensors(inputs, vec![to_tensor(&numbers)?, to_tensor(&labels)?])?;
    let mut graph = Graph::of();
    let (numbers, ids) = (graph.input(), graph.input());
    let words = graph.add(Embedding::of(5, 3), ids);
    let words = graph.add(Flatten::new(), words);
    let both = graph.merge(Concatenate::new(-1), &[numbers, words]);
    let both = graph.add(Dense::of(4), both);
    let shared = graph.share(Dense::of(4).activation(Activation::Tanh));
    let once = graph.apply(shared, both);
    let twice = graph.apply(shared, once);
    let sum = graph.merge(Add::new(), &[once, twice]);
    let sum = graph.add(Dropout::new(0.2), sum);
    let (number, class) = (graph.add(Dense::of(1), sum), graph.add(Dense::of(3), sum));
    let trainer = Trainer::of(MeanSquaredError::new(), Adam::new(0.01))
        .output(SoftmaxCrossEntropy::new(), 0.5)
        .metric(MeanAbsoluteError::new())
        .metric(R2::new())
        .metric_of(1, Accuracy::new())
        .epochs(2)
        .batch_size(6)
        .seed(3)
        .shards(2)
        .progress(Progress::Silent);
    Ok(Setup { model: Box::new(graph.outputs(&[number, class])), trainer, data })
}

#[test]
fn a_graph_with_a_shared_layer_goes_on() -> Result<()> {
    check("graph", graph)
}

/// An embedding and a layer that reads words with its weights: y = x E^T.
struct Tied {
    table: Param,
    again: Param,
}

impl Layer for Tied {
    fn kind(&self) -> &str {
        "Tied"
    }

    fn build(&mut self, input: &[usize], init: &mut Init) -> Result<Vec<usize>> {
        init.param(&mut self.table, &[input[0], input[0]], &Initializer::GlorotUniform)?;
        init.param(&mut self.again, &[input[0], input[0]], &Initializer::GlorotUniform)?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        let size = x.shape()[1];
        let x = x.to_shape((x.shape()[0], size)).expect("row-major");
        let (table, again) = (self.table.get()?, self.again.get()?);
        let table = table.to_shape((size, size)).expect("row-major");
        let again = again.to_shape((size, size)).expect("row-major");
        Ok(x.dot(&table).dot(&again).into_dyn().into_shared())
    }

    fn backward(&self, x: &Tensor, _: &Tensor, dy: &Tensor, _: bool, ctx: &mut Context) -> Result<Option<Tensor>> {
        let size = x.shape()[1];
        let x = x.to_shape((x.shape()[0], size)).expect("row-major");
        let dy = dy.to_shape((x.nrows(), size)).expect("row-major");
        let weight = self.table.get()?.to_shape((size, size)).expect("row-major");
        let hidden = x.dot(&weight);
        let inner = dy.dot(&weight.t());
        for (param, gradient) in [(&self.table, x.t().dot(&inner)), (&self.again, hidden.t().dot(&dy))] {
            if let Some(grad) = ctx.grad(param) {
                grad.add_tensor(&gradient.into_dyn().into_shared())?;
            }
        }
        Ok(Some(inner.dot(&weight.t()).into_dyn().into_shared()))
    }

    layerwise::visit_params!(f32; table, again);
}

#[test]
fn tied_weights_go_on_as_one() -> Result<()> {
    check("tied", || {
        let table = Param::new();
        let again = table.tied();
        let mut setup = mlp::<f32>(Sgd::new(0.05).momentum(0.9), 2)?;
        setup.model = Box::new(Sequential::new().add(Dense::new(4)).add(Tied { table, again }).add(Dense::new(3)));
        Ok(setup)
    })
}

/// Freezes the first layer after the first epoch, and sets it free before the last step.
struct Freezer;

impl Callback for Freezer {
    fn on_epoch_begin(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.set(event, event.epoch == 2)
    }

    fn on_batch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        if event.step == 8 { self.set(event, false) } else { Ok(()) }
    }
}

impl Freezer {
    fn set(&self, event: &mut Event<'_>, frozen: bool) -> Result<()> {
        let mut params = event.model.params_mut();
        params.iter_mut().filter(|(name, _)| name.starts_with("0.")).for_each(|(_, param)| param.set_frozen(frozen));
        Ok(())
    }
}

#[test]
fn what_is_frozen_for_a_while_goes_on() -> Result<()> {
    check("frozen", || {
        let mut setup = mlp::<f32>(Adam::new(0.01), 1)?;
        setup.trainer = setup.trainer.callback(Freezer);
        Ok(setup)
    })
}

/// Has a say in the rates, remembers something in numbers and in tensors, and changes weights by it.
struct Moody {
    steps: f64,
    sum: Tensor,
}

impl Callback for Moody {
    fn kind(&self) -> &str {
        "Moody"
    }

    fn state(&self) -> CallbackState {
        CallbackState { settings: serde_json::json!(self.steps), tensors: vec![("sum".into(), self.sum.clone())] }
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        self.steps = state.settings.as_f64().ok_or_else(|| Error::custom("no number of steps"))?;
        self.sum = state.tensors[0].1.clone();
        Ok(())
    }

    fn on_train_begin(&mut self, event: &mut Event<'_>) -> Result<()> {
        (self.steps, self.sum) = (0.0, Tensor::zeros(ndarray::IxDyn(&[6])));
        event.set_rate(0.2)
    }

    fn on_batch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.steps += 1.0;
        let mut params = event.model.params_mut();
        let bias = &mut params[1].1;
        self.sum = (&self.sum + bias.get()?).into_shared();
        let moved = bias.get()? + &(&self.sum * 0.01);
        bias.set(&moved)?;
        event.scale_rate(1.0 / self.steps)?;
        if event.batch == 2 { event.set_rate(event.rate() + 0.1) } else { Ok(()) }
    }
}

#[test]
fn callbacks_and_rates_go_on() -> Result<()> {
    check("callbacks", || {
        let mut setup = mlp::<f32>(Sgd::new(0.1), 1)?;
        let moody = || Moody { steps: 0.0, sum: Tensor::zeros(ndarray::IxDyn(&[6])) };
        setup.trainer = setup.trainer.callback(moody()).callback(moody());
        Ok(setup)
    })
}

#[test]
fn losses_that_are_no_numbers_go_on() -> Result<()> {
    // R² of one sample is NaN, and a target of infinity is infinitely far away.
    check("NaN", || {
        let x = Array2::from_shape_fn((12, 3), |(row, column)| ((row + 5 * column) as f64).cos());
        let y = x.map_axis(ndarray::Axis(1), |row| row.sum());
        let far = (&x.slice(s![..1, ..]).to_owned(), &ndarray::array![f64::INFINITY]);
        let trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)).metric(R2::new()).validation_data(far)?;
        let trainer = trainer.epochs(2).batch_size(4).progress(Progress::Silent);
        Ok(Setup { model: Box::new(Sequential::of().add(Dense::of(1))), trainer, data: Dataset::new(&x, &y)? })
    })
}

#[test]
fn another_machine_cuts_batches_as_the_first_one_did() -> Result<()> {
    // Large enough that a batch is cut into a shard for each thread.
    let make = |threads| -> Result<Setup<f32>> {
        let relu = |units| Dense::new(units).activation(Activation::Relu);
        let model = Sequential::new().add(relu(256)).add(relu(256)).add(Dropout::new(0.5)).add(Dense::new(3));
        let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).batch_size(75).threads(threads);
        let iris = datasets::iris();
        let data = Dataset::new(&iris.features, &iris.labels)?;
        Ok(Setup { model: Box::new(model), trainer: trainer.epochs(2).progress(Progress::Silent), data })
    };
    let (whole, whole_course, _) = finish(make(3)?, None)?;
    let (other, ..) = finish(make(2)?, None)?;
    assert!(other.tensors != whole.tensors, "shards do not matter here, and the test shows nothing");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("three");
    let mut setup = make(3)?;
    setup.trainer = setup.trainer.callback(StopAfter(1));
    setup.trainer.fit(&mut *setup.model, &setup.data)?;
    setup.trainer.save_checkpoint(&*setup.model, &path)?;
    for threads in [1, 2, 5] {
        let (end, end_course, _) = finish(make(threads)?, Some(&path))?;
        assert!(end == whole, "{threads} threads");
        assert_eq!(end_course, whole_course);
    }
    Ok(())
}
