//! The operations a service offers, found by family and name.

use crate::{About, AnyOperation};
use offload_api::{Schema, nearest};

/// An operation with everything the service asks of it often, asked once.
pub struct Registered {
    /// What it says about itself.
    pub about: About,
    /// What it takes.
    pub schema: Schema,
    /// `family.name`, as the Open Inference Protocol spells it.
    pub full_name: String,
    /// `family_name`, as metrics and the audit log spell it.
    pub workload_type: String,
    /// The scope it needs (`gpu:matrix`).
    pub scope: String,
    /// Whether jobs can be stacked.
    pub stacks: bool,
    /// The operation.
    pub operation: &'static dyn AnyOperation,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.full_name)
    }
}

/// All operations, in their documented order. Routes, documentation, metrics and tests iterate over it.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Vec<&'static Registered>,
}

impl Registry {
    /// The registry of these operations. Built once per process: its entries live as long as the process.
    pub fn new(operations: impl IntoIterator<Item = &'static dyn AnyOperation>) -> Registry {
        let entries = operations
            .into_iter()
            .map(|operation| {
                let about = operation.about();
                &*Box::leak(Box::new(Registered {
                    full_name: format!("{}.{}", about.family, about.name),
                    workload_type: format!("{}_{}", about.family, about.name),
                    scope: format!("gpu:{}", about.family),
                    schema: operation.schema(),
                    stacks: operation.stacks(),
                    about,
                    operation,
                }))
            })
            .collect();
        Registry { entries }
    }

    /// The operation of that family and name.
    pub fn find(&self, family: &str, name: &str) -> Option<&'static Registered> {
        self.entries.iter().copied().find(|e| e.about.family == family && e.about.name == name)
    }

    /// Every operation in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Registered> + '_ {
        self.entries.iter().copied()
    }

    /// The `family/name` nearest to a name that does not exist.
    pub fn nearest(&self, family: &str, name: &str) -> Option<String> {
        let wanted = format!("{family}.{name}");
        nearest(&wanted, self.entries.iter().map(|e| e.full_name.as_str())).map(|n| n.replace('.', "/"))
    }
}
