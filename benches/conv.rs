//! Single convolutions in the shapes of ResNet-50 and MobileNetV2, forward and either gradient, on one thread. The
//! throughput is floating-point operations a second: `Gelem/s` reads as GF/s.
//!
//! ```text
//! cargo bench --bench conv [-- NAME]
//! ```

#![allow(missing_docs)] // criterion_group! makes an undocumented function

mod conv_shapes;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn convolutions(criterion: &mut Criterion) {
    for shape in conv_shapes::shapes() {
        let mut prepared = shape.prepare().expect("the layer takes this shape");
        let mut group = criterion.benchmark_group(format!("conv/{}", shape.name));
        group.throughput(Throughput::Elements(shape.operations() as u64));
        group.bench_function("forward", |bencher| bencher.iter(|| prepared.forward().expect("it fits")));
        group.bench_function("input_gradient", |bencher| bencher.iter(|| prepared.input_gradient().expect("it fits")));
        group
            .bench_function("weight_gradient", |bencher| bencher.iter(|| prepared.weight_gradient().expect("it fits")));
        group.finish();
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
