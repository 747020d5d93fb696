//! A model in use, whose world changes, and that its users teach again.
//!
//! ```text
//! cargo run --release --example feedback_loop            # three seeds
//! cargo run --release --example feedback_loop -- 10      # as many as you like
//! ```
//!
//! A network learns the bundled handwritten digits, upright, and is deployed. Some batches later the pictures begin to come
//! lying on their side (a new camera, say). Users correct what it gets wrong. The same stream meets the same model twice:
//! once it stays as it was, once it learns from the corrections, old pictures among the new. Both are asked after each
//! batch about test images that nobody trains on, half of them upright and half lying. At the end stands a model that was
//! trained from scratch on everything that either has seen.
//!
//! With `--features plot` it draws both accuracies over the stream into `target/feedback_loop.svg`.
use layerwise::data::{Images, datasets, stratified_train_test_split};
use layerwise::prelude::*;
use layerwise::train::online::{Adwin, Change, FeedbackLoop, Guard, ReplayBuffer};
use ndarray::{Array4, Axis, concatenate, s};

/// Users' pictures in a batch, and the batches before the pictures begin to lie.
const BATCH: usize = 20;
const UPRIGHT_BATCHES: usize = 12;
const PICTURE: &str = "target/feedback_loop.svg";

fn network() -> Sequential {
    Sequential::new()
        .add(Flatten::new())
        .add(Dense::new(96).activation(Activation::Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(10))
}

fn trainer(seed: u64) -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(2e-3)).epochs(60).seed(seed).progress(Progress::Silent)
}

/// Images turned by a quarter.
fn lying(images: &Array4<f32>) -> Array4<f32> {
    let mut turned = images.clone();
    turned.swap_axes(1, 2);
    turned.slice(s![.., ..;-1, .., ..]).to_owned()
}

fn accuracy(model: &Sequential, images: &Array4<f32>, labels: &ndarray::Array1<usize>) -> Result<f64> {
    let outputs = model.predict(images)?;
    let right = outputs.axis_iter(Axis(0)).zip(labels).filter(|(row, label)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(class, _)| class == **label)
    });
    Ok(right.count() as f64 / labels.len() as f64)
}

/// What came of one seed.
struct Outcome {
    /// Over upright and lying test images together, after each batch: without feedback, and with it.
    frozen: Vec<f64>,
    learning: Vec<f64>,
    /// The number of the image with which the drift was seen.
    seen_at: Option<u64>,
    /// Trained from scratch on everything.
    scratch: f64,
    /// The model that learned, on upright and on lying images, before and after.
    before: (f64, f64),
    after: (f64, f64),
    taken_back: usize,
}

fn run(digits: &Images, seed: u64) -> Result<Outcome> {
    let labels = digits.labels.as_slice().unwrap_or_default();
    let split = stratified_train_test_split(labels, 1.0 / 6.0, seed)?;
    let (rest, test) = (digits.rows(&split.train)?, digits.rows(&split.test)?);
    let start = rest.len() / 2;
    let known = rest.rows(&(0..start).collect::<Vec<_>>())?;
    let stream = rest.rows(&(start..rest.len()).collect::<Vec<_>>())?;
    let changes = UPRIGHT_BATCHES * BATCH;
    let upright = stream.images.slice(s![..changes, .., .., ..]).to_owned();
    let turned = lying(&stream.images.slice(s![changes.., .., .., ..]).to_owned());
    let pictures = join(&upright, &turned)?;
    let turned_test = lying(&test.images);
    let both = |model: &Sequential| {
        Ok::<_, Error>((accuracy(model, &test.images, &test.labels)?, accuracy(model, &turned_test, &test.labels)?))
    };
    let mean = |(upright, turned): (f64, f64)| (upright + turned) / 2.0;

    // Deployed: trained on what was known, which goes into the buffer as well.
    let mut model = network();
    let mut deployed = trainer(seed);
    deployed.fit(&mut model, (&known.images, &known.labels))?;
    let mut buffer = ReplayBuffer::new(1500).class_balanced().seed(seed);
    buffer.add((&known.images, &known.labels))?;
    let mut feedback = FeedbackLoop::new(deployed)
        .detector(Adwin::new().clock(4))
        .replay(buffer, 6.0)
        .passes(25)
        .correction_weight(2.0)
        .guard(Guard::recent(20, 40).tolerance(0.15));
    let before = both(&model)?;
    let (mut frozen, mut learning) = (Vec::new(), Vec::new());
    let (mut seen_at, mut taken_back) = (None, 0);
    for from in (0..stream.len()).step_by(BATCH) {
        let to = (from + BATCH).min(stream.len());
        let (images, labels) = (pictures.slice(s![from..to, .., .., ..]), stream.labels.slice(s![from..to]));
        let learned = feedback.learn(&mut model, (&images, &labels))?;
        if let Some((at, Change::Rise)) = learned.drift {
            seen_at = seen_at.or(Some(at));
        }
        taken_back += usize::from(learned.rolled_back);
        frozen.push(mean(before));
        learning.push(mean(both(&model)?));
    }

    let everything = join(&known.images, &pictures)?;
    let labels = concatenate![Axis(0), known.labels, stream.labels];
    let mut scratch = network();
    trainer(seed).fit(&mut scratch, (&everything, &labels))?;
    let (scratch, after) = (mean(both(&scratch)?), both(&model)?);
    Ok(Outcome { frozen, learning, seen_at, scratch, before, after, taken_back })
}

fn join(first: &Array4<f32>, second: &Array4<f32>) -> Result<Array4<f32>> {
    concatenate(Axis(0), &[first.view(), second.view()]).map_err(|error| Error::custom(error.to_string()))
}

fn main() -> Result<()> {
    let seeds: u64 = match std::env::args().nth(1).map(|seeds| seeds.parse()) {
        None => 3,
        Some(Ok(seeds)) if seeds > 0 => seeds,
        Some(_) => return Err(Error::custom("usage: feedback_loop [number of seeds]")),
    };
    let digits = datasets::digits_images();
    println!(
        "       before             after              the same   from       drift at image {}",
        UPRIGHT_BATCHES * BATCH
    );
    println!("seed   upright  lying     upright  lying     mean       scratch    seen at   batches taken back");
    let (mut worst, mut first) = (f64::NEG_INFINITY, None);
    for seed in 0..seeds {
        let outcome = run(&digits, seed)?;
        let Outcome { before, after, scratch, taken_back, .. } = outcome;
        let mean = (after.0 + after.1) / 2.0;
        let seen_at = outcome.seen_at.map_or("never".to_owned(), |at| at.to_string());
        println!(
            "{seed:>4}   {:.4}   {:.4}    {:.4}   {:.4}    {mean:.4}     {scratch:.4}     {seen_at:>5}   {taken_back:>5}",
            before.0, before.1, after.0, after.1
        );
        worst = worst.max(scratch - mean);
        first = first.or(Some(outcome));
    }
    println!("\nBehind a model trained from scratch on everything, at most: {:.1} points", 100.0 * worst);
    first.map_or(Ok(()), |outcome| draw(&outcome))
}

/// Writes how the accuracy went, batch by batch.
#[cfg(feature = "plot")]
fn draw(outcome: &Outcome) -> Result<()> {
    use layerwise::plot::{Picture, TrainingCurves};
    let panel = "accuracy on upright and lying digits after each batch of feedback (in place of epochs)";
    let seen = outcome.seen_at.map_or_else(String::new, |image| format!(", seen at {}", image / BATCH as u64));
    TrainingCurves::new()
        .title(format!("Pictures begin to lie at batch {UPRIGHT_BATCHES}{seen}"))
        .curve(panel, "learning from feedback", outcome.learning.iter().copied())
        .curve(panel, "as it was deployed", outcome.frozen.iter().copied())
        .curve(panel, "from scratch on everything", outcome.frozen.iter().map(|_| outcome.scratch))
        .save(PICTURE)?;
    println!("See {PICTURE}");
    Ok(())
}

#[cfg(not(feature = "plot"))]
fn draw(outcome: &Outcome) -> Result<()> {
    let steps = outcome.learning.len().max(1);
    println!("\nbatch   learning from feedback   as it was deployed");
    for at in (0..steps).step_by((steps / 10).max(1)) {
        println!("{at:>5}   {:>22.4}   {:>18.4}", outcome.learning[at], outcome.frozen[at]);
    }
    println!("With `--features plot`: {PICTURE}");
    Ok(())
}
