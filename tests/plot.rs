//! Pictures and reports: SVG that parses, lies within its canvas, and has every number at its place; PNG of the right
//! size; and errors for what cannot be drawn.
//!
//! With `LAYERWISE_FILES` the pictures stay, to be looked at.
#![cfg(feature = "plot")]

#[path = "common/files.rs"]
mod files;

use std::str::FromStr;

use files::Folder;
use layerwise::data::datasets;
use layerwise::metrics::{self, Metric, Thresholds};
use layerwise::plot::{
    Architecture, ConfusionMatrix, DecisionRegions, Histogram, ImageGrid, Picture, PrecisionRecallCurve, Report,
    RocCurve, TrainingCurves,
};
use layerwise::prelude::{
    Activation, Adam, Add, Conv2d, Dense, Flatten, Graph, History, Layer, Progress, Residual, Sequential,
    SoftmaxCrossEntropy, Trainer,
};
use layerwise::{Error, Model, Result, Tensor, to_tensor, values};
use ndarray::{Array1, Array2, Array3, Array4, Axis, array, s};
use roxmltree::{Document, Node};

const LONG: &str = "a name that is far longer than anybody would wish for, with <signs> & \"quotes\" in it, and no end";

fn number<T: FromStr>(node: &Node<'_, '_>, name: &str) -> T {
    let text = node.attribute(name).unwrap_or_else(|| panic!("{} has no {name}", node.tag_name().name()));
    text.parse().unwrap_or_else(|_| panic!("{name} is {text}"))
}

fn points(node: &Node<'_, '_>) -> Vec<[f64; 2]> {
    let pair = |pair: &str| {
        let (x, y) = pair.split_once(',').expect("x,y");
        [x, y].map(|text| text.parse().expect("a number"))
    };
    node.attribute("points").expect("points").split(' ').map(pair).collect()
}

/// The elements of this kind.
fn all<'d>(svg: &'d Document<'_>, tag: &'static str) -> impl Iterator<Item = Node<'d, 'd>> {
    svg.descendants().filter(move |node| node.has_tag_name(("http://www.w3.org/2000/svg", tag)))
}

fn texts(svg: &Document<'_>) -> Vec<String> {
    all(svg, "text").map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

/// What is said of elements under the mouse, the picture's own name first.
fn tips(svg: &Document<'_>) -> Vec<String> {
    all(svg, "title").map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

/// Keeps the picture in both formats, and gives its SVG after the checks that hold for every picture.
fn drawn(name: &str, picture: &impl Picture) -> Result<String> {
    let text = picture.svg()?;
    {
        let svg = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let root = svg.root_element();
        let (width, height): (f64, f64) = (number(&root, "width"), number(&root, "height"));
        assert_eq!(root.attribute("viewBox"), Some(format!("0 0 {width} {height}").as_str()));
        let inside = |node: &Node<'_, '_>, [x, y]: [f64; 2]| {
            let within = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
            assert!(within, "{name}: {} at {x}, {y} of {width}, {height}", node.tag_name().name());
        };
        for node in root.descendants().filter(Node::is_element) {
            match node.tag_name().name() {
                "polyline" | "polygon" => points(&node).into_iter().for_each(|at| inside(&node, at)),
                "circle" => inside(&node, [number(&node, "cx"), number(&node, "cy")]),
                "text" => inside(&node, [number(&node, "x"), number(&node, "y")]),
                "rect" | "image" if node.attribute("x").is_some() => {
                    let at: [f64; 2] = [number(&node, "x"), number(&node, "y")];
                    let size: [f64; 2] = [number(&node, "width"), number(&node, "height")];
                    assert!(size[0] >= 0.0 && size[1] >= 0.0, "{name}: {size:?}");
                    inside(&node, at);
                    inside(&node, [at[0] + size[0], at[1] + size[1]]);
                }
                _ => {}
            }
        }
    }
    if std::env::var_os("LAYERWISE_FILES").is_some() {
        let folder = std::path::PathBuf::from(std::env::var_os("LAYERWISE_FILES").expect("it is set")).join("pictures");
        std::fs::create_dir_all(&folder).expect("a folder for files can be made");
        picture.save(folder.join(format!("{name}.svg")))?;
    }
    Ok(text)
}

/// From places back to numbers, by the numbers that are written along the axes of a picture with one chart.
struct Scale {
    x: [(f64, f64); 2],
    y: [(f64, f64); 2],
}

impl Scale {
    fn of(svg: &Document<'_>) -> Self {
        let ticks = |anchor: &str, axis: &str, shift: f64| {
            let small = all(svg, "text").filter(|node| node.attribute("font-size") == Some("11"));
            let marks: Vec<(f64, f64)> = small
                .filter(|node| node.attribute("text-anchor") == Some(anchor))
                .filter_map(|node| Some((number::<f64>(&node, axis) - shift, node.text()?.parse().ok()?)))
                .collect();
            [marks[0], marks[marks.len() - 1]]
        };
        Scale { x: ticks("middle", "x", 0.0), y: ticks("end", "y", 4.0) }
    }

    fn back(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let line = |[(from, low), (to, high)]: [(f64, f64); 2], at: f64| low + (high - low) * (at - from) / (to - from);
        [line(self.x, x), line(self.y, y)]
    }
}

fn close(one: f64, other: f64, room: f64) -> bool {
    (one - other).abs() <= room
}

/// The polylines that are curves: thicker than those of axes.
fn curves(svg: &Document<'_>) -> Vec<Vec<[f64; 2]>> {
    let thick = |node: &Node<'_, '_>| node.attribute("stroke-width") == Some("2") && node.attribute("points").is_some();
    // A sample of the legend has two points on one height.
    all(svg, "polyline").filter(thick).map(|node| points(&node)).filter(|line| line.len() > 2).collect()
}

#[test]
fn a_training_curve_has_its_values_where_the_axes_say() -> Result<()> {
    let values = [0.91, 0.55, 0.43, 0.441, 0.12];
    let text = drawn("curves", &TrainingCurves::new().curve("loss", "training", values))?;
    let svg = Document::parse(&text).unwrap();
    let scale = Scale::of(&svg);
    let lines = curves(&svg);
    assert_eq!(lines.len(), 1);
    for (number, (&at, value)) in lines[0].iter().zip(values).enumerate() {
        let [x, y] = scale.back(at);
        assert!(close(x, (number + 1) as f64, 1e-3) && close(y, value, 1e-4), "{x} {y} {value}");
    }
    let tips = tips(&svg);
    for (number, value) in values.iter().enumerate() {
        assert!(tips.contains(&format!("training, epoch {}: {value}", number + 1)), "{tips:?}");
    }
    assert!(texts(&svg).contains(&"training 0.12".to_owned()));
    Ok(())
}

#[test]
fn a_logarithmic_axis_has_its_values_where_it_says() -> Result<()> {
    let values = [10.0, 0.5, 2e-3, 1e-4];
    let text = drawn("curves_log", &TrainingCurves::new().curve("loss", "training", values).log_scale())?;
    let svg = Document::parse(&text).unwrap();
    let mut scale = Scale::of(&svg);
    scale.y = scale.y.map(|(at, value)| (at, value.log10()));
    for (&at, value) in curves(&svg)[0].iter().zip(values) {
        assert!(close(scale.back(at)[1], value.log10(), 1e-3));
    }
    Ok(())
}

#[test]
fn values_that_cannot_be_drawn_leave_a_gap_a_cross_and_a_note() -> Result<()> {
    let values = [0.9, 0.5, f64::NAN, 0.4, 0.3, f64::INFINITY, 0.2, f64::NEG_INFINITY];
    let text = drawn("curves_nan", &TrainingCurves::new().curve("loss", "training", values))?;
    let svg = Document::parse(&text).unwrap();
    let tips = tips(&svg);
    for tip in ["training, epoch 3: NaN", "training, epoch 6: inf", "training, epoch 8: -inf"] {
        assert_eq!(tips.iter().filter(|text| *text == tip).count(), 2, "{tip}: a cross has two lines");
    }
    assert!(texts(&svg).contains(&"training -inf (3 of 8 cannot be shown)".to_owned()));
    // Two runs of two, and one value alone: a dot.
    let in_chart = |node: &Node<'_, '_>| node.attribute("stroke-width") == Some("2");
    assert_eq!(all(&svg, "polyline").filter(in_chart).count(), 1 + 2);
    assert_eq!(all(&svg, "circle").count(), 5);

    let text = drawn("curves_log_zero", &TrainingCurves::new().curve("loss", "a", [0.0, -1.0, 1.0, 2.0]).log_scale())?;
    assert!(text.contains("a 2 (2 of 4 cannot be shown)"));
    let none = TrainingCurves::new().curve("loss", "training", [f64::NAN, f64::NAN]);
    assert!(drawn("curves_all_nan", &none)?.contains("no value that can be shown"));
    Ok(())
}

#[test]
fn curves_of_any_length_and_size_are_drawn() -> Result<()> {
    let one = drawn("curves_one_epoch", &TrainingCurves::new().curve("loss", "training", [0.5]))?;
    assert!(one.contains("training, epoch 1: 0.5"));
    let extremes = [f64::MIN, f64::MAX, 5e-324, -0.0, 1e-300];
    drawn("curves_extreme", &TrainingCurves::new().curve("loss", "training", extremes))?;
    drawn("curves_extreme_log", &TrainingCurves::new().curve("loss", "training", extremes).log_scale())?;
    drawn("curves_constant", &TrainingCurves::new().curve("loss", "training", [1e300; 3]))?;
    let many = (0..5000).map(|epoch| (f64::from(epoch) * 0.01).sin());
    let text = drawn("curves_many", &TrainingCurves::new().curve("loss", "training", many))?;
    let svg = Document::parse(&text).unwrap();
    assert_eq!((curves(&svg)[0].len(), all(&svg, "circle").count()), (5000, 50));
    let long = (0..9).fold(TrainingCurves::new().title(LONG), |curves, number| {
        curves.curve(LONG, format!("{number} {LONG}"), [0.1, 0.2]).curve("b", "n\u{1}\u{b}ull\n", [1.0])
    });
    drawn("curves_long", &long)?;
    let few = TrainingCurves::new().curve("loss", "training", [0.9, 0.4, 0.3]).curve("loss", "validation", [0.8, 0.6]);
    drawn("curves_two", &few.curve("accuracy", "training", [0.4, 0.8, 0.9]).title("A run"))?;
    Ok(())
}

/// A run of three classes.
fn run(metric: impl Metric + 'static, epochs: usize) -> Result<(Sequential, History, metrics::ConfusionMatrix)> {
    let iris = datasets::iris();
    let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(3));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
        .metric(metric)
        .validation_data((&iris.features, &iris.labels))?
        .epochs(epochs)
        .seed(1)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
    let mut matrix = metrics::ConfusionMatrix::new().class_names(["setosa", "versicolor", "virginica"]);
    matrix.update(&trainer.predict_proba(&model, &iris.features)?, &to_tensor(&iris.labels)?, None)?;
    Ok((model, history, matrix))
}

#[test]
fn the_curves_of_a_history_are_all_of_its_numbers() -> Result<()> {
    let (_, history, _) = run(metrics::Accuracy::new(), 3)?;
    let text = drawn("curves_history", &TrainingCurves::of(&history))?;
    let tips = tips(&Document::parse(&text).unwrap());
    let told = |name: &str, epoch: usize, value: f64| {
        let start = format!("{name}, epoch {epoch}: ");
        let told = tips.iter().filter_map(|tip| tip.strip_prefix(&start)?.parse().ok());
        told.into_iter().any(|told: f64| close(told, value, 1e-5 * value))
    };
    for epoch in history.epochs() {
        for (name, value) in epoch.values() {
            let part = if name.starts_with("val_") { "validation" } else { "training" };
            assert!(told(part, epoch.number, *value), "{name} of epoch {}", epoch.number);
        }
    }
    Ok(())
}

/// A matrix of so many classes in which class c is taken for c + 1 once and for itself c times.
fn confusion(classes: usize, name: impl Fn(usize) -> String) -> Result<metrics::ConfusionMatrix> {
    let mut pairs = Vec::new();
    for class in 0..classes {
        pairs.extend(std::iter::repeat_n((class, class), class));
        pairs.push((class, (class + 1) % classes));
    }
    let scores =
        Array2::from_shape_fn((pairs.len(), classes), |(row, class)| f32::from(u8::from(pairs[row].1 == class)));
    let truth: Array1<usize> = pairs.iter().map(|pair| pair.0).collect();
    let mut matrix = metrics::ConfusionMatrix::new().class_names((0..classes).map(name));
    matrix.update(&to_tensor(&scores)?, &to_tensor(&truth)?, None)?;
    Ok(matrix)
}

#[test]
fn a_confusion_matrix_has_every_count_in_its_row_and_column() -> Result<()> {
    let names = ["cat", "dog", "owl"];
    let matrix = confusion(3, |class| names[class].to_owned())?;
    let text = drawn("confusion_three", &ConfusionMatrix::of(&matrix))?;
    let svg = Document::parse(&text).unwrap();
    let cell = |tip: &str| {
        let rect = all(&svg, "rect").find(|node| node.first_element_child().and_then(|tip| tip.text()) == Some(tip));
        rect.map(|node| [number::<f64>(&node, "x"), number(&node, "y")]).unwrap_or_else(|| panic!("{tip} in {text}"))
    };
    let owls = cell("true owl, predicted owl: 2 (66.7 %)");
    let mistake = cell("true owl, predicted cat: 1 (33.3 %)");
    let above = cell("true dog, predicted owl: 1 (50 %)");
    assert!(mistake[1] == owls[1] && mistake[0] < owls[0], "one row, an earlier column");
    assert!(above[0] == owls[0] && above[1] < owls[1], "one column, an earlier row");
    assert!(texts(&svg).contains(&"accuracy 0.5".to_owned()));
    let shares = drawn("confusion_shares", &ConfusionMatrix::of(&matrix).normalize().title(LONG))?;
    assert!(texts(&Document::parse(&shares).unwrap()).contains(&"67 %".to_owned()));
    Ok(())
}

#[test]
fn one_class_sixty_classes_and_long_names_are_drawn() -> Result<()> {
    // All samples of one class: the other row is empty.
    let mut one = metrics::ConfusionMatrix::new();
    one.update(&to_tensor(&array![0.1_f32, 0.7])?, &to_tensor(&array![0, 0])?, None)?;
    let text = drawn("confusion_one", &ConfusionMatrix::of(&one))?;
    assert!(text.contains("true 0, predicted 1: 1 (50 %)") && text.contains("true 1, predicted 1: 0 (NaN %)"));
    let sixty = drawn("confusion_sixty", &ConfusionMatrix::of(&confusion(60, |class| format!("class {class}"))?))?;
    let svg = Document::parse(&sixty).unwrap();
    assert_eq!(tips(&svg).iter().filter(|tip| tip.starts_with("true class ")).count(), 3600);
    assert!(tips(&svg).contains(&"true class 59, predicted class 59: 59 (98.3 %)".to_owned()));
    drawn("confusion_long", &ConfusionMatrix::of(&confusion(12, |class| format!("{class} {LONG}"))?))?;
    Ok(())
}

fn thresholds(scores: &[f32], labels: &[usize]) -> Result<Thresholds> {
    Thresholds::of(&to_tensor(&Array1::from(scores.to_vec()))?, &to_tensor(&Array1::from(labels.to_vec()))?, None)
}

#[test]
fn a_roc_curve_goes_through_the_points_of_its_thresholds() -> Result<()> {
    let thresholds = thresholds(&[0.9, 0.8, 0.7, 0.55, 0.5, 0.3, 0.1], &[1, 1, 0, 1, 0, 1, 0])?;
    let text = drawn("roc", &RocCurve::of(&thresholds).title("Benign or malignant"))?;
    let svg = Document::parse(&text).unwrap();
    let (curve, scale, lines) = (thresholds.roc_curve(), Scale::of(&svg), curves(&svg));
    assert_eq!(lines[0].len(), curve.thresholds.len());
    for (at, &place) in lines[0].iter().enumerate() {
        let [x, y] = scale.back(place);
        let (false_rate, true_rate) = (curve.false_positive_rate[at], curve.true_positive_rate[at]);
        assert!(close(x, false_rate, 1e-3) && close(y, true_rate, 1e-3), "{x} {y}");
    }
    assert!(text.contains(&format!(">area {:.2}<", thresholds.roc_auc())), "{}", thresholds.roc_auc());
    assert!(text.contains("threshold 0.7: false positive rate 0.3333, true positive rate 0.5"));
    Ok(())
}

#[test]
fn a_precision_recall_curve_goes_in_steps() -> Result<()> {
    let thresholds = thresholds(&[0.9, 0.8, 0.7, 0.55, 0.5, 0.3, 0.1], &[1, 1, 0, 1, 0, 1, 0])?;
    let text = drawn("precision_recall", &PrecisionRecallCurve::of(&thresholds))?;
    let svg = Document::parse(&text).unwrap();
    let (curve, scale, lines) = (thresholds.precision_recall_curve(), Scale::of(&svg), curves(&svg));
    // Every second point is the corner of a step: the next recall at the last precision.
    assert_eq!(lines[0].len(), 2 * curve.recall.len() - 1);
    for (at, &place) in lines[0].iter().enumerate() {
        let [x, y] = scale.back(place);
        let (recall, precision) = (curve.recall[at.div_ceil(2)], curve.precision[at / 2]);
        assert!(close(x, recall, 1e-3) && close(y, precision, 1e-3), "{at}: {x} {y}");
    }
    Ok(())
}

#[test]
fn curves_of_one_class_alone_say_so_and_many_points_are_thinned() -> Result<()> {
    let (alone, both) = (thresholds(&[0.9, 0.2], &[0, 0])?, thresholds(&[0.9, 0.2], &[1, 0])?);
    let text = drawn("roc_one_class", &RocCurve::of(&alone))?;
    assert!(text.contains(">no curve: one class alone<"));
    assert!(drawn("precision_recall_one_class", &PrecisionRecallCurve::of(&alone))?.contains("no curve"));
    let several = RocCurve::new().curve("good", &both).curve(LONG, &both).curve("none", &alone);
    let text = drawn("roc_several", &several)?;
    assert!(text.contains("good (area 1)") && text.contains("none (no curve: one class alone)"));
    let scores: Vec<f32> = (0..20_000).map(|at| (at as f32 * 0.618_034).fract() + at as f32 / 40_000.0).collect();
    let labels: Vec<usize> = (0..20_000).map(|at| usize::from(at > 10_000)).collect();
    let text = drawn("roc_many", &RocCurve::of(&thresholds(&scores, &labels)?))?;
    assert!(text.len() < 200_000, "{} bytes", text.len());
    drawn("precision_recall_many", &PrecisionRecallCurve::of(&thresholds(&scores, &labels)?))?;
    Ok(())
}

#[test]
fn a_histogram_has_the_counts_of_its_bins() -> Result<()> {
    let values = [0.0, 0.1, 0.1, 0.6, 1.0, f64::NAN, f64::INFINITY];
    let text = drawn("histogram", &Histogram::new().values("a", values).bins(4))?;
    let tips = tips(&Document::parse(&text).unwrap());
    for tip in ["0 to 0.25: 3", "0.5 to 0.75: 1", "0.75 to 1: 1"] {
        assert!(tips.contains(&tip.to_owned()), "{tips:?}");
    }
    assert!(text.contains("7 values, mean 0.36, 2 not finite"));
    let odd = Histogram::new()
        .values("all alike", [3.0; 5])
        .values("far away", [1e300; 5])
        .values(LONG, [f64::NAN])
        .values("one", [0.0])
        .title(LONG);
    assert!(drawn("histogram_odd", &odd)?.contains("no value that can be shown"));
    Ok(())
}

#[test]
fn histograms_of_weights_and_activations_have_all_values() -> Result<()> {
    let (model, _, _) = run(metrics::Accuracy::new(), 2)?;
    let text = drawn("histogram_weights", &Histogram::weights(&model)?)?;
    let svg = Document::parse(&text).unwrap();
    for (name, param) in model.params() {
        assert!(texts(&svg).contains(&name), "{name}");
        assert!(text.contains(&format!("{} values", param.len())), "{name}");
    }
    let iris = datasets::iris();
    let text = drawn("histogram_activations", &Histogram::activations(&model, &iris.features)?)?;
    assert!(text.contains("0 Dense") && text.contains("1200 values") && text.contains("450 values"));
    // The last layer's values are the predictions.
    let predicted: Tensor = model.predict(&iris.features)?;
    let mean = values(&predicted)?.iter().map(|&value| f64::from(value)).sum::<f64>() / predicted.len() as f64;
    let told = text.split("450 values, mean ").nth(1).and_then(|rest| rest.split('<').next());
    let told: f64 = told.and_then(|told| told.parse().ok()).expect("the mean of the predictions");
    assert!(close(told, mean, 0.01 * mean.abs()), "{told} {mean}");
    Ok(())
}

#[test]
fn a_grid_has_its_images_captions_and_notes() -> Result<()> {
    let set = datasets::digits_images().rows(&(0..23).collect::<Vec<_>>())?;
    let grid = ImageGrid::labelled(&set).notes((0..23).map(|at| format!("9 {at} %"))).title("Mistakes");
    let text = drawn("grid", &grid)?;
    let svg = Document::parse(&text).unwrap();
    assert_eq!(all(&svg, "image").count(), 23);
    assert_eq!(texts(&svg).iter().filter(|text| text.starts_with("9 ")).count(), 23);
    let less = drawn("grid_most", &ImageGrid::labelled(&set).most(12).columns(5))?;
    assert!(less.contains("12 of 23 images shown"));
    let colours = Array4::from_shape_fn(
        (3, 4, 6, 3),
        |(image, _, column, channel)| {
            if image == channel { column as f32 / 5.0 } else { 0.0 }
        },
    );
    drawn("grid_colours", &ImageGrid::of(&colours).captions(["red", LONG, "blue"]))?;
    drawn("grid_range", &ImageGrid::of(&Array3::from_elem((1, 2, 2), -3.0_f64)).range(-5.0, 5.0))?;
    Ok(())
}

#[test]
fn regions_are_those_of_the_classifier_and_samples_lie_where_they_are() -> Result<()> {
    let x = array![[0.0_f32, 10.0], [1.0, 20.0], [2.0, 30.0]];
    let labels = array![0, 1, 1];
    // Class 1 right of 1.5.
    let rule = |x: &Array2<f32>| to_tensor(&x.map_axis(Axis(1), |row| f32::from(u8::from(row[0] > 1.5))));
    let regions = DecisionRegions::of(&x, &labels, rule)?.feature_names("width", LONG).class_names(["no", LONG]);
    let text = drawn("regions", &regions)?;
    let svg = Document::parse(&text).unwrap();
    let scale = Scale::of(&svg);
    let beads: Vec<_> = all(&svg, "circle").filter(|node| node.attribute("stroke").is_some()).collect();
    for (bead, row) in beads.iter().zip(x.rows()) {
        let [x, y] = scale.back([number(bead, "cx"), number(bead, "cy")]);
        assert!(close(x, row[0].into(), 0.01) && close(y, row[1].into(), 0.1), "{x} {y}");
    }
    assert_ne!(beads[0].attribute("fill"), beads[1].attribute("fill"));
    assert_eq!(beads[1].attribute("fill"), beads[2].attribute("fill"));
    let unclear = DecisionRegions::of(&x, &labels, |x| to_tensor(&Array2::from_elem((x.nrows(), 2), f32::NAN)))?;
    assert!(drawn("regions_nan", &unclear)?.contains("grey: the score is NaN"));
    let sixty = Array2::from_shape_fn((60, 2), |(row, side)| ((row * (7 + 4 * side)) % 60) as f64);
    let nearest = |x: &Array2<f64>| {
        let score = |(place, class)| -(&x.row(place) - &sixty.row(class)).mapv(|far| far * far).sum();
        to_tensor(&Array2::from_shape_fn((x.nrows(), 60), score))
    };
    drawn("regions_sixty", &DecisionRegions::of(&sixty, &(0..60).collect(), nearest)?)?;
    let one =
        DecisionRegions::of(&array![[1.0_f32, 1.0]], &array![0], |x| to_tensor(&Array1::<f32>::zeros(x.nrows())))?;
    drawn("regions_one_sample", &one)?;
    Ok(())
}

/// Two towers that share a layer, a residual block, and a merge.
fn branched() -> Graph {
    let mut graph = Graph::new();
    let (left, right) = (graph.input(), graph.input());
    let tower = graph.share(Dense::new(8).activation(Activation::Tanh));
    let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
    let sum = graph.merge(Add::new(), &[a, b]);
    graph.name(LONG);
    let deep = graph.add(Dense::new(8), sum);
    let block = graph.add(Residual::new(Sequential::new().add(Dense::new(8)).add(Dense::new(8))), deep);
    let score = graph.merge(Add::new(), &[block, a]);
    graph.outputs(&[score])
}

#[test]
fn a_diagram_has_a_box_for_each_layer_and_an_arrow_for_each_wire() -> Result<()> {
    let mut graph = branched();
    graph.initialize_all(&[vec![4], vec![4]], 0)?;
    let diagram = Architecture::of(&graph, &[vec![4], vec![4]])?;
    let text = drawn("architecture", &diagram)?;
    let svg = Document::parse(&text).unwrap();
    let mermaid = diagram.mermaid();
    // Two inputs, the tower twice, sum, dense, two layers of the block and its sum, and the last sum.
    assert_eq!(mermaid.matches(" --> ").count(), 2 + 2 + 1 + 2 + 2 + 2);
    assert_eq!(all(&svg, "polygon").count(), mermaid.matches(" --> ").count());
    assert_eq!(all(&svg, "rect").filter(|node| node.attribute("x").is_some()).count(), 10);
    assert!(mermaid.contains("    n0([\"Input<br/>(batch, 4)\"])\n") && !mermaid.contains('&'));
    assert!(texts(&svg).contains(&"72 parameters".to_owned()));
    assert_eq!(texts(&svg).iter().filter(|text| *text == "0 Dense, Tanh").count(), 2);
    // Arrows point down: every head is below the beginning of its line.
    let wires = all(&svg, "polyline").filter(|node| node.attribute("stroke-width") == Some("1.2"));
    assert!(wires.map(|node| points(&node)).all(|line| line[0][1] < line[line.len() - 1][1]));

    let mut tower = Sequential::new();
    for _ in 0..30 {
        tower.push(Box::new(Residual::new(Conv2d::new(4, 3).padding(layerwise::layers::Padding::Same))));
    }
    let deep = tower.add(Flatten::new()).add(Dense::new(10));
    drawn("architecture_deep", &Architecture::of(&deep, &[vec![8, 8, 4]])?.title(LONG))?;
    let one: &dyn Layer = &Dense::new(1);
    assert!(!drawn("architecture_one", &Architecture::of(one, &[])?)?.contains("batch"));
    Ok(())
}

#[test]
fn png_files_have_two_pixels_for_each_unit_and_the_colours_of_the_picture() -> Result<()> {
    let folder = Folder::new("plot-png");
    let curves = TrainingCurves::new().curve("loss", "training", [0.9, 0.5, f64::NAN, 0.3]).title("A run");
    let (svg, path) = (curves.svg()?, folder.file("curves.PNG"));
    curves.save(&path)?;
    let bytes = std::fs::read(&path).expect("it was saved");
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let size = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let svg = Document::parse(&svg).unwrap();
    let unit = |name| number::<u32>(&svg.root_element(), name);
    assert_eq!([size(16), size(20)], [2 * unit("width"), 2 * unit("height")]);

    // Of an image that is half black, a quarter red and a quarter white, the PNG has these shares, but for its rim.
    let mut image = Array4::<f32>::zeros((1, 60, 60, 3));
    image.slice_mut(s![0, ..30, ..30, ..]).fill(1.0);
    image.slice_mut(s![0, ..30, 30.., 0]).fill(1.0);
    let grid = ImageGrid::of(&image).side(100.0);
    std::fs::write(folder.file("grid.png"), grid.png()?).expect("it can be written");
    let pixels = decode(&grid.png()?);
    let share = |colour: [u8; 3]| pixels.iter().filter(|&&pixel| pixel == colour).count() as f64 / 40_000.0;
    assert!(close(share([0, 0, 0]), 0.5, 0.02), "{}", share([0, 0, 0]));
    assert!(close(share([255, 0, 0]), 0.25, 0.02), "{}", share([255, 0, 0]));
    Ok(())
}

/// The pixels of a PNG file of ours: one strip of rows without prediction, red, green and blue.
fn decode(png: &[u8]) -> Vec<[u8; 3]> {
    use std::io::Read;
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes")) as usize;
    let (width, length) = (size(16), size(33));
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(&png[41..41 + length]).read_to_end(&mut rows).expect("deflated rows");
    rows.chunks(1 + 3 * width).flat_map(|row| row[1..].chunks(3)).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

/// NaN from the second epoch on.
struct Fading(usize);

impl Metric for Fading {
    fn name(&self) -> &str {
        "<fading>"
    }

    fn update(&mut self, _: &Tensor, _: &Tensor, _: Option<&[f32]>) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn result(&self) -> f64 {
        if self.0 <= 5 { 0.5 } else { f64::NAN }
    }

    fn reset(&mut self) {}

    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    fn merge(&mut self, _: &[f64]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_report_holds_the_run_and_asks_for_nothing() -> Result<()> {
    let folder = Folder::new("plot-report");
    let (model, history, matrix) = run(Fading(0), 4)?;
    assert!(history.get("<fading>").is_some_and(|values| values.iter().any(|value| value.is_nan())));
    let report = Report::new("Iris <script>alert(1)</script> & more")
        .text(LONG)
        .history(&history)?
        .confusion_matrix(&matrix)?
        .picture("Digits", &ImageGrid::labelled(&datasets::digits_images().rows(&[0, 1])?))?
        .summary(&model.summary(&[4])?);
    report.save(folder.file("report.html"))?;
    let html = std::fs::read_to_string(folder.file("report.html")).expect("it was saved");
    assert_eq!(html, report.html());
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    // No address but that of the name space, which is none.
    assert_eq!(html.matches("http").count() - html.matches("http-equiv").count(), html.matches("<svg ").count());
    for part in ["<td>NaN</td>", "&lt;fading&gt;", "67 parameters", "setosa", "precision", "<image "] {
        assert!(html.contains(part), "{part}");
    }
    for epoch in history.epochs() {
        assert!(html.contains(&format!("<tr><td>{}</td>", epoch.number)));
    }
    // What stands between the doctype and the end is well-formed but for elements without an end.
    let begin = html.find("<svg ").expect("a picture");
    let end = html[begin..].find("</svg>").expect("its end") + begin + 6;
    Document::parse(&html[begin..end]).expect("SVG");
    Ok(())
}

#[test]
fn reports_of_no_epoch_and_of_one_are_whole() -> Result<()> {
    let folder = Folder::new("plot-report-short");
    let none = Report::new("Nothing yet").history(&History::default())?;
    none.save(folder.file("none.html"))?;
    assert!(none.html().contains("No epoch was run.") && !none.html().contains("<table>"));
    let (_, history, _) = run(metrics::Accuracy::new(), 1)?;
    let one = Report::new("One").history(&history)?;
    one.save(folder.file("one.htm"))?;
    assert_eq!(one.html().matches("<tr><td>").count(), 1);
    Report::new("").save(folder.file("empty.html"))
}

#[test]
fn what_cannot_be_drawn_is_an_error_that_says_why() -> Result<()> {
    let (two, labels) = (array![[0.0_f32, 1.0]], array![0]);
    let zeros = |x: &Array2<f32>| to_tensor(&Array2::<f32>::zeros((x.nrows(), 2)));
    let regions = |x: &Array2<f32>, labels: &Array1<usize>| DecisionRegions::of(x, labels, zeros).map(drop);
    let image = Array4::<f32>::zeros((2, 3, 3, 1));
    let of = |picture: &dyn Fn() -> Result<String>| picture().map(drop);
    let curves = TrainingCurves::new().curve("loss", "training", [1.0]);
    let mut nan = image.clone();
    nan[[1, 2, 0, 0]] = f32::NAN;
    let cases: Vec<(Result<()>, &str)> = vec![
        (of(&|| TrainingCurves::new().svg()), "the history of the curves is empty"),
        (of(&|| TrainingCurves::of(&History::default()).svg()), "the history of the curves is empty"),
        (of(&|| TrainingCurves::new().curve("a", "b", []).svg()), "the history of the curves is empty"),
        (of(&|| curves.clone().columns(0).svg()), "columns of TrainingCurves must be at least 1, got 0"),
        (curves.save("curves.jpg"), "path of a picture must be a file ending in .svg or .png, got curves.jpg"),
        (curves.save("curves"), "path of a picture must be a file ending in .svg or .png, got curves"),
        (Report::new("a").save("a.pdf"), "path of a report must be a file ending in .html, got a.pdf"),
        (of(&|| ConfusionMatrix::of(&metrics::ConfusionMatrix::new()).svg()), "the confusion matrix is empty"),
        (of(&|| RocCurve::new().svg()), "the ROC curve is empty"),
        (of(&|| PrecisionRecallCurve::new().svg()), "the precision-recall curve is empty"),
        (of(&|| Histogram::new().svg()), "the histogram is empty"),
        (of(&|| Histogram::new().values("a", []).svg()), "the set of values \"a\" of a histogram is empty"),
        (of(&|| Histogram::new().values("a", [1.0]).bins(0).svg()), "bins of Histogram must be from 1 to 1000, got 0"),
        (
            of(&|| Histogram::new().values("a", [1.0]).columns(0).svg()),
            "columns of Histogram must be at least 1, got 0",
        ),
        (Histogram::weights::<f32>(&Dense::new(2)).and_then(|all| all.svg()).map(drop), "the histogram is empty"),
        (
            of(&|| Histogram::new().values("a", [f64::MIN, f64::MAX]).svg()),
            "spread of histogram \"a\" must be finite, got values from -1.7976931348623157e308 to 1.7976931348623157e308",
        ),
        (
            of(&|| ImageGrid::of(&Array2::<f32>::zeros((2, 2))).svg()),
            "images of ImageGrid: expected (images, height, width) or (images, height, width, channels) with 1 or 3 \
             channels, got shape [2, 2]",
        ),
        (of(&|| ImageGrid::of(&image.slice(s![..0, .., .., ..])).svg()), "the grid of images is empty"),
        (
            of(&|| ImageGrid::of(&image).captions(["a"]).svg()),
            "captions of ImageGrid, one for each image: expected length 2, got 1",
        ),
        (of(&|| ImageGrid::of(&image).side(f64::NAN).svg()), "side of ImageGrid must be from 1 to 10000, got NaN"),
        (of(&|| ImageGrid::of(&image).most(0).svg()), "most of ImageGrid must be at least 1, got 0"),
        (
            of(&|| ImageGrid::of(&image).range(1.0, 1.0).svg()),
            "range of ImageGrid must be from a number to a larger one, got 1 to 1",
        ),
        (
            of(&|| ImageGrid::of(&nan).svg()),
            "value of an image of ImageGrid at [1, 2, 0, 0]: expected a number, got NaN",
        ),
        (
            of(&|| ImageGrid::of(&image).side(9000.0).png().map(|_| String::new())),
            "size of a picture in PNG must be at most 12500000 units², got 18036 by 9024",
        ),
        (regions(&array![[0.0_f32]], &labels), "samples of DecisionRegions: expected (samples, 2), got shape [1, 1]"),
        (regions(&two, &array![0, 1]), "labels of DecisionRegions against its samples: expected length 1, got 2"),
        (regions(&Array2::zeros((0, 2)), &array![]), "the set of samples of DecisionRegions is empty"),
        (
            regions(&array![[0.0_f32, f32::INFINITY]], &labels),
            "feature of DecisionRegions at [0, 1]: expected a finite number, got inf",
        ),
        (
            regions(&two, &array![2]),
            "class label of DecisionRegions at [0]: expected below 2, the number of classes of the scores, got 2",
        ),
        (
            DecisionRegions::of(&two, &labels, |_| to_tensor(&array![1.0_f32])).map(drop),
            "scores of DecisionRegions: expected (33280, classes), or one score for each of them, got shape [1]",
        ),
        (
            DecisionRegions::of(&two, &labels, zeros)?.class_names(["a"]).svg().map(drop),
            "class names of DecisionRegions, one for each class: expected length 2, got 1",
        ),
        (
            Architecture::of::<f32>(&Dense::new(2), &[vec![]]).map(drop),
            "input of one sample: expected a last axis of features, got shape []",
        ),
    ];
    for (number, (result, message)) in cases.into_iter().enumerate() {
        let told = result.expect_err(message).to_string();
        assert_eq!(told, message, "case {number}");
    }
    let missing = std::env::temp_dir().join("layerwise-no-such-folder").join("a.svg");
    assert!(matches!(curves.save(&missing), Err(Error::Io { path, .. }) if path == missing));
    Ok(())
}
