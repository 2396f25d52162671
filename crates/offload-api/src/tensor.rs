//! Dense row-major tensors over shared, immutable buffers.

use crate::DType;
use std::ops::Deref;
use std::sync::Arc;

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 8;

/// Extents of a tensor, outermost first.
pub type Shape = Vec<usize>;

/// A shared, immutable run of elements. Cloning copies a pointer, never the elements.
///
/// Where the elements live (the heap today, a mapped file or shared memory later) is private to this type.
#[derive(Debug)]
pub struct Buf<T>(Arc<Vec<T>>);

impl<T> Clone for Buf<T> {
    fn clone(&self) -> Self {
        Buf(Arc::clone(&self.0))
    }
}

impl<T: PartialEq> PartialEq for Buf<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Deref for Buf<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<Vec<T>> for Buf<T> {
    fn from(v: Vec<T>) -> Self {
        Buf(Arc::new(v))
    }
}

impl<T: Clone> Buf<T> {
    /// The elements as a vector of one's own: moved out when nobody else holds them, copied otherwise.
    pub fn into_vec(self) -> Vec<T> {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| (*shared).clone())
    }
}

/// The elements of a tensor, by type.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Data {
    F32(Buf<f32>),
    F64(Buf<f64>),
    I32(Buf<i32>),
    I64(Buf<i64>),
    U8(Buf<u8>),
    U64(Buf<u64>),
}

macro_rules! on_data {
    ($data:expr, $b:ident => $e:expr) => {
        match $data {
            Data::F32($b) => $e,
            Data::F64($b) => $e,
            Data::I32($b) => $e,
            Data::I64($b) => $e,
            Data::U8($b) => $e,
            Data::U64($b) => $e,
        }
    };
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        on_data!(self, b => b.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as little-endian bytes in memory order (all supported hosts are little-endian).
    pub fn as_bytes(&self) -> &[u8] {
        on_data!(self, b => bytemuck::cast_slice(b))
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::U8(_) => DType::U8,
            Data::U64(_) => DType::U64,
        }
    }
}

/// A Rust type that can be an element of a tensor.
pub trait Element: bytemuck::Pod + Send + Sync + PartialOrd + std::fmt::Debug {
    /// Its tensor type.
    const DTYPE: DType;
    /// Wraps a buffer of this type.
    fn wrap(buf: Buf<Self>) -> Data;
    /// The buffer, when `data` is of this type.
    fn unwrap(data: &Data) -> Option<&Buf<Self>>;
}

macro_rules! element {
    ($t:ty, $v:ident) => {
        impl Element for $t {
            const DTYPE: DType = DType::$v;
            fn wrap(buf: Buf<Self>) -> Data {
                Data::$v(buf)
            }
            fn unwrap(data: &Data) -> Option<&Buf<Self>> {
                match data {
                    Data::$v(b) => Some(b),
                    _ => None,
                }
            }
        }
    };
}
element!(f32, F32);
element!(f64, F64);
element!(i32, I32);
element!(i64, I64);
element!(u8, U8);
element!(u64, U64);

/// What is known of a tensor before its elements exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorSpec {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Shape,
}

impl TensorSpec {
    /// A spec of this type and shape.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        TensorSpec { dtype, shape: shape.into() }
    }

    /// Number of elements, saturating: an overflowing shape is refused by every byte limit.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64))
    }

    /// Bytes of all elements, saturating.
    pub fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.dtype.size_bytes() as u64)
    }
}

/// A dense row-major tensor. The number of elements always equals the product of the extents.
#[derive(Clone, Debug)]
pub struct Tensor {
    shape: Shape,
    data: Data,
}

impl Tensor {
    /// A tensor of these elements, or `None` when their number is not the product of `shape`.
    pub fn new<T: Element>(shape: impl Into<Shape>, elements: Vec<T>) -> Option<Tensor> {
        Tensor::from_data(shape, T::wrap(elements.into()))
    }

    /// A tensor over existing data, or `None` when its length is not the product of `shape`.
    pub fn from_data(shape: impl Into<Shape>, data: Data) -> Option<Tensor> {
        let shape = shape.into();
        let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (shape.len() <= MAX_RANK && n == data.len()).then_some(Tensor { shape, data })
    }

    /// A one-dimensional tensor.
    pub fn vector<T: Element>(elements: Vec<T>) -> Tensor {
        Tensor { shape: vec![elements.len()], data: T::wrap(elements.into()) }
    }

    /// A run of bytes as a one-dimensional tensor over the same memory.
    pub fn from_bytes(bytes: Buf<u8>) -> Tensor {
        Tensor { shape: vec![bytes.len()], data: Data::U8(bytes) }
    }

    /// A tensor without dimensions, holding one element.
    pub fn scalar<T: Element>(element: T) -> Tensor {
        Tensor { shape: Vec::new(), data: T::wrap(vec![element].into()) }
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements as `T`, or `None` when the tensor is of another type.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        T::unwrap(&self.data).map(|b| &**b)
    }

    /// The elements as a vector of one's own, or `None` when the tensor is of another type.
    pub fn into_vec<T: Element>(self) -> Option<Vec<T>> {
        // Cloning the handle first would force a copy, so the data is moved out before its type is asked.
        let buf = T::unwrap(&self.data)?.clone();
        drop(self);
        Some(buf.into_vec())
    }

    /// Type and shape.
    pub fn spec(&self) -> TensorSpec {
        TensorSpec { dtype: self.dtype(), shape: self.shape.clone() }
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> u64 {
        self.data.as_bytes().len() as u64
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.dtype() == other.dtype()
            && self.shape == other.shape
            && self.data.as_bytes() == other.data.as_bytes()
    }
}
