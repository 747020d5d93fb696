use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;

use super::Initializer;
use crate::error::{Error, Result};
use crate::param::{Param, ParamId};
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::from_vec;

/// Fills the parameters of the layers that are being built, from one random stream.
pub struct Init<A: Scalar = f32> {
    rng: ChaCha8Rng,
    /// Whether values come later, from a file, and only their shapes are asked for.
    given: bool,
    /// The values made so far, so that tied parameters share them.
    made: HashMap<ParamId, crate::Tensor<A>>,
}

impl<A: Scalar> Init<A> {
    /// A stream of its own for the weights: the same seed gives the same weights, whatever else is drawn elsewhere.
    pub fn new(seed: u64) -> Self {
        Init { rng: stream(seed, Stream::Weights), given: false, made: HashMap::new() }
    }

    /// For values that come from a file: a parameter is told the shape that they must have and gets none. So sizes in
    /// a damaged file ask for no memory.
    pub(crate) fn given() -> Self {
        Init { given: true, ..Self::new(0) }
    }

    /// Gives `param` values of `shape`. One that has values of this shape already keeps them: a layer that was
    /// trained elsewhere and put into a new model stays as it is.
    ///
    /// # Errors
    /// [`Error::Shape`] where it has values of another shape.
    pub fn param(&mut self, param: &mut Param<A>, shape: &[usize], start: &Initializer) -> Result<()> {
        self.param_with_fans(param, shape, shape, start)
    }

    /// The same for an array whose fans are another's: a bias takes those of its weight.
    ///
    /// # Errors
    /// As for [`param`](Self::param).
    pub fn param_with_fans(
        &mut self,
        param: &mut Param<A>,
        shape: &[usize],
        fan_shape: &[usize],
        start: &Initializer,
    ) -> Result<()> {
        param.check_rules(shape)?;
        if self.given && !param.is_built() {
            return param.expect(shape);
        }
        if !param.is_built() {
            if !self.made.contains_key(&param.id()) {
                let values = start.draw(shape, fan_shape, &mut self.rng)?;
                self.made.insert(param.id(), from_vec(shape, values));
            }
            param.replace(self.made.get(&param.id()).cloned());
        }
        let has = param.get()?;
        if has.shape() != shape {
            return Err(Error::shape("parameter that has values already", format!("shape {shape:?}"), has.shape()));
        }
        self.made.insert(param.id(), has.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tied_parameters_start_as_one_and_built_ones_keep_their_values() -> Result<()> {
        let mut init = Init::<f32>::new(3);
        let (mut first, mut other) = (Param::new(), Param::new());
        let mut tied = first.tied();
        init.param(&mut first, &[2, 3], &Initializer::GlorotUniform)?;
        init.param(&mut tied, &[2, 3], &Initializer::Zeros)?;
        init.param(&mut other, &[2, 3], &Initializer::GlorotUniform)?;
        assert_eq!(first.get()?, tied.get()?);
        assert_ne!(first.get()?, other.get()?);
        let before = other.get()?.clone();
        Init::new(9).param(&mut other, &[2, 3], &Initializer::Zeros)?;
        assert_eq!(other.get()?, &before);
        assert!(init.param(&mut other, &[3, 2], &Initializer::Zeros).is_err());
        Ok(())
    }
}
