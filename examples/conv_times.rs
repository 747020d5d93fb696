//! Times single convolutions of ResNet-50 and MobileNetV2 on one thread, one JSON line each, in the format that
//! `scripts/conv_torch.py` prints too.
//!
//! ```text
//! cargo run --release --example conv_times -- [--only NAME] [--seconds S]
//! ```
//!
//! Each figure is the median over at least S seconds and 5 runs after 2 warm-ups, in microseconds, with its share of
//! what one core could do in multiply-adds (`*_peak`, in per cent): the output, the gradient of the images, that of the
//! weight.

#[path = "../benches/conv_shapes/mod.rs"]
mod conv_shapes;

use std::time::Instant;

use conv_shapes::{Prepared, Shape, shapes};
use layerwise::prelude::*;

/// The median of the microseconds that one call takes.
fn time(seconds: f64, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..2 {
        call()?;
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds || times.len() < 5 {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn run(shape: &Shape, peak: f64, seconds: f64) -> Result<()> {
    let mut prepared: Prepared = shape.prepare()?;
    let forward = time(seconds, || prepared.forward())?;
    let input = time(seconds, || prepared.input_gradient())?;
    let weight = time(seconds, || prepared.weight_gradient())?;
    let share = |microseconds: f64| 100.0 * shape.operations() / (microseconds * 1e-6) / peak;
    println!(
        "{{\"peer\": \"layerwise\", \"threads\": 1, \"shape\": \"{}\", \"forward_us\": {forward:.1}, \
         \"input_us\": {input:.1}, \"weight_us\": {weight:.1}, \"forward_peak\": {:.1}, \"input_peak\": {:.1}, \
         \"weight_peak\": {:.1}}}",
        shape.name,
        share(forward),
        share(input),
        share(weight)
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let only = value("--only").cloned().unwrap_or_default();
    let seconds = value("--seconds").and_then(|text| text.parse().ok()).unwrap_or(0.3);
    let peak = layerwise::fma_peak();
    shapes().iter().filter(|shape| shape.name.contains(&only)).try_for_each(|shape| run(shape, peak, seconds))
}
