//! What callers send who mean no good: every text is kept to the byte or refused, and nothing panics.

use super::{Open, api_key, audit_record, signing_key, tenant};
use offload_pipeline::records::{
    ApiKey, AuditFilter, AuditRecord, PAGE_ITEMS_MAX, SigningKey, StoreError, Tenant,
};

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "'",
        "\"",
        "'; DROP TABLE tenants; --",
        "%_[]*?",
        "a\0b",
        "\0",
        "\n\r\t\u{1b}[31m",
        "\u{202e}\u{feff}\u{0301}",
        "🦀𝔘ñï",
        "..",
        "../../etc/passwd",
        "?1",
        "key_'; --",
        "-1",
        "9223372036854775808",
    ]
    .map(str::to_owned)
    .into();
    texts.push("x".repeat(256));
    texts.push("x".repeat(257));
    texts.push("é".repeat(1 << 19));
    texts
}

/// In every field that takes a text, and in every lookup.
pub fn texts_are_kept_or_refused(open: &Open) {
    let stores = open();
    let (tenants, keys) = (stores.tenants(), stores.keys());
    tenant(stores.as_ref(), "a");
    for (number, text) in (1..).zip(texts()) {
        let shown: String = text.chars().take(30).collect();
        let refused = |result: Result<(), StoreError>| match result {
            Ok(()) => false,
            Err(StoreError::Invalid(why)) => {
                assert!(why.len() < 200, "the refusal repeats the text");
                true
            }
            Err(other) => panic!("{shown:?}: {other:?}"),
        };

        let as_id = Tenant::new(&text, 1);
        if !refused(tenants.create(&as_id).map(drop)) {
            assert_eq!(tenants.get(&text).expect("read").expect("there").id, text);
        } else {
            assert_eq!(tenants.get(&text), Ok(None), "{shown:?}");
            assert!(matches!(tenants.update(&as_id), Err(StoreError::Invalid(_))));
            assert_eq!(tenants.delete(&text, 1), Err(StoreError::NotFound));
        }

        let named = Tenant { name: text.clone(), ..Tenant::new(&format!("t{number}"), 1) };
        if !refused(tenants.create(&named).map(drop)) {
            assert_eq!(tenants.get(&named.id).expect("read").expect("there").name, text);
        }

        let plain = api_key(number, "a");
        let key = ApiKey { user_id: text.clone(), name: text.clone(), ..plain.clone() };
        if !refused(keys.create(&key).map(drop)) {
            assert_eq!(keys.by_hash(&key.hash), Ok(Some(key)));
        }
        let hash = offload_pipeline::records::hash_key(&format!("other {number}"));
        let other = ApiKey { key_id: format!("key_{:016x}", number + 1000), hash, ..plain };
        for odd in [
            ApiKey { key_id: text.clone(), ..other.clone() },
            ApiKey { scopes: vec![text.clone()], ..other.clone() },
            ApiKey { last_four: text.clone(), ..other.clone() },
        ] {
            if !refused(keys.create(&odd).map(drop)) {
                assert_eq!(keys.get(&odd.key_id), Ok(Some(odd.clone())));
                tenants.delete("a", 1).expect("the keys are cleared");
                tenant(stores.as_ref(), "a");
            }
        }
        assert_eq!(keys.get(&text), Ok(None));
        assert_eq!(keys.list(&text, None, 10).expect("listed").next, None);
        assert_eq!(keys.revoke(&text, 1), Err(StoreError::NotFound));

        let signing = SigningKey { kid: text.clone(), ..signing_key("", 10) };
        if !refused(stores.signing_keys().insert(&signing)) {
            assert_eq!(stores.signing_keys().list().expect("listed")[0], signing);
            stores.signing_keys().delete(&text).expect("deleted");
        }

        // The trail takes all but what is too long, and that too once it is cut.
        let record = AuditRecord {
            request_id: text.clone(),
            tenant_id: text.clone(),
            error: Some(text.clone()),
            ..audit_record(number, "")
        };
        let record = if refused(stores.audit().append(std::slice::from_ref(&record))) {
            let cut = record.clamped();
            assert!(cut.tenant_id.len() <= 256 && text.starts_with(&cut.tenant_id));
            stores.audit().append(std::slice::from_ref(&cut)).expect("appended");
            cut
        } else {
            record
        };
        let filter = AuditFilter {
            tenant_id: Some(record.tenant_id.clone()),
            from_us: Some(number),
            ..AuditFilter::default()
        };
        assert_eq!(stores.audit().query(&filter, None, 10).expect("queried").items, [record], "{shown:?}");
        let none = AuditFilter { workload_type: Some(text), ..AuditFilter::default() };
        assert_eq!(stores.audit().query(&none, None, 10).expect("queried").items, []);
    }
    let too_late = Tenant::new("late", u64::MAX);
    assert!(matches!(tenants.create(&too_late), Err(StoreError::Invalid(_))));
}

/// A cursor that no listing gave is refused or names a place; it is never an internal error.
pub fn cursors_are_refused(open: &Open) {
    let stores = open();
    tenant(stores.as_ref(), "a");
    stores.keys().create(&api_key(1, "a")).expect("created");
    stores.audit().append(&[audit_record(1, "a")]).expect("appended");
    let mut cursors = texts();
    cursors.extend(
        ["1", "1.", ".1", "1.x", "1.2.3", "-1.1", "9223372036854775808.1", "1.99999999999999999999"]
            .map(str::to_owned),
    );
    for cursor in cursors {
        let cursor = Some(cursor.as_str());
        let outcomes = [
            stores.tenants().list(cursor, 1).map(drop),
            stores.keys().list("a", cursor, 1).map(drop),
            stores.audit().query(&AuditFilter::default(), cursor, 1).map(drop),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(()) | Err(StoreError::Invalid(_))), "{outcome:?}");
        }
    }
    for cursor in ["", "1", "x.1", "1.x", "-1.1", "9223372036854775808.1"] {
        let outcome = stores.audit().query(&AuditFilter::default(), Some(cursor), 1);
        assert!(matches!(outcome, Err(StoreError::Invalid(_))), "{cursor}");
    }
}

/// Neither nothing nor everything at once.
pub fn limits_are_bounded(open: &Open) {
    let stores = open();
    let records: Vec<_> = (0..PAGE_ITEMS_MAX as u64 + 5).map(|i| audit_record(i, "a")).collect();
    stores.audit().append(&records).expect("appended");
    for (limit, expected) in
        [(0, 1), (1, 1), (1000, PAGE_ITEMS_MAX), (1001, PAGE_ITEMS_MAX), (usize::MAX, PAGE_ITEMS_MAX)]
    {
        let page = stores.audit().query(&AuditFilter::default(), None, limit).expect("queried");
        assert_eq!(page.items.len(), expected);
        assert!(page.next.is_some());
    }
    tenant(stores.as_ref(), "a");
    tenant(stores.as_ref(), "b");
    assert_eq!(stores.tenants().list(None, 0).expect("listed").items.len(), 1);
    assert_eq!(stores.tenants().list(None, usize::MAX).expect("listed").items.len(), 2);
}
