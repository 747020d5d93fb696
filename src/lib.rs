//! Neural networks on the CPU, for programs that hold their data in [`ndarray`].
//!
//! ```
//! use layerwise::data::{StandardScaler, datasets};
//! use layerwise::prelude::*;
//!
//! let iris = datasets::iris();
//! let x = StandardScaler::new().fit_transform(&iris.features)?;
//! let mut model = Sequential::new()
//!     .add(Dense::new(64).activation(Activation::Relu))
//!     .add(Dense::new(64).activation(Activation::Relu))
//!     .add(Dense::new(3));
//! let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
//!     .metric(Accuracy::new())
//!     .epochs(40)
//!     .progress(Progress::Silent);
//! let history = trainer.fit(&mut model, (&x, &iris.labels))?;
//! assert!(history.last().and_then(|epoch| epoch.get("accuracy")) > Some(0.9));
//! # Ok::<(), Error>(())
//! ```
//!
//! A network is a [`Layer`]: two plain functions, [`forward`](Layer::forward) and [`backward`](Layer::backward), that
//! never change it. A [`Context`] carries what one pass needs, and a [`Trainer`] owns everything that is not the
//! network: the [`Loss`], the [`Optimizer`], the [`Metric`]s, the threads. Start with [`models::Sequential`] and
//! [`Trainer`]; for layers of your own see [`Layer`], and [`gradcheck()`] to check them.

mod constraints;
mod context;
mod cost;
pub mod data;
mod error;
mod gradcheck;
mod gradients;
mod initializers;
pub mod io;
mod kernels;
mod layer;
pub mod layers;
pub mod losses;
pub mod metrics;
mod model;
pub mod models;
pub mod optimizers;
mod param;
#[cfg(feature = "plot")]
pub mod plot;
mod pool;
mod regularizers;
mod scalar;
pub mod schedules;
mod seed;
mod summary;
mod tensor;
pub mod train;
mod workers;

pub use constraints::{Constraint, NormConstraint};
pub use context::{AllReduce, Context, Frame, Mode};
pub use cost::{Cost, OutputMemory};
pub use error::{Error, Result};
pub use gradcheck::{GradCheck, GradReport, gradcheck, gradcheck_loss, gradcheck_merge};
pub use gradients::{Grad, RowGrad};
pub use initializers::{CustomInitializer, FanMode, Init, Initializer, Spread};
pub use kernels::{Real, fma_peak, matmul};
pub use layer::{Layer, Merge, Needs};
pub use losses::Loss;
pub use metrics::Metric;
pub use model::Model;
pub use optimizers::Optimizer;
pub use param::{Param, ParamId, Visitor};
pub use regularizers::Regularizer;
pub use scalar::{Element, Scalar};
pub use schedules::Schedule;
pub use summary::{Summary, SummaryRow, SummaryValue};
pub use tensor::{Tensor, to_tensor, values};
pub use train::Trainer;

/// What most programs use: `use layerwise::prelude::*;`.
pub mod prelude {
    pub use crate::data::{Dataset, ValidationSplit};
    pub use crate::layers::{
        Activation, Add, AveragePool2d, BatchNormalization, ChannelsLast, Concatenate, Conv1d, Conv2d, Dense, Dropout,
        Embedding, Flatten, GlobalAveragePool2d, GroupNormalization, Lambda, LayerNormalization, MaxPool2d, Reshape,
        SimpleRnn, SpatialDropout2d, UpSampling2d, ZeroPadding2d,
    };
    pub use crate::losses::{BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy};
    pub use crate::metrics::{Accuracy, ConfusionMatrix};
    pub use crate::models::{Graph, Node, Residual, Sequential};
    pub use crate::optimizers::{Adam, AdamW, Sgd};
    pub use crate::train::callbacks::{
        BackupAndRestore, CsvLog, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau,
        WeightAveraging,
    };
    pub use crate::train::{Callback, Event, History, Progress, Trainer};
    pub use crate::{
        Constraint, Context, Error, Init, Initializer, Layer, Loss, Merge, Metric, Mode, Model, Needs, NormConstraint,
        Optimizer, Param, Regularizer, Result, Scalar, Schedule, Tensor, Visitor,
    };
}

/// The README's program is compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
