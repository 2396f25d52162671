//! A request becomes an admitted job, or is told why not.

use super::Prices;
use super::resolve::{Resolved, references, resolve};
use crate::data::{Catalog, Origin};
use crate::dispatch::Limits;
use crate::records::Quota;
use offload_api::{ApiError, DeviceChoice, ErrorCode, Options, Priority, Record, Source, Style, Tensor};
use offload_core::{DeviceNeed, Plan, Registered, TenantId};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who asks, as the credentials say.
#[derive(Debug)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The user within the tenant.
    pub user: String,
    /// The key that was used, or that the token was made from.
    pub key: String,
    /// What the credentials allow.
    pub scopes: Vec<String>,
    /// What the tenant may use.
    pub quota: Quota,
    /// The part of the quota that the dispatcher holds.
    pub limits: Arc<Limits>,
}

impl Caller {
    /// A caller with these credentials.
    pub fn new(tenant: TenantId, user: String, key: String, scopes: Vec<String>, quota: Quota) -> Self {
        let limits = Arc::new(Limits {
            max_concurrent_tasks: quota.max_concurrent_tasks,
            max_queued_tasks: quota.max_queued_tasks,
            max_host_bytes: quota.max_host_memory_bytes,
            max_device_bytes: quota.max_device_memory_bytes,
        });
        Caller { tenant, user, key, scopes, quota, limits }
    }

    /// Whether the credentials hold `scope`.
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|s| s == scope)
    }
}

/// A decoded request.
#[derive(Debug)]
pub struct Request {
    /// Its id, echoed to the caller and into every log line.
    pub id: String,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// For what.
    pub operation: &'static Registered,
    /// How.
    pub options: Options,
    /// The shape it came in; decides the pointers of errors.
    pub style: Style,
    /// With what.
    pub inputs: Record<Source>,
    /// When it had fully arrived; its time limit counts from here.
    pub received: Instant,
    /// How long decoding took.
    pub decode: Duration,
}

/// A request that may run: validated, priced, and small enough to fit one day.
#[derive(Debug)]
pub struct Admitted {
    request: Request,
    inputs: Record<Tensor>,
    origins: Vec<(&'static str, Origin)>,
    resident_bytes: u64,
    plan: Plan,
    priority: Priority,
    deadline: Instant,
    cpu_us: f64,
}

/// Limits that hold for every tenant.
#[derive(Clone, Debug)]
pub struct AdmitConfig {
    /// The time limit of a request that names none, in milliseconds.
    pub default_timeout_ms: u64,
    /// Bytes of host memory that all running work may hold.
    pub host_budget_bytes: u64,
}

/// Admits requests.
pub struct Gate {
    config: AdmitConfig,
    prices: Arc<Prices>,
    catalog: Option<Arc<Catalog>>,
}

impl Gate {
    /// A gate with these limits; without a catalog there are no datasets.
    pub fn new(config: AdmitConfig, prices: Arc<Prices>, catalog: Option<Arc<Catalog>>) -> Self {
        Gate { config, prices, catalog }
    }

    /// Whether a request with these inputs is admitted without waiting for a disk or a long computation. The others
    /// belong on a thread that may block.
    pub fn at_once(&self, caller: &Caller, inputs: &Record<Source>) -> bool {
        let references = references(inputs).map(|(_, r)| r);
        self.catalog.as_ref().is_none_or(|c| c.at_once(caller.tenant.as_str(), references))
    }

    /// Whether the caller may run this family at all; asked before the body is read.
    ///
    /// # Errors
    /// `insufficient_scope` or `workload_not_allowed`.
    pub fn authorize(&self, caller: &Caller, operation: &Registered) -> Result<(), ApiError> {
        if !caller.has(&operation.scope) {
            return Err(ApiError::new(
                ErrorCode::InsufficientScope,
                format!("the scope {} is missing", operation.scope),
            )
            .with_details(json!({"scope": operation.scope})));
        }
        if let Some(allowed) = &caller.quota.allowed_families
            && !allowed.iter().any(|f| f == operation.about.family)
        {
            return Err(ApiError::new(
                ErrorCode::WorkloadNotAllowed,
                format!("the tenant may not run {} operations", operation.about.family),
            ));
        }
        Ok(())
    }

    /// Validates and prices a request.
    ///
    /// # Errors
    /// What is wrong with it, with the pointer to the field.
    pub fn admit(&self, mut request: Request) -> Result<Admitted, ApiError> {
        let operation = request.operation;
        self.authorize(&request.caller, operation)?;
        if let Some(named) = &request.options.workload_type
            && named != &operation.workload_type
        {
            return Err(invalid(
                "/workload_type",
                format!("workload_type is {named}, the route says {}", operation.workload_type),
            ));
        }
        let prefix = if request.style == Style::Envelope { "/inputs" } else { "" };
        let Resolved { inputs, origins, resident_bytes } = resolve(
            self.catalog.as_deref(),
            request.caller.tenant.as_str(),
            &operation.schema,
            prefix,
            std::mem::take(&mut request.inputs),
        )?;
        let plan = operation.operation.plan(inputs.specs()).map_err(|r| {
            let pointer =
                if r.field.is_empty() { prefix.to_string() } else { format!("{prefix}/{}", r.field) };
            invalid(pointer, r.message)
        })?;
        let quota = &request.caller.quota;
        let needed = plan.peak_host_bytes().saturating_sub(resident_bytes);
        if needed > quota.max_host_memory_bytes {
            return Err(over_quota(
                "host memory",
                needed,
                quota.max_host_memory_bytes,
                "max_host_memory_bytes",
            ));
        }
        if needed > self.config.host_budget_bytes {
            return Err(ApiError::new(
                ErrorCode::OutOfMemory,
                format!(
                    "the job needs {needed} bytes of host memory, the service has {}",
                    self.config.host_budget_bytes
                ),
            )
            .with_details(json!({"needed_bytes": needed, "budget_bytes": self.config.host_budget_bytes,
                                 "raised_by": "place.host_budget_bytes"})));
        }
        if let (DeviceNeed::Bytes(needed), DeviceChoice::Gpu | DeviceChoice::Id(_)) =
            (plan.device, &request.options.device)
            && needed > quota.max_device_memory_bytes
        {
            return Err(over_quota(
                "device memory",
                needed,
                quota.max_device_memory_bytes,
                "max_device_memory_bytes",
            ));
        }
        let asked = request.options.priority.unwrap_or(operation.about.default_priority);
        // `Priority` is ordered from low to realtime.
        let priority = asked.min(quota.max_priority);
        let timeout = request.options.timeout_ms.unwrap_or(self.config.default_timeout_ms);
        Ok(Admitted {
            deadline: request.received + Duration::from_millis(timeout),
            cpu_us: self.prices.cpu_us(operation, &plan),
            request,
            inputs,
            origins,
            resident_bytes,
            plan,
            priority,
        })
    }
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> ApiError {
    offload_api::Invalid::new(pointer, message).into()
}

fn over_quota(what: &str, needed: u64, limit: u64, key: &str) -> ApiError {
    ApiError::new(
        ErrorCode::QuotaExceeded,
        format!("the job needs {needed} bytes of {what}, the tenant's whole quota is {limit}"),
    )
    .with_details(
        json!({"needed_bytes": needed, "limit_bytes": limit, "raised_by": format!("tenant quota {key}")}),
    )
}

impl Admitted {
    /// The request it came from, its inputs taken out.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }
    /// The tensors it runs on.
    pub(crate) fn inputs(&self) -> &Record<Tensor> {
        &self.inputs
    }
    /// What the inputs that come from datasets are functions of.
    pub(crate) fn origins(&self) -> &[(&'static str, Origin)] {
        &self.origins
    }
    /// Bytes of the inputs that are there whether or not it runs.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }
    /// What it will need.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
    /// Its priority, lowered to what the tenant may use.
    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }
    /// When its caller gives up.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
    /// Expected microseconds on the CPU.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_us
    }
    /// The parts.
    pub(crate) fn into_parts(self) -> (Request, Record<Tensor>, Plan) {
        (self.request, self.inputs, self.plan)
    }
}
