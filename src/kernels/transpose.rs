//! Transposing a block of a matrix, which compilers do not vectorise by themselves.

use std::any::TypeId;

use super::math::Real;

/// The bytes of a row of the squares that are transposed in registers.
#[cfg(target_arch = "x86_64")]
const SIDE: usize = 32;

/// target[j, i] = source[i, j] for i below `rows` and j below `columns`; both are row-major with the given strides.
///
/// Rows of the target that have room for it may be filled up with zeros to the next multiple of 32 bytes.
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
    #[cfg(target_arch = "x86_64")]
    if has_room(rows.next_multiple_of(SIDE / size_of::<A>()), columns, target, target_stride)
        && super::simd::level() != super::simd::Level::Baseline
    {
        let block = x86::Block { rows, columns, source_stride, target_stride };
        let (from, to) = (source.as_ptr(), target.as_mut_ptr());
        // SAFETY: the numbers are of the type that was asked for; AVX2 was detected; the block lies within the parts
        // that were checked above, and the slices do not overlap, one being borrowed exclusively.
        unsafe {
            if TypeId::of::<A>() == TypeId::of::<f32>() {
                return block.transpose_f32(from.cast(), to.cast());
            }
            if TypeId::of::<A>() == TypeId::of::<f64>() {
                return block.transpose_f64(from.cast(), to.cast());
            }
        }
    }
    for (j, target) in target.chunks_mut(target_stride).enumerate().take(columns) {
        for (i, target) in target[..rows].iter_mut().enumerate() {
            *target = source[i * source_stride + j];
        }
    }
}

/// Whether rows of a target have room for so many numbers.
#[cfg(target_arch = "x86_64")]
fn has_room<A>(padded: usize, columns: usize, target: &[A], target_stride: usize) -> bool {
    padded <= target_stride && (columns - 1) * target_stride + padded <= target.len()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// The sizes of a block and the strides of the matrices that it is moved between.
    #[derive(Clone, Copy)]
    pub(super) struct Block {
        pub(super) rows: usize,
        pub(super) columns: usize,
        pub(super) source_stride: usize,
        pub(super) target_stride: usize,
    }

    impl Block {
        /// Goes through the squares of a block along the source, which is read line after line.
        #[inline(always)]
        fn squares(self, side: usize, mut square: impl FnMut(usize, usize)) {
            for i in (0..self.rows).step_by(side) {
                for j in (0..self.columns).step_by(side) {
                    square(i, j);
                }
            }
        }

        /// # Safety
        /// The processor has AVX2, and both blocks lie in memory that may be read and written, the target's padded to
        /// a multiple of 32 bytes a row.
        #[target_feature(enable = "avx2")]
        pub(super) unsafe fn transpose_f32(self, source: *const f32, target: *mut f32) {
            self.squares(8, |i, j| {
                let source = source.wrapping_add(i * self.source_stride + j);
                let target = target.wrapping_add(j * self.target_stride + i);
                let here = Block { rows: self.rows - i, columns: self.columns - j, ..self };
                // SAFETY: the square lies within the block, or what of it does is said.
                unsafe {
                    if here.rows >= 8 && here.columns >= 8 {
                        Block { rows: 8, columns: 8, ..self }.square_f32::<true>(source, target);
                    } else {
                        here.square_f32::<false>(source, target);
                    }
                }
            });
        }

        /// # Safety
        /// As for [`transpose_f32`](Self::transpose_f32).
        #[target_feature(enable = "avx2")]
        pub(super) unsafe fn transpose_f64(self, source: *const f64, target: *mut f64) {
            self.squares(4, |i, j| {
                let source = source.wrapping_add(i * self.source_stride + j);
                let target = target.wrapping_add(j * self.target_stride + i);
                let here = Block { rows: self.rows - i, columns: self.columns - j, ..self };
                // SAFETY: the square lies within the block, or what of it does is said.
                unsafe {
                    if here.rows >= 4 && here.columns >= 4 {
                        Block { rows: 4, columns: 4, ..self }.square_f64::<true>(source, target);
                    } else {
                        here.square_f64::<false>(source, target);
                    }
                }
            });
        }

        /// Transposes one square, of which all rows and columns are there (`WHOLE`) or some: pairs, pairs of pairs,
        /// then halves change places.
        ///
        /// # Safety
        /// As for [`transpose_f32`](Self::transpose_f32).
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn square_f32<const WHOLE: bool>(self, source: *const f32, target: *mut f32) {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(self.columns.min(8) as i32), lanes);
            // SAFETY: so many rows of so many numbers, as the caller promises.
            let row = |i: usize| unsafe {
                let from = source.wrapping_add(i * self.source_stride);
                match (WHOLE, i < self.rows) {
                    (true, _) => _mm256_loadu_ps(from),
                    (_, true) => _mm256_maskload_ps(from, mask),
                    _ => _mm256_setzero_ps(),
                }
            };
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
                let low = _mm256_permute2f128_ps::<0x20>(top, bottom);
                let high = _mm256_permute2f128_ps::<0x31>(top, bottom);
                for (j, numbers) in [(j, low), (j + 4, high)] {
                    if WHOLE || j < self.columns {
                        // SAFETY: so many rows of eight numbers, as the caller promises.
                        unsafe { _mm256_storeu_ps(target.add(j * self.target_stride), numbers) };
                    }
                }
            }
        }

        /// As [`square_f32`](Self::square_f32), of half the side.
        ///
        /// # Safety
        /// As for [`transpose_f32`](Self::transpose_f32).
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn square_f64<const WHOLE: bool>(self, source: *const f64, target: *mut f64) {
            let lanes = _mm256_setr_epi64x(0, 1, 2, 3);
            let mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(self.columns.min(4) as i64), lanes);
            // SAFETY: so many rows of so many numbers, as the caller promises.
            let row = |i: usize| unsafe {
                let from = source.wrapping_add(i * self.source_stride);
                match (WHOLE, i < self.rows) {
                    (true, _) => _mm256_loadu_pd(from),
                    (_, true) => _mm256_maskload_pd(from, mask),
                    _ => _mm256_setzero_pd(),
                }
            };
            let rows = [row(0), row(1), row(2), row(3)];
            let pairs = [(0, 1), (2, 3)]
                .map(|(a, b)| [_mm256_unpacklo_pd(rows[a], rows[b]), _mm256_unpackhi_pd(rows[a], rows[b])]);
            let [top, bottom] = pairs;
            for (j, (top, bottom)) in top.into_iter().zip(bottom).enumerate() {
                let low = _mm256_permute2f128_pd::<0x20>(top, bottom);
                let high = _mm256_permute2f128_pd::<0x31>(top, bottom);
                for (j, numbers) in [(j, low), (j + 2, high)] {
                    if WHOLE || j < self.columns {
                        // SAFETY: so many rows of four numbers, as the caller promises.
                        unsafe { _mm256_storeu_pd(target.add(j * self.target_stride), numbers) };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<A: Real + std::fmt::Debug>() {
        let sizes = [(1, 1), (8, 8), (7, 9), (16, 24), (33, 17), (3, 40), (40, 3), (24, 12), (4, 4), (13, 6)];
        for (rows, columns) in sizes {
            let padded = usize::next_multiple_of(rows, 32 / size_of::<A>());
            let (source_stride, target_stride) = (columns + 2, padded + 3);
            let source: Vec<A> = (0..(rows - 1) * source_stride + columns).map(|i| A::of(i as f64)).collect();
            let mut target = vec![A::of(-1.0); columns * target_stride];
            transpose(&source, source_stride, rows, columns, &mut target, target_stride);
            for j in 0..columns {
                for i in 0..target_stride {
                    let (found, untouched) = (target[j * target_stride + i], A::of(-1.0));
                    let right = match i {
                        _ if i < rows => found == source[i * source_stride + j],
                        _ if i < padded => found == A::zero() || found == untouched,
                        _ => found == untouched,
                    };
                    assert!(right, "{rows} by {columns}: {found:?} at {j}, {i}");
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
