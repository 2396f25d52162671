//! Typed inputs: one declaration gives the struct, its schema and its decoding.

use crate::Rejection;
use offload_api::{Elem, Field, Kind, Record, Schema, Tensor, TensorSpec, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// What stands where an input tensor is meant: its spec while planning, the tensor while running.
pub trait Slot: Clone + Send + 'static {}
impl Slot for Tensor {}
impl Slot for TensorSpec {}

/// A type that a named value can become. `T` is the slot of its surroundings.
pub trait FromValue<T: Slot>: Sized {
    /// What the schema says when the declaration does not.
    fn kind() -> Option<Kind> {
        None
    }
    /// The value of an absent field; `None` when it must be there.
    fn absent() -> Option<Self> {
        None
    }
    /// How the documentation shows the absent value.
    fn absent_text() -> Option<&'static str> {
        None
    }
    /// The value, or `None` when it is of another kind.
    fn from_value(value: Value<T>) -> Option<Self>;
    /// Takes the field `name` out of a record; a composite takes all its parts.
    ///
    /// # Errors
    /// When it is required and missing, or of another kind.
    fn take(record: &mut Record<T>, name: &'static str) -> Result<Self, Rejection> {
        match record.take(name) {
            Some(v) => {
                Self::from_value(v).ok_or_else(|| Rejection::new(name, format!("{name} is of another kind")))
            }
            None => {
                Self::absent().ok_or_else(|| Rejection::new(name, format!("the field {name} is missing")))
            }
        }
    }
}

impl<T: Slot> FromValue<T> for T {
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Tensor(t) => Some(t),
            _ => None,
        }
    }
}

impl<T: Slot> FromValue<T> for bool {
    fn kind() -> Option<Kind> {
        Some(Kind::Bool)
    }
    fn absent() -> Option<Self> {
        Some(false)
    }
    fn absent_text() -> Option<&'static str> {
        Some("false")
    }
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }
}

impl<T: Slot> FromValue<T> for i64 {
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Int(i) => Some(i),
            _ => None,
        }
    }
}

impl<T: Slot> FromValue<T> for f64 {
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Float(f) => Some(f),
            Value::Int(i) => Some(i as f64),
            _ => None,
        }
    }
}

impl<T: Slot> FromValue<T> for String {
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }
}

impl<T: Slot> FromValue<T> for Arc<Json> {
    fn from_value(value: Value<T>) -> Option<Self> {
        match value {
            Value::Json(j) => Some(j),
            _ => None,
        }
    }
}

impl<T: Slot, V: FromValue<T>> FromValue<T> for Option<V> {
    fn kind() -> Option<Kind> {
        V::kind()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn from_value(value: Value<T>) -> Option<Self> {
        V::from_value(value).map(Some)
    }
}

/// A struct that [`inputs!`](crate::inputs) declared.
pub trait FromRecord<T: Slot>: Sized {
    /// Its schema.
    fn schema() -> Schema;
    /// The struct of these values.
    ///
    /// # Errors
    /// When a required value is missing or one is of another kind.
    fn from_record(record: Record<T>) -> Result<Self, Rejection>;
}

/// Takes the field `name` out of a record.
///
/// # Errors
/// When it is required and missing, or of another kind.
pub fn take<T: Slot, V: FromValue<T>>(record: &mut Record<T>, name: &'static str) -> Result<V, Rejection> {
    V::take(record, name)
}

/// The schema entry of a field of type `V`.
///
/// # Panics
/// When neither the type nor the declaration says what the field holds; every registered operation's schema is
/// built in a test.
pub fn field_of<T: Slot, V: FromValue<T>>(
    name: &'static str,
    doc: &'static str,
    kind: Option<Kind>,
) -> Field {
    let Some(kind) = kind.or_else(V::kind) else { panic!("the field {name} does not say what it holds") };
    Field { name, doc, kind, required: V::absent().is_none(), default: V::absent_text() }
}

/// A tensor of `f32` or `f64` of a rank within these bounds.
pub fn real(min_rank: usize, max_rank: usize) -> Kind {
    Kind::Tensor { elem: Elem::Real, min_rank, max_rank }
}

/// A tensor of integers of this type and of a rank within these bounds.
pub fn integers(dtype: offload_api::DType, min_rank: usize, max_rank: usize) -> Kind {
    Kind::Tensor { elem: Elem::Fixed(dtype), min_rank, max_rank }
}

/// An integer within these bounds.
pub fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

/// A finite number within these bounds.
pub fn float(min: f64, max: f64) -> Kind {
    Kind::Float { min, max }
}

/// A text.
pub fn text(max_bytes: usize) -> Kind {
    Kind::Text { max_bytes }
}

/// A structured value with this JSON Schema.
pub fn json_value(schema: fn() -> Json) -> Kind {
    Kind::Json { schema }
}

/// Declares the typed inputs of an operation: the struct, its [`Schema`] and its decoding, from one list.
///
/// The struct is generic over what stands where a tensor is meant, so that `plan` gets the same struct with
/// [`TensorSpec`]s and cannot look at data. A field of type `Option<…>`, `bool` or of a [`choice!`](crate::choice)
/// may be absent.
///
/// ```
/// use offload_core::{inputs, real, int};
/// inputs! {
///     /// Inputs of `matrix.example`.
///     pub struct Inputs<T> (dtype: F64) {
///         /// The matrix, `[m, n]`.
///         a: T = real(2, 2),
///         /// How many.
///         k: Option<i64> = int(1, 100),
///         /// Whether to transpose.
///         transpose: bool,
///     }
/// }
/// ```
#[macro_export]
macro_rules! inputs {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$T:ident> $((dtype: $dtype:ident))? {
            $( $(#[doc = $doc:literal])+ $field:ident : $ty:ty $(= $kind:expr)? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name<$T = $crate::api::Tensor> {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        impl<$T: $crate::Slot> $crate::FromRecord<$T> for $name<$T> {
            fn schema() -> $crate::api::Schema {
                #[allow(unused_mut, unused_assignments)]
                let mut default_dtype = None;
                $( default_dtype = Some($crate::api::DType::$dtype); )?
                $crate::api::Schema {
                    fields: vec![$(
                        $crate::field_of::<$T, $ty>(
                            stringify!($field),
                            concat!($($doc),+),
                            None $(.or(Some($kind)))?,
                        ),
                    )*],
                    default_dtype,
                }
            }

            fn from_record(mut record: $crate::api::Record<$T>) -> Result<Self, $crate::Rejection> {
                Ok($name { $( $field: $crate::take(&mut record, stringify!($field))?, )* })
            }
        }
    };
}

/// Declares an enum of words that an input may be; the first is the default.
///
/// ```
/// offload_core::choice! {
///     /// How exact.
///     pub enum Precision {
///         /// As IEEE 754 says.
///         Ieee = "ieee",
///         /// Ten bits of mantissa.
///         Tf32 = "tf32",
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_word:literal,
            $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis enum $name {
            $(#[$first_meta])* #[default] $first,
            $( $(#[$variant_meta])* $variant, )*
        }

        impl<T: $crate::Slot> $crate::FromValue<T> for $name {
            fn kind() -> Option<$crate::api::Kind> {
                Some($crate::api::Kind::Choice(&[$first_word, $($word,)*]))
            }
            fn absent() -> Option<Self> {
                Some($name::$first)
            }
            fn absent_text() -> Option<&'static str> {
                Some($first_word)
            }
            fn from_value(value: $crate::api::Value<T>) -> Option<Self> {
                let $crate::api::Value::Text(word) = value else { return None };
                match word.as_str() {
                    $first_word => Some($name::$first),
                    $( $word => Some($name::$variant), )*
                    _ => None,
                }
            }
        }
    };
}
