//! Whether a column is what a field takes.

use offload_api::{ColumnKind, DType, Elem, Field, Kind, graph};

/// What an operation takes where a column is named.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The element type.
    pub elem: Elem,
    /// The least rank.
    pub min_rank: usize,
    /// The largest rank.
    pub max_rank: usize,
    /// For a part of a graph: the names its column may have, which stand above what the request names.
    pub part: Option<graph::Columns>,
}

impl Wanted {
    /// What the entry `name` of a record of these fields takes; `None` when no tensor is meant there.
    pub fn of(fields: &[Field], name: &str) -> Option<Wanted> {
        if let Some(columns) = graph::columns(name) {
            let dtype = if name == graph::WEIGHT { DType::F64 } else { DType::U64 };
            return Some(Wanted { elem: Elem::Fixed(dtype), min_rank: 1, max_rank: 1, part: Some(columns) });
        }
        match fields.iter().find(|f| f.name == name)?.kind {
            Kind::Tensor { elem, min_rank, max_rank } => {
                Some(Wanted { elem, min_rank, max_rank, part: None })
            }
            _ => None,
        }
    }

    /// Whether a mask of the rows is meant.
    pub(super) fn is_mask(&self) -> bool {
        matches!(self.elem, Elem::Fixed(DType::U8)) && self.min_rank <= 1 && 1 <= self.max_rank
    }

    /// The type that a column of this kind is read as.
    ///
    /// # Errors
    /// Why it is not what the field takes.
    pub(super) fn fits(&self, kind: &ColumnKind) -> Result<DType, String> {
        let ColumnKind::Tensor { dtype, inner } = kind else {
            return Err("has texts, the field takes numbers".to_owned());
        };
        let rank = 1 + inner.len();
        if rank < self.min_rank || rank > self.max_rank {
            let (min, max) = (self.min_rank, self.max_rank);
            let wanted = if min == max { min.to_string() } else { format!("{min} to {max}") };
            return Err(format!("has {rank} dimensions, the field takes {wanted}"));
        }
        match self.elem {
            Elem::Real if dtype.is_real() => Ok(*dtype),
            Elem::Real => Ok(DType::F64),
            Elem::OneOf(types) if types.contains(dtype) => Ok(*dtype),
            Elem::OneOf(types) if types.contains(&DType::F64) => Ok(DType::F64),
            Elem::OneOf(types) => {
                let names: Vec<&str> = types.iter().map(|d| d.name()).collect();
                Err(format!("has type {dtype}, the field takes {}", names.join(" or ")))
            }
            Elem::Fixed(wanted) if wanted == *dtype => Ok(wanted),
            Elem::Fixed(wanted) if !dtype.is_real() && wanted != DType::F32 => Ok(wanted),
            Elem::Fixed(DType::F64) => Ok(DType::F64),
            Elem::Fixed(wanted) => Err(format!("has type {dtype}, the field takes {wanted}")),
        }
    }
}
