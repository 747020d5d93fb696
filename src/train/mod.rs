//! Training, evaluating and watching.

pub mod callbacks;
mod engine;
mod history;
mod pass;
mod shared_sum;
mod trainer;
mod workers;

pub use callbacks::{Callback, Event, Progress};
pub use history::{Epoch, History, Report};
pub use trainer::Trainer;
