//! The protocol's names of element types.

use crate::DType;

/// An element type that can be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol names them")]
pub enum Datatype {
    Bool,
    Uint8,
    Int32,
    Int64,
    Uint64,
    Fp32,
    Fp64,
    /// Texts: each is its length as a little-endian `u32`, and its bytes.
    Bytes,
}

/// The protocol's other types, which no operation takes.
const OTHERS: [&str; 7] = ["UINT16", "UINT32", "INT8", "INT16", "FP16", "BF16", "FP8"];

impl Datatype {
    /// All of them.
    pub const ALL: [Datatype; 8] = [
        Datatype::Bool,
        Datatype::Uint8,
        Datatype::Int32,
        Datatype::Int64,
        Datatype::Uint64,
        Datatype::Fp32,
        Datatype::Fp64,
        Datatype::Bytes,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Datatype::Bool => "BOOL",
            Datatype::Uint8 => "UINT8",
            Datatype::Int32 => "INT32",
            Datatype::Int64 => "INT64",
            Datatype::Uint64 => "UINT64",
            Datatype::Fp32 => "FP32",
            Datatype::Fp64 => "FP64",
            Datatype::Bytes => "BYTES",
        }
    }

    /// The type of that name.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn from_name(name: &str) -> Result<Datatype, String> {
        if let Some(found) = Datatype::ALL.into_iter().find(|d| d.name() == name) {
            return Ok(found);
        }
        let names = Datatype::ALL.map(Datatype::name).join(", ");
        let shown: String = name.chars().take(64).collect();
        Err(if OTHERS.contains(&name) {
            format!("the datatype {name} is not carried here, convert to one of {names}")
        } else {
            format!("there is no datatype {shown}, it must be one of {names}")
        })
    }

    /// The type of the tensor that holds such elements; none for texts.
    pub const fn dtype(self) -> Option<DType> {
        match self {
            Datatype::Bool | Datatype::Uint8 => Some(DType::U8),
            Datatype::Int32 => Some(DType::I32),
            Datatype::Int64 => Some(DType::I64),
            Datatype::Uint64 => Some(DType::U64),
            Datatype::Fp32 => Some(DType::F32),
            Datatype::Fp64 => Some(DType::F64),
            Datatype::Bytes => None,
        }
    }

    /// The type that such a tensor is sent as.
    pub const fn of(dtype: DType) -> Datatype {
        match dtype {
            DType::U8 => Datatype::Uint8,
            DType::I32 => Datatype::Int32,
            DType::I64 => Datatype::Int64,
            DType::U64 => Datatype::Uint64,
            DType::F32 => Datatype::Fp32,
            DType::F64 => Datatype::Fp64,
        }
    }
}
