use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::keep::{Keep, Rule};
use super::rows::Rows;
use crate::data::{Dataset, IntoDataset};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Samples of the past, to be learned again beside those of today: without them a network forgets what it is no longer
/// shown.
///
/// It never holds more than its capacity. Which samples it holds of those that were [added](Self::add) is
///
/// - by default, each with the same chance: a reservoir (Vitter's algorithm R, 1985);
/// - [`class_balanced`](Self::class_balanced): of each class as many as can be, and of each class a reservoir (Chrysakis
///   and Moens, "Online continual learning from imbalanced data", 2020, algorithm CBRS);
/// - [`recent`](Self::recent): newer ones with a larger chance, that halves with every half-life of samples (Efraimidis and
///   Spirakis, "Weighted random sampling with a reservoir", 2006).
///
/// [`mix`](Self::mix) puts samples drawn from it behind a batch. The same seed and the same samples give the same buffer
/// and the same draws; drawing changes nothing of what is kept. [`save`](Self::save) and [`load`](Self::load) go on
/// exactly.
///
/// ```
/// use layerwise::data::datasets;
/// use layerwise::prelude::*;
/// use layerwise::train::online::ReplayBuffer;
///
/// let iris = datasets::iris();
/// let mut buffer = ReplayBuffer::new(30).class_balanced().seed(7);
/// buffer.add((&iris.features, &iris.labels))?;
/// assert_eq!((buffer.len(), buffer.seen()), (30, 150));
///
/// let today = Dataset::new(&iris.features, &iris.labels)?.rows(&[0, 1])?;
/// assert_eq!(buffer.mix(&today, 6)?.len(), 8);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct ReplayBuffer<A: Scalar = f32> {
    pub(super) keep: Keep,
    pub(super) rows: Rows<A>,
    pub(super) seed: u64,
    /// For what is kept, and for what is drawn.
    pub(super) keeping: ChaCha8Rng,
    pub(super) drawing: ChaCha8Rng,
}

impl ReplayBuffer {
    /// For so many samples of `f32` models.
    pub fn new(capacity: usize) -> Self {
        Self::of(capacity)
    }
}

impl<A: Scalar> ReplayBuffer<A> {
    /// For models of any number type. A reservoir with the seed 0.
    pub fn of(capacity: usize) -> Self {
        let [keeping, drawing] = streams(0);
        ReplayBuffer { keep: Keep::new(capacity), rows: Rows::new(), seed: 0, keeping, drawing }
    }

    /// Keeps as many samples of each class as can be. The first target is the class: a label, or a row with a single 1.
    #[must_use]
    pub fn class_balanced(mut self) -> Self {
        self.keep.rule = Rule::Balanced;
        self
    }

    /// Keeps newer samples with a larger chance: one that came `half_life` samples before another has half its weight.
    /// Above 0; infinity is the plain reservoir.
    #[must_use]
    pub fn recent(mut self, half_life: f64) -> Self {
        self.keep.rule = Rule::Recent { half_life };
        self
    }

    /// The seed of what is kept and what is drawn.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        [self.keeping, self.drawing] = streams(seed);
        self.seed = seed;
        self
    }

    /// The number of samples that it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most that it will hold.
    pub fn capacity(&self) -> usize {
        self.keep.capacity
    }

    /// The number of samples that were added, kept or not.
    pub fn seen(&self) -> u64 {
        self.keep.seen
    }

    /// Shows it samples, of which it keeps what its rule says.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting that cannot work, [`Error::Shape`] or [`Error::Length`] for samples of another
    /// form than those that it holds or with several weights each, [`Error::Value`] for a number that is not finite, and
    /// [`Error::Custom`] for samples without a class in a balanced one. It is as it was then.
    pub fn add<'d>(&mut self, samples: impl IntoDataset<'d, A>) -> Result<()> {
        let samples = samples.into_dataset()?;
        let labels = self.check_samples(&samples)?;
        for row in 0..samples.len() {
            let label = labels.as_ref().map_or(0, |labels| labels[row]);
            if let Some(place) = self.keep.place(self.rows.len(), label, &mut self.keeping) {
                self.rows.put(place, &samples, row)?;
            }
        }
        Ok(())
    }

    /// Refuses what cannot be added; gives the classes where they are needed.
    pub(super) fn check_samples(&self, samples: &Dataset<A>) -> Result<Option<Vec<usize>>> {
        self.check()?;
        self.rows.check(samples)?;
        if self.keep.rule != Rule::Balanced {
            return Ok(None);
        }
        let none =
            || Error::custom("ReplayBuffer: the first target of the samples is no class, by which it is balanced");
        samples.labels().ok_or_else(none).map(Some)
    }

    /// Refuses settings that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        if self.keep.capacity == 0 {
            return Err(Error::setting("capacity of ReplayBuffer", "at least 1", 0));
        }
        match self.keep.rule {
            Rule::Recent { half_life } if half_life.is_nan() || half_life <= 0.0 => {
                Err(Error::setting("half-life of ReplayBuffer", "above 0", half_life))
            }
            _ => Ok(()),
        }
    }

    /// So many of its samples, drawn at random without any twice; all of them if it has no more. `None` if it has none.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn sample(&mut self, samples: usize) -> Result<Option<Dataset<A>>> {
        let places = self.draw(samples);
        if places.is_empty() { Ok(None) } else { self.rows.take(&places).map(Some) }
    }

    /// A batch, and behind it so many samples from the buffer, drawn as by [`sample`](Self::sample). Where weights are
    /// not all 1 the mixed batch has them.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn mix(&mut self, batch: &Dataset<A>, replayed: usize) -> Result<Dataset<A>> {
        self.mix_weighted(batch, replayed, A::one())
    }

    /// The same with a factor for the weights of what is replayed.
    pub(super) fn mix_weighted(&mut self, batch: &Dataset<A>, replayed: usize, factor: A) -> Result<Dataset<A>> {
        self.check_samples(batch)?;
        let places = self.draw(replayed);
        if places.is_empty() {
            return Ok(batch.clone());
        }
        self.rows.after(Some(batch), &places, factor)
    }

    /// All that it holds, in no order that means anything; `None` if it holds nothing.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn samples(&self) -> Result<Option<Dataset<A>>> {
        let places: Vec<usize> = (0..self.len()).collect();
        if places.is_empty() { Ok(None) } else { self.rows.take(&places).map(Some) }
    }

    /// Lets go of all samples, and begins to count anew.
    pub fn clear(&mut self) {
        self.rows = Rows::new();
        self.keep.clear();
    }

    fn draw(&mut self, samples: usize) -> Vec<usize> {
        let (has, wants) = (self.len(), samples.min(self.len()));
        rand::seq::index::sample(&mut self.drawing, has, wants).into_vec()
    }
}

/// The streams of a seed: for what is kept, and for what is drawn.
pub(super) fn streams(seed: u64) -> [ChaCha8Rng; 2] {
    [0, 1].map(|stream| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        rng
    })
}
