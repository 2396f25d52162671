//! A column as an input of a job.

use super::errors::invalid;
use super::fit::Wanted;
use super::version::{CastError, Version};
use super::{cast, predicate};
use offload_api::{ApiError, Column, DType, DatasetRef, ResidentKey, Tensor, nearest};
use std::sync::Arc;

/// A column that a job runs on. The tensor keeps its version alive.
#[derive(Debug)]
pub struct Input {
    /// The values.
    pub tensor: Tensor,
    /// Bytes of it that are there whether or not the job runs.
    pub resident_bytes: u64,
    /// What it is a function of.
    pub origin: Origin,
}

/// What an input from a dataset is a function of: equal origins have equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The dataset's name, by which its cached results are dropped.
    pub dataset: String,
    /// The dataset's identity, which no other ever has.
    pub id: String,
    /// The version.
    pub version: u64,
    /// The column.
    pub column: String,
    /// The test in its canonical spelling; empty for the values themselves.
    pub test: String,
}

impl Origin {
    /// The identity of its values as `dtype`, under which a device may keep them.
    fn key(&self, dtype: DType) -> ResidentKey {
        let mut hasher = blake3::Hasher::new();
        for part in [self.id.as_str(), &self.column, &self.test, dtype.name()] {
            // With its length, so that no two lists of parts run together to the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&self.version.to_le_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        ResidentKey(u128::from_le_bytes(key))
    }
}

/// A tensor and the version that it is of.
struct Held {
    tensor: Tensor,
    _version: Arc<Version>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.tensor.data().as_bytes()
    }
}

impl Version {
    /// What `reference` names, as `wanted`; `None` for a part of a graph that may be missing and is. `pointer` is where
    /// the reference stands.
    ///
    /// # Errors
    /// `invalid_request` when there is no such column or it is not what the field takes, `internal` when it cannot be
    /// read.
    pub fn input(
        self: &Arc<Self>,
        reference: &DatasetRef,
        wanted: &Wanted,
        pointer: &str,
    ) -> Result<Option<Input>, ApiError> {
        let Some(index) = self.choose(reference, wanted, pointer)? else { return Ok(None) };
        let column = &self.record.columns[index];
        let refuse = |why: String| invalid(pointer, format!("column {} {why}", column.name));
        let origin = |test: String| Origin {
            dataset: self.record.name.clone(),
            id: self.record.id.clone(),
            version: self.record.version,
            column: column.name.clone(),
            test,
        };
        if let Some(test) = &reference.test {
            let (values, _) = self.column(index)?;
            let mask = predicate::mask(&values, test).map_err(refuse)?;
            let spelled = serde_json::to_string(&DatasetRef {
                dataset: String::new(),
                column: None,
                version: None,
                test: Some(test.clone()),
            });
            let origin = origin(spelled.unwrap_or_default());
            let tensor = Tensor::vector(mask).with_resident(origin.key(DType::U8));
            return Ok(Some(Input { tensor, resident_bytes: 0, origin }));
        }
        let dtype = wanted.fits(&column.kind()).map_err(refuse)?;
        let (values, stays) = self.column_as(index, dtype).map_err(|e| match e {
            CastError::Read(e) => e,
            CastError::Value(why) => refuse(why),
        })?;
        let Column::Tensor(tensor) = values else { return Err(refuse("has texts".to_owned())) };
        let in_place = column.dtype == Some(dtype) && self.segments.len() == 1;
        let resident_bytes = if stays || in_place { tensor.bytes() } else { 0 };
        let origin = origin(String::new());
        let tensor = self.held(tensor).with_resident(origin.key(dtype));
        Ok(Some(Input { tensor, resident_bytes, origin }))
    }

    /// The tensor over itself, so that whoever has it has this version as well.
    fn held(self: &Arc<Self>, tensor: Tensor) -> Tensor {
        let (spec, length) = (tensor.spec(), tensor.data().as_bytes().len());
        let held = Held { tensor: tensor.clone(), _version: Arc::clone(self) };
        // The elements are where they were, so they are aligned and as many; a copy would be right too.
        Tensor::over(spec, Arc::new(held), 0..length).unwrap_or(tensor)
    }

    /// The column that is meant.
    fn choose(&self, r: &DatasetRef, wanted: &Wanted, pointer: &str) -> Result<Option<usize>, ApiError> {
        let columns = &self.record.columns;
        let names = || columns.iter().map(|c| c.name.as_str());
        let listed = || names().take(20).collect::<Vec<_>>().join(", ");
        let dataset = &self.record.name;
        if let Some(part) = wanted.part {
            let found = part.names.iter().find_map(|n| names().position(|c| c == *n));
            if found.is_none() && !part.optional {
                let message = format!(
                    "dataset {dataset} has no column {}; it has {}",
                    part.names.join(" or "),
                    listed()
                );
                return Err(invalid(pointer, message));
            }
            return Ok(found);
        }
        if r.test.is_some() && !wanted.is_mask() {
            return Err(invalid(pointer, "a test gives a mask of the rows, the field takes something else"));
        }
        if let Some(name) = &r.column {
            let found = names().position(|c| c == name);
            return found.map(Some).ok_or_else(|| {
                let shown: String = name.chars().take(128).collect();
                let hint = nearest(name, names())
                    .map_or_else(|| format!("it has {}", listed()), |n| format!("did you mean {n}?"));
                invalid(pointer, format!("dataset {dataset} has no column {shown}; {hint}"))
            });
        }
        if r.test.is_some() {
            return Err(invalid(pointer, "a test needs the column that it is on"));
        }
        // As it is before as something else.
        let fitting = |same: bool| -> Vec<usize> {
            let fits = |c: &crate::records::DatasetColumn| match wanted.fits(&c.kind()) {
                Ok(dtype) => !same || c.dtype == Some(dtype),
                Err(_) => false,
            };
            columns.iter().enumerate().filter(|(_, c)| fits(c)).map(|(i, _)| i).collect()
        };
        match (fitting(true).as_slice(), fitting(false).as_slice()) {
            ([only], _) | ([], [only]) => Ok(Some(*only)),
            ([], []) => Err(invalid(
                pointer,
                format!("dataset {dataset} has no column that the field takes; it has {}", listed()),
            )),
            (many, more) => {
                let fit = if many.is_empty() { more } else { many };
                let fit: Vec<&str> = fit.iter().map(|i| columns[*i].name.as_str()).take(20).collect();
                let message = format!(
                    "dataset {dataset} has several columns that the field takes: name one of {}",
                    fit.join(", ")
                );
                Err(invalid(pointer, message))
            }
        }
    }

    /// Whether what `reference` names can be had without waiting for the disk or for a long computation.
    pub(super) fn at_once(&self, reference: &DatasetRef) -> bool {
        /// A test on so many rows takes less than a tenth of a millisecond.
        const FEW_ROWS: u64 = 16_384;
        let there = |name: &str| {
            self.record.columns.iter().position(|c| c.name == name).is_none_or(|i| self.is_there(i))
        };
        let quick = reference.test.is_none() || self.record.rows() <= FEW_ROWS;
        quick && reference.column.as_deref().is_some_and(there)
    }
}

/// The tensor as `to`, for an inline input that stands beside a column of that type; `None` when a value does not fit.
pub(crate) fn real_as(tensor: &Tensor, to: DType) -> Option<Tensor> {
    match (tensor.as_slice::<f64>(), to) {
        (Some(values), DType::F32) => {
            let narrow: Vec<f32> = values.iter().map(|&x| x as f32).collect();
            let fits = narrow.iter().zip(values).all(|(n, w)| n.is_finite() || !w.is_finite());
            fits.then(|| Tensor::new(tensor.shape().to_vec(), narrow)).flatten()
        }
        _ => cast::cast(tensor, to).ok(),
    }
}
