//! Public names for private layers that serve several.

/// Makes the newtype `$name` of a layer a layer: it does what the inner one does, under its own name. `$inner` is the
/// inner one from its settings.
macro_rules! thin_layer {
    (@from $name:ident, $settings:ident => $inner:expr) => {
        impl $name {
            pub(crate) fn from_config<A: $crate::Scalar>(
                $settings: &$crate::io::Settings<'_, A>,
            ) -> $crate::Result<Self> {
                let inner: $crate::Result<_> = $inner;
                inner.map($name)
            }
        }
    };
    (@from $name:ident<$A:ident>, $settings:ident => $inner:expr) => {
        impl<$A: $crate::Scalar> $name<$A> {
            pub(crate) fn from_config($settings: &$crate::io::Settings<'_, $A>) -> $crate::Result<Self> {
                let inner: $crate::Result<_> = $inner;
                inner.map($name)
            }
        }
    };
    ($name:ident $(<$A:ident>)?, $settings:ident => $inner:expr) => {
        $crate::layers::thin::thin_layer!(@from $name $(<$A>)?, $settings => $inner);

        impl<A: $crate::Scalar> $crate::Layer<A> for $name $(<$A>)? {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn config(&self) -> serde_json::Value {
                $crate::Layer::<A>::config(&self.0)
            }

            fn build(&mut self, input: &[usize], init: &mut $crate::Init<A>) -> $crate::Result<Vec<usize>> {
                self.0.build(input, init)
            }

            fn output_shape(&self, input: &[usize]) -> $crate::Result<Vec<usize>> {
                $crate::Layer::<A>::output_shape(&self.0, input)
            }

            fn cost(&self, input: &[usize], output: &[usize]) -> $crate::Result<$crate::Cost> {
                $crate::Layer::<A>::cost(&self.0, input, output)
            }

            fn forward(
                &self,
                x: &$crate::Tensor<A>,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<$crate::Tensor<A>> {
                self.0.forward(x, ctx)
            }

            fn backward(
                &self,
                x: &$crate::Tensor<A>,
                y: &$crate::Tensor<A>,
                dy: &$crate::Tensor<A>,
                want_dx: bool,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<Option<$crate::Tensor<A>>> {
                self.0.backward(x, y, dy, want_dx, ctx)
            }

            fn needs(&self) -> $crate::Needs {
                $crate::Layer::<A>::needs(&self.0)
            }

            fn keeps_mask(&self) -> bool {
                $crate::Layer::<A>::keeps_mask(&self.0)
            }

            fn torch_names(&self, names: &mut $crate::io::TorchNames) {
                $crate::Layer::<A>::torch_names(&self.0, names);
            }

            fn visit<'a>(&'a self, visitor: &mut $crate::Visitor<'_, &'a $crate::Param<A>>) {
                self.0.visit(visitor);
            }

            fn visit_mut<'a>(&'a mut self, visitor: &mut $crate::Visitor<'_, &'a mut $crate::Param<A>>) {
                self.0.visit_mut(visitor);
            }
        }
    };
}
pub(super) use thin_layer;
