//! Single convolutions of ResNet-50 and MobileNetV2, in `shapes.json`: the bench `conv`, the example `conv_times` and
//! the PyTorch side (`scripts/conv_torch.py`) read the same list.

use layerwise::layers::{Conv2d, DepthwiseConv2d};
use layerwise::prelude::*;
use ndarray::{Array, ArrayD, IxDyn};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// A convolution of square images by a square kernel, padded by half of it.
pub struct Shape {
    pub name: String,
    batch: usize,
    size: usize,
    channels: usize,
    filters: usize,
    kernel: usize,
    stride: usize,
    depthwise: bool,
}

/// All of them.
pub fn shapes() -> Vec<Shape> {
    let list: Value = serde_json::from_str(include_str!("shapes.json")).expect("the list is JSON");
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    let shape = |shape: &Value| Shape {
        name: shape["name"].as_str().expect("a shape has a name").to_owned(),
        batch: number(&list["batch"]),
        size: number(&shape["size"]),
        channels: number(&shape["channels"]),
        filters: number(&shape["filters"]),
        kernel: number(&shape["kernel"]),
        stride: number(&shape["stride"]),
        depthwise: shape["depthwise"] == true,
    };
    list["shapes"].as_array().expect("a list of shapes").iter().map(shape).collect()
}

impl Shape {
    fn layer(&self) -> Box<dyn Layer> {
        let Shape { filters, kernel, stride, .. } = *self;
        match self.depthwise {
            true => Box::new(DepthwiseConv2d::new(kernel).stride(stride).padding(kernel / 2).without_bias()),
            false => Box::new(Conv2d::new(filters, kernel).stride(stride).padding(kernel / 2).without_bias()),
        }
    }

    /// The floating-point operations of one pass; each gradient takes as many.
    pub fn operations(&self) -> f64 {
        let side = (self.size + 2 * (self.kernel / 2) - self.kernel) / self.stride + 1;
        let channels = if self.depthwise { 1 } else { self.channels };
        2.0 * (self.batch * side * side * self.filters * self.kernel * self.kernel * channels) as f64
    }

    /// The layer with images for it.
    ///
    /// # Errors
    /// None, if the list is right.
    pub fn prepare(&self) -> Result<Prepared> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut random =
            |shape: &[usize]| -> ArrayD<f32> { Array::random_using(IxDyn(shape), StandardNormal, &mut rng) };
        let sample = [self.size, self.size, self.channels];
        let mut layer = self.layer();
        let output = layer.initialize(&sample, 0)?;
        let x = random(&[&[self.batch], &sample[..]].concat()).into_shared();
        let dy = random(&[&[self.batch], &output[..]].concat()).into_shared();
        let weights = Context::training(&*layer, 0);
        Ok(Prepared {
            layer,
            x,
            dy,
            use_only: Context::inference(),
            images: Context::recording(Mode::Training),
            weights,
        })
    }
}

/// A built convolution, and a context for each thing to do with it.
pub struct Prepared {
    layer: Box<dyn Layer>,
    x: Tensor,
    dy: Tensor,
    use_only: Context,
    images: Context,
    weights: Context,
}

impl Prepared {
    /// The output.
    ///
    /// # Errors
    /// None, if the list is right.
    pub fn forward(&mut self) -> Result<()> {
        let y = self.layer.forward(&self.x, &mut self.use_only)?;
        self.use_only.recycle(y);
        Ok(())
    }

    /// The gradient of the images alone. The output stands in for itself as an empty tensor: nothing reads it.
    ///
    /// # Errors
    /// None, if the list is right.
    pub fn input_gradient(&mut self) -> Result<()> {
        let nothing = self.images.nothing();
        let dx = self.layer.backward(&self.x, &nothing, &self.dy, true, &mut self.images)?;
        dx.into_iter().for_each(|dx| self.images.recycle(dx));
        Ok(())
    }

    /// The gradient of the weight alone.
    ///
    /// # Errors
    /// None, if the list is right.
    pub fn weight_gradient(&mut self) -> Result<()> {
        let nothing = self.weights.nothing();
        self.layer.backward(&self.x, &nothing, &self.dy, false, &mut self.weights).map(drop)
    }
}
