//! A steady-state training step and a prediction allocate nothing: proven by an allocator that counts.
//!
//! One test alone in this file, because the count is that of the whole process, worker threads included.

#[path = "common/counting.rs"]
mod counting;

use counting::{BATCH, Piece, allocations, check, check_all, piece, wave};
use layerwise::Model;
use layerwise::layers::{Add, BatchNormalization, Concatenate, Dropout, Embedding, Flatten, Reshape, SimpleRnn};
use layerwise::metrics::{F1, Precision, Recall};
use layerwise::prelude::*;
use ndarray::{Array, Array1, Array2, Array3, ArrayD, IxDyn};

fn ids(shape: &[usize], vocabulary: usize) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| (i * 7 % vocabulary) as f32).collect();
    Array::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}

fn activations() -> Vec<Activation> {
    use Activation::*;
    vec![Linear, Relu, LeakyRelu(0.1), LeakyRelu(-0.1), Sigmoid, Tanh, Softmax, Gelu, GeluTanh]
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
    ])
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
    assert!(pieces.len() > 60, "{} pieces", pieces.len());
    check_all(&mut pieces)?;
    // Also after other models have run: the first ones again, with a new trainer each.
    for piece in &mut pieces {
        check(piece, 1, 1)?;
    }
    two_models_in_turn(&mut pieces)?;
    predictions_on_two_threads()?;
    a_million_predictions(&pieces)
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

/// A batch that is large enough to be shared out.
fn predictions_on_two_threads() -> Result<()> {
    let mut model = Sequential::new().add(Dense::new(128).activation(Activation::Relu)).add(Dense::new(10));
    model.initialize(&[300], 0)?;
    let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(2);
    let x = wave(&[128, 300]);
    let predict = |count| (0..count).try_for_each(|_| trainer.predict(&model, &x).map(drop));
    predict(20)?;
    assert_eq!(allocations(|| predict(20))?, 0, "predictions on two threads allocate");
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
