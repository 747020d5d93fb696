//! Run-time choice of the instruction set for vector loops.
//!
//! The default x86-64 target knows SSE2 alone. [`simd!`] compiles one loop three times (SSE2, AVX2, AVX-512) and picks
//! by what the processor has; the compiler vectorises each copy. Elsewhere (NEON on aarch64) the plain copy is the
//! fast one already.

use std::sync::atomic::{AtomicU8, Ordering};

/// The widest instruction set that this processor and system can run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Level {
    /// What the compilation target guarantees.
    Baseline = 1,
    /// AVX2 and FMA: 8 `f32` at a time.
    Avx2 = 2,
    /// AVX-512 F, VL, DQ and BW: 16 `f32` at a time.
    Avx512 = 3,
}

impl Level {
    /// The length of a register of it.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Level::Baseline => 16,
            Level::Avx2 => 32,
            Level::Avx512 => 64,
        }
    }
}

/// Asked once, then read from memory.
#[inline]
pub(crate) fn level() -> Level {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        1 => Level::Baseline,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => {
            let found = detect();
            KNOWN.store(found as u8, Ordering::Relaxed);
            found
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Baseline,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Baseline
}

/// Whether the plain copy of a loop may use fused multiply-add: without the instruction, `mul_add` is a slow call.
pub(crate) const BASELINE_FMA: bool = cfg!(target_arch = "aarch64") || cfg!(target_feature = "fma");

/// One of two functions of the signature, by the number type: each is the `concrete` of a copy of the items, in which
/// `$A` is `f32` or `f64`.
macro_rules! by_type {
    ($A:ident, $signature:ty, { $($items:tt)* }) => {{
        let single = {
            type $A = f32;
            $($items)*
            concrete as $signature
        };
        let double = {
            type $A = f64;
            $($items)*
            concrete as $signature
        };
        let number = std::any::TypeId::of::<$A>();
        // SAFETY: with the number type being that of the function, the two types are one.
        #[allow(clippy::missing_transmute_annotations)]
        unsafe {
            if number == std::any::TypeId::of::<f32>() {
                std::mem::transmute::<_, $signature>(single)
            } else {
                assert!(number == std::any::TypeId::of::<f64>(), "kernels are for f32 and f64");
                std::mem::transmute::<_, $signature>(double)
            }
        }
    }};
}
pub(crate) use by_type;

/// Writes a function over slices, compiled for each instruction set and dispatched at run time.
///
/// The body is generic over `A: Real` and sees `const FMA: bool`, which tells whether multiply-add is one instruction.
/// It is compiled here, once for each number type and instruction set: not again in every program that uses it.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$A:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name<$A: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(non_upper_case_globals, clippy::extra_unused_type_parameters)]
            fn body<$A: $crate::kernels::Real, const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body

            $crate::kernels::simd::by_type!($A, fn($($ty),*) $(-> $ret)?, {
                fn concrete($($arg: $ty),*) $(-> $ret)? {
                    #[cfg(target_arch = "x86_64")]
                    {
                        use $crate::kernels::simd::{Level, level};

                        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                        fn avx512($($arg: $ty),*) $(-> $ret)? {
                            body::<$A, true>($($arg),*)
                        }

                        #[target_feature(enable = "avx2,fma")]
                        fn avx2($($arg: $ty),*) $(-> $ret)? {
                            body::<$A, true>($($arg),*)
                        }

                        match level() {
                            // SAFETY: `level` answers `Avx512` only where every feature that `avx512` enables was
                            // detected.
                            Level::Avx512 => return unsafe { avx512($($arg),*) },
                            // SAFETY: `level` answers `Avx2` only where AVX2 and FMA were detected.
                            Level::Avx2 => return unsafe { avx2($($arg),*) },
                            Level::Baseline => {}
                        }
                    }
                    body::<$A, { $crate::kernels::simd::BASELINE_FMA }>($($arg),*)
                }
            })($($arg),*)
        }
    };
}
pub(crate) use simd;

/// Writes a function that calls another, generic over the registers it works with, for the given instruction set or
/// the best one below it that the machine has.
///
/// The other one must be `#[inline(always)]`, as must be all that it calls in its loops. It is compiled here, once for
/// each number type and instruction set: not again in every program that uses it.
macro_rules! by_level {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$A:ident>($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        $vis fn $name<$A: $crate::kernels::Real>(level: $crate::kernels::simd::Level, $($arg: $ty),*) {
            type Level = $crate::kernels::simd::Level;
            $crate::kernels::simd::by_type!($A, fn(Level, $($ty),*), {
                $crate::kernels::simd::by_level!(@concrete $A ($($arg: $ty),*) $body);
            })(level, $($arg),*);
        }
    };
    // The same for `f32` alone, whatever the caller's type is called.
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$A:ident = f32>($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$meta])*
        $vis fn $name<$A: $crate::kernels::Real>(level: $crate::kernels::simd::Level, $($arg: $ty),*) {
            type Level = $crate::kernels::simd::Level;
            let single = {
                type $A = f32;
                $crate::kernels::simd::by_level!(@concrete $A ($($arg: $ty),*) $body);
                concrete as fn(Level, $($ty),*)
            };
            assert!(std::any::TypeId::of::<$A>() == std::any::TypeId::of::<f32>(), "a kernel for f32 alone");
            // SAFETY: with the number type being `f32`, the two types are one.
            #[allow(clippy::missing_transmute_annotations)]
            let run = unsafe { std::mem::transmute::<_, fn(Level, $($ty),*)>(single) };
            run(level, $($arg),*);
        }
    };
    (@concrete $A:ident ($($arg:ident: $ty:ty),*) $body:ident) => {
        fn concrete(level: Level, $($arg: $ty),*) {
            use $crate::kernels::vector::Vectors;

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $ty),*) {
                    // SAFETY: the function has the instruction set.
                    unsafe { $body::<<$A as Vectors>::Avx512>($($arg),*) }
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) {
                    // SAFETY: the function has the instruction set.
                    unsafe { $body::<<$A as Vectors>::Avx2>($($arg),*) }
                }

                match level.min($crate::kernels::simd::level()) {
                    // SAFETY: not above what `level` has detected, and that has every feature that `avx512` enables.
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Baseline => {}
                }
            }
            let _ = level;
            // SAFETY: every machine has these registers.
            unsafe { $body::<<$A as Vectors>::Plain>($($arg),*) }
        }
    };
}
pub(crate) use by_level;
