use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::with_context;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values};
use crate::train::trainer::Trainer;

/// What counts as the error of one sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SampleError {
    /// Of a classifier: 1 where its class is not the target's, 0 where it is. Its outputs, as the loss understands them,
    /// are `(batch, classes)`, of which the largest counts; or `(batch)` or `(batch, 1)` with class 1 above 0.5. An
    /// output that is NaN is a mistake.
    #[default]
    Mistake,
    /// The loss of the sample, without weights: the mean of its terms.
    Loss,
}

impl SampleError {
    /// The errors of samples, for networks with one input and one output.
    ///
    /// # Errors
    /// Where the samples do not fit the network or the loss.
    pub(super) fn of<A: Scalar>(
        self,
        trainer: &Trainer<A>,
        model: &dyn Layer<A>,
        data: &Dataset<A>,
    ) -> Result<Vec<f64>> {
        let [x] = data.inputs() else { return Err(Error::length("inputs of feedback", 1, data.inputs().len())) };
        let [y] = data.targets() else { return Err(Error::length("targets of feedback", 1, data.targets().len())) };
        let (outputs, loss) = (trainer.predict_shared(model, x)?, &trainer.losses[0].0);
        match self {
            SampleError::Mistake => mistakes(&with_context(|ctx| loss.prediction(&outputs, ctx))?, data),
            SampleError::Loss => {
                let terms = loss.unreduced(&outputs, y, None)?;
                let each = (terms.len() / data.len()).max(1);
                let terms = values(&terms)?.chunks_exact(each);
                Ok(terms.map(|terms| terms.iter().map(|term| term.as_f64()).sum::<f64>() / each as f64).collect())
            }
        }
    }
}

fn mistakes<A: Scalar>(outputs: &Tensor<A>, data: &Dataset<A>) -> Result<Vec<f64>> {
    let classes = match *outputs.shape() {
        [_] | [_, 1] => 1,
        [_, classes] => classes,
        _ => {
            let expected = "(batch, classes), (batch, 1) or (batch) to count mistakes";
            return Err(Error::shape("output of the network", expected, outputs.shape()));
        }
    };
    let Some(labels) = data.labels() else {
        return Err(Error::custom("the targets of feedback are no classes: their errors are SampleError::Loss"));
    };
    if let Some(row) = labels.iter().position(|&label| label >= classes.max(2)) {
        let expected = format!("a whole number from 0 to {}", classes.max(2) - 1);
        return Err(Error::value("class label", &[row], expected, labels[row]));
    }
    let rows = values(outputs)?.chunks_exact(classes);
    Ok(rows.zip(labels).map(|(row, label)| f64::from(u8::from(class_of(row) != Some(label)))).collect())
}

/// The class that a row of outputs stands for, the first of several; `None` where it has a NaN.
fn class_of<A: Scalar>(row: &[A]) -> Option<usize> {
    if row.iter().any(|value| value.is_nan()) {
        return None;
    }
    if let &[value] = row {
        return Some(usize::from(value > A::of(0.5)));
    }
    let largest = row.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    largest.map(|(class, _)| class)
}
