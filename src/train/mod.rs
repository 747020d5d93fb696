//! Training, evaluating and watching.

pub mod callbacks;
mod checkpoint;
mod engine;
mod evaluate;
mod feed;
mod fit;
mod history;
mod json;
mod pass;
mod penalty;
mod predict;
mod rate;
mod refresh;
mod settings;
mod shard;
mod shared_sum;
mod step;
mod task;
mod trainer;
mod updates;
mod workers;

pub use callbacks::{Callback, CallbackState, Event, Progress};
pub use history::{Epoch, History, Report};
pub use trainer::Trainer;
