//! Augmentations against PyTorch and SciPy, against their formulas and distributions, and in training runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use layerwise::data::augmentation::{
    Augment, Augmentations, CutMix, Cutout, Factor, Fill, Image, MixUp, RandomContrast, RandomCrop, RandomFlip,
    RandomRotation, RandomTranslation, RandomZoom,
};
use layerwise::data::datasets;
use layerwise::prelude::*;
use layerwise::values;
use ndarray::{Array1, Array2, Array4, ArrayD, Axis, IxDyn, s};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn of<A: Scalar>(augmentation: impl Augment<A> + 'static) -> Augmentations<A> {
    Augmentations::of().add(augmentation)
}

/// Images in which every value is another one, with their numbers as labels.
fn numbered(count: usize, height: usize, width: usize, channels: usize) -> Dataset<f64> {
    let size = height * width * channels;
    let images = Array4::from_shape_fn((count, height, width, channels), |(n, y, x, c)| {
        (n * size + (y * width + x) * channels + c) as f64 / (count * size) as f64
    });
    Dataset::new(&images, &Array1::from_iter(0..count)).unwrap()
}

/// The same image again and again: what differs afterwards is chance.
fn repeated(count: usize, image: &Array4<f64>) -> Dataset<f64> {
    let images = image.broadcast((count, image.dim().1, image.dim().2, image.dim().3)).unwrap().to_owned();
    Dataset::new(&images, &Array1::<usize>::zeros(count)).unwrap()
}

fn images<A: Scalar>(data: &Dataset<A>) -> Array4<A> {
    data.inputs()[0].to_owned().into_dimensionality().unwrap()
}

fn targets<A: Scalar>(data: &Dataset<A>) -> Array2<A> {
    data.targets()[0].to_owned().into_dimensionality().unwrap()
}

/// Whether a count of draws is within four and a half deviations of what a probability makes expect.
fn is_likely(count: usize, draws: usize, probability: f64) -> bool {
    let (mean, deviation) = (draws as f64 * probability, (draws as f64 * probability * (1.0 - probability)).sqrt());
    (count as f64 - mean).abs() <= 4.5 * deviation
}

// Values from outside.

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn array<A: Scalar>(value: &Value) -> ArrayD<A> {
    let shape: Vec<usize> = numbers(&value["shape"]).iter().map(|&n| n as usize).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), numbers(&value["data"]).into_iter().map(A::of).collect()).unwrap()
}

fn augmentation<A: Scalar>(case: &Value) -> Augmentations<A> {
    let config = &case["config"];
    let factor = numbers(&config["factor"]);
    let certain = |at: usize| Factor::from((factor[at], factor[at]));
    let fill = match config["fill"].as_str() {
        Some("nearest") => Fill::Nearest,
        Some("reflect") => Fill::Reflect,
        _ => Fill::Constant(config["value"].as_f64().unwrap_or(0.0)),
    };
    match case["kind"].as_str().unwrap() {
        "RandomTranslation" => of(RandomTranslation::new(certain(0), certain(1)).fill(fill)),
        "RandomRotation" => of(RandomRotation::new(certain(0)).fill(fill)),
        "RandomZoom" => of(RandomZoom::new(certain(0)).width(certain(1)).fill(fill)),
        "RandomContrast" => of(RandomContrast::new(certain(0))),
        other => panic!("{other}"),
    }
}

fn check_against_torch<A: Scalar>(tolerance: f64) -> Result<usize> {
    let file: Value = serde_json::from_str(include_str!("reference/augmentation_torch.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let (input, expected) = (array::<A>(&case["input"]), array::<A>(&case["output"]));
        let data = Dataset::of_tensors(vec![input.to_shared()], vec![Tensor::zeros(IxDyn(&input.shape()[..1]))])?;
        let got = augmentation(case).apply(&data, 1, 2)?;
        for (at, (got, expected)) in got.inputs()[0].iter().zip(&expected).enumerate() {
            let (got, expected): (f64, f64) = (got.as_f64(), expected.as_f64());
            assert!((got - expected).abs() <= tolerance, "{}: {got} for {expected} at {at}", case["name"]);
        }
        assert_eq!(got.targets(), data.targets());
    }
    Ok(cases.len())
}

#[test]
fn shifts_rotations_zooms_and_contrast_have_the_values_of_torch_and_scipy() -> Result<()> {
    assert_eq!(check_against_torch::<f64>(1e-12)?, 228);
    assert_eq!(check_against_torch::<f32>(2e-6)?, 228);
    Ok(())
}

// Laws.

#[test]
fn what_changes_nothing_changes_no_bit() -> Result<()> {
    let data = numbered(6, 5, 7, 3);
    for fill in [Fill::Constant(9.0), Fill::Nearest, Fill::Reflect] {
        let nothing = Augmentations::of()
            .add(RandomTranslation::new(0.0, 0.0).fill(fill))
            .add(RandomRotation::new(0.0).fill(fill))
            .add(RandomZoom::new(0.0).fill(fill))
            .add(RandomContrast::new(0.0))
            .add(RandomCrop::new(0).fill(fill))
            .add(Cutout::new(3).probability(0.0))
            .add(Augmentations::of());
        let same = nothing.apply(&data, 3, 4)?;
        assert_eq!((same.inputs(), same.targets()), (data.inputs(), data.targets()));
    }
    Ok(())
}

#[test]
fn a_seed_an_epoch_a_place_in_the_list_and_a_sample_have_a_stream_each() -> Result<()> {
    let data = repeated(50, &images(&numbered(1, 8, 8, 1)));
    let list = || of::<f64>(RandomRotation::new(1.0));
    let first = images(&list().apply(&data, 1, 0)?);
    assert_eq!(first, images(&list().apply(&data, 1, 0)?));
    assert_ne!(first, images(&list().apply(&data, 2, 0)?));
    assert_ne!(first, images(&list().apply(&data, 1, 1)?));
    assert_ne!(
        first,
        images(&Augmentations::of().add(RandomZoom::new(0.0)).add(RandomRotation::new(1.0)).apply(&data, 1, 0)?)
    );
    for (a, b) in (0..50).flat_map(|a| (0..a).map(move |b| (a, b))) {
        assert_ne!(first.index_axis(Axis(0), a), first.index_axis(Axis(0), b));
    }
    // Lists within lists draw as one list does.
    let flat = Augmentations::of().add(RandomFlip::both()).add(RandomRotation::new(1.0)).add(RandomFlip::both());
    let nested = of(RandomFlip::both()).add(of(RandomRotation::new(1.0)).add(RandomFlip::both()));
    assert_eq!(flat.apply(&data, 1, 0)?.inputs(), nested.apply(&data, 1, 0)?.inputs());
    Ok(())
}

#[test]
fn nan_stays_and_spreads_no_further_than_it_weighs() -> Result<()> {
    let mut image = images(&numbered(1, 8, 8, 1));
    image[[0, 3, 3, 0]] = f64::NAN;
    let nans = |augmentations: Augmentations<f64>| -> Result<usize> {
        let changed = augmentations.apply(&repeated(1, &image), 0, 0)?;
        Ok(changed.inputs()[0].iter().filter(|x| x.is_nan()).count())
    };
    assert_eq!(nans(of(RandomTranslation::new((0.25, 0.25), 0.0)))?, 1);
    assert_eq!(nans(of(RandomTranslation::new((0.1, 0.1), (0.1, 0.1))))?, 4);
    assert_eq!(nans(of(RandomCrop::new(1).fill(Fill::Nearest)))?, 1);
    assert_eq!(nans(of(RandomContrast::new(0.5)))?, 64);
    Ok(())
}

#[test]
fn interpolation_and_contrast_keep_to_the_range() -> Result<()> {
    let digits = datasets::digits_images();
    let data = Dataset::new(&digits.images, &digits.labels)?;
    let all = Augmentations::new()
        .add(RandomTranslation::new(0.3, 0.3))
        .add(RandomRotation::new(0.5).fill(Fill::Nearest))
        .add(RandomZoom::new(0.5).fill(Fill::Constant(1.0)))
        .add(RandomContrast::new(1.0))
        .add(RandomCrop::new(2))
        .add(MixUp::new(10))
        .add(CutMix::new(10));
    let changed = all.apply(&data, 5, 0)?;
    assert!(changed.inputs()[0].iter().all(|x| (0.0..=1.00001).contains(x)));
    let target = targets(&changed);
    assert!(target.iter().all(|t| (0.0..=1.0).contains(t)));
    assert!(target.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-6));
    let wide = of(RandomContrast::new((1.0, 1.0)).range(-10.0, f64::INFINITY)).apply(&data, 5, 0)?;
    assert!(wide.inputs()[0].iter().any(|&x| x < 0.0));
    Ok(())
}

// Distributions.

#[test]
fn every_flip_comes_as_often_as_any() -> Result<()> {
    let image = images(&numbered(1, 3, 4, 2));
    let mirror = |y: isize, x: isize| image.slice(s![.., ..;y, ..;x, ..]).to_owned();
    for (flip, forms) in [
        (RandomFlip::horizontal(), vec![mirror(1, 1), mirror(1, -1)]),
        (RandomFlip::vertical(), vec![mirror(1, 1), mirror(-1, 1)]),
        (RandomFlip::both(), vec![mirror(1, 1), mirror(1, -1), mirror(-1, 1), mirror(-1, -1)]),
    ] {
        let changed = images(&of(flip).apply(&repeated(4000, &image), 1, 0)?);
        let mut counts = vec![0; forms.len()];
        for image in changed.axis_iter(Axis(0)) {
            let form = forms.iter().position(|form| form.index_axis(Axis(0), 0) == image);
            counts[form.expect("one of the forms")] += 1;
        }
        let probability = 1.0 / forms.len() as f64;
        assert!(counts.iter().all(|&count| is_likely(count, 4000, probability)), "{flip:?}: {counts:?}");
    }
    Ok(())
}

#[test]
fn every_crop_comes_as_often_as_any_and_is_a_window_of_the_padded_image() -> Result<()> {
    let image = images(&numbered(1, 4, 5, 2)) + 0.5;
    let mut padded = Array4::<f64>::zeros((1, 8, 9, 2));
    padded.slice_mut(s![.., 2..6, 2..7, ..]).assign(&image);
    let windows: Vec<_> =
        (0..25).map(|at| padded.slice(s![0, at / 5..at / 5 + 4, at % 5..at % 5 + 5, ..]).to_owned()).collect();
    let changed = images(&of(RandomCrop::new(2)).apply(&repeated(10_000, &image), 1, 0)?);
    let mut counts = [0; 25];
    for image in changed.axis_iter(Axis(0)) {
        counts[windows.iter().position(|window| window == image).expect("one of the windows")] += 1;
    }
    assert!(counts.iter().all(|&count| is_likely(count, 10_000, 0.04)), "{counts:?}");
    Ok(())
}

#[test]
fn a_cutout_lies_anywhere_and_covers_a_square() -> Result<()> {
    let image = Array4::<f64>::ones((1, 6, 5, 2));
    let draws = 12_000;
    let cutout = Cutout::new(3).value(0.25).probability(0.75);
    let changed = images(&of(cutout).apply(&repeated(draws, &image), 1, 0)?);
    let mut middles = BTreeMap::new();
    let mut whole = 0;
    for image in changed.axis_iter(Axis(0)) {
        let covered: Vec<_> = image.indexed_iter().filter(|(_, x)| **x == 0.25).map(|(at, _)| at).collect();
        let Some((first, last)) = covered.first().zip(covered.last()) else {
            whole += 1;
            continue;
        };
        let (height, width) = (last.0 - first.0 + 1, last.1 - first.1 + 1);
        assert_eq!(covered.len(), height * width * 2, "a rectangle in both channels");
        assert!(image.iter().all(|&x| x == 1.0 || x == 0.25));
        assert!((2..=3).contains(&height) && (2..=3).contains(&width));
        *middles.entry((first.0, last.0, first.1, last.1)).or_insert(0) += 1;
    }
    assert!(is_likely(whole, draws, 0.25), "{whole}");
    assert_eq!(middles.len(), 30, "one for each pixel");
    assert!(middles.values().all(|&count| is_likely(count, draws, 0.75 / 30.0)), "{middles:?}");
    Ok(())
}

/// What a sure shift of a ramp says about the draw of a factor.
#[test]
fn factors_are_drawn_evenly_between_their_ends() -> Result<()> {
    let width = 64;
    let ramp = Array4::from_shape_fn((1, 1, width, 1), |(_, _, x, _)| x as f64);
    let draws = 10_000;
    for (factor, low, high) in [(Factor::from(0.2), -0.2, 0.2), (Factor::from((-0.1, 0.3)), -0.1, 0.3)] {
        let shift = RandomTranslation::new(0.0, factor).fill(Fill::Nearest);
        let changed = images(&of(shift).apply(&repeated(draws, &ramp), 1, 0)?);
        let mut counts = [0; 10];
        for image in changed.axis_iter(Axis(0)) {
            let drawn = (32.0 - image[[0, 32, 0]]) / width as f64;
            assert!((low..high).contains(&drawn));
            counts[((drawn - low) / (high - low) * 10.0) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| is_likely(count, draws, 0.1)), "{counts:?}");
    }
    Ok(())
}

/// Images of one value, their class's number: what a mixed image holds tells what its target must be.
fn flat(count: usize, classes: usize) -> Dataset<f64> {
    let images = Array4::from_shape_fn((count, 12, 10, 2), |(n, ..)| (n % classes) as f64);
    Dataset::new(&images, &Array1::from_shape_fn(count, |n| n % classes)).unwrap()
}

#[test]
fn mixed_targets_say_what_mixed_images_hold() -> Result<()> {
    let (count, classes) = (8000, 5);
    let data = flat(count, classes);
    let class_numbers = Array1::from_iter((0..classes).map(|class| class as f64));
    for (mixed, by_area) in [
        (of(MixUp::new(classes).alpha(0.4)), false),
        (of(CutMix::new(classes)), true),
        (of(MixUp::new(classes)).add(CutMix::new(classes).alpha(0.5)), true),
    ] {
        let mixed = mixed.apply(&data, 1, 0)?;
        let (images, targets) = (images(&mixed), targets(&mixed));
        let expected = targets.dot(&class_numbers);
        for ((image, target), expected) in images.axis_iter(Axis(0)).zip(targets.axis_iter(Axis(0))).zip(&expected) {
            assert!((image.mean().unwrap() - expected).abs() < 1e-12);
            assert!((target.sum() - 1.0).abs() < 1e-12 && target.iter().all(|&t| t >= 0.0));
            if !by_area {
                assert!(image.iter().all(|x| (x - expected).abs() < 1e-12), "one value all over");
            }
        }
    }
    Ok(())
}

#[test]
fn shares_and_partners_of_a_mix_have_their_distributions() -> Result<()> {
    let (count, classes) = (20_000, 5);
    let data = flat(count, classes);
    for alpha in [0.2, 1.0, 3.0] {
        let targets = targets(&of(MixUp::new(classes).alpha(alpha)).apply(&data, 1, 0)?);
        // The share of the own class where the other is another one.
        let mut shares = Vec::new();
        let mut partners = vec![0; classes];
        for (n, target) in targets.axis_iter(Axis(0)).enumerate() {
            let own = n % classes;
            match (0..classes).find(|&class| class != own && target[class] > 0.0) {
                Some(partner) => {
                    shares.push(target[own]);
                    partners[(partner + classes - own) % classes] += 1;
                }
                None => partners[0] += 1,
            }
        }
        // A share so near 1 that nothing is left of the other counts as no partner: only where alpha is small.
        if alpha >= 1.0 {
            assert!(partners.iter().all(|&count_of| is_likely(count_of, count, 0.2)), "{partners:?}");
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let variance = shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / shares.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean} of alpha {alpha}");
        let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
        assert!((variance / expected - 1.0).abs() < 0.05, "variance {variance} for {expected}");
    }
    Ok(())
}

#[test]
fn halves_of_two_classes_still_have_a_larger_one() -> Result<()> {
    // So small an alpha often gives all of the image away, of which the edge then cuts off half.
    let count = 4000;
    let images = Array4::from_shape_fn((count, 4, 4, 1), |(n, ..)| (n % 2) as f32);
    let data = Dataset::new(&images, &Array1::from_shape_fn(count, |n| n % 2))?;
    let target = targets(&Augmentations::new().add(CutMix::new(2).alpha(0.05)).apply(&data, 0, 0)?);
    let halves = target.axis_iter(Axis(0)).filter(|t| (t[0] - 0.5).abs() < 1e-3).count();
    assert!(target.axis_iter(Axis(0)).all(|t| t[0] != t[1] && t[0] + t[1] == 1.0));
    assert!(halves > 5, "{halves}");
    Ok(())
}

// What users get wrong.

#[test]
fn what_cannot_work_is_refused_with_what_was_wrong() -> Result<()> {
    let data = numbered(4, 8, 6, 1);
    let refused = |augmentation: Augmentations<f64>| augmentation.apply(&data, 0, 0).unwrap_err().to_string();
    let rising = "a number from 0 to 1, or a rising pair of numbers from -1 to 1";
    let cases = [
        (of(RandomRotation::new(-0.1)), format!("factor of RandomRotation must be {rising}, got 0.1 to -0.1")),
        (of(RandomZoom::new((0.1, f64::NAN))), format!("factor of RandomZoom must be {rising}, got 0.1 to NaN")),
        (of(RandomZoom::new(0.1).width(2.0)), format!("width factor of RandomZoom must be {rising}, got -2 to 2")),
        (
            of(RandomTranslation::new(0.0, 1.5)),
            format!("width factor of RandomTranslation must be {rising}, got -1.5 to 1.5"),
        ),
        (
            of(RandomTranslation::new(1.5, 0.0)),
            format!("height factor of RandomTranslation must be {rising}, got -1.5 to 1.5"),
        ),
        (of(RandomContrast::new(1.5)), format!("factor of RandomContrast must be {rising}, got -1.5 to 1.5")),
        (
            of(RandomContrast::new(0.5).range(1.0, 0.0)),
            "range of RandomContrast must be two rising numbers, got 1 to 0".into(),
        ),
        (of(RandomRotation::new(0.1).fill(Fill::Constant(f64::NAN))), "fill must be a finite number, got NaN".into()),
        (
            of(RandomCrop::new(7)),
            "padding of RandomCrop must be at most 6, the shorter side of the image, got 7".into(),
        ),
        (of(Cutout::new(0)), "size of Cutout must be from 1 to 16 for such images, got 0".into()),
        (of(Cutout::new(17)), "size of Cutout must be from 1 to 16 for such images, got 17".into()),
        (of(Cutout::new(2).value(f64::INFINITY)), "value of Cutout must be a finite number, got inf".into()),
        (of(Cutout::new(2).probability(1.1)), "probability of Cutout must be from 0 to 1, got 1.1".into()),
        (of(MixUp::new(1)), "classes of MixUp must be at least 2, got 1".into()),
        (of(MixUp::new(4).alpha(0.0)), "alpha of MixUp must be a finite number above 0, got 0".into()),
        (of(CutMix::new(4).alpha(f64::INFINITY)), "alpha of CutMix must be a finite number above 0, got inf".into()),
        (of(MixUp::new(3)), "class label at [3]: expected a whole number from 0 to 2, got 3".into()),
        // In a list, and in a list within it.
        (
            of(RandomFlip::both()).add(of(Cutout::new(0))),
            "size of Cutout must be from 1 to 16 for such images, got 0".into(),
        ),
    ];
    for (augmentation, expected) in cases {
        assert_eq!(refused(augmentation), expected);
    }
    let rows = Dataset::new(&Array2::<f64>::zeros((3, 4)), &Array1::<usize>::zeros(3))?;
    let message = of(RandomFlip::both()).apply(&rows, 0, 0).unwrap_err().to_string();
    assert_eq!(message, "images to augment: expected (batch, height, width, channels), got shape [3, 4]");
    let soft = Dataset::new(&Array4::<f64>::zeros((3, 2, 2, 1)), &Array2::<f64>::zeros((3, 7)))?;
    let message = of(CutMix::new(4)).apply(&soft, 0, 0).unwrap_err().to_string();
    let expected = "target 0 of samples to mix: expected class labels, or 4 numbers for each sample, got shape [3, 7]";
    assert_eq!(message, expected);
    assert_eq!(Augmentations::of().apply(&rows, 0, 0)?.inputs(), rows.inputs());
    Ok(())
}

// In a run.

/// Large enough batches that another thread prepares them.
fn pictures(count: usize) -> Dataset<f64> {
    let images =
        Array4::from_shape_fn((count, 20, 20, 1), |(n, y, x, _)| ((n * 31 + y * 7 + x * x) % 17) as f64 / 17.0);
    Dataset::new(&images, &Array1::from_shape_fn(count, |n| n % 4)).unwrap()
}

const BATCH: usize = 48;

fn trainer() -> Trainer<f64> {
    let trainer = Trainer::of(SoftmaxCrossEntropy::new(), Adam::new(1e-2)).progress(Progress::Silent);
    trainer.batch_size(BATCH).epochs(3).seed(4).metric(Accuracy::new())
}

fn network() -> Sequential<f64> {
    Sequential::of().add(Flatten::new()).add(Dense::of(8).activation(Activation::Tanh)).add(Dense::of(4))
}

fn bits<A: Scalar>(model: &dyn Layer<A>) -> Vec<u64> {
    let all = model.params();
    all.iter().flat_map(|(_, param)| param.values().unwrap().iter().map(|w| w.as_f64().to_bits())).collect()
}

fn strong(trainer: Trainer<f64>) -> Trainer<f64> {
    trainer
        .augment(RandomFlip::horizontal())
        .augment(RandomRotation::new(0.1))
        .augment(MixUp::new(4))
        .augment(CutMix::new(4))
}

#[test]
fn augmented_runs_have_the_same_bits_on_any_number_of_threads() -> Result<()> {
    let data = pictures(200);
    let run = |shards, threads| -> Result<_> {
        let mut model = network();
        let mut trainer = strong(trainer()).shards(shards).threads(threads);
        let history = trainer.fit(&mut model, &data)?;
        Ok((bits(&model), history.get("loss"), history.get("accuracy")))
    };
    for shards in [1, 2, 5] {
        let first = run(shards, 1)?;
        for threads in [1, 2, 4] {
            assert!(run(shards, threads)? == first, "{shards} shards on {threads} threads");
        }
    }
    // As many as there are by default.
    let (mut model, mut again) = (network(), network());
    strong(trainer()).fit(&mut model, &data)?;
    strong(trainer()).fit(&mut again, &data)?;
    assert!(bits(&model) == bits(&again));
    let mut plain = network();
    trainer().fit(&mut plain, &data)?;
    assert!(bits(&model) != bits(&plain));
    Ok(())
}

#[test]
fn a_run_in_two_parts_sees_the_same_images_as_one() -> Result<()> {
    let data = pictures(200);
    let (mut whole, mut parts) = (network(), network());
    strong(trainer()).epochs(4).fit(&mut whole, &data)?;
    let mut trainer = strong(trainer()).epochs(2);
    trainer.fit(&mut parts, &data)?;
    trainer.fit(&mut parts, &data)?;
    assert!(bits(&whole) == bits(&parts));
    Ok(())
}

#[test]
fn augmentations_that_change_nothing_leave_the_bits_of_a_run_without() -> Result<()> {
    let weights = Array1::from_shape_fn(200, |n| (n % 3) as f64);
    for data in [pictures(200), pictures(200).weights(&weights)?] {
        for threads in [1, 2] {
            let mut plain = network();
            let expected = trainer().threads(threads).shards(2).fit(&mut plain, &data)?;
            let nothing = trainer().augment(RandomRotation::new(0.0)).augment(RandomCrop::new(0));
            let mut model = network();
            let history = nothing.threads(threads).shards(2).fit(&mut model, &data)?;
            assert!(bits(&plain) == bits(&model));
            assert_eq!(history.get("loss"), expected.get("loss"));
            assert_eq!(history.get("accuracy"), expected.get("accuracy"));
        }
    }
    Ok(())
}

/// y = x, and keeps what came by in training.
#[derive(Clone)]
struct Spy(Arc<Mutex<Vec<Vec<u64>>>>);

impl Layer<f64> for Spy {
    fn kind(&self) -> &str {
        "Spy"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        if ctx.mode() == Mode::Training {
            let images = x.outer_iter().map(|image| image.iter().map(|x| x.to_bits()).collect());
            self.0.lock().unwrap().extend(images);
        }
        Ok(x.clone())
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        Ok(Some(dy.clone()))
    }
}

#[test]
fn what_becomes_of_an_image_does_not_depend_on_its_batch_and_is_what_apply_gives() -> Result<()> {
    let data = pictures(100);
    let seen = |batch_size: usize, threads: usize| -> Result<Vec<Vec<u64>>> {
        let spy = Spy(Arc::default());
        let mut model = Sequential::of().add(spy.clone()).add(Flatten::new()).add(Dense::of(4));
        let trainer = trainer().augment(RandomRotation::new(0.5)).augment(RandomFlip::both());
        trainer.batch_size(batch_size).threads(threads).epochs(1).fit(&mut model, &data)?;
        let mut seen = std::mem::take(&mut *spy.0.lock().unwrap());
        seen.sort();
        Ok(seen)
    };
    let applied = of(RandomRotation::new(0.5)).add(RandomFlip::both()).apply(&data, 4, 0)?;
    let mut expected: Vec<Vec<u64>> =
        applied.inputs()[0].outer_iter().map(|image| image.iter().map(|x| x.to_bits()).collect()).collect();
    expected.sort();
    for (batch_size, threads) in [(1, 1), (7, 1), (48, 2), (100, 2), (1000, 2)] {
        assert!(seen(batch_size, threads)? == expected, "batches of {batch_size}");
    }
    Ok(())
}

#[test]
fn validation_sees_images_as_they_are() -> Result<()> {
    let (data, held_back) = (pictures(100), pictures(37));
    let mut model = network();
    let mut trainer = strong(trainer()).validation_data(&held_back)?;
    let history = trainer.fit(&mut model, &data)?;
    assert_eq!(history.last().unwrap().get("val_loss"), Some(trainer.evaluate(&model, &held_back)?.loss()));
    let (expected, _) =
        SoftmaxCrossEntropy::new().evaluate(&model.predict(&held_back.inputs()[0])?, &held_back.targets()[0], None)?;
    assert!((history.last().unwrap().get("val_loss").unwrap() - expected).abs() < 1e-12);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Failure {
    Error,
    Panic,
    Slow,
}

/// Leaves images alone until one begins with a value above 2.
struct Trap(Failure);

impl Augment<f64> for Trap {
    fn kind(&self) -> &str {
        "Trap"
    }

    fn image(&self, image: &mut Image<'_, f64>, _: &mut ChaCha8Rng) {
        if image.values()[0] > 2.0 && self.0 == Failure::Panic {
            panic!("a bad image");
        }
        if self.0 == Failure::Slow {
            thread::yield_now();
        }
    }

    fn batch(&self, batch: &mut layerwise::data::augmentation::ImageBatch<'_, f64>) -> Result<()> {
        let mut bad = false;
        batch.each_image(|image, rng| {
            self.image(image, rng);
            bad |= image.values()[0] > 2.0;
        });
        if bad && self.0 == Failure::Error { Err(Error::custom("a bad image")) } else { Ok(()) }
    }
}

#[test]
fn errors_and_panics_of_an_augmentation_end_the_run_with_the_weights_of_the_last_step() -> Result<()> {
    let good = pictures(200);
    for bad_row in [0, 60, 199] {
        let mut x = images(&good);
        x[[bad_row, 0, 0, 0]] = 3.0;
        let bad = (&x, &good.targets()[0]);
        for (failure, expected) in
            [(Failure::Error, "augmentation: a bad image"), (Failure::Panic, "augmentation: panicked: a bad image")]
        {
            for threads in [1, 2] {
                let trainer = || trainer().epochs(1).shuffle(false).threads(threads);
                let mut model = network();
                let mut failing = trainer().augment(Trap(failure));
                let error = failing.fit(&mut model, bad).unwrap_err();
                assert_eq!(error.to_string(), expected);
                // Every batch before was trained on.
                let before = bad_row / BATCH * BATCH;
                assert_eq!(failing.steps() as usize, before / BATCH);
                if before > 0 {
                    let mut same = network();
                    trainer().fit(&mut same, good.rows(&(0..before).collect::<Vec<_>>())?)?;
                    assert!(bits(&model) == bits(&same));
                }
                // And the trainer is as good as new.
                failing.fit(&mut model, &good)?;
            }
        }
    }
    Ok(())
}

#[test]
fn errors_of_the_run_name_the_sample_of_the_users_data() -> Result<()> {
    let good = pictures(200);
    let mut labels: Vec<f64> = values(&good.targets()[0])?.to_vec();
    labels[130] = 4.0;
    let bad = (&good.inputs()[0], &Array1::from(labels));
    for threads in [1, 2] {
        let plain = trainer().threads(threads).augment(RandomFlip::both()).fit(&mut network(), bad).unwrap_err();
        let expected = "class label at [130]: expected a whole number from 0 to 3, got 4";
        assert_eq!(plain.to_string(), expected);
        let mixed = trainer().threads(threads).augment(MixUp::new(4)).fit(&mut network(), bad).unwrap_err();
        assert_eq!(mixed.to_string(), format!("augmentation: {expected}"));
        let setting = trainer().threads(threads).augment(Cutout::new(0)).fit(&mut network(), &good).unwrap_err();
        let expected = "augmentation: size of Cutout must be from 1 to 40 for such images, got 0";
        assert_eq!(setting.to_string(), expected);
    }
    Ok(())
}

#[test]
fn a_callback_stops_an_augmented_run_in_the_middle_of_an_epoch() -> Result<()> {
    let data = pictures(400);
    for threads in [1, 2] {
        for stop_at in 1..8 {
            let callback = StopAt(stop_at);
            let mut trainer = strong(trainer()).threads(threads).callback(callback);
            let history = trainer.fit(&mut network(), &data)?;
            assert_eq!((trainer.steps(), history.epochs().len()), (stop_at, 1));
        }
    }
    Ok(())
}

struct StopAt(u64);

impl Callback<f64> for StopAt {
    fn on_batch_end(&mut self, event: &mut Event<'_, f64>) -> Result<()> {
        if event.step == self.0 {
            event.stop();
        }
        Ok(())
    }
}

#[test]
fn a_panic_of_the_training_side_leaves_no_thread_waiting() {
    struct Panics;
    impl Callback<f64> for Panics {
        fn on_batch_end(&mut self, event: &mut Event<'_, f64>) -> Result<()> {
            assert_ne!(event.step, 2, "on purpose");
            Ok(())
        }
    }
    let outcome = std::panic::catch_unwind(|| {
        let data = pictures(400);
        strong(trainer()).threads(2).callback(Panics).fit(&mut network(), &data).map(drop)
    });
    assert!(outcome.is_err());
}

#[test]
fn on_a_machine_whose_threads_are_all_taken_a_run_goes_on() -> Result<()> {
    let busy = std::sync::atomic::AtomicBool::new(true);
    let data = pictures(200);
    thread::scope(|scope| {
        for _ in 0..3 * thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while busy.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcome = strong(trainer()).augment(Trap(Failure::Slow)).epochs(1).threads(2).fit(&mut network(), &data);
        busy.store(false, std::sync::atomic::Ordering::Relaxed);
        outcome.map(drop)
    })
}

#[test]
fn one_thread_of_many_runs_may_be_anywhere() -> Result<()> {
    // Draws do not go through anything that two runs share.
    let data = pictures(200);
    let mut expected = network();
    strong(trainer()).fit(&mut expected, &data)?;
    let expected = bits(&expected);
    thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<u64>> {
                    let mut model = network();
                    strong(trainer()).fit(&mut model, &data)?;
                    Ok(bits(&model))
                })
            })
            .collect();
        for run in runs {
            assert!(run.join().unwrap()? == expected);
        }
        Ok(())
    })
}

#[test]
fn a_network_learns_digits_better_where_it_sees_them_shifted() -> Result<()> {
    // Test digits are shifted; without augmentation the network has never seen such.
    let digits = datasets::digits_images();
    let rows: Vec<usize> = (0..digits.len()).collect();
    let (train, test) = (digits.rows(&rows[..1200])?, digits.rows(&rows[1200..])?);
    let test = Dataset::new(&test.images, &test.labels)?;
    let shifted = Augmentations::new().add(RandomCrop::new(1)).apply(&test, 99, 0)?;
    let accuracy = |augment: bool| -> Result<f64> {
        let mut model =
            Sequential::new().add(Flatten::new()).add(Dense::new(64).activation(Activation::Relu)).add(Dense::new(10));
        let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(3e-3)).metric(Accuracy::new());
        if augment {
            trainer = trainer.augment(RandomCrop::new(1));
        }
        trainer = trainer.epochs(12).progress(Progress::Silent);
        trainer.fit(&mut model, (&train.images, &train.labels))?;
        Ok(trainer.evaluate(&model, &shifted)?.get("accuracy").unwrap_or(0.0))
    };
    let (without, with) = (accuracy(false)?, accuracy(true)?);
    assert!(with > without + 0.1, "{without} without, {with} with");
    Ok(())
}

#[test]
fn an_augmentation_of_ones_own_draws_from_its_stream() -> Result<()> {
    struct Noise;
    impl Augment<f64> for Noise {
        fn kind(&self) -> &str {
            "Noise"
        }

        fn image(&self, image: &mut Image<'_, f64>, rng: &mut ChaCha8Rng) {
            image.values().iter_mut().for_each(|x| *x += rng.random_range(-0.1..0.1));
        }
    }
    let data = pictures(100);
    let (mut first, mut second) = (network(), network());
    trainer().augment(Noise).threads(1).shards(2).fit(&mut first, &data)?;
    trainer().augment(Noise).threads(2).shards(2).fit(&mut second, &data)?;
    assert!(bits(&first) == bits(&second));
    Ok(())
}
