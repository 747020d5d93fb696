//! Transposing a block of a matrix, which compilers do not vectorise by themselves.

use std::any::TypeId;

use super::math::Real;

/// The side of the squares that are transposed in registers.
const SIDE: usize = 8;

/// target[j, i] = source[i, j] for i below `rows` and j below `columns`; both are row-major with the given strides.
///
/// # Panics
/// Where a slice is too short for that.
pub(super) fn transpose<A: Real>(
    source: &[A],
    source_stride: usize,
    rows: usize,
    columns: usize,
    target: &mut [A],
    target_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= source_stride && (rows - 1) * source_stride + columns <= source.len());
    assert!(rows <= target_stride && (columns - 1) * target_stride + rows <= target.len());
    let (mut done_rows, mut done_columns) = (0, 0);
    #[cfg(target_arch = "x86_64")]
    if TypeId::of::<A>() == TypeId::of::<f32>() && super::simd::level() != super::simd::Level::Baseline {
        (done_rows, done_columns) = (rows / SIDE * SIDE, columns / SIDE * SIDE);
        // SAFETY: `A` is `f32`; AVX2 was detected; the squares lie within the parts that were checked above, and the
        // slices do not overlap, one being borrowed exclusively.
        unsafe {
            let (source, target) = (source.as_ptr().cast(), target.as_mut_ptr().cast());
            x86::squares(source, source_stride, done_rows, done_columns, target, target_stride);
        }
    }
    for i in 0..rows {
        let from = if i < done_rows { done_columns } else { 0 };
        for j in from..columns {
            target[j * target_stride + i] = source[i * source_stride + j];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::SIDE;

    /// Transposes all squares of a block whose sides are multiples of [`SIDE`].
    ///
    /// # Safety
    /// The processor has AVX2, and both blocks lie in memory that may be read and written.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn squares(
        source: *const f32,
        source_stride: usize,
        rows: usize,
        columns: usize,
        target: *mut f32,
        target_stride: usize,
    ) {
        // Along the target: reading the same line twice costs less than writing it twice.
        for j in (0..columns).step_by(SIDE) {
            for i in (0..rows).step_by(SIDE) {
                // SAFETY: the square lies within the block.
                unsafe {
                    let source = source.add(i * source_stride + j);
                    square(source, source_stride, target.add(j * target_stride + i), target_stride);
                }
            }
        }
    }

    /// Transposes one square: pairs, pairs of pairs, then halves change places.
    ///
    /// # Safety
    /// As for [`squares`].
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn square(source: *const f32, source_stride: usize, target: *mut f32, target_stride: usize) {
        // SAFETY: eight rows of eight values, as the caller promises.
        let row = |i: usize| unsafe { _mm256_loadu_ps(source.add(i * source_stride)) };
        let pairs = [(0, 1), (2, 3), (4, 5), (6, 7)].map(|(a, b)| {
            let (a, b) = (row(a), row(b));
            (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
        });
        let quads = [(0, 1), (2, 3)].map(|(a, b)| {
            let (low, high) = (pairs[a], pairs[b]);
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(low.0, high.0),
                _mm256_shuffle_ps::<0b11_10_11_10>(low.0, high.0),
                _mm256_shuffle_ps::<0b01_00_01_00>(low.1, high.1),
                _mm256_shuffle_ps::<0b11_10_11_10>(low.1, high.1),
            ]
        });
        let [top, bottom] = quads;
        for (j, (top, bottom)) in top.into_iter().zip(bottom).enumerate() {
            // SAFETY: eight rows of eight values, as the caller promises.
            unsafe {
                _mm256_storeu_ps(target.add(j * target_stride), _mm256_permute2f128_ps::<0x20>(top, bottom));
                _mm256_storeu_ps(target.add((j + 4) * target_stride), _mm256_permute2f128_ps::<0x31>(top, bottom));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<A: Real + std::fmt::Debug>() {
        for (rows, columns) in [(1, 1), (8, 8), (7, 9), (16, 24), (33, 17), (3, 40), (40, 3)] {
            let (source_stride, target_stride) = (columns + 2, rows + 3);
            let source: Vec<A> = (0..rows * source_stride).map(|i| A::of(i as f64)).collect();
            let mut target = vec![A::of(-1.0); columns * target_stride];
            transpose(&source, source_stride, rows, columns, &mut target, target_stride);
            for j in 0..columns {
                for i in 0..target_stride {
                    let expected = if i < rows { source[i * source_stride + j] } else { A::of(-1.0) };
                    assert_eq!(target[j * target_stride + i], expected, "{rows} by {columns}, at {j}, {i}");
                }
            }
        }
    }

    #[test]
    fn every_element_changes_its_place_and_nothing_else_is_touched() {
        check::<f32>();
        check::<f64>();
    }
}
