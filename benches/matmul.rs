//! Matrix products against ndarray's `dot`, on one thread. The throughput is floating-point operations a second:
//! `Gelem/s` reads as GF/s.
//!
//! ```text
//! cargo bench --bench matmul [-- NAME]
//! ```

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layerwise::matmul;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array, Array2};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// m, k, n of the products of the workloads, forward and backward, and of squares, thin and small ones.
const SHAPES: [(&str, usize, usize, usize); 22] = [
    ("iris_first", 32, 4, 64),
    ("iris_hidden", 32, 64, 64),
    ("iris_last", 32, 64, 3),
    ("iris_weight_gradient", 64, 32, 64),
    ("mnist_first", 128, 784, 512),
    ("mnist_hidden", 128, 512, 512),
    ("mnist_last", 128, 512, 10),
    ("mnist_first_weight_gradient", 784, 128, 512),
    ("mnist_hidden_weight_gradient", 512, 128, 512),
    ("mnist_last_weight_gradient", 512, 128, 10),
    ("one_row", 1, 784, 512),
    ("one_column", 512, 784, 1),
    ("thin", 1024, 8, 8),
    ("ragged", 1000, 16, 24),
    ("tiny", 2, 2, 2),
    ("square_8", 8, 8, 8),
    ("square_16", 16, 16, 16),
    ("square_24", 24, 24, 24),
    ("square_64", 64, 64, 64),
    ("square_256", 256, 256, 256),
    ("square_512", 512, 512, 512),
    ("square_1024", 1024, 1024, 1024),
];

fn products(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for (name, m, k, n) in SHAPES {
        let mut random =
            |rows, columns| -> Array2<f32> { Array::random_using((rows, columns), StandardNormal, &mut rng) };
        let (a, b, mut c) = (random(m, k), random(k, n), Array2::zeros((m, n)));
        let mut group = criterion.benchmark_group(format!("matmul/{name}"));
        group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
        let shape = format!("{m}x{k}x{n}");
        group.bench_function(BenchmarkId::new("layerwise", &shape), |bencher| {
            bencher.iter(|| matmul(a.view(), b.view(), c.view_mut()));
        });
        group.bench_function(BenchmarkId::new("ndarray", &shape), |bencher| {
            bencher.iter(|| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
        });
        // The weight gradient reads the left factor transposed, the input's gradient the right one.
        let (left, right) = (random(k, m), random(n, k));
        for (form, a, b) in [("left_transposed", left.t(), b.view()), ("right_transposed", a.view(), right.t())] {
            group.bench_function(BenchmarkId::new(format!("layerwise_{form}"), &shape), |bencher| {
                bencher.iter(|| matmul(a, b, c.view_mut()));
            });
            group.bench_function(BenchmarkId::new(format!("ndarray_{form}"), &shape), |bencher| {
                bencher.iter(|| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
