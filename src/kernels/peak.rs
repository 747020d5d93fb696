//! The most that one core can do, to hold products against.

use std::hint::black_box;
use std::time::Instant;

use super::simd::simd;

simd! {
    /// Multiply-adds on numbers that never leave their registers.
    fn spin<A>(rounds: usize, factor: A, term: A) -> A {
        let mut sums = [[term; 16]; 10];
        for _ in 0..rounds {
            for sums in &mut sums {
                for sum in sums {
                    *sum = sum.fma::<FMA>(factor, term);
                }
            }
        }
        sums.iter().flatten().fold(A::zero(), |total, &sum| total + sum)
    }
}

/// The floating-point operations a second of one core of this machine in `f32`: the best of some short runs of
/// independent multiply-adds.
#[doc(hidden)]
pub fn fma_peak() -> f64 {
    const ROUNDS: usize = 100_000;
    let operations = (2 * 160 * ROUNDS) as f64;
    let run = || {
        let begun = Instant::now();
        black_box(spin(ROUNDS, black_box(0.5_f32), black_box(1.0)));
        operations / begun.elapsed().as_secs_f64()
    };
    (0..50).map(|_| run()).fold(0.0, f64::max)
}
