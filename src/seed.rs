//! Random streams: one seed, and a stream of its own for every purpose.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is drawn for. Each purpose has its own, so that a new draw in one place moves no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    /// Starting values of parameters.
    Weights,
    /// The order of the samples in an epoch, counted from 0.
    Shuffle { epoch: u64 },
    /// Dropout and the like in one shard of one training step, both counted from 0.
    Pass { step: u64, shard: u64 },
}

/// The stream of `purpose` under `seed`.
pub(crate) fn stream(seed: u64, purpose: Stream) -> ChaCha8Rng {
    let (kind, number) = match purpose {
        Stream::Weights => (0, 0),
        Stream::Shuffle { epoch } => (1, epoch),
        // 2^16 shards to a step; a step has its own stream of 2^64 bytes in each.
        Stream::Pass { step, shard } => (2, (step << 16) | shard),
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = kind;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
