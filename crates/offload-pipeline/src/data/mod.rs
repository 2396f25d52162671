//! Resident datasets: data that a tenant sends once and names in many jobs.
//!
//! A dataset is a list of segments that never change; every write makes a new version of the list. A version lives
//! until nothing reads it any more, and the segments that only it had go with it. Appending adds a segment; replacing
//! or deleting rows by key writes the dataset anew, as does an append that would make one segment too many. Columns of
//! one segment are read where they lie, in the mapped file; columns of several are put together once per version.
//!
//! No stage: admission resolves names here, and the edge writes.

mod cast;
mod catalog;
mod errors;
mod fit;
mod input;
mod predicate;
mod residency;
mod rows;
mod usage;
mod version;
mod write;

pub use catalog::{Catalog, CatalogConfig, CatalogStats};
pub use fit::Wanted;
pub(crate) use input::real_as;
pub use input::{Input, Origin};
pub use version::{Residence, Version};
pub use write::{Change, Mode};
