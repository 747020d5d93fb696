//! Weights from other files: PyTorch's models predict the same here; names, parts and reports.

#[path = "common/cases.rs"]
mod common;

use std::path::{Path, PathBuf};

use common::{cases, compare, counts, tensor};
use layerwise::io::{
    LoadReport, LoadWeights, TensorFile, Tensors, TorchLayout, TorchNames, load_weights, save_weights,
};
use layerwise::layers::{
    ChannelsFirst, ConvTranspose1d, ConvTranspose2d, DepthwiseConv1d, DepthwiseConv2d, InstanceNormalization, Padding,
};
use layerwise::prelude::*;
use serde_json::Value;

const FILE: &str = include_str!("reference/safetensors_torch.json");

/// A file of PyTorch's.
fn torch_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/reference/safetensors/{name}.safetensors"))
}

fn case(name: &str) -> Value {
    cases(FILE).into_iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case {name}"))
}

/// Builds the model for the case's input, loads the file as `load` says, and compares what it predicts.
#[track_caller]
fn check<A: Scalar>(
    name: &str,
    mut model: impl Layer<A>,
    load: impl FnOnce(LoadWeights) -> LoadWeights,
) -> Result<LoadReport> {
    let case = case(name);
    let x: Tensor<A> = tensor(&case["input"]);
    model.initialize(&x.shape()[1..], 1)?;
    let before = model.predict_all(std::slice::from_ref(&x))?;
    let report = load(LoadWeights::new(torch_file(name))?.pytorch()).into_model(&mut model)?;
    let after = model.predict_all(std::slice::from_ref(&x))?;
    assert_ne!(before, after, "{name}: loading changes nothing");
    compare(name, &after[0], &case["output"], 1e-5);
    Ok(report)
}

fn as_it_is(load: LoadWeights) -> LoadWeights {
    load
}

fn mlp<A: Scalar>() -> Sequential<A> {
    Sequential::of()
        .add(Dense::of(6).activation(Activation::Relu))
        .add(Dense::of(6).activation(Activation::Tanh))
        .add(Dense::of(6).activation(Activation::Relu))
        .add(Dense::of(3))
}

fn cnn<A: Scalar>() -> Sequential<A> {
    Sequential::of()
        .add(Conv2d::of(6, 3).without_bias())
        .add(BatchNormalization::of().epsilon(1e-5))
        .add(Activation::Relu)
        .add(MaxPool2d::new(2))
        .add(Conv2d::of(8, 3))
        .add(BatchNormalization::of().epsilon(1e-5))
        .add(Activation::Relu)
}

fn head<A: Scalar>(body: Sequential<A>) -> Sequential<A> {
    body.add(Flatten).add(Dense::of(10).activation(Activation::Relu)).add(Dense::of(4))
}

#[test]
fn a_perceptron_predicts_the_same() -> Result<()> {
    assert_eq!(counts(&cases(FILE))["model"], 8);
    let report = check::<f32>("mlp", mlp(), as_it_is)?;
    // PyTorch counts the activations as modules; of four layers two have the same shape.
    let text = "8 parameters loaded\n  0.weight from 0.weight\n  0.bias from 0.bias\n  1.weight from 2.weight\n  1.bias \
                from 2.bias\n  2.weight from 4.weight\n  2.bias from 4.bias\n  3.weight from 6.weight\n  3.bias from \
                6.bias";
    assert_eq!(report.to_string(), text);
    check::<f64>("mlp", mlp(), as_it_is)?;
    Ok(())
}

#[test]
fn a_convolutional_network_with_batch_normalisation_predicts_the_same() -> Result<()> {
    let report = check::<f32>("cnn", head(cnn()), |load| load.channels_first("fc1.weight", [8, 2, 3]))?;
    assert_eq!((report.loaded.len(), report.missing.len(), report.unexpected.len()), (15, 0, 0));
    check::<f64>("cnn", head(cnn()), |load| load.channels_first("fc1.weight", [8, 2, 3]))?;
    // Channels first in front of the flattening: PyTorch's order, and the weight as it is.
    check::<f32>("cnn", head(cnn().add(ChannelsFirst::new())), as_it_is)?;
    Ok(())
}

#[test]
fn groups_transposed_convolutions_and_sequences_predict_the_same() -> Result<()> {
    let grouped = Sequential::new()
        .add(Conv2d::new(6, (3, 2)).groups(2).stride((1, 2)).activation(Activation::Relu))
        .add(DepthwiseConv2d::new(3).multiplier(2).padding(Padding::Same).activation(Activation::Tanh))
        .add(ConvTranspose2d::new(4, 3).stride(2).groups(2));
    check("grouped", grouped, as_it_is)?;
    let sequence = Sequential::new()
        .add(Conv1d::new(6, 3).dilation(2))
        .add(GroupNormalization::new(2).epsilon(1e-5))
        .add(Activation::Relu)
        .add(DepthwiseConv1d::new(3).padding(Padding::Same))
        .add(InstanceNormalization::new().epsilon(1e-5))
        .add(BatchNormalization::new().epsilon(1e-5))
        .add(ConvTranspose1d::new(2, 4).stride(3).without_bias());
    check("sequence", sequence, as_it_is)?;
    let layer_norm = Sequential::new()
        .add(Dense::new(8))
        .add(LayerNormalization::new().epsilon(1e-5))
        .add(Activation::Gelu)
        .add(Dense::new(2));
    check("layer_norm", layer_norm, as_it_is)?;
    Ok(())
}

#[test]
fn a_recurrent_network_predicts_the_same_with_its_biases_added_up() -> Result<()> {
    let model = Sequential::new()
        .add(Embedding::new(11, 5))
        .add(SimpleRnn::new(7).return_sequences())
        .add(SimpleRnn::new(7))
        .add(Dense::new(2));
    let report = check("recurrent", model, as_it_is)?;
    let bias = report.loaded.iter().find(|(name, _)| name == "2.bias").unwrap();
    assert_eq!(bias.1, ["rnn.bias_ih_l1", "rnn.bias_hh_l1"]);
    Ok(())
}

#[test]
fn one_layer_used_twice_is_one_module_used_twice() -> Result<()> {
    let mut graph = Graph::new();
    let x = graph.input();
    let shared = graph.share(Dense::new(5).without_bias());
    let first = graph.apply(shared, x);
    let between = graph.add(Activation::Tanh, first);
    let second = graph.apply(shared, between);
    check("tied", graph.outputs(&[second]), as_it_is)?;
    Ok(())
}

#[test]
fn modules_that_nothing_tells_apart_are_not_guessed() -> Result<()> {
    let model = || Sequential::new().add(Dense::new(5).activation(Activation::Tanh)).add(Dense::new(5));
    let refused = check("named", model(), as_it_is).unwrap_err().to_string();
    let expected = "no numbers tell which of the modules \"decoder\", \"encoder\" is which of the layers \"0\", \"1\": \
                    rename them";
    assert!(refused.contains(expected), "{refused}");
    check("named", model(), |load| load.rename("encoder", "0").rename("decoder", "1"))?;
    check("named", model(), |load| load.map(|name| Some(name.replace("encoder", "0").replace("decoder", "1"))))?;
    Ok(())
}

/// What is said of the perceptron's file for another model.
fn refusal(mut model: impl Layer, load: impl FnOnce(LoadWeights) -> LoadWeights) -> Result<String> {
    model.initialize(&[4], 1)?;
    let before: Vec<_> = model.params().iter().map(|(_, param)| param.get().cloned()).collect::<Result<_>>()?;
    let error = load(LoadWeights::new(torch_file("mlp"))?).into_model(&mut model).unwrap_err().to_string();
    for ((name, param), before) in model.params().iter().zip(before) {
        assert_eq!(param.get()?, &before, "{name} has changed");
    }
    Ok(error.replace(&torch_file("mlp").display().to_string(), "FILE"))
}

#[test]
fn what_does_not_fit_is_listed_and_changes_nothing() -> Result<()> {
    let small = || Sequential::new().add(Dense::new(6)).add(Dense::new(2));
    let says = "FILE: it does not fit the model: ";
    // PyTorch's layout without being told.
    let square = Sequential::new().add(Dense::new(6));
    let by_name = refusal(square, as_it_is)?;
    assert_eq!(
        by_name,
        format!(
            "{says}0.weight: expected shape [4, 6], got [6, 4]; unexpected: 2.bias [6]; unexpected: 2.weight [6, 6]; \
             unexpected: 4.bias [6]; unexpected: 4.weight [6, 6]; unexpected: 6.bias [3]; unexpected: 6.weight [3, 6]"
        )
    );
    let by_order = refusal(small(), |load| load.pytorch())?;
    assert_eq!(
        by_order,
        format!(
            "{says}missing: 1.weight [6, 2]; missing: 1.bias [2]; unexpected: 2.bias [6]; unexpected: 2.weight [6, 6]; \
             unexpected: 4.bias [6]; unexpected: 4.weight [6, 6]; unexpected: 6.bias [3]; unexpected: 6.weight [3, 6]"
        )
    );
    let renamed = refusal(small(), |load| load.pytorch().partial().rename("6", "1"))?;
    assert_eq!(
        renamed,
        format!(
            "{says}1.weight: expected shape [2, 6] for ours of [6, 2], got [3, 6] of 6.weight; 1.bias: expected shape \
             [2], got [3] of 6.bias"
        )
    );
    let uneven = Sequential::new().add(Dense::new(6)).add(Dense::new(6)).add(Dense::new(3));
    let uneven = refusal(uneven, |load| load.pytorch().partial())?;
    assert_eq!(uneven, format!("{says}the layers \"1\" have the shapes of the modules \"2\", \"4\": rename them"));
    let image = refusal(mlp(), |load| load.pytorch().channels_first("0.weight", [2, 2, 2]))?;
    assert_eq!(
        image,
        format!("{says}0.weight: an image of channels, height and width [2, 2, 2] has no weight of shape [4, 6]")
    );
    let none = refusal(small(), |load| load.partial().map(|name| Some(format!("other.{name}"))))?;
    assert_eq!(none, format!("{says}none of its names is one of the model's"));
    for (wrong, expected) in [
        (refusal(small(), |load| load.rename("fc", "0"))?, "rename must be a tensor or module of FILE, got \"fc\""),
        (
            refusal(small(), |load| load.pytorch().channels_first("fc.weight", [1, 2, 2]))?,
            "channels_first must be a tensor of FILE, got \"fc.weight\"",
        ),
        (
            refusal(small(), |load| load.rename("0", "a").rename("2", "a"))?,
            "a name for the model must be that of one tensor of the file, got \"a.bias\" for \"0.bias\" and \"2.bias\"",
        ),
    ] {
        assert_eq!(wrong, expected);
    }
    Ok(())
}

/// y = s x with one s, which may be another's.
struct Scale(Param);

impl Layer for Scale {
    fn kind(&self) -> &str {
        "Scale"
    }

    fn build(&mut self, input: &[usize], init: &mut Init) -> Result<Vec<usize>> {
        init.param(&mut self.0, &[1], &Initializer::Constant(2.0))?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        Ok((x * self.0.values()?[0]).into_shared())
    }

    fn backward(&self, _: &Tensor, _: &Tensor, _: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("scale", "gain", TorchLayout::Same);
        names.unused("history");
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param>) {
        visitor.param("scale", &self.0);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param>) {
        visitor.param("scale", &mut self.0);
    }
}

#[test]
fn a_layer_of_ones_own_tells_its_names() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gains.safetensors");
    let mut tensors = Tensors::new();
    for (name, value) in [("block.10.gain", 7.0), ("block.9.gain", 3.0), ("block.9.history", 0.0)] {
        tensors.add::<f32>(name, &[1], vec![value])?;
    }
    tensors.write(&path)?;
    let mut model = Sequential::new().add(Scale(Param::new())).add(Activation::Relu).add(Scale(Param::new()));
    model.initialize(&[1], 0)?;
    let report = LoadWeights::new(&path)?.pytorch().into_model(&mut model)?;
    let loaded = "2 parameters loaded\n  0.scale from block.9.gain\n  2.scale from block.10.gain";
    assert_eq!(report.to_string(), loaded);
    assert_eq!(model.predict(&ndarray::array![[1.0_f32]])?[[0, 0]], 21.0);
    Ok(())
}

#[test]
fn a_body_from_pytorch_gets_another_head() -> Result<()> {
    let mut model = cnn::<f32>().add(Flatten).add(Dense::new(10).activation(Activation::Relu)).add(Dense::new(7));
    model.initialize(&[10, 12, 2], 1)?;
    let load = LoadWeights::new(torch_file("cnn"))?.pytorch().partial().channels_first("fc1.weight", [8, 2, 3]);
    let report = load.into_model(&mut model)?;
    assert_eq!(report.missing, ["9.weight", "9.bias"]);
    assert_eq!(report.unexpected, ["fc2.bias", "fc2.weight"]);
    assert_eq!(report.loaded.len(), 13);
    Ok(())
}

#[test]
fn tied_weights_stay_tied_and_may_stand_under_one_name() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scales.safetensors");
    let first = Scale(Param::new());
    let second = Scale(first.0.tied());
    let mut model = Sequential::new().add(first).add(second);
    model.initialize(&[1], 0)?;
    let write = |names: &[(&str, f32)]| {
        let mut tensors = Tensors::new();
        names.iter().try_for_each(|(name, value)| tensors.add::<f32>(*name, &[1], vec![*value]))?;
        tensors.write(&path)
    };
    let prediction = |model: &Sequential| Ok::<_, Error>(model.predict(&ndarray::array![[1.0_f32]])?[[0, 0]]);

    write(&[("0.scale", 3.0), ("1.scale", 3.0)])?;
    load_weights(&mut model, &path)?;
    assert_eq!(prediction(&model)?, 9.0);
    write(&[("1.scale", 5.0)])?;
    load_weights(&mut model, &path)?;
    assert_eq!(prediction(&model)?, 25.0);
    write(&[("0.scale", 1.0), ("1.scale", 2.0)])?;
    let error = load_weights(&mut model, &path).unwrap_err().to_string();
    assert_eq!(error, format!("{}: 0.scale and 1.scale are tied, but their values differ", path.display()));
    assert_eq!(prediction(&model)?, 25.0);
    Ok(())
}

#[test]
fn a_part_of_a_model_fills_a_part_of_another() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.safetensors");
    let encoder = || Sequential::new().add(Dense::new(3)).add(Dense::new(2));
    let mut whole = Sequential::new().add(encoder()).add(Dense::new(4));
    whole.initialize(&[5], 1)?;
    save_weights(&whole, &path)?;

    let mut part = encoder();
    part.initialize(&[5], 2)?;
    LoadWeights::new(&path)?.prefix("0.").into_model(&mut part)?;
    for (name, param) in part.params() {
        assert_eq!(param.get()?, &TensorFile::open(&path)?.get::<f32>(&format!("0.{name}"))?, "{name}");
    }

    let mut other = Sequential::new().add(encoder()).add(Dense::new(7)).add(Dense::new(4));
    other.initialize(&[5], 3)?;
    let load = LoadWeights::new(&path)?.partial().map(|name| name.starts_with("0.").then(|| name.to_owned()));
    let report = load.into_model(&mut other)?;
    assert_eq!(report.missing, ["1.weight", "1.bias", "2.weight", "2.bias"]);
    assert_eq!(report.unexpected, [""; 0]);

    // The longest name that fits counts.
    let mut first = Sequential::new().add(Dense::new(3));
    first.initialize(&[5], 4)?;
    let load = LoadWeights::new(&path)?.partial().rename("0", "elsewhere").rename("0.0", "0");
    let report = load.into_model(&mut first)?;
    let loaded = "2 parameters loaded\n  0.weight from 0.0.weight\n  0.bias from 0.0.bias";
    assert_eq!(report.to_string(), format!("{loaded}\nunexpected: 0.1.bias, 0.1.weight, 1.bias, 1.weight"));
    Ok(())
}
