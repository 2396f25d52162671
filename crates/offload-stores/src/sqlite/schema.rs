//! The schemas. A migration that was ever released is never edited: add the next one, and bring the data over.

use super::database::Spec;

/// Tenants, keys and signing keys.
///
/// `changes.counter` is this database's `change_counter`. `signing_keys.sequence` is what "newest" means;
/// AUTOINCREMENT, so that it is not given again after the newest was deleted.
pub(super) const STATE: Spec = Spec { migrations: &[STATE_1], durable: true };

/// The audit trail. `sequence` tells records of the same microsecond apart; AUTOINCREMENT, because a number that
/// was pruned and given again would confuse cursors.
pub(super) const AUDIT: Spec = Spec { migrations: &[AUDIT_1], durable: false };

/// Datasets, apart from their rows. `gone` has the last version of names that were deleted, so that no version of a
/// name is given twice; of those that were deleted long ago only the highest is kept, by tenant, in `floors`.
pub(super) const DATASETS: Spec = Spec { migrations: &[DATASETS_1], durable: true };

const STATE_1: &str = "
CREATE TABLE changes (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    counter INTEGER NOT NULL
) STRICT;
INSERT INTO changes VALUES (1, 0);

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    quota TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    last_four TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_tenant ON keys (tenant_id, created_at, key_id);

CREATE TABLE signing_keys (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kid TEXT NOT NULL UNIQUE,
    private_pkcs8_der BLOB NOT NULL,
    n TEXT NOT NULL,
    e TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    retire_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
";

const AUDIT_1: &str = "
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    workload_type TEXT NOT NULL,
    workload_hash TEXT NOT NULL,
    priority TEXT NOT NULL,
    status INTEGER NOT NULL,
    error TEXT,
    gpu_time_us INTEGER NOT NULL,
    total_time_us INTEGER NOT NULL,
    queue_us INTEGER NOT NULL,
    cache_hit INTEGER NOT NULL,
    device_id INTEGER,
    device TEXT NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    node TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_us);
CREATE INDEX audit_by_tenant ON audit (tenant_id, at_us);
";

const DATASETS_1: &str = "
CREATE TABLE datasets (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    key TEXT,
    columns TEXT NOT NULL,
    segments TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE gone (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE floors (
    tenant_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";
