//! Shared memory shows no tenant what another wrote.

use super::super::encode::Packing;
use super::super::staging::Staging;
use offload_api::{Record, ResidentKey, Tensor, Value};
use offload_core::TenantId;

fn put(staging: &mut Staging, tenant: &str, tensors: &[Tensor]) -> bool {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let record =
        NAMES.iter().zip(tensors).fold(Record::new(), |r, (name, t)| r.with(name, Value::Tensor(t.clone())));
    let packing = Packing::of(record, true);
    staging.put(&TenantId::new(tenant), &packing.pieces, packing.total).unwrap()
}

fn bytes(staging: &Staging) -> &[u8] {
    staging.region().unwrap().bytes()
}

fn secret(n: usize) -> Tensor {
    Tensor::vector(vec![0xabu8; n])
}

#[test]
fn nothing_of_a_tenant_is_left_for_the_next() {
    let mut staging = Staging::new(1 << 20);
    assert!(put(&mut staging, "a", &[secret(10_000), secret(20_000)]));
    assert_eq!(bytes(&staging).iter().filter(|b| **b == 0xab).count(), 30_000);
    // Pieces with gaps between them, a late one, and less than before.
    let late = Tensor::vector(vec![1u8; 500]).with_resident(ResidentKey(1));
    assert!(!put(&mut staging, "b", &[Tensor::vector(vec![1u8; 3]), late, Tensor::vector(vec![1u8; 65])]));
    let all = bytes(&staging);
    assert_eq!(all.iter().filter(|b| **b == 1).count(), 68);
    assert_eq!(all.iter().filter(|b| **b != 0).count(), 68, "all else is zero");
    // Back and forth, in every order of sizes.
    for (i, n) in [5, 40_000, 1, 64, 63, 30_000, 0, 9].into_iter().enumerate() {
        let mine = i as u8 + 1;
        put(&mut staging, &format!("t{i}"), &[Tensor::vector(vec![mine; n])]);
        assert!(bytes(&staging).iter().all(|b| *b == 0 || *b == mine), "job {i}");
        assert_eq!(bytes(&staging).iter().filter(|b| **b == mine).count(), n);
    }
}

#[test]
fn a_tenant_that_comes_again_costs_no_clearing() {
    let mut staging = Staging::new(1 << 20);
    put(&mut staging, "a", &[secret(1000)]);
    put(&mut staging, "a", &[Tensor::vector(vec![1u8; 10])]);
    assert_eq!(bytes(&staging).iter().filter(|b| **b == 0xab).count(), 990, "its own bytes may stay");
    put(&mut staging, "b", &[]);
    assert!(bytes(&staging).iter().all(|b| *b == 0), "what was left is still known of");
}

#[test]
fn a_larger_job_gets_new_memory_and_a_large_one_does_not_stay() {
    let mut staging = Staging::new(256 << 10);
    assert!(put(&mut staging, "a", &[secret(1)]));
    assert!(!put(&mut staging, "a", &[secret(60_000)]));
    assert!(put(&mut staging, "a", &[secret(70_000)]));
    assert!(!staging.trim());
    assert!(put(&mut staging, "a", &[secret(300_000)]));
    assert!(staging.trim());
    assert!(staging.region().is_none());
}
