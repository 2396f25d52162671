//! Tenants and what each may use.

use super::{Page, StoreError, check_identifier, check_label, check_storable};
use offload_api::Priority;
use offload_core::device::Isolation;
use serde::{Deserialize, Serialize};

const GIB: u64 = 1 << 30;

/// A customer of the service: everything that is metered and kept apart is kept by tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// 1 to 64 characters of `[a-z0-9_-]`; never changes.
    pub id: String,
    /// For humans; may be empty.
    #[serde(default)]
    pub name: String,
    /// Grows by one with every update; 1 when created.
    #[serde(default)]
    pub revision: u64,
    /// Unix seconds; never changes.
    #[serde(default)]
    pub created_at: u64,
    /// A suspended tenant's requests are refused; its data stays.
    #[serde(default)]
    pub suspended: bool,
    /// What it may use.
    #[serde(default)]
    pub quota: Quota,
}

/// What a tenant may use. A field that is absent from a document has its default; an unknown field is an error,
/// because a limit that is misspelt, or that an older node does not know, must not be silently unenforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Device bytes reserved by its running jobs at any moment; default 4 GiB.
    pub max_device_memory_bytes: u64,
    /// Host bytes reserved by its running jobs at any moment; default 4 GiB.
    pub max_host_memory_bytes: u64,
    /// Jobs running at any moment; default 10.
    pub max_concurrent_tasks: u32,
    /// Jobs waiting at any moment; default 1000.
    pub max_queued_tasks: u32,
    /// Requests admitted per minute; default 1000.
    pub max_requests_per_minute: u32,
    /// Bytes of its datasets, all versions; default 64 GiB.
    pub max_dataset_bytes: u64,
    /// The operation families it may run; none means all.
    pub allowed_families: Option<Vec<String>>,
    /// The only hosts its callbacks may go to, inside ones included (`*.example.com` for those below a domain); none
    /// means every public one.
    pub callback_hosts: Option<Vec<String>>,
    /// With whom its jobs share the worker process of a device; default `shared`, with every other such tenant.
    pub isolation: Isolation,
    /// A more urgent job is lowered to this; default high, so that realtime has to be granted.
    pub max_priority: Priority,
}

impl Default for Quota {
    fn default() -> Self {
        Quota {
            max_device_memory_bytes: 4 * GIB,
            max_host_memory_bytes: 4 * GIB,
            max_concurrent_tasks: 10,
            max_queued_tasks: 1000,
            max_requests_per_minute: 1000,
            max_dataset_bytes: 64 * GIB,
            allowed_families: None,
            callback_hosts: None,
            isolation: Isolation::Shared,
            max_priority: Priority::High,
        }
    }
}

impl Tenant {
    /// A tenant with the default quota, not yet stored.
    pub fn new(id: &str, created_at: u64) -> Self {
        Tenant {
            id: id.to_owned(),
            name: String::new(),
            revision: 0,
            created_at,
            suspended: false,
            quota: Quota::default(),
        }
    }

    /// Refuses what no store may hold.
    pub fn check(&self) -> Result<(), StoreError> {
        check_identifier("id", &self.id, "_-")?;
        check_label("name", &self.name)?;
        check_storable("created_at", self.created_at)?;
        check_storable("revision", self.revision)?;
        check_storable("quota.max_device_memory_bytes", self.quota.max_device_memory_bytes)?;
        check_storable("quota.max_host_memory_bytes", self.quota.max_host_memory_bytes)?;
        check_storable("quota.max_dataset_bytes", self.quota.max_dataset_bytes)?;
        let families = self.quota.allowed_families.as_deref().unwrap_or_default();
        if families.len() > 64 {
            return Err(StoreError::Invalid("quota.allowed_families has more than 64 entries".to_owned()));
        }
        families.iter().try_for_each(|f| check_identifier("quota.allowed_families", f, "_"))?;
        let hosts = self.quota.callback_hosts.as_deref().unwrap_or_default();
        if hosts.len() > 256 || hosts.iter().any(|h| h.is_empty() || h.len() > 255 || !h.is_ascii()) {
            return Err(StoreError::Invalid(
                "quota.callback_hosts has at most 256 entries of 1 to 255 ascii characters".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Quota {
    /// Whether operations of this family may be run.
    pub fn allows_family(&self, family: &str) -> bool {
        self.allowed_families.as_ref().is_none_or(|allowed| allowed.iter().any(|f| f == family))
    }
}

/// The tenants.
pub trait Tenants: Send + Sync {
    /// Stores a new tenant at revision 1, whatever revision was given, and answers it as stored.
    /// [`StoreError::AlreadyExists`] if the id is taken.
    fn create(&self, tenant: &Tenant) -> Result<Tenant, StoreError>;

    /// The tenant of that id, if there is one.
    fn get(&self, id: &str) -> Result<Option<Tenant>, StoreError>;

    /// Tenants in the order of their ids, at most `limit`, from `cursor` on.
    fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Tenant>, StoreError>;

    /// Replaces `name`, `suspended` and `quota` of the tenant if it still has `tenant.revision`, and answers it
    /// as stored (one revision further). [`StoreError::Conflict`] if it has another revision,
    /// [`StoreError::NotFound`] if it is gone.
    fn update(&self, tenant: &Tenant) -> Result<Tenant, StoreError>;

    /// Deletes the tenant and all its keys if it still has that revision; errors as for [`Tenants::update`].
    fn delete(&self, id: &str, revision: u64) -> Result<(), StoreError>;
}
