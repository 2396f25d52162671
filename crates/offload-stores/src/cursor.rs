//! The cursors of listings whose order is a number and then a unique key, and the making of pages.

use offload_pipeline::records::{PAGE_ITEMS_MAX, Page, StoreError};

/// The number of items of a page, whatever was asked for.
pub(crate) fn page_limit(limit: usize) -> usize {
    limit.clamp(1, PAGE_ITEMS_MAX)
}

/// `{number}.{key}`, the position after an item.
pub(crate) fn encode(number: u64, key: &str) -> String {
    format!("{number}.{key}")
}

/// What [`encode`] was given. Cursors come back from callers, so they are checked.
pub(crate) fn decode(cursor: &str) -> Result<(u64, &str), StoreError> {
    let invalid = || StoreError::Invalid("cursor is not one that a listing gave".to_owned());
    let (number, key) = cursor.split_once('.').ok_or_else(invalid)?;
    match number.parse() {
        Ok(number) if i64::try_from(number).is_ok() => Ok((number, key)),
        _ => Err(invalid()),
    }
}

/// As [`decode`], for listings whose unique key is a number too.
pub(crate) fn decode_numbers(cursor: &str) -> Result<(u64, u64), StoreError> {
    let (first, second) = decode(cursor)?;
    Ok((first, decode(&format!("{second}."))?.0))
}

/// The page that `items` begin: they are one more than `limit` if and only if there is a further page.
pub(crate) fn page<T>(mut items: Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(position);
    Page { items, next }
}

/// Of so many names of deleted datasets a tenant's last versions are kept one by one.
pub(crate) const GONE_NAMES_MAX: usize = 1000;

/// `{tenant}/{name}`, the position after a dataset in a listing of all tenants' datasets.
pub(crate) fn encode_names(tenant_id: &str, name: &str) -> String {
    format!("{tenant_id}/{name}")
}

/// What [`encode_names`] was given.
pub(crate) fn decode_names(cursor: &str) -> Result<(&str, &str), StoreError> {
    cursor
        .split_once('/')
        .ok_or_else(|| StoreError::Invalid("cursor is not one that a listing gave".to_owned()))
}
