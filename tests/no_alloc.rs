//! A steady-state training step and a prediction allocate nothing: proven by an allocator that counts.
//!
//! One test alone in this file, because the count is that of the whole process, worker threads included.

#[path = "common/counting.rs"]
mod counting;

use counting::{BATCH, Piece, allocations, check, check_all, piece, wave};
use layerwise::Model;
use layerwise::layers::{self, Add, BatchNormalization, Concatenate, Dropout, Embedding, Flatten, Reshape, SimpleRnn};
use layerwise::losses::*;
use layerwise::metrics::{self, F1, Precision, Recall};
use layerwise::optimizers::{Adadelta, Adafactor, Adagrad, Adamax, Lamb, Lion, Muon, Nadam, RAdam, RmsProp};
use layerwise::prelude::*;
use layerwise::schedules::{
    CosineRestarts, Exponential, InverseTime, MultiStepDecay, OneCycle, Piecewise, Polynomial, StepDecay,
};
use ndarray::{Array, Array1, Array2, Array3, ArrayD, IxDyn};

fn ids(shape: &[usize], vocabulary: usize) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| (i * 7 % vocabulary) as f32).collect();
    Array::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}

fn activations() -> Vec<Activation> {
    use Activation::*;
    let smooth = [Elu(1.0), Selu, Celu(2.0), LogSigmoid, Silu, HardSwish, Mish, Softplus(1.0), Softsign, Exponential];
    let hard = [Relu6, HardSigmoid, HardTanh(-1.0, 1.0), HardShrink(0.1), SoftShrink(0.1), Threshold(0.1, 0.0)];
    let others = [Linear, Relu, LeakyRelu(0.1), LeakyRelu(-0.1), Sigmoid, Tanh, TanhShrink, Gelu, GeluTanh];
    [&smooth[..], &hard, &others, &[Softmax, LogSoftmax]].concat()
}

/// Every layer on inputs up to rank 4.
fn layers() -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for rank in 2..=4 {
        let shape = &[BATCH, 3, 4, 5][..rank];
        let x = wave(shape);
        let mut add = |name: &str, piece: Result<Piece>| {
            piece.map(|piece| pieces.push(Piece { name: format!("{name}, rank {rank}"), ..piece }))
        };
        for activation in activations() {
            add(&format!("{activation:?}"), piece("", activation, &x))?;
            add(&format!("Dense {activation:?}"), piece("", Dense::new(6).activation(activation), &x))?;
        }
        for axis in 1..rank as isize {
            add(&format!("Softmax over {axis}"), piece("", layers::Softmax::new().axis(axis), &x))?;
            add(&format!("LogSoftmax over {axis}"), piece("", layers::LogSoftmax::new().axis(axis), &x))?;
        }
        add("PRelu", piece("", layers::PRelu::new(), &x))?;
        add("PRelu per channel", piece("", layers::PRelu::new().per_channel(), &x))?;
        add("PRelu per element", piece("", layers::PRelu::new().per_element(), &x))?;
        add("Dropout", piece("", Dropout::new(0.4), &x))?;
        add("BatchNormalization", piece("", BatchNormalization::new(), &x))?;
        add("Flatten", piece("", Flatten::new(), &x))?;
        add("Residual", piece("", Residual::new(Dense::new(shape[rank - 1])), &x))?;
        for axis in 1..rank {
            add(&format!("merges along axis {axis}"), piece("", merges(axis), &x))?;
        }
    }
    pieces.push(piece("Reshape", Reshape::new([3, -1]), &wave(&[BATCH, 12]))?);
    pieces.push(piece("Reshape to rank 4", Reshape::new([3, 2, -1]), &wave(&[BATCH, 12]))?);
    pieces.push(piece("Reshape from rank 4", Reshape::new([10, -1]), &wave(&[BATCH, 3, 4, 5]))?);
    pieces.push(piece("Embedding to rank 4", Embedding::new(20, 4), &ids(&[BATCH, 3, 2], 20))?);
    pieces.push(piece("Embedding", Embedding::new(20, 4), &ids(&[BATCH, 3], 20))?);
    pieces.push(piece("SimpleRnn", SimpleRnn::new(5), &wave(&[BATCH, 4, 3]))?);
    pieces.push(piece("SimpleRnn sequences", SimpleRnn::new(5).return_sequences(), &wave(&[BATCH, 4, 3]))?);
    let projected = Residual::new(Dense::new(6).activation(Activation::Gelu)).projection(Dense::new(6));
    pieces.push(piece("Residual with projection", projected, &wave(&[BATCH, 4]))?);
    pieces.push(piece("Graph", branches(), &wave(&[BATCH, 4]))?);
    pieces.push(piece("nested", nested(), &ids(&[BATCH, 6], 20))?);
    Ok(pieces)
}

/// Both merges, the second along an axis.
fn merges(axis: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Activation::Tanh, x);
    let sum = graph.merge(Add::new(), &[x, y, x]);
    let both = graph.merge(Concatenate::new(axis as isize), &[sum, x, y]);
    graph.outputs(&[both])
}

/// A graph with a shared layer, both merges, and a branch that no output reaches.
fn branches() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let shared = graph.share(Dense::new(4).activation(Activation::Tanh));
    let a = graph.apply(shared, x);
    let b = graph.apply(shared, a);
    let _dead = graph.add(Dense::new(7), a);
    let sum = graph.merge(Add::new(), &[a, b]);
    let both = graph.merge(Concatenate::new(-1), &[sum, b]);
    let y = graph.add(Dense::new(2), both);
    graph.outputs(&[y])
}

fn nested() -> Sequential {
    Sequential::new()
        .add(Embedding::new(20, 4))
        .add(SimpleRnn::new(4).return_sequences())
        .add(BatchNormalization::new())
        .add(Residual::new(Sequential::new().add(Dense::new(4)).add(Residual::new(Dense::new(4)))))
        .add(Dropout::new(0.3))
        .add(Flatten::new())
        .add(branches_of(24))
        .add(Dense::new(3))
}

fn branches_of(width: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let a = graph.add(Dense::new(width), x);
    let sum = graph.merge(Add::new(), &[a, x]);
    graph.outputs(&[sum])
}

/// The losses with their kinds of targets, and the optimizers.
fn heads() -> Result<Vec<Piece>> {
    let x: Array2<f32> = Array::from_shape_fn((BATCH, 4), |(i, j)| (i as f32 - 2.0 * j as f32) / 10.0);
    let labels: Array1<usize> = (0..BATCH).map(|i| i % 3).collect();
    let one_hot = Array2::from_shape_fn((BATCH, 3), |(i, j)| f32::from(u8::from(i % 3 == j)));
    let binary: Array2<f32> = Array::from_shape_fn((BATCH, 1), |(i, _)| (i % 2) as f32);
    let weights: Array1<f32> = (0..BATCH).map(|i| i as f32 / 4.0).collect();
    let steps: Array3<f32> = wave(&[BATCH, 5, 4]).into_shape_with_order((BATCH, 5, 4)).expect("the same length");
    let step_labels = Array2::from_shape_fn((BATCH, 5), |(i, t)| (i + t) % 3);
    let classifier = || Box::new(Sequential::new().add(Dense::new(8)).add(Dense::new(3)));
    let softmax = || SoftmaxCrossEntropy::new().class_weights(vec![1.0, 2.0, 3.0]);
    let with_metrics = |trainer: Trainer| {
        trainer.metric(Accuracy::new()).metric(Precision::new()).metric(Recall::new()).metric(F1::new())
    };
    let head = |name: &str, model: Box<dyn Layer>, data: Dataset, trainer: Box<dyn Fn() -> Trainer>| Piece {
        name: name.into(),
        model,
        data,
        trainer,
    };
    Ok(vec![
        head(
            "labels and weights, SGD",
            classifier(),
            Dataset::new(&x, &labels)?.weights(&weights)?,
            Box::new(move || with_metrics(Trainer::new(softmax(), Sgd::new(0.1)))),
        ),
        head(
            "one-hot, Nesterov",
            classifier(),
            Dataset::new(&x, &one_hot)?,
            Box::new(move || {
                let rule = Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(1e-4);
                with_metrics(Trainer::new(SoftmaxCrossEntropy::new(), rule)).metric(ConfusionMatrix::new())
            }),
        ),
        head(
            "a label for each step, AdamW",
            classifier(),
            Dataset::new(&steps, &step_labels)?,
            Box::new(move || with_metrics(Trainer::new(softmax(), AdamW::new(1e-3)))),
        ),
        head(
            "binary, Adam",
            Box::new(Dense::new(1)),
            Dataset::new(&x, &binary)?.weights(&weights)?,
            Box::new(move || with_metrics(Trainer::new(BinaryCrossEntropy::new(), Adam::new(1e-3)))),
        ),
        head(
            "regularizers, constraints and values clipped",
            Box::new(ruled()),
            Dataset::new(&x, &labels)?,
            Box::new(move || with_metrics(Trainer::new(softmax(), AdamW::new(1e-3)).clip_value(0.1))),
        ),
        head(
            "gathered batches, groups and each norm clipped",
            Box::new(ruled()),
            Dataset::new(&x, &labels)?,
            Box::new(move || {
                let rule = Sgd::new(0.1).momentum(0.9).weight_decay(1e-4);
                let trainer = Trainer::new(softmax(), rule).accumulate(3).clip_norm_each(0.5);
                with_metrics(trainer.rate_for("1", 0.1).no_decay_for_biases_and_norms())
            }),
        ),
    ])
}

/// Every regularizer and every constraint, and a weight that is used twice.
fn ruled() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let slowly = NormConstraint::between(0.5, 1.0).rate(0.1).axes([0, 1]);
    let rows = Dense::new(4).weight_regularizer(Regularizer::OrthogonalRows(0.1)).weight_constraint(slowly);
    let rows = graph.share(rows.bias_regularizer(Regularizer::L1(0.1)).bias_constraint(Constraint::NonNegative));
    let columns = Dense::new(3).weight_regularizer(Regularizer::OrthogonalColumns(0.1));
    let columns = columns.bias_regularizer(Regularizer::L1L2 { l1: 0.1, l2: 0.1 });
    let once = graph.apply(rows, x);
    let twice = graph.apply(rows, once);
    let y = graph.add(columns.weight_constraint(NormConstraint::max(1.0)), twice);
    graph.outputs(&[y])
}

/// Each loss on what a layer of six outputs gives, with sample weights.
fn losses() -> Result<Vec<Piece>> {
    let x: Array2<f32> = Array::from_shape_fn((BATCH, 4), |(i, j)| (i as f32 - 2.0 * j as f32) / 10.0);
    let weights: Array1<f32> = (0..BATCH).map(|i| 1.0 + i as f32 / 4.0).collect();
    let labels = ids(&[BATCH], 3);
    let answers = ids(&[BATCH, 6], 2);
    let mut pieces = Vec::new();
    // A sigmoid keeps all outputs above 0, as some losses need.
    macro_rules! add {
        ($($loss:expr, $target:expr;)*) => {$({
            let trainer = || Trainer::new($loss, Adam::new(1e-3)).progress(Progress::Silent);
            pieces.push(Piece {
                name: stringify!($loss).into(),
                model: Box::new(Sequential::new().add(Dense::new(6)).add(Activation::Sigmoid)),
                data: Dataset::new(&x, &$target)?.weights(&weights)?,
                trainer: Box::new(trainer),
            });
        })*};
    }
    add! {
        MeanAbsoluteError::new(), answers;
        MeanAbsolutePercentageError::new(), answers;
        MeanSquaredLogarithmicError::new(), answers;
        Huber::new(), answers;
        LogCosh::new(), answers;
        Poisson::new(), answers;
        Poisson::new().log_input(true).full(true), answers;
        Hinge::new(), answers;
        SquaredHinge::new(), answers;
        BinaryCrossEntropy::new().label_smoothing(0.1), answers;
        BinaryCrossEntropy::new().probabilities(true), answers;
        BinaryFocal::new(), answers;
        BinaryFocal::new().probabilities(true), answers;
        SoftmaxCrossEntropy::new().label_smoothing(0.1).ignore_class(2), labels;
        CategoricalCrossEntropy::new(), labels;
        CategoricalFocal::new(), labels;
        CategoricalFocal::new().probabilities(true), answers;
        CategoricalHinge::new(), labels;
        KLDivergence::new(), answers;
        CosineSimilarity::new(), answers;
        Quantile::new(0.5), answers;
        Quantile::several(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), labels;
        GaussianNegativeLogLikelihood::new(), ids(&[BATCH, 3], 2);
        Contrastive::new(), answers;
        Contrastive::new().embeddings(true), ids(&[BATCH], 2);
        TripletMargin::new().swap(true), labels;
    }
    Ok(pieces)
}

/// The memory that a process holds, in KiB, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn nothing_is_allocated_in_a_steady_state() -> Result<()> {
    let mut pieces = layers()?;
    pieces.extend(heads()?);
    pieces.extend(losses()?);
    pieces.extend(schedules()?);
    pieces.extend(optimizers()?);
    assert!(pieces.len() > 100, "{} pieces", pieces.len());
    check_all(&mut pieces)?;
    // Also after other models have run: the first ones again, with a new trainer each.
    for piece in &mut pieces {
        check(piece, 1, 1)?;
    }
    streams(&mut pieces)?;
    two_models_in_turn(&mut pieces)?;
    predictions_on_two_threads()?;
    metrics_of_batches()?;
    a_million_predictions(&pieces)
}

/// Every rule that is not among the heads.
fn optimizers() -> Result<Vec<Piece>> {
    let x: Array2<f32> = Array::from_shape_fn((BATCH, 4), |(i, j)| (i as f32 - 2.0 * j as f32) / 10.0);
    let labels: Array1<usize> = (0..BATCH).map(|i| i % 3).collect();
    let of = |name: &str, make: fn() -> Trainer| -> Result<Piece> {
        let model = Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(3));
        Ok(Piece {
            name: name.into(),
            model: Box::new(model),
            data: Dataset::new(&x, &labels)?,
            trainer: Box::new(make),
        })
    };
    Ok(vec![
        of("Adadelta", || Trainer::new(SoftmaxCrossEntropy::new(), Adadelta::new(1.0)))?,
        of("Adafactor", || Trainer::new(SoftmaxCrossEntropy::new(), Adafactor::new(0.01).weight_decay(0.1)))?,
        of("Adagrad", || Trainer::new(SoftmaxCrossEntropy::new(), Adagrad::new(0.01)))?,
        of("AMSGrad", || Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01).amsgrad(true)))?,
        of("Adamax", || Trainer::new(SoftmaxCrossEntropy::new(), Adamax::new(0.01)))?,
        of("LAMB", || Trainer::new(SoftmaxCrossEntropy::new(), Lamb::new(0.01)).clip_norm(0.1))?,
        of("Lion", || Trainer::new(SoftmaxCrossEntropy::new(), Lion::new(0.01)))?,
        of("Muon", || Trainer::new(SoftmaxCrossEntropy::new(), Muon::new(0.01)))?,
        of("Nadam", || Trainer::new(SoftmaxCrossEntropy::new(), Nadam::new(0.01)))?,
        of("RAdam", || Trainer::new(SoftmaxCrossEntropy::new(), RAdam::new(0.01)))?,
        of("RMSprop", || Trainer::new(SoftmaxCrossEntropy::new(), RmsProp::new(0.01).centered(true)))?,
    ])
}

/// Every schedule, short enough that the counted steps reach its turns.
fn schedules() -> Result<Vec<Piece>> {
    let of = |name: &str, make: fn() -> Box<dyn Schedule>| -> Result<Piece> {
        let trainer = move || Trainer::new(MeanSquaredError::new(), Sgd::new(Any(make())));
        Ok(Piece { name: name.into(), trainer: Box::new(trainer), ..piece("", Dense::new(2), &wave(&[BATCH, 3]))? })
    };
    Ok(vec![
        of("StepDecay", || Box::new(StepDecay::new(0.1, 5)))?,
        of("MultiStepDecay", || Box::new(MultiStepDecay::new(0.1, &[2, 6, 8])))?,
        of("Exponential", || Box::new(Exponential::new(0.1, 0.9)))?,
        of("InverseTime", || Box::new(InverseTime::new(0.1, 0.5)))?,
        of("Polynomial", || Box::new(Polynomial::new(0.1, 6).cycle(true)))?,
        of("Piecewise", || Box::new(Piecewise::new(0.1).then(3, 0.2).then(6, 0.05)))?,
        of("CosineRestarts", || Box::new(CosineRestarts::new(0.1, 2).longer(2).warmup(2)))?,
        of("OneCycle", || Box::new(OneCycle::new(0.1, 12)))?,
        of("a closure", || Box::new(|step: u64| 0.1 / (1.0 + step as f64)))?,
    ])
}

/// A schedule of some kind.
struct Any(Box<dyn Schedule>);

impl Schedule for Any {
    fn kind(&self) -> &str {
        self.0.kind()
    }

    fn config(&self) -> serde_json::Value {
        self.0.config()
    }

    fn rate(&self, step: u64) -> f64 {
        self.0.rate(step)
    }
}

/// Samples that come in a stream, each call three steps.
fn streams(pieces: &mut [Piece]) -> Result<()> {
    for piece in pieces {
        let mut trainer = (piece.trainer)().batch_size(5).shards(2).threads(1);
        let (model, data) = (&mut *piece.model, &piece.data);
        let mut calls = |count| (0..count).try_for_each(|_| trainer.partial_fit(&mut *model, data).map(drop));
        calls(4)?;
        assert_eq!(allocations(|| calls(5))?, 0, "{}: a stream allocates", piece.name);
    }
    Ok(())
}

/// Two trainers and two models, a step of each in turn.
fn two_models_in_turn(pieces: &mut [Piece]) -> Result<()> {
    let (first, rest) = pieces.split_at_mut(1);
    let (a, b) = (&mut first[0], &mut rest[0]);
    let (mut of_a, mut of_b) = ((a.trainer)(), (b.trainer)());
    let mut both = || {
        of_a.step(&mut *a.model, &a.data)?;
        of_b.step(&mut *b.model, &b.data)?;
        a.model.predict(&a.data.inputs()[0])?;
        b.model.predict(&b.data.inputs()[0]).map(drop)
    };
    for _ in 0..4 {
        both()?;
    }
    assert_eq!(allocations(|| (0..10).try_for_each(|_| both()))?, 0, "two models in turn allocate");
    Ok(())
}

/// A batch that is large enough to be shared out, and one row that meets a layer that is.
fn predictions_on_two_threads() -> Result<()> {
    let mut model = Sequential::new().add(Dense::new(512).activation(Activation::Relu)).add(Dense::new(10));
    model.initialize(&[300], 0)?;
    let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(2);
    for rows in [128, 1] {
        let x = wave(&[rows, 300]);
        let predict = |count| (0..count).try_for_each(|_| trainer.predict(&model, &x).map(drop));
        predict(20)?;
        assert_eq!(allocations(|| predict(20))?, 0, "predictions of {rows} rows on two threads allocate");
    }
    Ok(())
}

/// Every metric, from its second epoch on: those that keep scores have their room by then.
fn metrics_of_batches() -> Result<()> {
    use metrics::*;
    let of_classes: Vec<Box<dyn Metric>> = vec![
        Box::new(Accuracy::new()),
        Box::new(TopKAccuracy::new(2)),
        Box::new(Precision::new()),
        Box::new(Recall::new()),
        Box::new(F1::new()),
        Box::new(FBeta::new(2.0)),
        Box::new(ConfusionMatrix::new()),
        Box::new(BalancedAccuracy::new()),
        Box::new(MatthewsCorrelation::new()),
        Box::new(CohenKappa::new().disagreement(Disagreement::Linear)),
        Box::new(LogLoss::new()),
        Box::new(BrierScore::new()),
        Box::new(CalibrationError::new()),
        Box::new(RocAuc::new()),
        Box::new(RocAuc::new().bins(100)),
        Box::new(AveragePrecision::new()),
    ];
    let of_numbers: Vec<Box<dyn Metric>> = vec![
        Box::new(BinaryAccuracy::new()),
        Box::new(metrics::MeanSquaredError::new()),
        Box::new(MeanAbsoluteError::new()),
        Box::new(RootMeanSquaredError::new()),
        Box::new(MeanAbsolutePercentageError::new()),
        Box::new(MaxError::new()),
        Box::new(R2::new()),
        Box::new(ExplainedVariance::new()),
    ];
    let prediction = wave(&[BATCH, 3]).mapv(f32::abs).into_shared();
    let labels = ids(&[BATCH], 3).into_shared();
    let answers = ids(&[BATCH, 3], 2).into_shared();
    let weights = [0.5; BATCH];
    for (metrics, target) in [(of_classes, labels), (of_numbers, answers)] {
        for mut metric in metrics {
            let mut epoch = || {
                metric.reset();
                (0..5).try_for_each(|_| metric.update(&prediction, &target, Some(&weights)))
            };
            epoch()?;
            assert_eq!(allocations(epoch)?, 0, "{} allocates", metric.name());
        }
    }
    Ok(())
}

/// Memory in use stays flat, also while the user keeps the last few outputs.
fn a_million_predictions(pieces: &[Piece]) -> Result<()> {
    let piece = pieces.iter().find(|piece| piece.name == "Dense Relu, rank 2").expect("there is one");
    let row = piece.data.inputs()[0].slice_axis(ndarray::Axis(0), (0..1).into());
    let mut kept = std::collections::VecDeque::with_capacity(8);
    let mut predict = |count: usize| -> Result<()> {
        for _ in 0..count {
            if kept.len() == 4 {
                kept.pop_front();
            }
            kept.push_back(piece.model.predict(&row)?);
        }
        Ok(())
    };
    predict(1000)?;
    let before = resident();
    assert_eq!(allocations(|| predict(1_000_000))?, 0, "a million predictions allocate");
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after <= before + 256, "memory grew from {before} to {after} KiB");
    }
    Ok(())
}
