//! Which columns are in memory or mapped, within a budget: the one that was not used for the longest time goes first.

use offload_api::Column;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A place for a column that may or may not be there.
pub(super) struct Slot {
    state: Mutex<Option<Column>>,
    /// Whether it is memory of our own, rather than pages of a file that the system may drop by itself.
    pub(super) heap: bool,
    bytes: u64,
    /// When it was last used; 0 while it is not counted. Changed under the lock of `order` alone.
    tick: AtomicU64,
    residency: Arc<Residency>,
}

/// The budget and what is counted against it.
pub(super) struct Residency {
    budget: u64,
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    by_tick: BTreeMap<u64, Weak<Slot>>,
    last: u64,
    heap_bytes: u64,
    mapped_bytes: u64,
}

impl Order {
    fn count(&mut self, slot: &Slot) -> &mut u64 {
        if slot.heap { &mut self.heap_bytes } else { &mut self.mapped_bytes }
    }

    fn forget(&mut self, slot: &Slot) {
        let tick = slot.tick.swap(0, Ordering::Relaxed);
        if tick != 0 {
            self.by_tick.remove(&tick);
            *self.count(slot) -= slot.bytes;
        }
    }
}

impl Residency {
    pub(super) fn new(budget: u64) -> Arc<Self> {
        Arc::new(Residency { budget, order: Mutex::default() })
    }

    /// A place for a column of so many bytes.
    pub(super) fn slot(self: &Arc<Self>, bytes: u64, heap: bool) -> Arc<Slot> {
        let residency = Arc::clone(self);
        Arc::new(Slot { state: Mutex::default(), heap, bytes, tick: AtomicU64::new(0), residency })
    }

    /// Bytes in memory of our own, and bytes mapped.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let order = self.lock();
        (order.heap_bytes, order.mapped_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot was used. Evicts others, or the slot itself when it alone is beyond the budget; says whether it stays.
    fn used(&self, slot: &Arc<Slot>) -> bool {
        let mut evicted = Vec::new();
        let mut order = self.lock();
        order.forget(slot);
        order.last += 1;
        let tick = order.last;
        slot.tick.store(tick, Ordering::Relaxed);
        order.by_tick.insert(tick, Arc::downgrade(slot));
        *order.count(slot) += slot.bytes;
        while order.heap_bytes + order.mapped_bytes > self.budget {
            let Some((tick, oldest)) = order.by_tick.pop_first() else { break };
            // A slot that is going has given its bytes back, or will once it gets this lock.
            if let Some(oldest) = oldest.upgrade() {
                debug_assert_eq!(oldest.tick.load(Ordering::Relaxed), tick);
                oldest.tick.store(0, Ordering::Relaxed);
                *order.count(&oldest) -= oldest.bytes;
                evicted.push(oldest);
            } else {
                order.by_tick.insert(tick, oldest);
                break;
            }
        }
        drop(order);
        for old in evicted {
            let mut state = old.state.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever used it since has counted it again.
            let gone = if old.tick.load(Ordering::Relaxed) == 0 { state.take() } else { None };
            drop(state);
            drop(gone);
        }
        slot.tick.load(Ordering::Relaxed) != 0
    }
}

impl Slot {
    /// The column, loaded when it is not there, and whether it stays there within the budget.
    pub(super) fn get<E>(
        self: &Arc<Self>,
        load: impl FnOnce() -> Result<Column, E>,
    ) -> Result<(Column, bool), E> {
        let column = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                Some(column) => column.clone(),
                // Whoever wants the same column waits for this load rather than loading it too.
                None => state.insert(load()?).clone(),
            }
        };
        let stays = self.residency.used(self);
        Ok((column, stays))
    }

    /// Whether the column is there, without waiting for who loads it.
    pub(super) fn is_there(&self) -> bool {
        self.state.try_lock().is_ok_and(|s| s.is_some())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.residency.clone().lock().forget(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offload_api::Tensor;

    fn column(n: usize) -> Column {
        Column::Tensor(Tensor::vector(vec![0u8; n]))
    }

    #[test]
    fn the_least_recently_used_goes_first_and_comes_back_on_use() {
        let residency = Residency::new(100);
        let loads = AtomicU64::new(0);
        let slots: Vec<_> = (0..3).map(|i| residency.slot(40, i == 0)).collect();
        let get = |i: usize| {
            slots[i]
                .get(|| {
                    loads.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, ()>(column(40))
                })
                .unwrap()
                .1
        };
        assert!(get(0) && get(1) && get(0));
        assert_eq!((loads.load(Ordering::Relaxed), residency.bytes()), (2, (40, 40)));
        assert!(get(2), "the budget holds two");
        assert_eq!(slots.iter().map(|s| s.is_there()).collect::<Vec<_>>(), [true, false, true]);
        assert!(get(1));
        assert_eq!(loads.load(Ordering::Relaxed), 4);
        assert_eq!(slots.iter().map(|s| s.is_there()).collect::<Vec<_>>(), [false, true, true]);
        let large = residency.slot(101, true);
        assert!(!large.get(|| Ok::<_, ()>(column(101))).unwrap().1, "it is given and not kept");
        assert!(!large.is_there());
        drop(slots);
        assert_eq!(residency.bytes(), (0, 0));
    }
}
