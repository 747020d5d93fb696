//! Vector registers, for the loops that a compiler does not vectorise well enough by itself.

use num_traits::Zero;

use super::math::Real;

/// Some numbers in one register.
///
/// # Safety
/// Each method needs the instruction set of its type, which the caller has made sure of. Those that take a pointer
/// need it to be good for as many numbers as they touch.
pub trait Vector: Copy {
    /// The numbers' type.
    type Item: Real;
    /// Which numbers of a register take part.
    type Mask: Copy;
    /// How many numbers it holds.
    const LANES: usize;
    /// The rows and the most registers of a row of a tile of a product: as many as leave some registers free.
    const TILE: (usize, usize);
    /// The same for results that are exactly so many registers wide: more of a row at once where that leaves no
    /// narrow strip.
    const WIDE: (usize, usize) = Self::TILE;

    /// The rows of a tile with so many registers a row.
    #[inline(always)]
    fn rows(registers: usize) -> usize {
        if registers > Self::TILE.1 { Self::WIDE.0 } else { Self::TILE.0 }
    }

    /// The first `count` numbers take part, all of them where there are no more.
    unsafe fn mask(count: usize) -> Self::Mask;
    /// The same number everywhere.
    unsafe fn splat(value: Self::Item) -> Self;
    /// Reads a register.
    unsafe fn load(from: *const Self::Item) -> Self;
    /// Reads the numbers that take part, and 0 for the others, whose memory is not touched.
    unsafe fn load_some(from: *const Self::Item, mask: Self::Mask) -> Self;
    /// Writes a register.
    unsafe fn store(self, to: *mut Self::Item);
    /// Writes the numbers that take part.
    unsafe fn store_some(self, to: *mut Self::Item, mask: Self::Mask);
    /// self * factor + term, rounded once where the instruction set can.
    unsafe fn fma(self, factor: Self, term: Self) -> Self;
    /// Element by element.
    unsafe fn add(self, other: Self) -> Self;
    /// 0 where a number is below 0; NaN stays.
    unsafe fn relu(self) -> Self;

    /// The sum of its numbers.
    #[inline(always)]
    unsafe fn sum(self) -> Self::Item {
        let mut lanes = [Self::Item::zero(); MOST_LANES];
        // SAFETY: no register is longer than the array.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut half = Self::LANES / 2;
        while half > 0 {
            for lane in 0..half {
                lanes[lane] += lanes[lane + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// Asks for the memory at an address, be it any, to be in the cache by the time that it is needed.
#[inline(always)]
pub(crate) fn prefetch<A>(at: *const A) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it does nothing where there is no memory.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The lanes of the longest register there is.
const MOST_LANES: usize = 16;

/// The registers that a number type has.
pub trait Vectors {
    /// Of AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Item = Self>;
    /// Of AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Item = Self>;
    /// What the compiler makes of some numbers side by side.
    type Plain: Vector<Item = Self>;
}

impl Vectors for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256;
    type Plain = Plain<f32, 4>;
}

impl Vectors for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512d;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256d;
    type Plain = Plain<f64, 2>;
}

/// Numbers side by side, for any machine.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Plain<A, const LANES: usize>([A; LANES]);

impl<A: Real, const LANES: usize> Plain<A, LANES> {
    #[inline(always)]
    fn from_fn(f: impl FnMut(usize) -> A) -> Self {
        Plain(std::array::from_fn(f))
    }
}

impl<A: Real, const LANES: usize> Vector for Plain<A, LANES> {
    type Item = A;
    type Mask = usize;
    const LANES: usize = LANES;
    // SSE2 has 16 registers, NEON 32.
    const TILE: (usize, usize) = if cfg!(target_arch = "aarch64") { (8, 3) } else { (4, 2) };

    #[inline(always)]
    unsafe fn mask(count: usize) -> usize {
        count.min(LANES)
    }

    #[inline(always)]
    unsafe fn splat(value: A) -> Self {
        Plain([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const A) -> Self {
        // SAFETY: the pointer is good for a register, as the caller promises; arrays need no other alignment.
        unsafe { Plain(from.cast::<[A; LANES]>().read()) }
    }

    #[inline(always)]
    unsafe fn load_some(from: *const A, mask: usize) -> Self {
        // SAFETY: the pointer is good for the numbers that take part.
        Self::from_fn(|lane| if lane < mask { unsafe { from.add(lane).read() } } else { A::zero() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut A) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[A; LANES]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn store_some(self, to: *mut A, mask: usize) {
        for (lane, &value) in self.0.iter().enumerate().take(mask) {
            // SAFETY: the pointer is good for the numbers that take part.
            unsafe { to.add(lane).write(value) }
        }
    }

    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        Self::from_fn(|lane| self.0[lane].fma::<{ super::simd::BASELINE_FMA }>(factor.0[lane], term.0[lane]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self::from_fn(|lane| self.0[lane] + other.0[lane])
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        Self::from_fn(|lane| if self.0[lane] < A::zero() { A::zero() } else { self.0[lane] })
    }
}

/// Makes a processor's register a [`Vector`].
#[cfg(target_arch = "x86_64")]
macro_rules! register {
    (
        $register:ident of $item:ident, lanes: $lanes:literal, tile: $tile:expr, wide: $wide:expr, mask: $mask:ident = $make_mask:expr,
        masked: [$load_some:ident, $store_some:ident],
        [$splat:ident, $zero:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $max:ident]
    ) => {
        impl Vector for $register {
            type Item = $item;
            type Mask = $mask;
            const LANES: usize = $lanes;
            const TILE: (usize, usize) = $tile;
            const WIDE: (usize, usize) = $wide;

            #[inline(always)]
            unsafe fn mask(count: usize) -> $mask {
                // SAFETY: as the trait says.
                unsafe { $make_mask(count) }
            }

            #[inline(always)]
            unsafe fn splat(value: $item) -> Self {
                // SAFETY: as the trait says.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const $item) -> Self {
                // SAFETY: as the trait says.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn load_some(from: *const $item, mask: $mask) -> Self {
                // SAFETY: as the trait says.
                unsafe { $load_some(from, mask) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $item) {
                // SAFETY: as the trait says.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut $item, mask: $mask) {
                // SAFETY: as the trait says.
                unsafe { $store_some(to, mask, self) }
            }

            #[inline(always)]
            unsafe fn fma(self, factor: Self, term: Self) -> Self {
                // SAFETY: as the trait says.
                unsafe { $fma(self, factor, term) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as the trait says.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn relu(self) -> Self {
                // SAFETY: as the trait says. Where one of two numbers is NaN the instruction answers the second.
                unsafe { $max($zero(), self) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    /// Which lanes take part, and how many they are.
    type Lanes = (__m256i, usize);

    /// Lanes below the count.
    #[inline(always)]
    unsafe fn lanes_of_8(count: usize) -> Lanes {
        // SAFETY: as the trait says.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            (_mm256_cmpgt_epi32(_mm256_set1_epi32(count.min(8) as i32), lanes), count)
        }
    }

    /// Lanes below the count.
    #[inline(always)]
    unsafe fn lanes_of_4(count: usize) -> Lanes {
        // SAFETY: as the trait says.
        unsafe {
            let lanes = _mm256_setr_epi64x(0, 1, 2, 3);
            (_mm256_cmpgt_epi64(_mm256_set1_epi64x(count.min(4) as i64), lanes), count)
        }
    }

    #[inline(always)]
    unsafe fn load_8(from: *const f32, mask: Lanes) -> __m256 {
        // SAFETY: as the trait says.
        unsafe { _mm256_maskload_ps(from, mask.0) }
    }

    #[inline(always)]
    unsafe fn load_4(from: *const f64, mask: Lanes) -> __m256d {
        // SAFETY: as the trait says.
        unsafe { _mm256_maskload_pd(from, mask.0) }
    }

    /// In parts: some processors are very slow at storing with a mask.
    #[inline(always)]
    unsafe fn store_8(to: *mut f32, mask: Lanes, numbers: __m256) {
        let count = mask.1;
        // SAFETY: as the trait says.
        unsafe {
            if count >= 8 {
                return _mm256_storeu_ps(to, numbers);
            }
            let mut rest = _mm256_castps256_ps128(numbers);
            if count >= 4 {
                _mm_storeu_ps(to, rest);
                rest = _mm256_extractf128_ps::<1>(numbers);
            }
            let done = count & 4;
            if count & 2 != 0 {
                _mm_storel_pd(to.add(done).cast(), _mm_castps_pd(rest));
                rest = _mm_movehl_ps(rest, rest);
            }
            if count & 1 != 0 {
                _mm_store_ss(to.add(done + (count & 2)), rest);
            }
        }
    }

    /// In parts, as [`store_8`].
    #[inline(always)]
    unsafe fn store_4(to: *mut f64, mask: Lanes, numbers: __m256d) {
        let count = mask.1;
        // SAFETY: as the trait says.
        unsafe {
            if count >= 4 {
                return _mm256_storeu_pd(to, numbers);
            }
            let mut rest = _mm256_castpd256_pd128(numbers);
            if count >= 2 {
                _mm_storeu_pd(to, rest);
                rest = _mm256_extractf128_pd::<1>(numbers);
            }
            if count & 1 != 0 {
                _mm_store_sd(to.add(count & 2), rest);
            }
        }
    }

    #[inline(always)]
    unsafe fn bits_of_16(count: usize) -> __mmask16 {
        ((1_u32 << count.min(16)) - 1) as __mmask16
    }

    #[inline(always)]
    unsafe fn bits_of_8(count: usize) -> __mmask8 {
        ((1_u32 << count.min(8)) - 1) as __mmask8
    }

    #[inline(always)]
    unsafe fn wide_ps(from: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: as the trait says.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    #[inline(always)]
    unsafe fn wide_pd(from: *const f64, mask: __mmask8) -> __m512d {
        // SAFETY: as the trait says.
        unsafe { _mm512_maskz_loadu_pd(mask, from) }
    }

    register! {
        __m512 of f32, lanes: 16, tile: (8, 3), wide: (6, 4), mask: __mmask16 = bits_of_16, masked: [wide_ps, _mm512_mask_storeu_ps],
        [_mm512_set1_ps, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps,
         _mm512_max_ps]
    }
    register! {
        __m512d of f64, lanes: 8, tile: (8, 3), wide: (6, 4), mask: __mmask8 = bits_of_8, masked: [wide_pd, _mm512_mask_storeu_pd],
        [_mm512_set1_pd, _mm512_setzero_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd,
         _mm512_max_pd]
    }
    register! {
        __m256 of f32, lanes: 8, tile: (6, 2), wide: (6, 2), mask: Lanes = lanes_of_8,
        masked: [load_8, store_8],
        [_mm256_set1_ps, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps,
         _mm256_max_ps]
    }
    register! {
        __m256d of f64, lanes: 4, tile: (6, 2), wide: (6, 2), mask: Lanes = lanes_of_4,
        masked: [load_4, store_4],
        [_mm256_set1_pd, _mm256_setzero_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd,
         _mm256_max_pd]
    }
}
