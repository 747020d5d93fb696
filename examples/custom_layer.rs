//! A layer, a loss and an optimizer of one's own, in plain ndarray code, beside the library's.
//!
//! ```text
//! cargo run --release --example custom_layer
//! ```

use layerwise::data::{StandardScaler, datasets};
use layerwise::losses::Samples;
use layerwise::optimizers::Step;
use layerwise::prelude::*;
use layerwise::schedules::{Constant, Schedule};
use layerwise::{GradCheck, gradcheck, gradcheck_loss, to_tensor, visit_params};
use ndarray::{Array1, Axis, array};

/// y = a * tanh(x / a) with a learned a for each feature: a soft clip.
struct SoftClip<A: Scalar> {
    scale: Param<A>,
}

impl<A: Scalar> Layer<A> for SoftClip<A> {
    fn kind(&self) -> &str {
        "SoftClip"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let features = *input.last().ok_or_else(|| Error::shape("input of one sample", "features", input))?;
        init.param(&mut self.scale, &[features], &Initializer::Constant(2.0))?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        let a = self.scale.get()?;
        Ok(((x / a).mapv(A::tanh) * a).into_shared())
    }

    /// With t = tanh(x / a): dy/dx = 1 - t², dy/da = t - (1 - t²) x / a.
    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        _: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let a = self.scale.get()?;
        let ratio = x / a;
        let t = ratio.mapv(A::tanh);
        let slope = t.mapv(|t| A::one() - t * t);
        if let Some(grad) = ctx.grad(&self.scale) {
            let da = (dy * &(t - &slope * &ratio)).sum_axis(Axis(0));
            grad.add_tensor(&da.into_shared())?;
        }
        Ok(Some((dy * &slope).into_shared()))
    }

    visit_params!(A; scale);
}

/// The mean over all elements of log(cosh(output - target)): squares near 0, absolute values far out.
struct LogCosh;

impl<A: Scalar> Loss<A> for LogCosh {
    fn kind(&self) -> &str {
        "LogCosh"
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, _: Option<&[A]>) -> Result<A> {
        if output != target.shape() {
            return Err(Error::shape("target", format!("shape {output:?} of the output"), target.shape()));
        }
        Ok(A::of(target.len() as f64))
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        _: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        let difference = output - target;
        // log cosh d = |d| + log(1 + exp(-2 |d|)) - log 2, which does not overflow.
        let value = difference.mapv(|d| d.abs() + (A::of(-2.0) * d.abs()).exp().ln_1p() - A::of(2f64.ln())).sum();
        let gradient = want_gradient.then(|| difference.mapv(|d| d.tanh() * samples.scale).into_shared());
        Ok((value * samples.scale, gradient))
    }
}

/// Lion (Chen et al. 2023): the sign of a momentum.
struct Lion {
    rate: Constant,
}

impl<A: Scalar> Optimizer<A> for Lion {
    fn kind(&self) -> &str {
        "Lion"
    }

    fn slots(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn schedule(&self) -> &dyn Schedule {
        &self.rate
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [beta1, beta2, rate] = [0.9, 0.99, step.rate].map(A::of);
        for ((w, &g), m) in w.iter_mut().zip(g).zip(slots[0].iter_mut()) {
            *w -= rate * (beta1 * *m + (A::one() - beta1) * g).signum();
            *m = beta2 * *m + (A::one() - beta2) * g;
        }
    }
}

/// Holds both gradients against finite differences in `f64`, as a test would.
fn check() -> Result<()> {
    let x = to_tensor(&array![[0.3, -1.2, 4.0], [-2.5, 0.1, 0.9]])?;
    let mut layer = SoftClip::<f64> { scale: Param::new() };
    layer.initialize(&[3], 0)?;
    let report = gradcheck(&mut layer, std::slice::from_ref(&x), &GradCheck::default())?;
    println!("SoftClip: {} gradients agree, the worst to {:.1e} ({})", report.compared, report.worst, report.place);
    let target = to_tensor(&array![[0.0, 1.0, -1.0], [2.0, 0.5, 0.2]])?;
    let report = gradcheck_loss(&LogCosh, &x, &target, None, &GradCheck::default())?;
    println!("LogCosh: {} gradients agree, the worst to {:.1e}", report.compared, report.worst);
    Ok(())
}

fn main() -> Result<()> {
    check()?;

    // The alcohol of a wine from its other twelve measurements.
    let wine = datasets::wine();
    let all = StandardScaler::new().fit_transform(&wine.features)?;
    let alcohol: Array1<f32> = all.column(0).to_owned();
    let others = all.slice_axis(Axis(1), (1..).into());
    let mut model = Sequential::new()
        .add(Dense::new(32).activation(Activation::Relu))
        .add(SoftClip { scale: Param::new() })
        .add(Dense::new(1));
    let mut trainer = Trainer::new(LogCosh, Lion { rate: Constant::new(1e-3) })
        .validation_split(ValidationSplit::Shuffled(0.2))
        .epochs(60)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut model, (&others, &alcohol.insert_axis(Axis(1))))?;
    println!("\n{}\n", model.summary(&[12])?);
    for epoch in history.epochs().iter().skip(9).step_by(10) {
        println!("epoch {:>2}  {epoch}", epoch.number);
    }
    Ok(())
}
