//! The most that one core can do, to hold products against.

use std::hint::black_box;
use std::time::Instant;

use super::simd::{by_level, level};
use super::vector::Vector;

/// Sums that do not wait for each other: enough to hide how long one takes, and few enough to stay in registers.
const SUMS: usize = 12;

by_level! {
    /// sums = sums * factor + sums, over and over, in numbers that never leave their registers.
    fn spin<A>(rounds: usize, factor: A, out: &mut A) = multiply_add
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn multiply_add<V: Vector>(rounds: usize, factor: V::Item, out: &mut V::Item) {
    // SAFETY: the instruction set is there, as the caller promises.
    unsafe {
        let factor = V::splat(factor);
        let mut sums = [factor; SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.fma(factor, factor);
            }
        }
        let total = sums.into_iter().fold(factor, |total, sum| total.add(sum));
        *out = total.sum();
    }
}

/// The lanes of a register of the best instruction set that the machine has.
fn lanes() -> usize {
    let mut lanes = 0;
    count(level(), 0.0_f32, &mut lanes);
    lanes
}

by_level! {
    fn count<A>(_zero: A, lanes: &mut usize) = lanes_of
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn lanes_of<V: Vector>(_: V::Item, lanes: &mut usize) {
    *lanes = V::LANES;
}

/// The floating-point operations a second of one core of this machine in `f32`: the best of some short runs of
/// independent multiply-adds.
#[doc(hidden)]
pub fn fma_peak() -> f64 {
    const ROUNDS: usize = 100_000;
    let operations = (2 * SUMS * lanes() * ROUNDS) as f64;
    let run = || {
        let begun = Instant::now();
        let mut out = 0.0;
        spin(level(), ROUNDS, black_box(0.5_f32), &mut out);
        black_box(out);
        operations / begun.elapsed().as_secs_f64()
    };
    (0..50).map(|_| run()).fold(0.0, f64::max)
}
