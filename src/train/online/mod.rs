//! Learning on from what users say, batch by batch, for as long as a model is in use.
//!
//! | what | with |
//! | --- | --- |
//! | steps on batches as they come | [`Trainer::partial_fit`](crate::Trainer::partial_fit) |
//! | old samples among the new ones, lest the old is forgotten | [`ReplayBuffer`] |
//! | seeing that the world has changed | [`PageHinkley`], [`Adwin`], or a [`DriftDetector`] of one's own |
//! | taking back what made it worse | [`Savepoint`], [`Guard`] |
//! | all of it together | [`FeedbackLoop`] |
//!
//! Whatever comes from users may be wrong. Feedback with a number that is none is refused as a whole, and a batch that
//! fails or makes the model worse leaves weights, optimizer and buffer as they were, bit for bit.

mod adwin;
mod drift;
mod errors;
mod feedback_loop;
mod guard;
mod keep;
mod learn;
mod page_hinkley;
mod partial_fit;
mod replay_buffer;
mod rows;
mod saved_buffer;
mod savepoint;

pub use adwin::Adwin;
pub use drift::{Change, DriftDetector};
pub use errors::SampleError;
pub use feedback_loop::{FeedbackLoop, Learned};
pub use guard::Guard;
pub use page_hinkley::PageHinkley;
pub(super) use partial_fit::Online;
pub use replay_buffer::ReplayBuffer;
pub use savepoint::Savepoint;

use crate::error::{Error, Result};

/// Refuses what is not a finite number of at least 0.
fn check_not_negative(name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number of at least 0", value))
}
