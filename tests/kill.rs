//! A training that is killed at any point, again and again, comes to the bits of one that nobody disturbed, and no file is
//! ever in pieces.
#![cfg(unix)]

#[path = "common/saved.rs"]
mod saved;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use layerwise::data::augmentation::RandomFlip;
use layerwise::data::datasets;
use layerwise::prelude::*;
use ndarray::s;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use saved::{Saved, contents, saved};

/// The folder in which a child trains; set for children alone.
const FOLDER: &str = "LAYERWISE_KILL_FOLDER";

/// The least number of kills.
const KILLS: usize = 60;

/// Of which so many at least must come while a file is being written.
const WHILE_WRITING: usize = 5;

/// Saves after every third step and after every epoch, and goes on from what is there.
struct Backup(PathBuf);

impl Callback for Backup {
    fn on_train_begin(&mut self, event: &mut Event<'_>) -> Result<()> {
        if self.0.exists() {
            event.resume_from(&self.0);
        }
        Ok(())
    }

    fn on_batch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        if event.step.is_multiple_of(3) {
            event.save_checkpoint(&self.0);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        event.save_checkpoint(&self.0);
        Ok(())
    }
}

/// Dropout, batch normalisation, augmentation, shuffling, validation and metrics in two shards.
fn training(epochs: usize) -> Result<(Sequential, Trainer, Dataset)> {
    let digits = datasets::digits_images();
    let data = Dataset::new(&digits.images.slice(s![..60, .., .., ..]), &digits.labels.slice(s![..60]))?;
    let model = Sequential::new()
        .add(Conv2d::new(4, 3))
        .add(BatchNormalization::new())
        .add(Activation::Relu)
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(10));
    let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
        .metric(Accuracy::new())
        .augment(RandomFlip::horizontal())
        .validation_split(ValidationSplit::Shuffled(0.2))
        .epochs(epochs)
        .batch_size(8)
        .shards(2)
        .progress(Progress::Silent);
    Ok((model, trainer, data))
}

/// As long as it takes to be killed often.
const EPOCHS: usize = 100;

fn train(folder: &Path) -> Result<Saved> {
    let (mut model, trainer, data) = training(EPOCHS)?;
    let mut trainer = trainer.callback(Backup(folder.join("backup")));
    trainer.fit(&mut model, &data)?;
    trainer.save_checkpoint(&model, folder.join("done"))?;
    contents(&trainer, &model)
}

/// What a child process does: trains until it is done or killed.
#[test]
fn child() -> Result<()> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        train(Path::new(&folder))?;
    }
    Ok(())
}

/// A process that trains in a folder, or without one does nothing.
fn start(folder: Option<&Path>) -> Child {
    let this = std::env::current_exe().expect("a process knows its program");
    let mut command = Command::new(this);
    command.args(["--exact", "child", "--test-threads", "1"]).envs(folder.map(|folder| (FOLDER, folder)));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program can be started again")
}

/// The temporary files that are there.
fn parts(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).expect("it is there");
    files.filter(|file| file.as_ref().expect("it is there").path().extension().is_some_and(|end| end == "part")).count()
}

/// Kills a child at a moment that was drawn; tells whether it was still at work.
fn kill_after(mut child: Child, time: Duration) -> bool {
    std::thread::sleep(time);
    child.kill().expect("it is this process's child");
    let status = child.wait().expect("it is this process's child");
    assert!(status.success() || status.signal() == Some(9), "a child has failed by itself: {status}");
    !status.success()
}

/// What has become of all children.
#[derive(Default, Debug)]
struct Toll {
    started: usize,
    killed: usize,
    while_writing: usize,
}

impl Toll {
    fn is_enough(&self) -> bool {
        self.killed >= KILLS && self.while_writing >= WHILE_WRITING
    }

    /// Kills one child after another until the training in the folder is done, and gives the steps that there were
    /// after each. Once there are enough kills, the last child may finish. The more children in a row came no further, the
    /// longer the next may live: the machine may have become slower.
    fn take(&mut self, folder: &Path, mut time: impl FnMut() -> Duration) -> Result<Vec<u64>> {
        let (backup, mut steps, mut idle) = (folder.join("backup"), Vec::new(), 0);
        while !folder.join("done").exists() {
            self.started += 1;
            assert!(self.started < 2000, "it does not come to an end: {self:?}");
            let mut child = start(Some(folder));
            if self.is_enough() {
                assert!(child.wait().expect("it is this process's child").success(), "the last child has failed");
            } else if kill_after(child, time() * (1 + idle / 8)) {
                self.killed += 1;
                self.while_writing += usize::from(parts(folder) > 0);
            }
            if backup.exists() {
                // Whatever the moment, it can be read, and a new trainer takes it.
                let step = saved(&backup)?.training["step"].as_u64().expect("a number of steps");
                idle = if steps.last() == Some(&step) { idle + 1 } else { 0 };
                steps.push(step);
                let (mut model, mut trainer, _) = training(EPOCHS)?;
                trainer.load_checkpoint(&mut model, &backup)?;
            } else {
                idle += 1;
            }
        }
        Ok(steps)
    }
}

#[test]
fn a_training_that_is_killed_again_and_again_comes_to_the_same_bits() -> Result<()> {
    let folder = || tempfile::tempdir().expect("there is room for temporary files");
    let (undisturbed, begun) = (folder(), Instant::now());
    let expected = train(undisturbed.path())?;
    // So that most kills come before a training is done, whatever the machine.
    let longest = begun.elapsed() / KILLS as u32;
    let begun = Instant::now();
    start(None).wait().expect("it is this process's child");
    let start_up = begun.elapsed();

    let (mut rng, mut toll) = (ChaCha8Rng::seed_from_u64(5), Toll::default());
    while !toll.is_enough() {
        let folder = folder();
        let steps = toll.take(folder.path(), || start_up + longest.mul_f64(rng.random()))?;
        println!("{toll:?}; steps after each: {steps:?}");
        assert!(steps.is_sorted(), "a training went back");
        assert_eq!(parts(folder.path()), 0, "what killed processes have left is removed by the next");
        assert!(saved(&folder.path().join("done"))? == expected);
    }
    Ok(())
}
