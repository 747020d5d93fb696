//! Neural networks on the CPU over ndarray.

mod context;
pub mod data;
mod error;
mod gradcheck;
mod gradients;
mod initializers;
mod kernels;
mod layer;
pub mod layers;
pub mod losses;
pub mod metrics;
mod model;
pub mod models;
pub mod optimizers;
mod param;
mod pool;
mod scalar;
pub mod schedules;
mod seed;
mod summary;
mod tensor;
pub mod train;

pub use context::{AllReduce, Context, Frame, Mode};
pub use error::{Error, Result};
pub use gradcheck::{GradCheck, GradReport, gradcheck, gradcheck_loss, gradcheck_merge};
pub use gradients::{Grad, RowGrad};
pub use initializers::{CustomInitializer, Init, Initializer};
pub use kernels::{Real, matmul};
pub use layer::{Layer, Merge, Needs};
pub use losses::Loss;
pub use metrics::Metric;
pub use model::Model;
pub use optimizers::Optimizer;
pub use param::{Param, ParamId, Visitor};
pub use scalar::{Element, Scalar};
pub use schedules::Schedule;
pub use summary::{Summary, SummaryRow};
pub use tensor::{Tensor, to_tensor, values};
pub use train::Trainer;

/// What most programs use: `use layerwise::prelude::*;`.
pub mod prelude {
    pub use crate::data::{Dataset, ValidationSplit};
    pub use crate::layers::{
        Activation, Add, BatchNormalization, Concatenate, Dense, Dropout, Embedding, Flatten, Lambda, Reshape,
        SimpleRnn,
    };
    pub use crate::losses::{BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy};
    pub use crate::metrics::{Accuracy, ConfusionMatrix};
    pub use crate::models::{Graph, Node, Residual, Sequential};
    pub use crate::optimizers::{Adam, AdamW, Sgd};
    pub use crate::train::{Callback, Event, History, Progress, Trainer};
    pub use crate::{
        Context, Error, Init, Initializer, Layer, Loss, Merge, Metric, Mode, Model, Needs, Optimizer, Param, Result,
        Scalar, Schedule, Tensor, Visitor,
    };
}
