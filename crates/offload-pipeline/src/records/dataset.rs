//! Datasets: what is known of them apart from their rows.

use super::{Page, StoreError, check_storable};
use offload_api::{ColumnKind, DType, MAX_RANK};
use serde::{Deserialize, Serialize};

/// A tenant's dataset at its newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Whose it is.
    pub tenant_id: String,
    /// 1 to 128 characters of `[A-Za-z0-9_.-]`, unique within the tenant.
    pub name: String,
    /// 32 hexadecimal digits, chosen at random when it is created: a name that was deleted and made anew is another
    /// dataset.
    pub id: String,
    /// The store's own count: grows by one with every change, and no version of a name is ever given twice, even
    /// when the dataset was deleted in between.
    pub version: u64,
    /// The column whose values name the rows; no two rows have the same.
    pub key: Option<String>,
    /// The columns in their order.
    pub columns: Vec<DatasetColumn>,
    /// Where the rows are, in their order.
    pub segments: Vec<DatasetSegment>,
    /// Unix seconds; never changes.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

/// A column of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetColumn {
    /// 1 to 128 characters of `[A-Za-z0-9_.-]`, unique within the dataset.
    pub name: String,
    /// The element type; absent for texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<DType>,
    /// The extents of one row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<usize>,
}

/// Rows of a dataset that were written at once and never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSegment {
    /// 32 hexadecimal digits: its name among [`Segments`](super::Segments).
    pub id: String,
    /// How many rows it has.
    pub rows: u64,
    /// Bytes of its columns.
    pub bytes: u64,
}

impl DatasetColumn {
    /// A column of that name and kind.
    pub fn new(name: &str, kind: &ColumnKind) -> Self {
        let dtype = match kind {
            ColumnKind::Tensor { dtype, .. } => Some(*dtype),
            ColumnKind::Text => None,
        };
        DatasetColumn { name: name.to_owned(), dtype, inner: kind.inner().to_vec() }
    }

    /// What it holds.
    pub fn kind(&self) -> ColumnKind {
        match self.dtype {
            Some(dtype) => ColumnKind::Tensor { dtype, inner: self.inner.clone() },
            None => ColumnKind::Text,
        }
    }
}

/// Refuses a name that is not 1 to 128 characters of `[A-Za-z0-9_.-]`, or that a path would swallow.
///
/// # Errors
/// [`StoreError::Invalid`], with the rule.
pub fn check_dataset_name(field: &str, name: &str) -> Result<(), StoreError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(allowed) || matches!(name, "." | "..") {
        return Err(StoreError::Invalid(format!(
            "{field} must be 1 to 128 characters of A-Z, a-z, 0-9 and _.-, and not . or .. alone"
        )));
    }
    Ok(())
}

fn check_id(field: &str, id: &str) -> Result<(), StoreError> {
    if id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("{field} must be 32 hexadecimal digits")))
}

impl Dataset {
    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.segments.iter().fold(0, |n, s| n.saturating_add(s.rows))
    }

    /// Bytes of its columns.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().fold(0, |n, s| n.saturating_add(s.bytes))
    }

    /// Refuses what no store may hold.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], with the rule.
    pub fn check(&self) -> Result<(), StoreError> {
        super::check_identifier("tenant_id", &self.tenant_id, "_-")?;
        check_dataset_name("name", &self.name)?;
        check_id("id", &self.id)?;
        if self.columns.is_empty() {
            return Err(StoreError::Invalid("a dataset has at least one column".to_owned()));
        }
        for column in &self.columns {
            check_dataset_name("column", &column.name)?;
            if column.inner.len() >= MAX_RANK {
                return Err(StoreError::Invalid(format!("a column has at most {MAX_RANK} dimensions")));
            }
        }
        self.segments.iter().try_for_each(|s| check_id("segment", &s.id))?;
        for (field, number) in [
            ("rows", self.rows()),
            ("bytes", self.bytes()),
            ("version", self.version),
            ("created_at", self.created_at),
            ("updated_at", self.updated_at),
        ] {
            check_storable(field, number)?;
        }
        Ok(())
    }
}

/// The datasets of all tenants.
pub trait Datasets: Send + Sync {
    /// Stores a new dataset and answers it as stored: its version is one more than the last of that name, 1 for a
    /// name that was never used. A store may forget the last versions of names that were deleted long ago, and then
    /// counts on from the highest of those that it forgot.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the tenant has one of that name.
    fn create(&self, dataset: &Dataset) -> Result<Dataset, StoreError>;

    /// The tenant's dataset of that name, if there is one.
    ///
    /// # Errors
    /// The store's own.
    fn get(&self, tenant_id: &str, name: &str) -> Result<Option<Dataset>, StoreError>;

    /// A tenant's datasets in the order of their names, at most `limit`, from `cursor` on.
    ///
    /// # Errors
    /// The store's own.
    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError>;

    /// The datasets of all tenants in the order of tenant and name, for a node that starts.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the cursor is none that a page gave.
    fn list_all(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Dataset>, StoreError>;

    /// Replaces key, columns, segments and `updated_at` of the dataset if it still is the one of `dataset.id` at
    /// `dataset.version`, and answers it as stored (one version further).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is another or at another version, [`StoreError::NotFound`] if it is gone.
    fn update(&self, dataset: &Dataset) -> Result<Dataset, StoreError>;

    /// Deletes the dataset if it still is the one of `id` at `version`; errors as for [`Datasets::update`].
    ///
    /// # Errors
    /// As for [`Datasets::update`].
    fn delete(&self, tenant_id: &str, name: &str, id: &str, version: u64) -> Result<(), StoreError>;
}
