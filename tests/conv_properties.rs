//! Laws that convolutions keep, for random shapes: seven loops, the adjoint, channels by themselves, and shards.
//!
//! Inputs and weights are small whole numbers, so that sums are exact in every order and nothing at all may differ.

use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::{Array1, ArrayD, IxDyn, SliceInfoElem};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn whole<A: Scalar>(rng: &mut ChaCha8Rng, shape: &[usize]) -> Tensor<A> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), || A::of(f64::from(rng.random_range(-3..4)))).into_shared()
}

fn one_of<T: Copy>(rng: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())]
}

/// Output, gradient of the input, and those of the parameters.
struct Pass<A: Scalar> {
    y: Tensor<A>,
    dx: Tensor<A>,
    params: Vec<Tensor<A>>,
}

/// Builds a layer for these values, gives it these parameters (`weight`, `bias`), and goes through it and back.
fn pass<A: Scalar>(mut layer: impl Layer<A>, x: &Tensor<A>, params: &[&Tensor<A>], dy: &Tensor<A>) -> Result<Pass<A>> {
    build(&mut layer, x, params)?;
    let mut ctx = Context::training(&layer, 0);
    let y = layer.forward(x, &mut ctx)?;
    let dx = layer.backward(x, &y, dy, true, &mut ctx)?.expect("it is wanted");
    let gradients = layer.params().into_iter().map(|(_, param)| Ok(ctx.gradient_of(param)?.expect("it is trained")));
    Ok(Pass { y, dx, params: gradients.collect::<Result<_>>()? })
}

fn build<A: Scalar>(layer: &mut impl Layer<A>, x: &Tensor<A>, params: &[&Tensor<A>]) -> Result<()> {
    layer.initialize(&x.shape()[1..], 0)?;
    let mut own = layer.params_mut();
    assert_eq!(own.len(), params.len());
    own.iter_mut().zip(params).try_for_each(|((_, param), value)| {
        let value = value.to_shape(param.get()?.raw_dim()).expect("as many values as the parameter has");
        param.set(&value)
    })
}

/// The windows of a test, `[height, width]` throughout.
#[derive(Clone, Copy, Debug)]
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Windows {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut each = |from, to| [rng.random_range(from..to), rng.random_range(from..to)];
        let (kernel, stride, dilation) = (each(1, 5), each(1, 4), each(1, 4));
        let (before, after) = (each(0, 4), each(0, 4));
        let sides = [(before[0], after[0]), (before[1], after[1])];
        let padding = one_of(rng, &[Padding::Valid, Padding::Same, Padding::Sides(sides), Padding::Sides(sides)]);
        Windows { kernel, stride, dilation, padding }
    }

    /// From the first to the last element of a window along an axis.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// What is added before and after an axis, by the formula of the documentation.
    fn sides(&self, axis: usize, input: usize) -> (usize, usize) {
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Sides(sides) => sides[axis],
            Padding::Same => {
                let last = (input.div_ceil(self.stride[axis]) - 1) * self.stride[axis];
                let total = (last + self.reach(axis)).saturating_sub(input);
                (total / 2, total.div_ceil(2))
            }
            Padding::Causal => unreachable!("not for images"),
        }
    }

    fn conv<A: Scalar>(&self, filters: usize, groups: usize) -> Conv2d<A> {
        let [kernel, stride, dilation] = [self.kernel, self.stride, self.dilation].map(|[h, w]| (h, w));
        Conv2d::of(filters, kernel).stride(stride).dilation(dilation).padding(self.padding).groups(groups)
    }
}

/// A convolution in seven loops (and those over the axes of the images): output, gradients of input, weight and bias.
fn seven_loops<A: Scalar>(
    windows: &Windows,
    groups: usize,
    x: &Tensor<A>,
    [weight, bias]: [&Tensor<A>; 2],
    dy: &Tensor<A>,
) -> Pass<A> {
    let (mut y, mut dx) = (ArrayD::zeros(dy.raw_dim()), ArrayD::zeros(x.raw_dim()));
    let (mut dweight, mut dbias) = (ArrayD::zeros(weight.raw_dim()), ArrayD::zeros(bias.raw_dim()));
    let (channels, filters) = (x.shape()[3] / groups, dy.shape()[3] / groups);
    let place = |axis: usize, output: usize, tap: usize| {
        let (before, _) = windows.sides(axis, x.shape()[axis + 1]);
        let place = output * windows.stride[axis] + tap * windows.dilation[axis];
        place.checked_sub(before).filter(|&place| place < x.shape()[axis + 1])
    };
    for (index, &gradient) in dy.indexed_iter() {
        let (n, i, j, f) = (index[0], index[1], index[2], index[3]);
        y[&index] = bias[[f].as_slice()];
        dbias[[f].as_slice()] += gradient;
        for p in 0..windows.kernel[0] {
            for q in 0..windows.kernel[1] {
                let (Some(row), Some(column)) = (place(0, i, p), place(1, j, q)) else { continue };
                for c in 0..channels {
                    let (at, tap) = ([n, row, column, f / filters * channels + c], [p, q, c, f]);
                    y[&index] += x[at.as_slice()] * weight[tap.as_slice()];
                    dx[at.as_slice()] += gradient * weight[tap.as_slice()];
                    dweight[tap.as_slice()] += gradient * x[at.as_slice()];
                }
            }
        }
    }
    let params = vec![dweight.into_shared(), dbias.into_shared()];
    Pass { y: y.into_shared(), dx: dx.into_shared(), params }
}

#[test]
fn a_convolution_is_that_of_seven_loops() -> Result<()> {
    fn check<A: Scalar>(rng: &mut ChaCha8Rng) -> Result<bool> {
        let windows = Windows::random(rng);
        let groups = one_of(rng, &[1, 1, 2, 3]);
        let channels = groups * one_of(rng, &[1, 2, 3, 5, 9]);
        let filters = groups * one_of(rng, &[1, 2, 3, 7, 17]);
        let sample = [rng.random_range(1..10), rng.random_range(1..10), channels];
        let layer = windows.conv(filters, groups);
        let long_enough = (0..2).all(|axis| {
            let (before, after) = windows.sides(axis, sample[axis]);
            before + sample[axis] + after >= windows.reach(axis)
        });
        assert_eq!(layer.output_shape(&sample).is_ok(), long_enough, "{windows:?} over {sample:?}");
        if !long_enough {
            return Ok(false);
        }
        let output = layer.output_shape(&sample)?;
        // So few that kernels for many tiles, which round, are left to the next test.
        let batch = rng.random_range(1..3);
        let x = whole(rng, &[&[batch], &sample[..]].concat());
        let dy = whole(rng, &[&[batch], &output[..]].concat());
        let weight = whole(rng, &[windows.kernel[0], windows.kernel[1], channels / groups, filters]);
        let bias = whole(rng, &[filters]);
        let expected = seven_loops::<A>(&windows, groups, &x, [&weight, &bias], &dy);
        let place = format!("{windows:?}, {groups} groups, {:?} with {filters} filters", x.shape());
        let got = pass(layer, &x, &[&weight, &bias], &dy)?;
        assert_eq!(got.y, expected.y, "output: {place}");
        assert_eq!(got.dx, expected.dx, "gradient of the input: {place}");
        assert_eq!(got.params, expected.params, "gradients of the parameters: {place}");
        let got = pass(windows.conv(filters, groups).activation(Activation::Relu), &x, &[&weight, &bias], &dy)?;
        assert_eq!(got.y, expected.y.mapv(|y| y.max(A::zero())), "output after a ReLU: {place}");
        Ok(true)
    }
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut checked = 0;
    while checked < 600 {
        checked += usize::from(if checked % 2 == 0 { check::<f64>(&mut rng)? } else { check::<f32>(&mut rng)? });
    }
    Ok(())
}

/// Kernels that save multiplications may round more in f32; f64, which is there to check things, stays plain.
#[test]
fn convolutions_of_many_channels_in_f32_are_those_in_f64_but_for_rounding() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for (sides, channels, filters) in [([16, 16], 8, 8), ([17, 23], 16, 24), ([30, 13], 9, 33), ([8, 9], 64, 48)] {
        for padding in [Padding::Valid, Padding::Same, Padding::from([(2, 0), (1, 3)])] {
            for kernel in [[3, 3], [3, 1]] {
                let windows = Windows { kernel, stride: [1; 2], dilation: [1; 2], padding };
                let sample = [sides[0], sides[1], channels];
                let output = windows.conv::<f64>(filters, 1).output_shape(&sample)?;
                let x: Tensor<f64> = whole(&mut rng, &[&[5], &sample[..]].concat());
                let dy = whole(&mut rng, &[&[5], &output[..]].concat());
                let weight = whole(&mut rng, &[kernel[0], kernel[1], channels, filters]);
                let bias = whole(&mut rng, &[filters]);
                let expected = pass(windows.conv(filters, 1), &x, &[&weight, &bias], &dy)?;
                let [x, dy, weight, bias] = [&x, &dy, &weight, &bias].map(|t| t.mapv(|v| v as f32).into_shared());
                let got = pass(windows.conv(filters, 1), &x, &[&weight, &bias], &dy)?;
                let pairs = [(&got.y, &expected.y), (&got.dx, &expected.dx)];
                for (got, expected) in pairs.into_iter().chain(got.params.iter().zip(&expected.params)) {
                    assert_eq!(got.shape(), expected.shape());
                    let largest = expected.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
                    let apart = got.iter().zip(expected).map(|(&got, v)| (f64::from(got) - v).abs());
                    let apart = apart.fold(0.0, f64::max);
                    assert!(apart <= 5e-6 * largest, "{windows:?} over {sample:?}: {apart} of {largest}");
                }
            }
        }
    }
    Ok(())
}

/// <a, b>.
fn inner(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The first rows and columns of images, those of `shape`.
fn corner(images: &Tensor<f64>, shape: &[usize]) -> Tensor<f64> {
    let ends: Vec<SliceInfoElem> = shape.iter().map(|&end| (..end).into()).collect();
    images.slice(&ends[..]).to_shared()
}

/// <conv(x), z> = <x, transposed(z)> with the same weight, for images of z's size and this output padding. Where that
/// is no less than the stride (but less than the dilation) conv has more rows than z, which z does not meet.
fn check_adjoint(
    rng: &mut ChaCha8Rng,
    windows: &Windows,
    groups: usize,
    z_sides: [usize; 2],
    more: [usize; 2],
) -> Result<bool> {
    let [channels, filters] = [2, 3].map(|each| each * groups);
    let (stride, dilation) = ((windows.stride[0], windows.stride[1]), (windows.dilation[0], windows.dilation[1]));
    let mut transposed = ConvTranspose2d::<f64>::of(channels, (windows.kernel[0], windows.kernel[1]))
        .stride(stride)
        .dilation(dilation)
        .padding(windows.padding)
        .output_padding((more[0], more[1]))
        .groups(groups)
        .without_bias();
    let (z_shape, sides) = ([2, z_sides[0], z_sides[1], filters], z_sides);
    let Ok(image) = transposed.output_shape(&z_shape[1..]) else {
        // Padding may eat all there is, and nothing else may be wrong.
        let left = |axis: usize| {
            let (before, after) = windows.sides(axis, sides[axis]);
            ((sides[axis] - 1) * windows.stride[axis] + windows.reach(axis) + more[axis]).saturating_sub(before + after)
        };
        assert!(left(0) == 0 || left(1) == 0, "{windows:?} over {z_shape:?} with {more:?} more");
        return Ok(false);
    };
    let mut conv = windows.conv(filters, groups).without_bias();
    let (x, z) = (whole(rng, &[&[2], &image[..]].concat()), whole(rng, &z_shape));
    let weight = whole(rng, &[windows.kernel[0], windows.kernel[1], channels / groups, filters]);
    build(&mut conv, &x, &[&weight])?;
    build(&mut transposed, &z, &[&weight])?;
    let (there, back) = (conv.predict(&x)?, transposed.predict(&z)?);
    assert_eq!(
        inner(&corner(&there.to_shared(), &z_shape), &z),
        inner(&x, &back.to_shared()),
        "{windows:?}, {groups} groups, {z_shape:?} with {more:?} more"
    );
    // A convolution's gradient is the transposed one, and the other way round.
    if there.shape() == z_shape {
        assert_eq!(pass(conv, &x, &[&weight], &z)?.dx, back, "{windows:?}");
        assert_eq!(pass(transposed, &z, &[&weight], &x)?.dx, there, "{windows:?}");
    }
    Ok(true)
}

#[test]
fn a_transposed_convolution_is_the_adjoint_of_the_convolution() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut checked = 0;
    // Every stride, dilation and output padding that may go with them, the two axes told apart.
    for (stride, dilation) in (0..9).map(|n| (1 + n / 3, 1 + n % 3)) {
        for more in 0..stride.max(dilation) {
            for groups in [1, 2, 3] {
                let sides = [(0, 1), (2, 1)];
                for padding in [Padding::Valid, Padding::Sides(sides), Padding::from((1, 0))] {
                    let (kernel, other) = ([1 + checked % 4, 1 + checked / 4 % 3], rng.random_range(1..4));
                    let windows = Windows { kernel, stride: [stride, other], dilation: [dilation, 1], padding };
                    let z = [rng.random_range(2..5), rng.random_range(2..5)];
                    let other_more = rng.random_range(0..other);
                    checked += usize::from(check_adjoint(&mut rng, &windows, groups, z, [more, other_more])?);
                    let turned = Windows { stride: [other, stride], dilation: [1, dilation], ..windows };
                    checked += usize::from(check_adjoint(&mut rng, &turned, groups, z, [other_more, more])?);
                }
                // `same` has no output padding.
                let windows = Windows::random(&mut rng);
                let windows = Windows { stride: [stride, dilation], padding: Padding::Same, ..windows };
                assert!(check_adjoint(&mut rng, &windows, groups, [3, 2], [0, 0])?);
            }
        }
    }
    // And whatever comes.
    for _ in 0..300 {
        let windows = Windows::random(&mut rng);
        let mut legal = |axis: usize| match windows.padding {
            Padding::Same => 0,
            _ => rng.random_range(0..windows.stride[axis].max(windows.dilation[axis])),
        };
        let more = [legal(0), legal(1)];
        let (groups, z) = (rng.random_range(1..4), [rng.random_range(1..6), rng.random_range(1..6)]);
        checked += usize::from(check_adjoint(&mut rng, &windows, groups, z, more)?);
    }
    assert!(checked > 600, "{checked} pairs");
    Ok(())
}

#[test]
fn a_depthwise_convolution_is_one_with_as_many_groups_as_channels() -> Result<()> {
    fn check<A: Scalar>(rng: &mut ChaCha8Rng) -> Result<bool> {
        let windows = Windows::random(rng);
        let (channels, multiplier) = (one_of(rng, &[1, 2, 3, 5, 16, 17, 33]), rng.random_range(1..4));
        let filters = channels * multiplier;
        let sample = [rng.random_range(1..9), rng.random_range(1..9), channels];
        let grouped = windows.conv::<A>(filters, channels);
        let Ok(output) = grouped.output_shape(&sample) else { return Ok(false) };
        let batch = rng.random_range(1..4);
        let x = whole(rng, &[&[batch], &sample[..]].concat());
        let dy = whole(rng, &[&[batch], &output[..]].concat());
        let weight = whole(rng, &[windows.kernel[0], windows.kernel[1], 1, filters]);
        let bias = whole(rng, &[filters]);
        let [kernel, stride, dilation] = [windows.kernel, windows.stride, windows.dilation].map(|[h, w]| (h, w));
        let alone = DepthwiseConv2d::<A>::of(kernel)
            .stride(stride)
            .dilation(dilation)
            .padding(windows.padding)
            .multiplier(multiplier);
        let place = format!("{windows:?}, {:?} with a multiplier of {multiplier}", x.shape());
        let (got, expected) = (pass(alone, &x, &[&weight, &bias], &dy)?, pass(grouped, &x, &[&weight, &bias], &dy)?);
        assert_eq!(got.y, expected.y, "output: {place}");
        assert_eq!(got.dx, expected.dx, "gradient of the input: {place}");
        for (got, expected) in got.params.iter().zip(&expected.params) {
            assert!(got.iter().eq(expected), "gradients of the parameters: {place}");
        }
        Ok(true)
    }
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut checked = 0;
    while checked < 400 {
        checked += usize::from(if checked % 2 == 0 { check::<f64>(&mut rng)? } else { check::<f32>(&mut rng)? });
    }
    Ok(())
}

#[test]
fn a_sequence_is_an_image_of_height_one() -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..100 {
        let mut any = |from, to| rng.random_range(from..to);
        let (kernel, stride, dilation, before, after) = (any(1, 6), any(1, 4), any(1, 4), any(0, 4), any(0, 4));
        let (time, groups) = (any(16, 24), any(1, 3));
        let padding = Padding::from([(0, 0), (before, after)]);
        let sequence = Conv1d::<f64>::of(4, kernel).stride(stride).dilation(dilation).padding(padding).groups(groups);
        let image = Conv2d::<f64>::of(4, (1, kernel)).stride((1, stride)).dilation((1, dilation)).padding(padding);
        let x = whole(&mut rng, &[2, time, 2]);
        let output = sequence.output_shape(&x.shape()[1..])?;
        let dy = whole(&mut rng, &[&[2], &output[..]].concat());
        let (weight, bias) = (whole(&mut rng, &[kernel, 2 / groups, 4]), whole(&mut rng, &[4]));
        let wide = |t: &Tensor<f64>| t.clone().insert_axis(ndarray::Axis(1));
        let got = pass(sequence, &x, &[&weight, &bias], &dy)?;
        let expected = pass(image.groups(groups), &wide(&x), &[&weight, &bias], &wide(&dy))?;
        assert!(wide(&got.y) == expected.y && wide(&got.dx) == expected.dx && got.params[1] == expected.params[1]);
        assert!(got.params[0].iter().eq(&expected.params[0]));
    }
    Ok(())
}

/// A small network of images with batch statistics.
fn network() -> Result<Sequential<f64>> {
    let mut model = Sequential::of()
        .add(Conv2d::of(5, 3).padding(Padding::Same).without_bias())
        .add(BatchNormalization::of())
        .add(Activation::Relu)
        .add(DepthwiseConv2d::of(3).stride(2).activation(Activation::Tanh))
        .add(BatchNormalization::of().momentum(0.5))
        .add(Conv2d::of(4, 2).activation(Activation::Gelu))
        .add(Flatten::new())
        .add(Dense::of(3));
    model.initialize(&[8, 7, 2], 3)?;
    Ok(model)
}

#[test]
fn shards_of_a_batch_of_images_have_its_gradient_and_its_statistics() -> Result<()> {
    const BATCH: usize = 10;
    let x = ArrayD::from_shape_fn(IxDyn(&[BATCH, 8, 7, 2]), |at| {
        (at[0] * 31 + at[1] * 17 + at[2] * 7 + at[3] * 3) as f64 * 0.37
    });
    let x = x.mapv(|v: f64| 1.5 * v.sin() + 0.3);
    let labels: Array1<usize> = (0..BATCH).map(|row| row % 3).collect();
    let data = Dataset::new(&x, &labels)?;

    // The whole batch by hand: what a step of plain SGD at rate 1 and the statistics come to.
    let model = network()?;
    let mut ctx = Context::training(&model, 0);
    let y = model.forward(&data.inputs()[0], &mut ctx)?;
    let (loss, dy) = SoftmaxCrossEntropy::new().evaluate(&y, &data.targets()[0], None)?;
    model.backward(&data.inputs()[0], &y, &dy, false, &mut ctx)?;
    let expected = model.params().into_iter().map(|(name, param)| {
        let value = match ctx.gradient_of(param)? {
            Some(gradient) => param.get()? - gradient,
            None => ctx.state(param)?.clone(),
        };
        let moved = value.iter().zip(param.get()?).filter(|(after, before)| after != before).count();
        assert!(moved > 0, "{name} has not moved");
        Ok((name, value))
    });
    let expected = expected.collect::<Result<Vec<_>>>()?;
    assert_eq!(expected.iter().filter(|(name, _)| name.contains("running")).count(), 4);

    for shards in [1, 2, 3, 5] {
        for threads in [1, 2] {
            let mut model = network()?;
            let mut trainer = Trainer::of(SoftmaxCrossEntropy::new(), Sgd::new(1.0)).shards(shards).threads(threads);
            let got = trainer.step(&mut model, &data)?;
            assert!((got - loss).abs() < 1e-12, "{shards} shards: loss {got} for {loss}");
            for ((name, expected), (_, param)) in expected.iter().zip(model.params()) {
                for (expected, got) in expected.iter().zip(param.get()?) {
                    assert!((got - expected).abs() <= 1e-12, "{shards} shards: {name} {got} for {expected}");
                }
            }
        }
    }
    Ok(())
}
