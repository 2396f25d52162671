//! The operations of a family: one list gives the modules, their public types and the function that the registry
//! calls.

/// Declares the operations of a family, in their documented order: `folder::Type`, one a line.
///
/// Each line declares the module in `folder`, makes `Type` public and adds it to `operations()`, so that a new
/// operation is its folder and one line. The lines are an explicit list on purpose: a reader sees what there is, and
/// `cargo xtask new-op` knows where to add.
///
/// ```text
/// offload_core::operations! {
///     multiply::Multiply,
///     inverse::Inverse,
/// }
/// ```
///
/// `cargo fmt` does not look into modules that a macro declares; `cargo xtask fmt` formats every file.
#[macro_export]
macro_rules! operations {
    ( $( $module:ident :: $operation:ident ),+ $(,)? ) => {
        $( mod $module; )+
        $( pub use $module::$operation; )+

        /// The operations of this family, in their documented order.
        pub fn operations() -> &'static [&'static dyn $crate::AnyOperation] {
            &[ $( &$operation ),+ ]
        }
    };
}
