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
    /// One augmentation, by its place in the list, of one sample of the data in an epoch, counted from 0.
    Augment { epoch: u64, stage: u64, sample: u64 },
}

/// The stream of `purpose` under `seed`.
pub(crate) fn stream(seed: u64, purpose: Stream) -> ChaCha8Rng {
    let (kind, number, rest) = match purpose {
        Stream::Weights => (0, 0, [0; 2]),
        Stream::Shuffle { epoch } => (1, epoch, [0; 2]),
        // 2^16 shards to a step; a step has its own stream of 2^64 bytes in each.
        Stream::Pass { step, shard } => (2, (step << 16) | shard, [0; 2]),
        Stream::Augment { epoch, stage, sample } => (3, sample, [epoch, stage]),
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = kind;
    for (place, number) in key[16..].chunks_exact_mut(8).zip(rest) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
