//! What operations make of inputs that have an identity (the rows of a graph), kept between jobs.

use crate::{Failure, TenantId};
use offload_api::{ResidentKey, Tensor};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Structures kept in memory, each under its tenant and the identities of what it was made of; the least recently used
/// goes first. What a job still reads lives on until the job ends, beyond the bound.
#[derive(Debug)]
pub struct Derived {
    budget_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    clock: u64,
    entries: HashMap<Key, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    kind: TypeId,
    origin: Origin,
}

#[derive(Debug)]
struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    bytes: u64,
    used_at: u64,
}

/// What a structure is made of: the identities of its inputs, and how it is made of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    inputs: Vec<Option<ResidentKey>>,
    variant: u64,
}

impl Origin {
    /// Of these inputs, in this order, where `None` is one that the request does not have. `None` when one of them has
    /// no identity: nothing can be kept of it.
    pub fn of<'a>(inputs: impl IntoIterator<Item = Option<&'a Tensor>>) -> Option<Origin> {
        let inputs: Option<Vec<_>> = inputs
            .into_iter()
            .map(|input| match input {
                None => Some(None),
                Some(tensor) => tensor.resident().map(Some),
            })
            .collect();
        inputs.map(|inputs| Origin { inputs, variant: 0 })
    }

    /// An input as it is.
    pub(crate) fn input(key: ResidentKey) -> Origin {
        Origin { inputs: vec![Some(key)], variant: 0 }
    }

    /// Whether this input is among those.
    pub(crate) fn names(&self, key: ResidentKey) -> bool {
        self.inputs.contains(&Some(key))
    }

    /// The same inputs made into something else.
    #[must_use]
    pub fn variant(&self, variant: u64) -> Origin {
        Origin { inputs: self.inputs.clone(), variant }
    }
}

impl Derived {
    /// Nothing kept, with this much room.
    pub fn new(budget_bytes: u64) -> Derived {
        Derived { budget_bytes, state: Mutex::default() }
    }

    /// Bytes of what is kept.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// The structure of that origin: kept from an earlier job of the tenant, or made now, by two jobs at once if it
    /// comes to that, and kept if it fits.
    pub(crate) fn get<T: Any + Send + Sync>(
        &self,
        tenant: &TenantId,
        origin: &Origin,
        make: impl FnOnce() -> Result<(T, u64), Failure>,
    ) -> Result<Arc<T>, Failure> {
        let key = Key { tenant: tenant.clone(), kind: TypeId::of::<T>(), origin: origin.clone() };
        let found = self.lock().find(&key);
        if let Some(value) = found.and_then(|value| value.downcast().ok()) {
            return Ok(value);
        }
        let (value, bytes) = make()?;
        let value = Arc::new(value);
        if bytes <= self.budget_bytes {
            // Dropped after the lock: that may be a gigabyte.
            let _gone = self.lock().keep(key, Arc::clone(&value) as _, bytes, self.budget_bytes);
        }
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is complete between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, key: &Key) -> Option<Arc<dyn Any + Send + Sync>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used_at = self.clock;
        Some(Arc::clone(&entry.value))
    }

    /// Keeps an entry, and gives what had to go for it.
    fn keep(
        &mut self,
        key: Key,
        value: Arc<dyn Any + Send + Sync>,
        bytes: u64,
        budget_bytes: u64,
    ) -> Vec<Entry> {
        self.clock += 1;
        let mut gone = Vec::new();
        let entry = Entry { value, bytes, used_at: self.clock };
        self.bytes += bytes;
        if let Some(before) = self.entries.insert(key.clone(), entry) {
            self.bytes -= before.bytes;
            gone.push(before);
        }
        while self.bytes > budget_bytes {
            let others = self.entries.iter().filter(|(k, _)| **k != key);
            let Some(oldest) = others.min_by_key(|(_, e)| e.used_at).map(|(k, _)| k.clone()) else { break };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= entry.bytes;
                gone.push(entry);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn tensor(key: u128) -> Tensor {
        Tensor::vector(vec![1u64]).with_resident(ResidentKey(key))
    }

    fn origin(key: u128) -> Origin {
        Origin::of([Some(&tensor(key)), None]).unwrap()
    }

    struct Maker {
        derived: Derived,
        made: Cell<usize>,
    }

    impl Maker {
        fn ask(&self, tenant: &str, origin: &Origin, bytes: u64) -> (bool, Arc<Vec<u8>>) {
            let before = self.made.get();
            let make = || {
                self.made.set(before + 1);
                Ok((vec![7u8; 3], bytes))
            };
            let value = self.derived.get(&TenantId::new(tenant), origin, make).unwrap();
            (self.made.get() > before, value)
        }

        fn makes(&self, tenant: &str, origin: &Origin, bytes: u64) -> bool {
            self.ask(tenant, origin, bytes).0
        }
    }

    fn maker(budget: u64) -> Maker {
        Maker { derived: Derived::new(budget), made: Cell::new(0) }
    }

    #[test]
    fn what_is_made_once_is_the_tenants_and_of_one_kind() {
        let m = maker(100);
        assert!(m.makes("a", &origin(1), 10));
        assert!(!m.makes("a", &origin(1), 10));
        assert!(m.makes("b", &origin(1), 10), "another tenant's");
        assert!(m.makes("a", &origin(2), 10), "other inputs");
        assert!(m.makes("a", &origin(1).variant(1), 10), "made otherwise");
        let weighted = Origin::of([Some(&tensor(1)), Some(&tensor(1))]).unwrap();
        assert!(m.makes("a", &weighted, 10), "one input more");
        let other_kind = m.derived.get::<String>(&TenantId::new("a"), &origin(1), || Ok(("x".into(), 1)));
        assert_eq!(*other_kind.unwrap(), "x");
        assert_eq!(m.derived.bytes(), 51);
        assert!(Origin::of([Some(&tensor(1)), Some(&Tensor::vector(vec![1u64]))]).is_none());
    }

    #[test]
    fn the_least_recently_used_goes_and_the_bound_holds() {
        let m = maker(30);
        for key in 1..=3 {
            assert!(m.makes("a", &origin(key), 10));
        }
        assert!(!m.makes("a", &origin(1), 10));
        let (_, held) = m.ask("a", &origin(2), 10);
        assert!(m.makes("b", &origin(9), 15), "3 and 1 go for it");
        assert!(m.derived.bytes() <= 30);
        assert!(!m.makes("a", &origin(2), 10));
        assert!(m.makes("a", &origin(3), 10));
        assert!(m.makes("a", &origin(5), 31) && m.makes("a", &origin(5), 31), "too large to be kept");
        assert!(m.derived.bytes() <= 30);
        assert_eq!(*held, [7u8; 3], "what is read stays");
    }

    #[test]
    fn what_fails_is_not_kept() {
        let m = maker(30);
        let t = TenantId::new("a");
        assert!(m.derived.get::<u8>(&t, &origin(1), || Err(Failure::Cancelled)).is_err());
        assert_eq!(*m.derived.get::<u8>(&t, &origin(1), || Ok((4, 1))).unwrap(), 4);
    }
}
