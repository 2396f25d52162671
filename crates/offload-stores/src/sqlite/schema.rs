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

/// Tasks, what they run and what came of it, and callbacks. Apart from the others because of its size and its writes.
pub(crate) const TASKS: Spec = Spec { migrations: &[TASKS_1], durable: true };

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

const TASKS_1: &str = "
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    workload_type TEXT NOT NULL,
    class INTEGER NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    token INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    started_at_ms INTEGER,
    finished_at_ms INTEGER,
    request_id TEXT NOT NULL,
    callback BLOB,
    gpu_time_us INTEGER NOT NULL,
    result_bytes INTEGER NOT NULL,
    error TEXT,
    node TEXT,
    lease_until_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_queued ON tasks (tenant_id, class, created_at_ms, id) WHERE status = 'queued';
CREATE INDEX tasks_running ON tasks (lease_until_ms) WHERE status = 'running';
CREATE INDEX tasks_by_time ON tasks (created_at_ms, id);
CREATE INDEX tasks_by_tenant ON tasks (tenant_id, created_at_ms, id);
CREATE INDEX tasks_finished ON tasks (finished_at_ms) WHERE finished_at_ms IS NOT NULL;

CREATE TABLE task_requests (
    id TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    route TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE task_results (
    id TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE idempotency (
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (tenant_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_task ON idempotency (task_id);

CREATE TABLE callbacks (
    webhook_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    url BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    token INTEGER NOT NULL,
    status TEXT NOT NULL,
    due_at_ms INTEGER,
    at_ms INTEGER NOT NULL,
    error TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_due ON callbacks (due_at_ms) WHERE status = 'due';
CREATE INDEX callbacks_dead ON callbacks (at_ms, webhook_id) WHERE status = 'dead';
CREATE INDEX callbacks_by_task ON callbacks (task_id);

CREATE TABLE webhook_secrets (
    tenant_id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
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
