//! How gradients become updates: what a user sets of clipping, accumulation, and weights with a rate or decay of their
//! own.

use super::engine::Scaled;
use super::trainer::Trainer;
use crate::scalar::Scalar;

impl<A: Scalar> Trainer<A> {
    /// Scales the gradients of a step down so that their norm over all weights is at most this (Pascanu et al. 2013;
    /// PyTorch's `clip_grad_norm_`, Keras's `global_clipnorm`). There is one way of clipping at most.
    #[must_use]
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.engine.clipping_mut().norm = Some(norm);
        self
    }

    /// Scales each weight's gradient down by itself, so that its norm is at most this (Keras's `clipnorm`).
    #[must_use]
    pub fn clip_norm_each(mut self, norm: f64) -> Self {
        self.engine.clipping_mut().norm_each = Some(norm);
        self
    }

    /// Cuts every number of the gradients to lie between -limit and limit (PyTorch's `clip_grad_value_`, Keras's
    /// `clipvalue`).
    #[must_use]
    pub fn clip_value(mut self, limit: f64) -> Self {
        self.engine.clipping_mut().value = Some(limit);
        self
    }

    /// Changes the weights after every so many batches, by the mean of their gradients; 1 by default. For mean losses and
    /// batches of one size that is one step on a batch so many times as large, in the memory of a small one. Clipping is
    /// of that mean; batch statistics are those of each small batch, and move with it.
    ///
    /// An epoch that ends amid a group of batches ends with a step by the mean of those that are left. In a loop of one's
    /// own every so many calls of [`step`](Self::step) change the weights. An error drops what was gathered, and so does a
    /// new run; a checkpoint keeps it.
    ///
    /// ```
    /// use layerwise::prelude::*;
    ///
    /// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).batch_size(32).accumulate(8);
    /// ```
    #[must_use]
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.engine.accumulate(batches);
        self
    }

    /// A factor for the learning rate of some weights, whatever schedule or callbacks make of the rate: 0.1 for a body
    /// that was trained before, 0 to leave weights as they are (but [freezing](crate::Model::freeze) spares the work).
    ///
    /// `names` are the dotted name of a weight (`"2.weight"`) or of a layer, with all that is in it (`"2"`,
    /// `"encoder.0"`); or a pattern with a star for anything (`"*.bias"`). Where several fit a weight, the last that was
    /// given counts; a tied weight goes by any of its names. Names that no weight has are an error.
    ///
    /// ```
    /// use layerwise::prelude::*;
    ///
    /// let trainer = Trainer::new(SoftmaxCrossEntropy::new(), AdamW::new(1e-3))
    ///     .rate_for("0", 0.1)
    ///     .decay_for("*.bias", 0.0);
    /// ```
    #[must_use]
    pub fn rate_for(mut self, names: impl Into<String>, factor: f64) -> Self {
        self.engine.add_factor(Scaled::Rate, names.into(), factor);
        self
    }

    /// A factor for the optimizer's weight decay, coupled or decoupled, of some weights; 0 for none.
    /// [Names](Self::rate_for) as there.
    #[must_use]
    pub fn decay_for(mut self, names: impl Into<String>, factor: f64) -> Self {
        self.engine.add_factor(Scaled::Decay, names.into(), factor);
        self
    }

    /// Weight decay for matrices and larger weights only, and none for vectors: biases, and the scales and shifts of
    /// normalisations. What [`decay_for`](Self::decay_for) says of a weight goes before it.
    #[must_use]
    pub fn no_decay_for_biases_and_norms(mut self) -> Self {
        self.engine.decay_matrices_only();
        self
    }
}
