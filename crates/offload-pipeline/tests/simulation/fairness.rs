//! What tenants got while both had work queued in a class.

use crate::model::Model;
use crate::oracle::{Checked, hold};
use offload_core::TenantId;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Shares {
    served: BTreeMap<(usize, TenantId), f64>,
    largest: BTreeMap<TenantId, f64>,
    since: BTreeMap<(usize, TenantId, TenantId), (f64, f64)>,
}

impl Shares {
    fn got(&self, class: usize, tenant: &TenantId) -> f64 {
        self.served.get(&(class, tenant.clone())).copied().unwrap_or(0.0)
    }

    /// Notes who is backlogged with whom from now on.
    pub(crate) fn refresh(&mut self, model: &Model) {
        for class in 0..4 {
            let busy: BTreeSet<TenantId> =
                model.queued().filter(|(_, j)| j.class == class).map(|(_, j)| j.tenant.clone()).collect();
            self.since.retain(|(c, a, b), _| *c != class || (busy.contains(a) && busy.contains(b)));
            for a in &busy {
                for b in busy.iter().filter(|b| *b > a) {
                    let base = (self.got(class, a), self.got(class, b));
                    self.since.entry((class, a.clone(), b.clone())).or_insert(base);
                }
            }
        }
    }

    /// A job of `tenant` starts from `class`: nobody may have got more than the largest jobs of both allow.
    pub(crate) fn started(&mut self, class: usize, tenant: &TenantId, us: f64) -> Checked {
        let largest = self.largest.entry(tenant.clone()).or_default();
        *largest = largest.max(us);
        *self.served.entry((class, tenant.clone())).or_default() += us;
        for ((c, a, b), base) in &self.since {
            if *c == class && (a == tenant || b == tenant) {
                let (x, y) = (self.got(class, a) - base.0, self.got(class, b) - base.1);
                let bound: f64 = [a, b].iter().map(|t| self.largest.get(t).copied().unwrap_or(0.0)).sum();
                hold((x - y).abs() <= bound + 2.0, "fairness", || {
                    format!("P{class}: {a} got {x} µs and {b} got {y} µs, {bound} may lie between")
                })?;
            }
        }
        Ok(())
    }
}
