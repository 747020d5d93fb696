//! Trainers beside other work: other trainers, somebody's rayon pool, programs that take every core. Slower is fine,
//! stuck or different is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use layerwise::prelude::*;
use ndarray::{Array, Array1, Array2};

const ROWS: usize = 96;
const FEATURES: usize = 300;

/// Enough work that a batch is worth several threads.
fn data() -> Result<Dataset> {
    let x: Array2<f32> = Array::from_shape_fn((ROWS, FEATURES), |(i, j)| ((i * 31 + j * 17) % 23) as f32 / 11.0 - 1.0);
    let y: Array1<usize> = (0..ROWS).map(|i| i % 10).collect();
    Dataset::new(&x, &y)
}

/// Trains a network with batch statistics, whose shards must meet, and gives the bits of its weights.
fn train() -> Result<Vec<u32>> {
    let mut model = Sequential::new()
        .add(Dense::new(120).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.2))
        .add(Dense::new(10));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(2).shards(3).seed(5);
    let data = data()?;
    for _ in 0..6 {
        trainer.step(&mut model, &data)?;
    }
    Ok(model.params().iter().flat_map(|(_, param)| param.values().unwrap_or_default()).map(|v| v.to_bits()).collect())
}

#[test]
fn trainers_side_by_side_come_to_what_each_comes_to_alone() -> Result<()> {
    let alone = train()?;
    let together: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(train)).collect();
        runs.into_iter().map(|run| run.join().expect("no trainer panics")).collect()
    });
    for bits in together {
        assert_eq!(bits?, alone);
    }
    Ok(())
}

#[test]
fn a_trainer_inside_a_small_rayon_pool_is_neither_stuck_nor_different() -> Result<()> {
    let alone = train()?;
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| Error::custom(error.to_string()))?;
    let (first, second) = pool.install(|| rayon::join(train, train));
    assert_eq!(first?, alone);
    assert_eq!(second?, alone);
    Ok(())
}

#[test]
fn predictions_shared_out_are_those_of_one_thread() -> Result<()> {
    let mut model = Sequential::new().add(Dense::new(120).activation(Activation::Relu)).add(Dense::new(10));
    model.initialize(&[FEATURES], 3)?;
    let x = data()?.inputs()[0].clone();
    let alone = model.predict(&x)?;
    let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(3);
    for _ in 0..20 {
        assert_eq!(trainer.predict(&model, &x)?, alone);
    }
    let mut wrong = x.to_owned();
    wrong.swap_axes(0, 1);
    assert!(trainer.predict(&model, &wrong).is_err());
    Ok(())
}

#[test]
fn a_machine_whose_cores_are_all_taken_only_makes_it_slower() -> Result<()> {
    let alone = train()?;
    let enough = AtomicBool::new(false);
    let taken = 2 * thread::available_parallelism().map_or(2, usize::from);
    let bits = thread::scope(|scope| {
        for _ in 0..taken {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let bits = train();
        enough.store(true, Ordering::Relaxed);
        bits
    });
    assert_eq!(bits?, alone);
    Ok(())
}
