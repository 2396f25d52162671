//! Names in a request become what they name: columns of datasets become tensors of one version each.

use crate::data::{Catalog, Origin, Version, Wanted};
use offload_api::{
    ApiError, DType, DatasetRef, Elem, ErrorCode, Kind, Record, Schema, Source, Tensor, Value,
};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Inputs with nothing left to resolve.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) inputs: Record<Tensor>,
    /// What the inputs that come from datasets are functions of.
    pub(super) origins: Vec<(&'static str, Origin)>,
    /// Bytes of the inputs that are there whether or not the job runs.
    pub(super) resident_bytes: u64,
}

/// The JSON pointer of the entry `name`: the parts of a graph stand in one field.
fn pointer(prefix: &str, name: &str) -> String {
    let field = name.split('.').next().unwrap_or(name);
    format!("{prefix}/{field}")
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> ApiError {
    offload_api::Invalid::new(pointer, message).into()
}

/// The references to datasets in a request.
pub(super) fn references(inputs: &Record<Source>) -> impl Iterator<Item = (&'static str, &DatasetRef)> {
    inputs.iter().filter_map(|(name, value)| match value {
        Value::Tensor(Source::Dataset(r)) => Some((name, r)),
        _ => None,
    })
}

/// Resolves every input. All references of a request to the newest version of a dataset see the same one.
pub(super) fn resolve(
    catalog: Option<&Catalog>,
    tenant: &str,
    schema: &Schema,
    prefix: &str,
    mut inputs: Record<Source>,
) -> Result<Resolved, ApiError> {
    let mut found: HashMap<&'static str, Tensor> = HashMap::new();
    let mut missing: Vec<&'static str> = Vec::new();
    let mut origins = Vec::new();
    let mut resident_bytes = 0u64;
    let mut versions: HashMap<(&str, Option<u64>), Arc<Version>> = HashMap::new();
    for (name, reference) in references(&inputs) {
        let at = pointer(prefix, name);
        let wanted = Wanted::of(&schema.fields, name)
            .ok_or_else(|| invalid(at.as_str(), format!("{name} takes no column of a dataset")))?;
        let key = (reference.dataset.as_str(), reference.version);
        let version = match versions.get(&key) {
            Some(version) => version,
            None => {
                let version = version(catalog, tenant, reference).map_err(|e| point(e, &at))?;
                versions.entry(key).or_insert(version)
            }
        };
        match version.input(reference, &wanted, &at)? {
            Some(input) => {
                resident_bytes = resident_bytes.saturating_add(input.resident_bytes);
                origins.push((name, input.origin));
                found.insert(name, input.tensor);
            }
            None => missing.push(name),
        }
    }
    drop(versions);
    for name in missing {
        inputs.take(name);
    }
    let real = real_type(schema, &found);
    let inputs = inputs.try_map(|name, source| match source {
        Source::Inline(t) => beside(t, real.filter(|_| is_real(schema, name)), || pointer(prefix, name)),
        Source::Dataset(_) => {
            found.remove(name).ok_or_else(|| ApiError::new(ErrorCode::Internal, "an input was not resolved"))
        }
        Source::Output(_) => {
            Err(invalid(pointer(prefix, name), "$result names an earlier item of a batch; this is no batch"))
        }
    })?;
    Ok(Resolved { inputs, origins, resident_bytes })
}

fn version(catalog: Option<&Catalog>, tenant: &str, r: &DatasetRef) -> Result<Arc<Version>, ApiError> {
    match catalog {
        Some(catalog) => catalog.at(tenant, &r.dataset, r.version),
        None => {
            let shown: String = r.dataset.chars().take(128).collect();
            Err(ApiError::new(ErrorCode::NotFound, format!("there is no dataset {shown}")))
        }
    }
}

/// Adds the pointer to what an error says already.
fn point(mut e: ApiError, pointer: &str) -> ApiError {
    if !e.details.is_object() {
        *e.details = json!({});
    }
    e.details["pointer"] = pointer.into();
    e
}

fn is_real(schema: &Schema, name: &str) -> bool {
    matches!(schema.field(name).map(|f| &f.kind), Some(Kind::Tensor { elem: Elem::Real, .. }))
}

/// The type that the real columns of the request have, when it is one.
fn real_type(schema: &Schema, found: &HashMap<&'static str, Tensor>) -> Option<DType> {
    let mut types = found.iter().filter(|(name, _)| is_real(schema, name)).map(|(_, t)| t.dtype());
    let first = types.next()?;
    types.all(|t| t == first).then_some(first)
}

/// An inline tensor of real numbers takes the type of the columns it stands beside, because JSON has no types.
fn beside(t: Tensor, to: Option<DType>, pointer: impl Fn() -> String) -> Result<Tensor, ApiError> {
    match to {
        Some(to) if t.dtype().is_real() && t.dtype() != to => crate::data::real_as(&t, to).ok_or_else(|| {
            invalid(pointer(), format!("a number does not fit {to}, the type of the column it stands beside"))
        }),
        _ => Ok(t),
    }
}
