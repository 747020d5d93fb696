//! Training, evaluating and watching.

pub mod callbacks;
mod engine;
mod evaluate;
mod feed;
mod fit;
mod history;
mod pass;
mod predict;
mod shard;
mod shared_sum;
mod step;
mod task;
mod trainer;
mod workers;

pub use callbacks::{Callback, Event, Progress};
pub use history::{Epoch, History, Report};
pub use trainer::Trainer;
