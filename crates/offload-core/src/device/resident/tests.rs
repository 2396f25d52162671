//! The rules of what stays on a device, and threads that break them if they can be broken.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name)
}

fn key(n: u128) -> Name {
    ResidentKey(n).into()
}

/// Brings an input of 10 bytes as a job does; what had to go for it.
fn bring(r: &Residents, who: &str, n: u128) -> Vec<Handle> {
    let epoch = r.epoch();
    match r.lookup(epoch, &tenant(who), &key(n), 10) {
        Lookup::Room { freed, surplus_bytes } => {
            r.unused(epoch, surplus_bytes);
            assert_eq!(r.keep(epoch, &tenant(who), &key(n), Handle(n as u64), 10), Kept::Mine);
            freed
        }
        other => panic!("{other:?}"),
    }
}

fn done(r: &Residents, who: &str, n: u128) {
    r.unpin(r.epoch(), &tenant(who), &key(n));
}

#[test]
fn the_least_recently_used_goes_first() {
    let r = Residents::new(30);
    for n in 1..=3 {
        assert_eq!(bring(&r, "a", n), []);
        done(&r, "a", n);
    }
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(1), 10), Lookup::Present(Handle(1)));
    done(&r, "a", 1);
    assert_eq!(bring(&r, "a", 4), [Handle(2)], "1 was used after 2");
    done(&r, "a", 4);
    let both = Lookup::Room { freed: vec![Handle(3), Handle(1)], surplus_bytes: 5 };
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(5), 15), both, "as many as it takes, no more");
    assert_eq!(r.used_bytes(), 30, "they are charged until they have been given back");
    r.unused(r.epoch(), 5);
    assert_eq!(r.used_bytes(), 25);
}

#[test]
fn what_a_job_uses_stays() {
    let r = Residents::new(30);
    bring(&r, "a", 1);
    bring(&r, "a", 2);
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(1), 10), Lookup::Present(Handle(1)), "a second job");
    done(&r, "a", 1);
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(3), 15), Lookup::NoRoom, "one job still uses each");
    assert_eq!(r.evict_all(r.epoch()), (vec![], 0));
    assert_eq!(r.used_bytes(), 20, "a refusal charges nothing");
    done(&r, "a", 1);
    assert_eq!(r.evict_all(r.epoch()), (vec![Handle(1)], 10));
    assert!(r.holds(&tenant("a"), ResidentKey(2)) && !r.holds(&tenant("a"), ResidentKey(1)));
}

#[test]
fn tenants_are_apart_under_one_key() {
    let r = Residents::new(30);
    bring(&r, "a", 7);
    assert!(!r.holds(&tenant("b"), ResidentKey(7)));
    assert!(matches!(r.lookup(r.epoch(), &tenant("b"), &key(7), 10), Lookup::Room { .. }));
    assert_eq!(r.keep(r.epoch(), &tenant("b"), &key(7), Handle(70), 10), Kept::Mine);
    assert_eq!(r.lookup(r.epoch(), &tenant("b"), &key(7), 10), Lookup::Present(Handle(70)));
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(7), 10), Lookup::Present(Handle(7)));
}

#[test]
fn what_is_made_of_inputs_is_kept_by_part_and_counts_as_them() {
    let (r, a) = (Residents::new(30), tenant("a"));
    bring(&r, "a", 1);
    let part = |variant, part| Name { origin: Origin::input(ResidentKey(1)).variant(variant), part };
    assert_eq!(r.find(r.epoch(), &a, &part(0, "rows")), None, "the input itself is no part of it");
    assert!(matches!(r.lookup(r.epoch(), &a, &part(0, "rows"), 10), Lookup::Room { .. }));
    assert_eq!(r.keep(r.epoch(), &a, &part(0, "rows"), Handle(5), 10), Kept::Mine);
    assert_eq!(r.find(r.epoch(), &a, &part(0, "rows")), Some((Handle(5), 10)));
    for other in [part(0, "weights"), part(1, "rows")] {
        assert_eq!(r.find(r.epoch(), &a, &other), None, "{other:?}");
    }
    assert_eq!(r.find(r.epoch(), &tenant("b"), &part(0, "rows")), None, "another tenant's");
    done(&r, "a", 1);
    assert_eq!(r.evict_all(r.epoch()), (vec![Handle(1)], 10), "a part that is read stays");
    assert!(r.holds(&a, ResidentKey(1)) && !r.holds(&a, ResidentKey(2)));
    r.unused(r.epoch(), 10);
    for _ in 0..2 {
        r.unpin(r.epoch(), &a, &part(0, "rows"));
    }
    assert_eq!(r.evict_all(r.epoch()), (vec![Handle(5)], 10));
    let old = r.epoch();
    bring(&r, "a", 2);
    r.enter(1);
    assert_eq!(r.find(old, &a, &key(2)), None, "a restart");
}

#[test]
fn of_two_lanes_that_bring_the_same_one_gives_its_own_back() {
    let (r, a) = (Residents::new(30), tenant("a"));
    let epoch = r.epoch();
    for _ in 0..2 {
        assert!(matches!(r.lookup(epoch, &a, &key(1), 10), Lookup::Room { .. }));
    }
    assert_eq!(r.keep(epoch, &a, &key(1), Handle(1), 10), Kept::Mine);
    assert_eq!(r.keep(epoch, &a, &key(1), Handle(2), 10), Kept::Other(Handle(1)));
    assert_eq!(r.used_bytes(), 20, "the second is there until it has been given back");
    r.unused(epoch, 10);
    done(&r, "a", 1);
    assert_eq!(r.evict_all(epoch), (vec![], 0), "the other job still uses it");
    done(&r, "a", 1);
    assert_eq!(r.evict_all(epoch), (vec![Handle(1)], 10));
}

#[test]
fn the_same_key_with_another_size_is_not_the_same_data() {
    let r = Residents::new(30);
    bring(&r, "a", 1);
    assert_eq!(r.lookup(r.epoch(), &tenant("a"), &key(1), 12), Lookup::NoRoom);
    done(&r, "a", 1);
    assert_eq!(r.evict_all(r.epoch()).1, 10, "a refusal pins nothing");
}

#[test]
fn nothing_and_what_never_fits_are_not_kept() {
    let (r, a) = (Residents::new(30), tenant("a"));
    assert_eq!(r.lookup(r.epoch(), &a, &key(1), 0), Lookup::NoRoom);
    assert_eq!(r.lookup(r.epoch(), &a, &key(1), 31), Lookup::NoRoom);
    let none = Residents::new(0);
    assert_eq!(none.lookup(none.epoch(), &a, &key(1), 1), Lookup::NoRoom);
}

#[test]
fn a_job_from_before_a_restart_changes_nothing() {
    let (r, a) = (Residents::new(30), tenant("a"));
    let old = r.epoch();
    bring(&r, "a", 1);
    assert!(matches!(r.lookup(old, &a, &key(2), 10), Lookup::Room { .. }));
    r.enter(1);
    assert!(!r.holds(&a, ResidentKey(1)), "its memory is gone");
    assert_eq!(r.lookup(old, &a, &key(1), 10), Lookup::NoRoom);
    assert_eq!(r.keep(old, &a, &key(2), Handle(2), 10), Kept::Not, "a handle of the old device");
    r.unused(old, 10);
    r.unpin(old, &a, &key(1));
    r.lose(old);
    assert_eq!(r.used_bytes(), 0);
    bring(&r, "a", 1);
    r.lose(old);
    r.enter(0);
    r.enter(1);
    r.unpin(old, &a, &key(1));
    assert!(r.holds(&a, ResidentKey(1)), "what is kept since is good");
    assert_eq!(r.evict_all(r.epoch()).1, 0, "and still pinned");
    r.lose(r.epoch());
    assert_eq!((r.holds(&a, ResidentKey(1)), r.used_bytes()), (false, 0));
}

/// Lanes as threads over a device that counts what is there: the books are never above the budget, the device never
/// above the books, nothing goes while a job reads it, and nothing is left over.
#[test]
fn lanes_that_race_keep_the_budget_and_never_lose_what_they_read() {
    const BUDGET: u64 = 64;
    let r = Residents::new(BUDGET);
    let (on_device, next) = (AtomicU64::new(0), AtomicU64::new(1));
    let alive: Mutex<HashMap<Handle, u64>> = Mutex::default();
    let take = |bytes: u64| {
        let now = on_device.fetch_add(bytes, Ordering::SeqCst) + bytes;
        assert!(now <= BUDGET, "{now} bytes are on the device");
        let handle = Handle(next.fetch_add(1, Ordering::SeqCst));
        alive.lock().expect("no panic").insert(handle, bytes);
        handle
    };
    let give = |handles: &[Handle]| {
        for handle in handles {
            let bytes = alive.lock().expect("no panic").remove(handle).expect("given back once");
            on_device.fetch_sub(bytes, Ordering::SeqCst);
        }
    };
    let (present, raced, full) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for lane in 0..4_u64 {
            let (r, take, give, alive) = (&r, &take, &give, &alive);
            let (present, raced, full) = (&present, &raced, &full);
            scope.spawn(move || {
                let mut x = lane + 1;
                for _ in 0..20_000 {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (who, n) = (tenant(["a", "b"][(x >> 33) as usize % 2]), (x >> 40) % 12);
                    // An identity has one size.
                    let bytes = 4 + 3 * n;
                    let epoch = r.epoch();
                    let read = match r.lookup(epoch, &who, &key(n.into()), bytes) {
                        Lookup::NoRoom => {
                            full.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Lookup::Present(handle) => {
                            present.fetch_add(1, Ordering::Relaxed);
                            handle
                        }
                        Lookup::Room { freed, surplus_bytes } => {
                            give(&freed);
                            r.unused(epoch, surplus_bytes);
                            std::thread::yield_now();
                            let mine = take(bytes);
                            match r.keep(epoch, &who, &key(n.into()), mine, bytes) {
                                Kept::Mine => mine,
                                Kept::Other(there) => {
                                    raced.fetch_add(1, Ordering::Relaxed);
                                    give(&[mine]);
                                    r.unused(epoch, bytes);
                                    there
                                }
                                Kept::Not => panic!("nothing was restarted"),
                            }
                        }
                    };
                    assert!(r.used_bytes() <= BUDGET);
                    std::thread::yield_now();
                    assert!(
                        alive.lock().expect("no panic").contains_key(&read),
                        "{read:?} went while it was read"
                    );
                    r.unpin(epoch, &who, &key(n.into()));
                }
            });
        }
    });
    let counts = [&present, &raced, &full].map(|n| n.load(Ordering::Relaxed));
    println!("{counts:?} present, raced, refused");
    assert!(counts.iter().all(|n| *n > 0), "no test: {counts:?}");
    let (left, bytes) = r.evict_all(r.epoch());
    give(&left);
    r.unused(r.epoch(), bytes);
    assert_eq!(
        (r.used_bytes(), on_device.load(Ordering::SeqCst), alive.lock().expect("no panic").len()),
        (0, 0, 0)
    );
}
