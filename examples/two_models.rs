//! Gradients that cross from one network into another: a small GAN, and what an input pixel means to a classifier.
//!
//! ```text
//! cargo run --release --example two_models
//! ```

use layerwise::data::{StandardScaler, datasets};
use layerwise::losses::Through;
use layerwise::prelude::*;
use ndarray::{Array, Array2, ArrayView1, ArrayView2, Axis, concatenate};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const NOISE: usize = 4;
const STEPS: usize = 3000;

fn silent(loss: impl Loss + 'static, rule: impl Optimizer + 'static) -> Trainer {
    Trainer::new(loss, rule).progress(Progress::Silent)
}

/// Mean and deviation of each column, in one line.
fn describe(name: &str, rows: ArrayView2<'_, f32>) {
    let line = |values: ArrayView1<'_, f32>| values.iter().map(|v| format!("{v:>6.2}")).collect::<Vec<_>>().join(" ");
    let (Some(mean), deviation) = (rows.mean_axis(Axis(0)), rows.std_axis(Axis(0), 0.0)) else { return };
    println!("{name:<9}  mean {}   deviation {}", line(mean.view()), line(deviation.view()));
}

/// A generator learns to draw flowers that a discriminator cannot tell from those of the Iris set (Goodfellow et al.
/// 2014). The generator's loss goes through the discriminator, which is only borrowed and so cannot change.
fn gan() -> Result<()> {
    let iris = datasets::iris();
    let mut scaler = StandardScaler::new();
    let real = scaler.fit_transform(&iris.features)?;
    let flowers = real.nrows();
    let leaky = Activation::LeakyRelu(0.2);
    let mut generator = Sequential::new().add(Dense::new(32).activation(leaky)).add(Dense::new(4));
    let mut discriminator =
        Sequential::new().add(Dense::new(32).activation(leaky)).add(Dropout::new(0.2)).add(Dense::new(1));
    generator.initialize(&[NOISE], 1)?;
    discriminator.initialize(&[4], 2)?;

    let rule = || Adam::new(1e-3).betas(0.5, 0.999);
    let mut of_discriminator = silent(BinaryCrossEntropy::new(), rule());
    let mut of_generator = silent(BinaryCrossEntropy::new(), rule());
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (ones, zeros) = (Array2::<f32>::ones((flowers, 1)), Array2::<f32>::zeros((flowers, 1)));
    let labels = concatenate![Axis(0), ones, zeros];
    let (mut loss_d, mut loss_g) = (0.0, 0.0);
    for _ in 0..STEPS {
        let noise: Array2<f32> = Array::random_using((flowers, NOISE), StandardNormal, &mut rng);
        let fake = generator.predict(&noise)?;
        let both = concatenate![Axis(0), real.view().into_dyn(), fake.view()];
        loss_d = of_discriminator.step(&mut discriminator, &Dataset::new(&both, &labels)?)?;

        let fooled = BinaryCrossEntropy::new();
        let through = Through::new(&discriminator, &fooled);
        loss_g = of_generator.step_with(&mut generator, &Dataset::new(&noise, &ones)?, &through)?;
    }
    println!("A GAN on Iris after {STEPS} steps: discriminator {loss_d:.3}, generator {loss_g:.3}");
    println!("(neither side knows better where both are about ln 2 = 0.693)\n");
    let noise: Array2<f32> = Array::random_using((1000, NOISE), StandardNormal, &mut rng);
    let drawn = generator.predict(&noise)?.into_owned();
    let drawn = drawn.into_dimensionality().map_err(|error| Error::custom(error.to_string()))?;
    describe("real", iris.features.view());
    describe("generated", scaler.inverse_transform(&drawn)?.view());
    Ok(())
}

/// Which pixels of a digit speak for the class that a network sees in it: the gradient of that class's logit with
/// respect to the image (Simonyan et al. 2014).
fn saliency() -> Result<()> {
    let digits = datasets::digits();
    let x = &digits.features / 16.0;
    let mut model = Sequential::new().add(Dense::new(64).activation(Activation::Relu)).add(Dense::new(10));
    let mut trainer = silent(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).metric(Accuracy::new()).epochs(20);
    let history = trainer.fit(&mut model, (&x, &digits.labels))?;
    let accuracy = history.last().and_then(|epoch| epoch.get("accuracy")).unwrap_or(f64::NAN);
    println!("\nA classifier of 8x8 digits with training accuracy {accuracy:.3} looks at this digit:\n");

    let sample = 3;
    let image = x.slice_axis(Axis(0), (sample..sample + 1).into());
    let class = digits.labels[sample];
    let (_, gradient) = model.input_gradient(&layerwise::to_tensor(&image)?, |logits| {
        let mut one = Tensor::zeros(logits.raw_dim());
        one[[0, class]] = 1.0;
        one
    })?;
    let strongest = gradient.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    println!("{:<18}gradient of the logit of class {class}: + speaks for it, - against", "image");
    for row in 0..8 {
        let shade =
            |column: usize| [" .", " o", " #"].get((3.0 * image[[0, row * 8 + column]]) as usize).unwrap_or(&" #");
        let sign = |column: usize| match gradient[[0, row * 8 + column]] / strongest {
            share if share > 0.25 => " +",
            share if share < -0.25 => " -",
            _ => " .",
        };
        let pixels: String = (0..8).map(shade).copied().collect();
        println!("{pixels}  {}", (0..8).map(sign).collect::<String>());
    }
    Ok(())
}

fn main() -> Result<()> {
    gan()?;
    saliency()
}
