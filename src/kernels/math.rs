//! exp, exp - 1, tanh, erf and ln(1 + x) as straight-line arithmetic, which compilers turn into vector code.

use std::cell::RefCell;
use std::thread::LocalKey;

use num_traits::{Float, FromPrimitive, NumAssign};

use super::vector::Vectors;

/// What the kernels need of a number type: arithmetic, and functions without branches or calls.
///
/// `f32` and `f64` have it; every function is within 2 units in the last place of the true value, and NaN flows
/// through each.
pub trait Real: Float + FromPrimitive + NumAssign + Default + Send + Sync + Vectors + 'static {
    /// The type's name as users write it.
    const NAME: &'static str;

    /// From an `f64`, rounded to nearest.
    fn of(value: f64) -> Self;

    /// To an `f64`, exactly.
    fn as_f64(self) -> f64;

    /// `self * factor + term`, rounded once where `FMA` says that the machine can.
    #[doc(hidden)]
    fn fma<const FMA: bool>(self, factor: Self, term: Self) -> Self;

    /// e to the power of `self`.
    #[doc(hidden)]
    fn fast_exp<const FMA: bool>(self) -> Self;

    /// e to the power of `self`, less 1, for numbers up to 0; 0 above.
    #[doc(hidden)]
    fn fast_exp_m1<const FMA: bool>(self) -> Self;

    /// The hyperbolic tangent.
    #[doc(hidden)]
    fn fast_tanh<const FMA: bool>(self) -> Self;

    /// The error function.
    #[doc(hidden)]
    fn fast_erf<const FMA: bool>(self) -> Self;

    /// This thread's memory for kernels that need some for a while, a piece for each use within a use.
    #[doc(hidden)]
    fn spare() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;
}

/// The functions of one float type.
///
/// exp(x) = 2^n exp(r) with n = round(x / ln 2) and r = x - n ln 2, so that |r| <= ln 2 / 2; ln 2 is split in two so
/// that n times its high part is exact. exp(r) = 1 + r + r^2 q(r) with the polynomial q. Adding 1.5 * 2^mantissa
/// rounds to a whole number, whose lowest bits are then n itself.
macro_rules! float_functions {
    (
        mod $module:ident for $float:ident, int: $int:ident,
        mantissa: $mantissa:expr, bias: $bias:expr,
        ln2: $ln2_hi:expr, $ln2_lo:expr,
        exp: $lowest:expr, $highest:expr,
        tanh_is_one_from: $one:expr,
        q: [$first:expr $(, $coefficient:expr)*]
    ) => {
        mod $module {
            use super::Real;

            /// r and n of x = n ln 2 + r.
            #[inline(always)]
            fn reduce<const FMA: bool>(x: $float) -> ($float, $int) {
                const MAGIC: $float = 1.5 * (1u64 << $mantissa) as $float;
                let shifted = x.fma::<FMA>(std::$float::consts::LOG2_E, MAGIC);
                let n = shifted - MAGIC;
                let r = n.fma::<FMA>(-$ln2_hi, x);
                let r = n.fma::<FMA>(-$ln2_lo, r);
                (r, (shifted.to_bits() as $int).wrapping_sub(MAGIC.to_bits() as $int))
            }

            /// exp(r) - 1 for |r| <= ln 2 / 2.
            #[inline(always)]
            fn exp_minus_one<const FMA: bool>(r: $float) -> $float {
                let mut q: $float = $first;
                $(q = q.fma::<FMA>(r, $coefficient);)*
                (r * r).fma::<FMA>(q, r)
            }

            /// 2^n for n in the range of normal exponents.
            #[inline(always)]
            fn power_of_two(n: $int) -> $float {
                $float::from_bits((n.wrapping_add($bias) << $mantissa) as _)
            }

            #[inline(always)]
            pub(super) fn exp<const FMA: bool>(x: $float) -> $float {
                // Comparisons rather than `clamp`, so that NaN passes.
                let x = if x > $highest { $highest } else { x };
                let x = if x < $lowest { $lowest } else { x };
                let (r, n) = reduce::<FMA>(x);
                // In two steps, so that the largest results and those below the smallest normal number come out.
                let half = n >> 1;
                (exp_minus_one::<FMA>(r) + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
            }

            /// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), which is -1 to the last digit long before 2^n is too small.
            #[inline(always)]
            pub(super) fn exp_m1<const FMA: bool>(x: $float) -> $float {
                let x = if x > 0.0 { 0.0 } else { x };
                let x = if x < -4.0 * $one { -4.0 * $one } else { x };
                let (r, n) = reduce::<FMA>(x);
                let scale = power_of_two(n);
                scale.fma::<FMA>(exp_minus_one::<FMA>(r), scale - 1.0)
            }

            /// tanh |x| = t / (t + 2) with t = exp(2 |x|) - 1 = 2^n (exp(r) - 1) + (2^n - 1).
            #[inline(always)]
            pub(super) fn tanh<const FMA: bool>(x: $float) -> $float {
                let magnitude = x.abs();
                let magnitude = if magnitude > $one { $one } else { magnitude };
                let (r, n) = reduce::<FMA>(magnitude + magnitude);
                let scale = power_of_two(n);
                let t = scale.fma::<FMA>(exp_minus_one::<FMA>(r), scale - 1.0);
                (t / (t + 2.0)).copysign(x)
            }
        }

        impl Real for $float {
            const NAME: &'static str = stringify!($float);

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $float
            }

            #[inline(always)]
            fn as_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn fma<const FMA: bool>(self, factor: Self, term: Self) -> Self {
                if FMA { self.mul_add(factor, term) } else { self * factor + term }
            }

            #[inline(always)]
            fn fast_exp<const FMA: bool>(self) -> Self {
                $module::exp::<FMA>(self)
            }

            #[inline(always)]
            fn fast_exp_m1<const FMA: bool>(self) -> Self {
                $module::exp_m1::<FMA>(self)
            }

            #[inline(always)]
            fn fast_tanh<const FMA: bool>(self) -> Self {
                $module::tanh::<FMA>(self)
            }

            #[inline(always)]
            fn fast_erf<const FMA: bool>(self) -> Self {
                erf::$module::<FMA>(self)
            }

            fn spare() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>> {
                thread_local! {
                    static SPARE: RefCell<Vec<Vec<$float>>> = const { RefCell::new(Vec::new()) };
                }
                &SPARE
            }
        }
    };
}

// The coefficients are Cephes's `expf` (S. Moshier), a minimax fit.
float_functions! {
    mod single for f32, int: i32,
    mantissa: 23, bias: 127,
    ln2: 0.693_359_4, -2.121_944_4e-4,
    exp: -104.0, 89.0,
    tanh_is_one_from: 10.0,
    q: [
        1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5
    ]
}

// Taylor's series up to r^13 / 13!: what follows is below 4e-18 of the result.
float_functions! {
    mod double for f64, int: i64,
    mantissa: 52, bias: 1023,
    ln2: 6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10,
    exp: -746.0, 710.0,
    tanh_is_one_from: 20.0,
    q: [
        1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0, 1.0 / 3_628_800.0, 1.0 / 362_880.0,
        1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5
    ]
}

/// ln(1 + e) for e in [0, 1], to the last digits also where e is tiny.
///
/// ln(1 + e) = 2 artanh(s) with s = e / (2 + e), and artanh(s) = s + s^3 / 3 + s^5 / 5 + ... As s <= 1/3, what follows
/// the last term is below 2e-9 (8 terms) and 2e-18 (17 terms) of the result.
#[inline(always)]
pub(super) fn log_one_plus<A: Real, const FMA: bool>(e: A) -> A {
    let terms = if size_of::<A>() == size_of::<f32>() { 8 } else { 17 };
    // 2 s is not made by doubling, so that the last digit of the smallest numbers stays.
    let double = e / e.fma::<FMA>(A::of(0.5), A::one());
    let square = double * double * A::of(0.25);
    let mut series = A::zero();
    for k in (0..terms).rev() {
        series = series.fma::<FMA>(square, A::of(1.0 / (2 * k + 1) as f64));
    }
    double * series
}

mod erf {
    use super::Real;

    /// Two polynomials, joined at 0.9277 (N. Juffa's fit, at most 1 unit in the last place off).
    #[inline(always)]
    pub(super) fn single<const FMA: bool>(x: f32) -> f32 {
        let t = x.abs();
        let s = x * x;
        let tail = (-1.728_534_7e-5_f32).fma::<FMA>(t, 3.831_972e-4);
        let middle = (-3.883_964_4e-3_f32).fma::<FMA>(t, 2.425_462_2e-2);
        let tail = tail.fma::<FMA>(s, middle);
        let tail = tail.fma::<FMA>(t, -1.067_778_8e-1);
        let tail = tail.fma::<FMA>(t, -6.348_467e-1);
        let tail = tail.fma::<FMA>(t, -1.287_175_1e-1);
        let tail = tail.fma::<FMA>(t, -t);
        let far = (1.0 - tail.fast_exp::<FMA>()).copysign(x);

        let near = (-5.967_617e-4_f32).fma::<FMA>(s, 4.991_194_2e-3);
        let near = near.fma::<FMA>(s, -2.676_813_5e-2);
        let near = near.fma::<FMA>(s, 1.128_199_25e-1);
        let near = near.fma::<FMA>(s, -3.761_253_4e-1);
        let near = near.fma::<FMA>(s, 1.283_791_7e-1);
        let near = near.fma::<FMA>(x, x);
        if t > 0.927_734_4 { far } else { near }
    }

    /// The libm function: `f64` is there for checking gradients, not for speed.
    #[inline(always)]
    pub(super) fn double<const FMA: bool>(x: f64) -> f64 {
        libm::erf(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many floats lie between two numbers of one sign.
    fn distance(a: f32, b: f32) -> u32 {
        if a == b { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
    }

    /// The worst distance from the `f64` function over every 2999th float.
    fn worst(fast: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (u32, f32) {
        let mut worst = (0, 0.0);
        for bits in (0..=f32::INFINITY.to_bits()).step_by(2999) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let off = distance(fast(x), exact(f64::from(x)) as f32);
                if off > worst.0 {
                    worst = (off, x);
                }
            }
        }
        worst
    }

    #[test]
    fn single_precision_is_within_two_units_in_the_last_place_over_the_whole_range() {
        for (name, fast, exact) in [
            ("exp", f32::fast_exp::<true> as fn(f32) -> f32, f64::exp as fn(f64) -> f64),
            ("exp - 1", f32::fast_exp_m1::<true>, |x| x.min(0.0).exp_m1()),
            ("exp - 1 without fma", f32::fast_exp_m1::<false>, |x| x.min(0.0).exp_m1()),
            ("tanh", f32::fast_tanh::<true>, f64::tanh),
            ("erf", f32::fast_erf::<true>, libm::erf),
            ("exp without fma", f32::fast_exp::<false>, f64::exp),
            ("tanh without fma", f32::fast_tanh::<false>, f64::tanh),
            ("erf without fma", f32::fast_erf::<false>, libm::erf),
        ] {
            let (off, x) = worst(fast, exact);
            assert!(off <= 2, "{name}({x:e}) is {off} units off");
        }
    }

    #[test]
    fn double_precision_is_within_two_units_in_the_last_place() {
        for step in -80_000..80_000 {
            let x = f64::from(step) * 0.008_861;
            for (name, fast, exact) in [
                ("exp", x.fast_exp::<true>(), x.exp()),
                ("exp - 1", x.fast_exp_m1::<true>(), x.min(0.0).exp_m1()),
                ("exp - 1 of small numbers", (x * 1e-3).fast_exp_m1::<true>(), (x * 1e-3).min(0.0).exp_m1()),
                ("tanh", x.fast_tanh::<true>(), x.tanh()),
            ] {
                let off = if fast == exact { 0 } else { fast.to_bits().abs_diff(exact.to_bits()) };
                assert!(off <= 2, "{name}({x}) is {off} units off: {fast:e} against {exact:e}");
            }
        }
    }

    #[test]
    fn the_logarithm_keeps_its_digits_from_the_tiniest_to_one() {
        for step in 0..=100_000 {
            let e = (-f64::from(step) * 0.007_4).exp();
            let (exact, double) = (e.ln_1p(), log_one_plus::<f64, true>(e));
            assert!(exact.to_bits().abs_diff(double.to_bits()) <= 2, "{e}: {double} against {exact}");
            let single = log_one_plus::<f32, false>(e as f32);
            let exact = f64::from(e as f32).ln_1p() as f32;
            assert!(distance(single, exact) <= 2, "{e}: {single} against {exact}");
        }
    }

    #[test]
    fn nan_and_infinities_pass() {
        for f in [f32::fast_exp::<true>, f32::fast_exp_m1::<true>, f32::fast_tanh::<true>, f32::fast_erf::<true>] {
            assert!(f(f32::NAN).is_nan());
        }
        assert_eq!(f32::INFINITY.fast_exp::<true>(), f32::INFINITY);
        assert_eq!(f32::NEG_INFINITY.fast_exp::<true>(), 0.0);
        assert_eq!(f32::NEG_INFINITY.fast_tanh::<true>(), -1.0);
        assert!(f64::NAN.fast_exp::<true>().is_nan() && f64::NAN.fast_tanh::<true>().is_nan());
        assert_eq!(1000.0_f64.fast_exp::<true>(), f64::INFINITY);
    }
}
