//! Every pooling layer's gradient held against finite differences.

#[path = "common/gradients.rs"]
mod gradients;

use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{GradCheck, gradcheck};
use ndarray::{ArrayD, IxDyn};

/// Values above 0.1 that repeat nowhere and lie further apart than the differences reach.
fn input(shape: &[usize]) -> Tensor<f64> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| 0.1 + (i * 7919 % count) as f64 / count as f64 + i as f64 * 1e-4).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).unwrap().into_shared()
}

fn check(layer: impl Layer<f64>, x: &Tensor<f64>) -> Result<()> {
    let reports = gradients::check(layer, std::slice::from_ref(x))?;
    assert_eq!(reports.map(|report| report.compared), [x.len(); 2]);
    Ok(())
}

const PADDINGS: [Padding; 3] = [Padding::Valid, Padding::Same, Padding::Sides([(1, 0), (0, 1)])];

#[test]
fn windows_that_slide_over_images() -> Result<()> {
    for shape in [[2, 5, 4, 3], [1, 4, 6, 1], [1, 3, 3, 5]] {
        let x = input(&shape);
        let signed = (&x - 0.6).into_shared();
        for (size, stride) in [((2, 2), 2), ((2, 2), 1), ((3, 2), 2), ((2, 3), 3)] {
            for padding in PADDINGS {
                check(MaxPool2d::new(size).stride(stride).padding(padding), &signed)?;
                check(MaxPool2d::new(size).stride(stride).padding(padding).ceil_mode(), &signed)?;
                let average = AveragePool2d::new(size).stride(stride).padding(padding);
                for average in [average, average.ceil_mode()] {
                    check(average, &signed)?;
                    check(average.count_include_pad(), &signed)?;
                }
                for p in [0.5, 1.0, 2.0, 2.5, 3.0] {
                    let norm = LpPool2d::new(p, size).stride(stride).padding(padding);
                    check(norm, &x)?;
                    check(norm.ceil_mode(), &x)?;
                }
                check(LpPool2d::new(2.0, size).stride(stride).padding(padding), &signed)?;
            }
        }
    }
    Ok(())
}

#[test]
fn windows_that_slide_over_sequences() -> Result<()> {
    for shape in [[2, 7, 3], [1, 4, 1]] {
        let x = input(&shape);
        for (size, stride) in [(2, 2), (3, 1), (2, 3)] {
            for padding in PADDINGS {
                check(MaxPool1d::new(size).stride(stride).padding(padding).ceil_mode(), &x)?;
                check(AveragePool1d::new(size).stride(stride).padding(padding), &x)?;
                check(AveragePool1d::new(size).stride(stride).padding(padding).count_include_pad(), &x)?;
                check(LpPool1d::new(3.0, size).stride(stride).padding(padding).ceil_mode(), &x)?;
            }
        }
    }
    Ok(())
}

#[test]
fn windows_over_everything_and_windows_by_number() -> Result<()> {
    for shape in [[2, 5, 4, 3], [1, 1, 2, 17], [2, 6, 6, 1]] {
        let x = input(&shape);
        check(GlobalMaxPool2d::new(), &x)?;
        check(GlobalMaxPool2d::new().keep_dims(), &x)?;
        check(GlobalAveragePool2d::new(), &x)?;
        check(GlobalAveragePool2d::new().keep_dims(), &x)?;
        for output in [(1, 1), (3, 2), (7, 5)] {
            check(AdaptiveMaxPool2d::new(output), &x)?;
            check(AdaptiveAveragePool2d::new(output), &x)?;
        }
    }
    let x = input(&[2, 5, 3]);
    check(GlobalMaxPool1d::new(), &x)?;
    check(GlobalMaxPool1d::new().keep_dims(), &x)?;
    check(GlobalAveragePool1d::new(), &x)?;
    check(GlobalAveragePool1d::new().keep_dims(), &x)?;
    for output in [1, 3, 8] {
        check(AdaptiveMaxPool1d::new(output), &x)?;
        check(AdaptiveAveragePool1d::new(output), &x)?;
    }
    Ok(())
}

#[test]
fn in_a_network() -> Result<()> {
    let mut model = Sequential::<f64>::of()
        .add(Dense::of(3).activation(Activation::Tanh))
        .add(MaxPool2d::new(2))
        .add(AveragePool2d::new(3).stride(1).padding(Padding::Same))
        .add(Residual::new(MaxPool2d::new(3).stride(1).padding(1)))
        .add(GlobalAveragePool2d::new())
        .add(Dense::of(2));
    let x = (input(&[2, 5, 7, 2]) - 0.6).into_shared();
    model.initialize(&[5, 7, 2], 3)?;
    let report = gradcheck(&mut model, &[x], &GradCheck::default())?;
    assert_eq!(report.compared, 2 * 5 * 7 * 2 + (2 * 3 + 3) + (3 * 2 + 2));
    Ok(())
}
