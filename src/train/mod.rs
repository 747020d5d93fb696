//! Training, evaluating and watching.

pub mod callbacks;
mod checkpoint;
mod engine;
mod evaluate;
mod feed;
mod fit;
mod history;
mod json;
pub mod online;
mod pass;
mod penalty;
mod predict;
mod rate;
mod rate_finder;
mod rate_sweep;
mod refresh;
mod settings;
mod shard;
mod shared_sum;
mod slices;
mod step;
mod task;
mod trainer;
mod updates;

pub use callbacks::{Callback, CallbackState, Event, Progress};
pub use history::{Epoch, History, Report};
pub use rate_finder::LearningRateFinder;
pub use rate_sweep::RateSweep;
pub use trainer::Trainer;
