//! The audit trail: filters, pages, pruning.

use super::{Open, all_pages, audit_record};
use offload_api::Priority;
use offload_pipeline::records::{AuditFilter, AuditRecord, StoreError, Stores};

fn times(stores: &dyn Stores, filter: &AuditFilter) -> Vec<u64> {
    let page = stores.audit().query(filter, None, 1000).expect("queried");
    assert_eq!(page.next, None);
    page.items.into_iter().map(|r| r.at_us).collect()
}

/// Every field survives, optional ones present and absent, numbers at their ends.
pub fn every_field_is_read_back(open: &Open) {
    let stores = open();
    let full = AuditRecord {
        at_us: i64::MAX as u64,
        priority: Priority::Realtime,
        status: u16::MAX,
        error: Some("out_of_memory".to_owned()),
        gpu_time_us: i64::MAX as u64,
        cache_hit: true,
        device_id: Some(u32::MAX),
        device: "NVIDIA H100".to_owned(),
        ..audit_record(0, "a")
    };
    let bare = audit_record(0, "");
    stores.audit().append(&[bare.clone(), full.clone()]).expect("appended");
    stores.audit().append(&[]).expect("an empty batch is nothing");
    let page = stores.audit().query(&AuditFilter::default(), None, 10).expect("queried");
    assert_eq!(page.items, [full, bare]);
}

/// Each part of a filter chooses, and all of them together.
pub fn filters_choose(open: &Open) {
    let stores = open();
    let records = [
        audit_record(10, "a"),
        AuditRecord { status: 408, error: Some("timeout".to_owned()), ..audit_record(20, "a") },
        AuditRecord { workload_type: "graph_bfs".to_owned(), ..audit_record(30, "b") },
        AuditRecord { workload_type: "graph_bfs".to_owned(), status: 408, ..audit_record(40, "a") },
    ];
    stores.audit().append(&records).expect("appended");
    let all = AuditFilter::default();
    let tenant_id = Some("a".to_owned());
    let workload_type = Some("graph_bfs".to_owned());
    assert_eq!(times(stores.as_ref(), &all), [40, 30, 20, 10]);
    for (filter, expected) in [
        (AuditFilter { tenant_id: tenant_id.clone(), ..all.clone() }, &[40, 20, 10][..]),
        (AuditFilter { from_us: Some(20), ..all.clone() }, &[40, 30, 20]),
        (AuditFilter { until_us: Some(20), ..all.clone() }, &[10]),
        (AuditFilter { from_us: Some(20), until_us: Some(40), ..all.clone() }, &[30, 20]),
        (AuditFilter { from_us: Some(41), ..all.clone() }, &[]),
        (AuditFilter { workload_type: workload_type.clone(), ..all.clone() }, &[40, 30]),
        (AuditFilter { status: Some(408), ..all.clone() }, &[40, 20]),
        (
            AuditFilter { tenant_id, from_us: Some(1), until_us: Some(50), workload_type, status: Some(408) },
            &[40],
        ),
    ] {
        assert_eq!(times(stores.as_ref(), &filter), expected, "{filter:?}");
    }
}

/// Latest first; records that come meanwhile, late ones of earlier times too, neither repeat nor hide others.
pub fn paging_is_stable_under_inserts(open: &Open) {
    let stores = open();
    // Five of each microsecond, so that pages end within one.
    let records: Vec<_> = (0..50).map(|i| audit_record(100 + i / 5, &format!("t{i}"))).collect();
    stores.audit().append(&records).expect("appended");
    let listed = all_pages(
        |cursor| stores.audit().query(&AuditFilter::default(), cursor, 7),
        |page| {
            if page <= 5 {
                let new =
                    [audit_record(500, &format!("new{page}")), audit_record(105, &format!("late{page}"))];
                stores.audit().append(&new).expect("appended");
            }
        },
    );
    assert!(listed.is_sorted_by(|a, b| a.at_us >= b.at_us));
    let mut tenants: Vec<&str> = listed.iter().map(|r| r.tenant_id.as_str()).collect();
    assert!(records.iter().all(|r| tenants.contains(&r.tenant_id.as_str())));
    tenants.sort_unstable();
    tenants.dedup();
    assert_eq!(tenants.len(), listed.len(), "a record was listed twice");
}

/// First what is too old, then the oldest of what is too much.
pub fn pruning_is_by_age_and_then_by_rows(open: &Open) {
    let stores = open();
    let records: Vec<_> = (0..10).map(|i| audit_record(i * 10, "a")).collect();
    stores.audit().append(&records).expect("appended");
    let all = AuditFilter::default();
    assert_eq!(stores.audit().prune(0, 10), Ok(0));
    assert_eq!(stores.audit().prune(30, 100), Ok(3));
    assert_eq!(times(stores.as_ref(), &all), [90, 80, 70, 60, 50, 40, 30]);
    assert_eq!(stores.audit().prune(40, 4), Ok(3));
    assert_eq!(times(stores.as_ref(), &all), [90, 80, 70, 60]);
    assert_eq!(stores.audit().prune(0, 0), Ok(4));
    assert_eq!(times(stores.as_ref(), &all), [0; 0]);
    // More than one transaction's worth, so that the store's own portions are seen to add up.
    let many: Vec<_> = (0..25_000).map(|i| audit_record(i, "a")).collect();
    stores.audit().append(&many).expect("appended");
    assert_eq!(stores.audit().prune(11_000, 500), Ok(24_500));
    assert_eq!(times(stores.as_ref(), &all).len(), 500);
}

/// A record that cannot be stored leaves none of its batch behind.
pub fn a_batch_is_stored_whole_or_not_at_all(open: &Open) {
    let stores = open();
    let batch = [audit_record(1, "a"), AuditRecord { bytes_in: u64::MAX, ..audit_record(2, "a") }];
    assert!(matches!(stores.audit().append(&batch), Err(StoreError::Invalid(_))));
    assert_eq!(times(stores.as_ref(), &AuditFilter::default()), [0; 0]);
}
