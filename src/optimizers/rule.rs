//! What every rule has: a rate, numbers and switches with their checks, and weight decay.

/// Writes the struct of a rule, its constructor and a builder method for each number and switch, and `rule_methods!`'s
/// part: its settings as JSON and their checks. Switches are off at the start, and stand in the settings only where
/// they are on.
macro_rules! rule {
    (
        $(#[$meta:meta])*
        $rule:ident, decay: $decoupled:literal, $factor:literal,
        numbers { $($(#[$number_meta:meta])* $number:ident = $value:literal: $check:ident,)* }
        switches { $($(#[$switch_meta:meta])* $switch:ident,)* }
    ) => {
        $(#[$meta])*
        pub struct $rule {
            schedule: Box<dyn $crate::schedules::Schedule>,
            weight_decay: f64,
            decoupled: bool,
            $($number: f64,)*
            $($switch: bool,)*
        }

        impl $rule {
            /// With a rate or a schedule of rates.
            pub fn new(rate: impl $crate::schedules::IntoSchedule) -> Self {
                $rule {
                    schedule: rate.into_schedule(),
                    weight_decay: $factor,
                    decoupled: $decoupled,
                    $($number: $value,)*
                    $($switch: false,)*
                }
            }

            /// How strongly weights are pulled towards 0: the factor of [`Decay`](crate::optimizers::Decay).
            #[must_use]
            pub fn weight_decay(mut self, factor: f64) -> Self {
                self.weight_decay = factor;
                self
            }

            /// Whether the decay goes past the rule (w -= rate * factor * w, as in AdamW) or through it, as a part of
            #[doc = concat!("the gradient. Default: `", $decoupled, "`.")]
            #[must_use]
            pub fn decoupled_decay(mut self, decoupled: bool) -> Self {
                self.decoupled = decoupled;
                self
            }

            $(
                $(#[$number_meta])*
                #[must_use]
                pub fn $number(mut self, $number: f64) -> Self {
                    self.$number = $number;
                    self
                }
            )*

            $(
                $(#[$switch_meta])*
                #[must_use]
                pub fn $switch(mut self, on: bool) -> Self {
                    self.$switch = on;
                    self
                }
            )*

            fn settings(&self) -> serde_json::Value {
                let mut settings = serde_json::json!({
                    "schedule": { "kind": self.schedule.kind(), "config": self.schedule.config() },
                    "weight_decay": self.weight_decay,
                    $(stringify!($number): self.$number,)*
                });
                let switches = [("decoupled", self.decoupled != $decoupled), $((stringify!($switch), self.$switch),)*];
                for (name, _) in switches.into_iter().filter(|(_, on)| *on) {
                    settings[name] = true.into();
                }
                settings
            }

            fn settled_decay(&self) -> $crate::optimizers::Decay {
                use $crate::optimizers::Decay;
                match (self.weight_decay, self.decoupled) {
                    (0.0, _) => Decay::None,
                    (factor, true) => Decay::Decoupled(factor),
                    (factor, false) => Decay::Coupled(factor),
                }
            }

            fn verify(&self) -> $crate::error::Result<()> {
                self.schedule.check()?;
                $($crate::optimizers::$check(stringify!($number), self.$number)?;)*
                $crate::optimizers::check_not_negative("weight decay", self.weight_decay)
            }
        }
    };
}
pub(super) use rule;

/// The methods of [`Optimizer`](super::Optimizer) that are the same for every rule of [`rule!`].
macro_rules! rule_methods {
    ($kind:literal) => {
        $crate::optimizers::rule::rule_methods!($kind, decay: |decay| decay);
    };
    ($kind:literal, decay: |$decay:ident| $meant:expr) => {
        fn kind(&self) -> &str {
            $kind
        }

        fn config(&self) -> serde_json::Value {
            self.settings()
        }

        fn schedule(&self) -> &dyn $crate::schedules::Schedule {
            &*self.schedule
        }

        fn decay(&self) -> $crate::optimizers::Decay {
            let $decay = self.settled_decay();
            $meant
        }

        fn check(&self) -> $crate::error::Result<()> {
            self.verify()
        }
    };
}
pub(super) use rule_methods;

/// Both betas of a rule at once.
macro_rules! betas {
    ($rule:ident) => {
        impl $rule {
            /// How slowly the mean and the mean square (or the largest) of the gradients forget, each in [0, 1).
            #[must_use]
            pub fn betas(self, beta1: f64, beta2: f64) -> Self {
                self.beta1(beta1).beta2(beta2)
            }
        }
    };
}
pub(super) use betas;
