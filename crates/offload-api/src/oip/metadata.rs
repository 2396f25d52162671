//! What the protocol says about an operation: its metadata, and the configuration that Triton's clients ask for.

use super::answer::names;
use super::datatype::Datatype;
use crate::inputs::{entries, types};
use crate::{DType, Elem, Field, Kind, Schema};
use serde_json::{Value as Json, json};

/// A tensor of the protocol: name, datatype, extents (-1 where any are taken), whether it may be left out, the
/// datatypes it may have and the largest number of dimensions where these vary.
struct Port {
    name: String,
    datatype: Datatype,
    shape: Vec<i64>,
    optional: bool,
    others: Vec<Datatype>,
    max_rank: usize,
}

/// The tensors of a field as an input or an output; scalars have one element.
fn ports(field: &Field, default: DType) -> Vec<Port> {
    let port = |name: String, datatypes: Vec<Datatype>, shape: Vec<i64>, max_rank| Port {
        name,
        datatype: datatypes.first().copied().unwrap_or(Datatype::Fp64),
        shape,
        optional: !field.required,
        others: datatypes,
        max_rank,
    };
    let one = |datatype| vec![port(field.name.into(), vec![datatype], vec![1], 1)];
    match &field.kind {
        Kind::Tensor { elem, min_rank, max_rank } => {
            let mut takes: Vec<Datatype> = types(*elem).iter().map(|d| Datatype::of(*d)).collect();
            if *elem == Elem::Real {
                takes.sort_by_key(|d| d.dtype() != Some(default));
            }
            if takes == [Datatype::Uint8] {
                takes.push(Datatype::Bool);
            }
            vec![port(field.name.into(), takes, vec![-1; *min_rank], *max_rank)]
        }
        Kind::Bytes { .. } => vec![port(field.name.into(), vec![Datatype::Uint8], vec![-1], 1)],
        Kind::Gapped { min_rank, max_rank } => {
            vec![port(field.name.into(), vec![Datatype::Fp64], vec![-1; *min_rank], *max_rank)]
        }
        Kind::Nullable(inner) => {
            ports(&Field { kind: (**inner).clone(), required: false, ..field.clone() }, default)
        }
        // It is sent by its entries, which stand for it.
        Kind::Graph => Vec::new(),
        Kind::Int { .. } => one(Datatype::Int64),
        Kind::Float { .. } => one(Datatype::Fp64),
        Kind::Bool => one(Datatype::Bool),
        Kind::Choice(_) | Kind::Text { .. } | Kind::Json { .. } => one(Datatype::Bytes),
        Kind::Matches(_) => {
            let real = if default == DType::F32 { Datatype::Fp32 } else { Datatype::Fp64 };
            let columns = names(field).into_iter().zip([Datatype::Int64, real]);
            columns.map(|(name, datatype)| port(name, vec![datatype], vec![-1], 2)).collect()
        }
    }
}

impl Port {
    fn json(self) -> Json {
        let mut port = json!({"name": self.name, "datatype": self.datatype.name(), "shape": self.shape});
        let mut more = serde_json::Map::new();
        if self.optional {
            more.insert("optional".into(), true.into());
        }
        if self.others.len() > 1 {
            let names: Vec<&str> = self.others.iter().map(|d| d.name()).collect();
            more.insert("datatypes".into(), names.into());
        }
        if self.max_rank > self.shape.len() {
            more.insert("max_rank".into(), self.max_rank.into());
        }
        if !more.is_empty() {
            port["parameters"] = more.into();
        }
        port
    }

    fn config(self) -> Json {
        let word = match self.datatype {
            Datatype::Bytes => "STRING",
            other => other.name(),
        };
        json!({"name": self.name, "data_type": format!("TYPE_{word}"), "dims": self.shape, "optional": self.optional})
    }
}

fn both(schema: &Schema, outputs: &[Field], of: impl Fn(Port) -> Json) -> [Vec<Json>; 2] {
    let default = schema.default_dtype.unwrap_or(DType::F64);
    let all = |fields: Vec<Field>| fields.iter().flat_map(|f| ports(f, default)).map(&of).collect();
    [all(schema.fields.iter().flat_map(entries).collect()), all(outputs.to_vec())]
}

/// The model's metadata.
pub fn metadata(name: &str, version: u32, platform: &str, schema: &Schema, outputs: &[Field]) -> Json {
    let [inputs, outputs] = both(schema, outputs, Port::json);
    json!({"name": name, "versions": [version.to_string()], "platform": platform, "inputs": inputs, "outputs": outputs})
}

/// The model's configuration, as far as it means something here: there is no batching by the first dimension.
pub fn config(name: &str, version: u32, platform: &str, schema: &Schema, outputs: &[Field]) -> Json {
    let [inputs, outputs] = both(schema, outputs, Port::config);
    json!({"name": name, "platform": platform, "backend": platform, "max_batch_size": 0,
           "version_policy": {"specific": {"versions": [version]}}, "input": inputs, "output": outputs})
}
