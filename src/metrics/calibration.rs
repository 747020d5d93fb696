use super::bins::{bin_of, check_bins};
use super::labelled::Labelled;
use super::streaming::{Totals, class_metric, default_is_new};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// How far probabilities are from the frequencies that they promise (Naeini et al. 2015; Guo et al. 2017): the
/// predictions are sorted into bins of equal width, and
///
/// ECE = sum over the bins of (weight of the bin / weight of all) |mean probability - frequency|.
///
/// Of two classes the probability is that of class 1, and the frequency how often it is true (scikit-learn's
/// `calibration_curve`). Of more it is that of the likeliest class, and how often that is right. Predictions are
/// probabilities in the shapes of [`Accuracy`](super::Accuracy), and so are targets and weights. It keeps three numbers
/// a bin.
///
/// ```
/// use layerwise::metrics::{CalibrationError, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut error = CalibrationError::new().bins(2);
/// error.update(&to_tensor::<f32, _, _, _>(&array![0.25, 0.25, 1.0])?, &to_tensor(&array![0, 1, 1])?, None)?;
/// assert_eq!(error.result(), 2.0 / 3.0 * 0.25);
/// assert_eq!(error.reliability()[0].frequency, 0.5);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[doc(alias = "expected_calibration_error")]
#[derive(Clone, Debug)]
pub struct CalibrationError {
    gathered: Bins,
    maximum: bool,
}

/// One bin of a reliability curve: what was promised, and what came.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReliabilityBin {
    /// The mean of the probabilities in the bin.
    pub probability: f64,
    /// How often it came true.
    pub frequency: f64,
    /// The sum of the weights (the number, without weights) of the samples in the bin.
    pub weight: f64,
}

/// Weight, sum of the probabilities, and weight of what came true, of each bin.
#[derive(Clone, Debug)]
struct Bins {
    number: usize,
    totals: Totals,
}

impl Bins {
    fn batch<'a, A: Scalar>(
        &self,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Labelled<'a, A>> {
        check_bins(self.number)?;
        Labelled::new(self.totals.classes, prediction, target, weights)
    }

    fn take<A: Scalar>(&mut self, batch: &Labelled<'_, A>) -> Result<()> {
        batch.check_probabilities()?;
        self.totals.grow(batch.classes(), 3 * self.number);
        for row in 0..batch.rows() {
            let (scores, truth) = (batch.scores(row), batch.truth(row)?);
            let class = if batch.classes() == 2 { 1 } else { batch.likeliest(row)? };
            let probability = scores[class.min(scores.len() - 1)].as_f64();
            let (weight, came) = (batch.weight(row), f64::from(u8::from(truth == class)));
            let bin = &mut self.totals.cells[3 * bin_of(probability, self.number)..][..3];
            for (sum, value) in bin.iter_mut().zip([1.0, probability, came]) {
                *sum += weight * value;
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.totals.reset();
    }

    fn write(&self, state: &mut Vec<f64>) {
        self.totals.write(self.number as f64, state);
    }

    fn parse<'s>(&self, state: &'s [f64]) -> Result<(usize, &'s [f64])> {
        let fits = |classes: usize, cells: usize| cells == if classes == 0 { 0 } else { self.number.saturating_mul(3) };
        self.totals.parse(("bins", self.number as f64), state, fits)
    }

    fn merge(&mut self, classes: usize, cells: &[f64]) {
        self.totals.add(classes, cells);
    }
}

impl CalibrationError {
    /// With nothing taken in and 15 bins (Guo et al.).
    pub fn new() -> Self {
        CalibrationError { gathered: Bins { number: 15, totals: Totals::default() }, maximum: false }
    }

    /// How many bins there are.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.gathered.number = bins;
        self
    }

    /// The largest difference of any bin instead of the mean one (MCE).
    #[must_use]
    pub fn maximum(mut self) -> Self {
        self.maximum = true;
        self
    }

    /// The bins with any weight, from the lowest probabilities to the highest: what a reliability diagram shows.
    pub fn reliability(&self) -> Vec<ReliabilityBin> {
        let bins = self.gathered.totals.cells.chunks_exact(3).filter(|bin| bin[0] > 0.0);
        bins.map(|bin| ReliabilityBin { probability: bin[1] / bin[0], frequency: bin[2] / bin[0], weight: bin[0] })
            .collect()
    }

    /// The error over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        let (mut all, mut sum, mut largest) = (0.0, 0.0, f64::NAN);
        for bin in self.reliability() {
            let difference = (bin.probability - bin.frequency).abs();
            all += bin.weight;
            sum += bin.weight * difference;
            largest = difference.max(largest);
        }
        if self.maximum { largest } else { sum / all }
    }
}
class_metric!(CalibrationError, 17.0, |this| match this.maximum {
    true => "max_calibration_error",
    false => "calibration_error",
});
default_is_new!(CalibrationError);
