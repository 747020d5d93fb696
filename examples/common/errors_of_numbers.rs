//! The three numbers that a prediction of numbers is judged by.

use layerwise::metrics::{MeanAbsoluteError, R2, RootMeanSquaredError};
use layerwise::prelude::*;

/// RMSE and MAE in units of the target, and R²: the share of the targets' variance that the prediction explains, 1 where
/// it is exact and 0 where it is no better than their mean.
#[derive(Clone, Copy, Debug)]
pub struct Errors {
    pub rmse: f64,
    pub mae: f64,
    pub r2: f64,
}

impl Errors {
    /// Prediction and target `(samples, 1)`.
    pub fn of(prediction: &Tensor, target: &Tensor) -> Result<Self> {
        let (mut rmse, mut mae, mut r2) = (RootMeanSquaredError::new(), MeanAbsoluteError::new(), R2::new());
        let metrics: [&mut dyn Metric; 3] = [&mut rmse, &mut mae, &mut r2];
        for metric in metrics {
            metric.update(prediction, target, None)?;
        }
        Ok(Errors { rmse: rmse.result(), mae: mae.result(), r2: r2.result() })
    }
}
