//! Dense row-major tensors over shared, immutable buffers.

use crate::DType;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 8;

/// Extents of a tensor, outermost first.
pub type Shape = Vec<usize>;

/// Memory that a tensor may stand on: a request's body, a mapped file, shared memory.
///
/// `as_ref` gives the same bytes for as long as the value lives.
pub trait Memory: AsRef<[u8]> + Send + Sync + 'static {}
impl<M: AsRef<[u8]> + Send + Sync + 'static> Memory for M {}

/// A shared, immutable run of elements. Cloning copies a pointer, never the elements.
pub struct Buf<T>(Held<T>);

enum Held<T> {
    Own(Arc<Vec<T>>),
    /// Bytes of `owner`, aligned for `T` and a whole number of elements long (checked when made).
    View {
        owner: Arc<dyn Memory>,
        bytes: Range<usize>,
        elements: PhantomData<T>,
    },
}

impl<T> Clone for Buf<T> {
    fn clone(&self) -> Self {
        Buf(match &self.0 {
            Held::Own(v) => Held::Own(Arc::clone(v)),
            Held::View { owner, bytes, .. } => {
                Held::View { owner: Arc::clone(owner), bytes: bytes.clone(), elements: PhantomData }
            }
        })
    }
}

impl<T: bytemuck::Pod + PartialEq> PartialEq for Buf<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: bytemuck::Pod> Deref for Buf<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::Own(v) => v,
            Held::View { owner, bytes, .. } => bytemuck::cast_slice(&(**owner).as_ref()[bytes.clone()]),
        }
    }
}

impl<T: bytemuck::Pod + std::fmt::Debug> std::fmt::Debug for Buf<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> From<Vec<T>> for Buf<T> {
    fn from(v: Vec<T>) -> Self {
        Buf(Held::Own(Arc::new(v)))
    }
}

impl<T: bytemuck::Pod> Buf<T> {
    /// The little-endian elements at `bytes` of `owner`: in place where they are aligned, copied otherwise. `None`
    /// when the range is not inside of the memory or not a whole number of elements.
    pub fn over(owner: Arc<dyn Memory>, bytes: Range<usize>) -> Option<Buf<T>> {
        let part = (*owner).as_ref().get(bytes.clone())?;
        if part.len() % size_of::<T>() != 0 {
            return None;
        }
        if bytemuck::try_cast_slice::<u8, T>(part).is_ok() {
            return Some(Buf(Held::View { owner, bytes, elements: PhantomData }));
        }
        let mut copied = vec![T::zeroed(); part.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut copied).copy_from_slice(part);
        Some(copied.into())
    }

    /// The elements at `bytes` of `owner`, which is not asked for them until they are read: memory that has its
    /// content brought then. `None` when the range is not a whole number of elements.
    ///
    /// `owner` promises that the range lies inside of its memory and is aligned; where it does not, reading panics.
    pub fn late(owner: Arc<dyn Memory>, bytes: Range<usize>) -> Option<Buf<T>> {
        let whole = bytes.start <= bytes.end && bytes.len().is_multiple_of(size_of::<T>());
        whole.then_some(Buf(Held::View { owner, bytes, elements: PhantomData }))
    }

    /// Number of elements. Asks nobody for them.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Own(v) => v.len(),
            Held::View { bytes, .. } => bytes.len() / size_of::<T>(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as a vector of one's own: moved out when nobody else holds them, copied otherwise.
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Held::Own(v) => Arc::try_unwrap(v).unwrap_or_else(|shared| (*shared).clone()),
            Held::View { .. } => self.to_vec(),
        }
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

/// The identity of a tensor's content: equal keys of one tenant mean equal elements, for ever. A device may keep such
/// a tensor between jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResidentKey(pub u128);

/// A dense row-major tensor. The number of elements always equals the product of the extents.
#[derive(Clone, Debug)]
pub struct Tensor {
    shape: Shape,
    data: Data,
    resident: Option<ResidentKey>,
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
        (shape.len() <= MAX_RANK && n == data.len()).then_some(Tensor { shape, data, resident: None })
    }

    /// A tensor over the little-endian elements at `bytes` of `owner`: in place where they are aligned, copied
    /// otherwise. `None` when the range does not hold exactly what `spec` says.
    pub fn over(spec: TensorSpec, owner: Arc<dyn Memory>, bytes: Range<usize>) -> Option<Tensor> {
        let data = match spec.dtype {
            DType::F32 => Data::F32(Buf::over(owner, bytes)?),
            DType::F64 => Data::F64(Buf::over(owner, bytes)?),
            DType::I32 => Data::I32(Buf::over(owner, bytes)?),
            DType::I64 => Data::I64(Buf::over(owner, bytes)?),
            DType::U8 => Data::U8(Buf::over(owner, bytes)?),
            DType::U64 => Data::U64(Buf::over(owner, bytes)?),
        };
        Tensor::from_data(spec.shape, data)
    }

    /// As [`over`](Self::over) in memory whose content is brought when it is first read; see [`Buf::late`].
    pub fn late(spec: TensorSpec, owner: Arc<dyn Memory>, bytes: Range<usize>) -> Option<Tensor> {
        let data = match spec.dtype {
            DType::F32 => Data::F32(Buf::late(owner, bytes)?),
            DType::F64 => Data::F64(Buf::late(owner, bytes)?),
            DType::I32 => Data::I32(Buf::late(owner, bytes)?),
            DType::I64 => Data::I64(Buf::late(owner, bytes)?),
            DType::U8 => Data::U8(Buf::late(owner, bytes)?),
            DType::U64 => Data::U64(Buf::late(owner, bytes)?),
        };
        Tensor::from_data(spec.shape, data)
    }

    /// A one-dimensional tensor.
    pub fn vector<T: Element>(elements: Vec<T>) -> Tensor {
        Tensor { shape: vec![elements.len()], data: T::wrap(elements.into()), resident: None }
    }

    /// A run of bytes as a one-dimensional tensor over the same memory.
    pub fn from_bytes(bytes: Buf<u8>) -> Tensor {
        Tensor { shape: vec![bytes.len()], data: Data::U8(bytes), resident: None }
    }

    /// A tensor without dimensions, holding one element.
    pub fn scalar<T: Element>(element: T) -> Tensor {
        Tensor { shape: Vec::new(), data: T::wrap(vec![element].into()), resident: None }
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The same tensor, known under this identity.
    pub fn with_resident(mut self, key: ResidentKey) -> Tensor {
        self.resident = Some(key);
        self
    }

    /// Its identity, when it has one.
    pub fn resident(&self) -> Option<ResidentKey> {
        self.resident
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
        self.data.len() as u64 * self.dtype().size_bytes() as u64
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Tensor) -> bool {
        self.dtype() == other.dtype()
            && self.shape == other.shape
            && self.data.as_bytes() == other.data.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Bytes whose first element lies `shift` bytes beyond an aligned address.
    fn shifted(values: &[f32], shift: usize) -> (Arc<dyn Memory>, Range<usize>) {
        let mut words = vec![0u64; values.len() / 2 + 2];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        bytes[shift..shift + 4 * values.len()].copy_from_slice(bytemuck::cast_slice(values));
        struct Words(Vec<u64>);
        impl AsRef<[u8]> for Words {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        (Arc::new(Words(words)), shift..shift + 4 * values.len())
    }

    #[test]
    fn a_view_stands_on_aligned_memory_and_is_a_copy_elsewhere() {
        let values = [1.0f32, -2.5, 3.25];
        for (shift, in_place) in [(0, true), (4, true), (1, false), (3, false)] {
            let (owner, bytes) = shifted(&values, shift);
            let at = (*owner).as_ref()[bytes.start..].as_ptr();
            let t = Tensor::over(TensorSpec::new(DType::F32, [3]), Arc::clone(&owner), bytes).unwrap();
            assert_eq!(t.as_slice::<f32>().unwrap(), values);
            assert_eq!(t.data().as_bytes().as_ptr() == at, in_place, "shift {shift}");
            assert_eq!(t.clone().into_vec::<f32>().unwrap(), values);
        }
    }

    #[test]
    fn late_memory_is_asked_when_elements_are_read_and_not_before() {
        struct Late(AtomicUsize, Vec<u64>);
        impl AsRef<[u8]> for Late {
            fn as_ref(&self) -> &[u8] {
                self.0.fetch_add(1, Ordering::Relaxed);
                bytemuck::cast_slice(&self.1)
            }
        }
        let owner = Arc::new(Late(AtomicUsize::new(0), vec![7, 8, 9]));
        let t = Tensor::late(TensorSpec::new(DType::U64, [2]), owner.clone(), 8..24).unwrap();
        assert_eq!((t.bytes(), t.data().len(), t.dtype(), t.spec().elements()), (16, 2, DType::U64, 2));
        assert_eq!(owner.0.load(Ordering::Relaxed), 0);
        assert_eq!(t.as_slice::<u64>().unwrap(), [8, 9]);
        assert!(owner.0.load(Ordering::Relaxed) > 0);
        assert!(Tensor::late(TensorSpec::new(DType::U64, [2]), owner, 8..23).is_none());
    }

    #[test]
    fn a_view_holds_what_its_spec_says() {
        let (owner, bytes) = shifted(&[1.0, 2.0], 0);
        let over = |shape: &[usize], range: Range<usize>| {
            Tensor::over(TensorSpec::new(DType::F32, shape), Arc::clone(&owner), range).is_some()
        };
        assert!(over(&[2], bytes.clone()));
        assert!(over(&[2, 0, 7], 0..0));
        assert!(!over(&[3], bytes.clone()), "too few");
        assert!(!over(&[1], 0..3), "part of an element");
        assert!(!over(&[1 << 40], 0..1 << 42), "beyond the memory");
        assert!(!over(&[usize::MAX, 2], bytes), "an overflowing shape");
    }
}
