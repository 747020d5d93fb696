//! What watches and what keeps a stream: drift detectors against River, replay buffers against the laws of chance.

use layerwise::prelude::*;
use layerwise::train::online::{Adwin, Change, DriftDetector, PageHinkley, ReplayBuffer};
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|index| index as usize).collect()
}

fn page_hinkley(settings: &Value) -> PageHinkley {
    let mut detector = PageHinkley::new();
    for (name, value) in settings.as_object().unwrap() {
        let value = number(value);
        detector = match &**name {
            "threshold" => detector.threshold(value),
            "delta" => detector.delta(value),
            "alpha" => detector.alpha(value),
            "min_instances" => detector.min_samples(value as u64),
            _ => panic!("{name}"),
        };
    }
    detector
}

fn adwin(settings: &Value) -> Adwin {
    let mut detector = Adwin::new();
    for (name, value) in settings.as_object().unwrap() {
        let value = number(value);
        detector = match &**name {
            "delta" => detector.delta(value),
            "clock" => detector.clock(value as u64),
            "max_buckets" => detector.max_buckets(value as usize),
            "min_window_length" => detector.min_window(value as u64),
            "grace_period" => detector.grace(value as u64),
            _ => panic!("{name}"),
        };
    }
    detector
}

/// The indices at which a detector tells of a change.
fn changes(mut detector: impl DriftDetector, stream: &[f64], begin_anew: bool) -> Result<Vec<usize>> {
    let mut changes = Vec::new();
    for (at, &value) in stream.iter().enumerate() {
        if detector.update(value)?.is_some() {
            changes.push(at);
            if begin_anew {
                detector.reset();
            }
        }
    }
    Ok(changes)
}

#[test]
fn changes_are_found_where_river_finds_them() -> Result<()> {
    let reference: Value = serde_json::from_str(include_str!("reference/drift_river.json")).unwrap();
    let unit = number(&reference["unit"]);
    let (mut cases, mut found) = (0, 0);
    for case in reference["cases"].as_array().unwrap() {
        let stream = numbers(&reference["streams"][case["stream"].as_str().unwrap()]);
        let stream: Vec<f64> = stream.into_iter().map(|value| value * unit).collect();
        let (name, settings) = (&case["name"], &case["settings"]);
        if case["kind"] == "PageHinkley" {
            let (up, both) = (page_hinkley(settings), page_hinkley(settings).both());
            let expected = ["up", "both"].map(|mode| indices(&case["changes"][mode]));
            assert_eq!([changes(up, &stream, false)?, changes(both, &stream, false)?], expected, "{name}");
            found += expected[1].len();
        } else {
            assert_eq!(changes(adwin(settings), &stream, true)?, indices(&case["changes"]), "{name}");
            assert_eq!(changes(adwin(settings), &stream, false)?, indices(&case["kept"]), "{name}, kept");
            let mut detector = adwin(settings);
            let mut windows = case["windows"].as_array().unwrap().iter().map(numbers);
            for (at, &value) in stream.iter().enumerate() {
                detector.update(value)?;
                if at % 97 == 96 {
                    let expected = windows.next().unwrap();
                    assert_eq!([at as f64, detector.window() as f64], expected[..2], "{name}");
                    assert!((detector.mean() - expected[2]).abs() < 1e-12, "{name} {at}");
                    assert!((detector.variance() - expected[3]).abs() < 1e-10, "{name} {at}");
                }
            }
            assert!(windows.next().is_none());
            found += indices(&case["kept"]).len();
        }
        cases += 1;
    }
    assert_eq!((cases, found), (42, 398), "cases, and changes in them");
    Ok(())
}

#[test]
fn the_way_of_a_change_is_told() -> Result<()> {
    let stream = |from: f64, to: f64| (0..400).map(move |at| if at < 200 { from } else { to });
    for (from, to, way) in [(0.1, 0.9, Change::Rise), (0.9, 0.1, Change::Fall)] {
        let detectors: [Box<dyn DriftDetector>; 2] =
            [Box::new(Adwin::new()), Box::new(PageHinkley::new().threshold(5.0).both())];
        for mut detector in detectors {
            let found = stream(from, to).find_map(|value| detector.update(value).transpose()).transpose()?;
            assert_eq!(found, Some(way), "{}", detector.name());
        }
        // A falling error is no alarm.
        let mut rises = PageHinkley::new().threshold(5.0);
        let found = stream(from, to).find_map(|value| rises.update(value).transpose()).transpose()?;
        assert_eq!(found, Some(way).filter(|&way| way == Change::Rise));
    }
    Ok(())
}

/// Errors of a model that is wrong with some chance: 100 streams of 2000 numbers.
fn false_alarms(make: impl Fn() -> Box<dyn DriftDetector>, chance: f64) -> Result<usize> {
    let mut alarms = 0;
    for seed in 0..100 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut detector = make();
        let mut alarm = false;
        for _ in 0..2000 {
            alarm |= detector.update(f64::from(u8::from(rng.random_bool(chance))))?.is_some();
        }
        alarms += usize::from(alarm);
    }
    Ok(alarms)
}

#[test]
fn detectors_are_quiet_where_nothing_changes() -> Result<()> {
    for chance in [0.02, 0.2, 0.5] {
        // The bound of a look is 0.002; most of the 62 looks see what the one before saw.
        let alarms = false_alarms(|| Box::new(Adwin::new()), chance)?;
        assert!(alarms <= 4, "Adwin: {alarms} of 100 at {chance}");
        let alarms = false_alarms(|| Box::new(PageHinkley::new()), chance)?;
        assert!(alarms <= 2, "PageHinkley: {alarms} of 100 at {chance}");
    }
    // And one that cries at everything would not pass.
    assert!(false_alarms(|| Box::new(PageHinkley::new().threshold(1.0)), 0.2)? > 90);
    Ok(())
}

#[test]
fn a_number_that_is_none_changes_no_detector() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let stream: Vec<f64> = (0..600).map(|at| rng.random::<f64>() + f64::from(u8::from(at > 300))).collect();
    for (mut plain, mut disturbed) in [
        (Box::new(Adwin::new()) as Box<dyn DriftDetector>, Box::new(Adwin::new()) as Box<dyn DriftDetector>),
        (Box::new(PageHinkley::new().threshold(9.0)), Box::new(PageHinkley::new().threshold(9.0))),
    ] {
        let mut found = 0;
        for &value in &stream {
            for none in [f64::NAN, f64::INFINITY] {
                assert!(disturbed.update(none).is_err());
            }
            let change = plain.update(value)?;
            assert_eq!(disturbed.update(value)?, change);
            found += usize::from(change.is_some());
        }
        assert!(found > 0, "{}", plain.name());
    }
    Ok(())
}

/// Samples whose input is their number, of a class each.
fn stream(samples: usize, class: impl Fn(usize) -> usize) -> Dataset {
    let x = Array2::from_shape_fn((samples, 1), |(row, _)| row as f32);
    Dataset::new(&x, &Array1::from_shape_fn(samples, class)).unwrap()
}

/// The numbers of the samples that a buffer holds.
fn held(buffer: &ReplayBuffer) -> Result<Vec<usize>> {
    Ok(buffer.samples()?.map_or_else(Vec::new, |samples| samples.inputs()[0].iter().map(|&x| x as usize).collect()))
}

/// How often each of so many samples is held, over seeds.
fn held_over_seeds(seeds: u64, samples: usize, make: impl Fn(u64) -> ReplayBuffer) -> Result<Vec<f64>> {
    let (data, mut counts) = (stream(samples, |row| row % 2), vec![0.0; samples]);
    for seed in 0..seeds {
        let mut buffer = make(seed);
        buffer.add(&data)?;
        held(&buffer)?.into_iter().for_each(|row| counts[row] += 1.0);
    }
    Ok(counts)
}

/// Refuses counts that chance would bring about once in ten thousand times. `freedom` is the mean of chi-square.
fn check_chi_square(name: &str, counts: &[f64], expected: &[f64], variance: impl Fn(f64) -> f64, freedom: f64) {
    let terms = counts.iter().zip(expected).map(|(count, expected)| (count - expected).powi(2) / variance(*expected));
    let chi_square: f64 = terms.sum();
    // Wilson and Hilferty: the cube root is nearly normal. 3.7 deviations either way.
    let spread = 2.0 / (9.0 * freedom);
    let z = ((chi_square / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
    assert!(z.abs() < 3.7, "{name}: chi-square {chi_square} of {freedom}, z {z}");
}

#[test]
fn a_reservoir_holds_every_sample_with_the_same_chance() -> Result<()> {
    let (seeds, samples, capacity) = (4000, 60, 12);
    let share = capacity as f64 / samples as f64;
    let expected = vec![share * seeds as f64; samples];
    let counts = held_over_seeds(seeds, samples, |seed| ReplayBuffer::new(capacity).seed(seed))?;
    // Of a sample without replacement: the counts are bound by their sum.
    let variance = |expected: f64| expected * (1.0 - share);
    check_chi_square("reservoir", &counts, &expected, variance, samples as f64 - 1.0);
    // An infinite half-life is the same, by other means.
    let counts = held_over_seeds(seeds, samples, |seed| ReplayBuffer::new(capacity).recent(f64::INFINITY).seed(seed))?;
    check_chi_square("recent for ever", &counts, &expected, variance, samples as f64 - 1.0);
    // The samples that are drawn from it, too.
    let mut buffer = ReplayBuffer::new(samples);
    buffer.add(stream(samples, |_| 0))?;
    let mut counts = vec![0.0; samples];
    for _ in 0..seeds {
        let drawn = buffer.sample(capacity)?.expect("it has some");
        drawn.inputs()[0].iter().for_each(|&x| counts[x as usize] += 1.0);
    }
    check_chi_square("drawn", &counts, &expected, variance, samples as f64 - 1.0);
    Ok(())
}

#[test]
fn newer_samples_are_held_with_a_chance_that_halves() -> Result<()> {
    let (seeds, samples, half_life) = (20_000, 12, 3.0);
    // With room for one, the chance of each is its weight.
    let counts = held_over_seeds(seeds, samples, |seed| ReplayBuffer::new(1).recent(half_life).seed(seed))?;
    let weights: Vec<f64> = (0..samples).map(|row| 2f64.powf(row as f64 / half_life)).collect();
    let whole: f64 = weights.iter().sum();
    let expected: Vec<f64> = weights.iter().map(|weight| seeds as f64 * weight / whole).collect();
    check_chi_square("recent", &counts, &expected, |expected| expected, samples as f64 - 1.0);
    Ok(())
}

#[test]
fn a_balanced_buffer_holds_as_many_of_each_class_as_can_be() -> Result<()> {
    let count = |labels: &[usize], class| labels.iter().filter(|&&label| label == class).count();
    for seed in 0..20 {
        let mut buffer = ReplayBuffer::new(30).class_balanced().seed(seed);
        // 7 of class 2, 93 of class 1, 900 of class 0; and not in turn.
        let class = |row: usize| if row % 143 == 1 { 2 } else { usize::from(row.is_multiple_of(10)) };
        buffer.add(stream(1000, class))?;
        let labels = buffer.samples()?.and_then(|samples| samples.labels()).expect("there are classes");
        let counts = [0, 1, 2].map(|class| count(&labels, class));
        assert_eq!(counts[2], 7, "all there are of the rare class");
        assert_eq!(counts[0] + counts[1], 23);
        assert!(counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
    }
    // Within a class it is a reservoir: here all come to their share in the end, whichever came first.
    let counts = held_over_seeds(4000, 60, |seed| ReplayBuffer::new(12).class_balanced().seed(seed))?;
    let variance = |expected: f64| expected * (1.0 - 0.2);
    check_chi_square("balanced", &counts, &[800.0; 60], variance, 58.0);
    Ok(())
}

#[test]
fn a_buffer_never_holds_more_than_it_may() -> Result<()> {
    for make in [|| ReplayBuffer::new(7), || ReplayBuffer::new(7).class_balanced(), || ReplayBuffer::new(7).recent(5.0)]
    {
        let mut buffer = make();
        assert!(buffer.sample(3)?.is_none() && buffer.is_empty());
        for batch in 1..20 {
            buffer.add(stream(3, |row| row))?;
            assert_eq!((buffer.len(), buffer.seen()), (7.min(3 * batch), 3 * batch as u64));
        }
        assert_eq!(buffer.sample(100)?.map(|samples| samples.len()), Some(7));
        let mut rows = held(&buffer)?;
        rows.sort_unstable();
        buffer.clear();
        assert_eq!((buffer.len(), buffer.seen()), (0, 0));
    }
    Ok(())
}

#[test]
fn mixing_puts_old_samples_behind_new_ones_with_their_weights() -> Result<()> {
    let mut buffer = ReplayBuffer::new(5);
    let new = stream(2, |_| 1);
    assert_eq!(buffer.mix(&new, 4)?.len(), 2);
    buffer.add(stream(5, |_| 0).weights(&Array1::from_vec(vec![2.0_f32, 3.0, 4.0, 5.0, 6.0]))?)?;
    let mixed = buffer.mix(&new, 4)?;
    assert_eq!(mixed.labels(), Some(vec![1, 1, 0, 0, 0, 0]));
    let (x, weights) = (&mixed.inputs()[0], mixed.sample_weights().expect("the old ones have some"));
    for row in 0..6 {
        let expected = if row < 2 { 1.0 } else { x[[row, 0]] + 2.0 };
        assert_eq!(weights[[row]], expected);
    }
    let mut rows: Vec<i32> = x.iter().skip(2).map(|&x| x as i32).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 4, "none twice");
    Ok(())
}

#[test]
fn a_saved_buffer_goes_on_with_the_same_samples() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buffer.safetensors");
    for make in [
        || ReplayBuffer::new(9).seed(4),
        || ReplayBuffer::new(9).class_balanced().seed(4),
        || ReplayBuffer::new(9).recent(6.0).seed(4),
    ] {
        for before in [0, 5, 40] {
            let mut buffer = make();
            if before > 0 {
                buffer.add(stream(before, |row| row % 4).weights(&Array1::from_elem(before, 0.5_f32))?)?;
                buffer.sample(3)?;
            }
            buffer.save(&path)?;
            let mut loaded = ReplayBuffer::load(&path)?;
            for _ in 0..3 {
                buffer.add(stream(20, |row| row % 3))?;
                loaded.add(stream(20, |row| row % 3))?;
                assert_eq!(held(&buffer)?, held(&loaded)?);
                let drawn = [&mut buffer, &mut loaded].map(|buffer| buffer.sample(4).unwrap().unwrap());
                assert_eq!(drawn[0].inputs(), drawn[1].inputs());
                assert_eq!(drawn[0].sample_weights(), drawn[1].sample_weights());
            }
        }
    }
    // What is damaged is refused or read, and nothing worse.
    let bytes = std::fs::read(&path).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..damaged.len());
            damaged[at] = rng.random();
        }
        damaged.truncate(rng.random_range(damaged.len() / 2..2 * damaged.len()).min(damaged.len()));
        std::fs::write(&path, damaged).unwrap();
        if let Ok(mut buffer) = ReplayBuffer::<f32>::load(&path) {
            let _ = buffer.add(stream(20, |row| row % 3));
            let _ = buffer.sample(3);
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_a_stream_or_a_detector_is_refused() {
    fn message<T>(outcome: Result<T>) -> String {
        outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
    }
    let good = || stream(4, |row| row % 2);
    let with = |value: f32| {
        let mut x = Array2::<f32>::zeros((4, 1));
        x[[2, 0]] = value;
        Dataset::new(&x, &Array1::<usize>::zeros(4)).unwrap()
    };
    let filled = || {
        let mut buffer = ReplayBuffer::new(3);
        buffer.add(good()).unwrap();
        buffer
    };
    let balanced = || ReplayBuffer::new(3).class_balanced();
    let wide = Dataset::<f32>::new(&Array2::<f32>::zeros((4, 2)), &Array1::<usize>::zeros(4)).unwrap();
    let prices = Dataset::<f32>::new(&Array2::<f32>::zeros((4, 1)), &Array1::from_elem(4, 0.5_f32)).unwrap();
    let several = good().weights(&Array2::<f32>::ones((4, 3))).unwrap();
    for (got, expected) in [
        (message(ReplayBuffer::new(0).add(good())), "capacity of ReplayBuffer must be at least 1, got 0"),
        (message(ReplayBuffer::new(3).recent(0.0).add(good())), "half-life of ReplayBuffer must be above 0, got 0"),
        (message(filled().add(with(f32::NAN))), "input 0 of feedback at [2, 0]: expected a finite number, got NaN"),
        (
            message(filled().mix(&with(f32::INFINITY), 1)),
            "input 0 of feedback at [2, 0]: expected a finite number, got inf",
        ),
        (message(filled().add(&wide)), "input 0: expected samples of shape [1], as were kept, got shape [4, 2]"),
        (message(filled().add(&several)), "sample weights of feedback: expected one for each sample, got shape [4, 3]"),
        (
            message(balanced().add(&prices)),
            "ReplayBuffer: the first target of the samples is no class, by which it is balanced",
        ),
        (
            message(PageHinkley::new().delta(-1.0).update(0.0)),
            "delta of PageHinkley must be a finite number of at least 0, got -1",
        ),
        (
            message(PageHinkley::new().threshold(f64::NAN).update(0.0)),
            "threshold of PageHinkley must be a finite number of at least 0, got NaN",
        ),
        (
            message(PageHinkley::new().alpha(1.5).update(0.0)),
            "alpha of PageHinkley must be above 0 and at most 1, got 1.5",
        ),
        (
            message(PageHinkley::new().update(f64::NAN)),
            "input of PageHinkley at [0]: expected a finite number, got NaN",
        ),
        (message(Adwin::new().delta(0.0).update(0.0)), "delta of Adwin must be above 0 and below 1, got 0"),
        (message(Adwin::new().clock(0).update(0.0)), "clock of Adwin must be at least 1, got 0"),
        (message(Adwin::new().max_buckets(0).update(0.0)), "max_buckets of Adwin must be at least 1, got 0"),
        (message(Adwin::new().min_window(0).update(0.0)), "min_window of Adwin must be at least 1, got 0"),
    ] {
        assert_eq!(got, expected);
    }
}
