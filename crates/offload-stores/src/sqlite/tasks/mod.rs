//! Tasks and callbacks in SQLite: what callers may do with a task, and what both sides read.

mod callbacks;
mod work;

use super::database::{Database, Failure, from_column, to_column};
use crate::cursor::{decode, encode, page, page_limit};
use offload_api::Priority;
use offload_pipeline::records::{
    Claim, ClaimRequest, Claimed, Created, Idempotency, Page, StoreError, Task, TaskEnd, TaskFilter,
    TaskRequest, TaskStatus, Tasks,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

const COLUMNS: &str = "id, tenant_id, user_id, key_id, workload_type, class, status, attempts, token, \
                       created_at_ms, not_before_ms, deadline_ms, started_at_ms, finished_at_ms, request_id, \
                       callback, gpu_time_us, result_bytes, error";

/// The tasks of a deployment.
#[derive(Debug)]
pub(crate) struct TaskTables {
    db: Database,
}

impl TaskTables {
    pub(crate) fn new(db: Database) -> Self {
        TaskTables { db }
    }

    /// Forgets everything of a tenant.
    pub(crate) fn forget_tenant(&self, tenant_id: &str) -> Result<(), StoreError> {
        self.db.write(|db| {
            for table in ["tasks", "webhook_secrets"] {
                db.prepare_cached(&format!("DELETE FROM {table} WHERE tenant_id = ?1"))?
                    .execute([tenant_id])?;
            }
            Ok(())
        })
    }
}

impl Tasks for TaskTables {
    fn create(
        &self,
        task: &Task,
        request: &TaskRequest,
        idempotency: Option<&Idempotency>,
        queued_max: u32,
    ) -> Result<Created, StoreError> {
        task.check()?;
        idempotency.map_or(Ok(()), Idempotency::check)?;
        self.db.write(|db| {
            if let Some(idempotency) = idempotency
                && let Some(known) = submitted_before(db, &task.tenant_id, idempotency)?
            {
                return Ok(known);
            }
            let queued: i64 = db
                .prepare_cached("SELECT count(*) FROM tasks WHERE tenant_id = ?1 AND status = 'queued'")?
                .query_row([&task.tenant_id], |row| row.get(0))?;
            if queued >= i64::from(queued_max) {
                return Ok(Created::Full(queued_max));
            }
            insert(db, task)?;
            db.prepare_cached(
                "INSERT INTO task_requests (id, route, content_type, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((&task.id, &request.route, &request.content_type, &request.body))?;
            if let Some(idempotency) = idempotency {
                db.prepare_cached(
                    "INSERT INTO idempotency (tenant_id, key, task_id, digest) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((
                    &task.tenant_id,
                    &idempotency.key,
                    &task.id,
                    idempotency.digest,
                ))?;
            }
            Ok(Created::New)
        })
    }

    fn get(&self, tenant_id: &str, id: &str) -> Result<Option<Task>, StoreError> {
        self.db.read(|db| find(db, tenant_id, id))
    }

    fn result(&self, tenant_id: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(|db| {
            Ok(db
                .prepare_cached(
                    "SELECT body FROM task_results JOIN tasks USING (id) WHERE id = ?1 AND tenant_id = ?2",
                )?
                .query_row((id, tenant_id), |row| row.get(0))
                .optional()?)
        })
    }

    fn list(
        &self,
        filter: &TaskFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        let limit = page_limit(limit);
        let mut sql = format!("SELECT {COLUMNS} FROM tasks WHERE 1");
        let mut values: Vec<Value> = Vec::new();
        // Only what is asked for, since an index is of no use to `? IS NULL OR column = ?`.
        let mut add = |clause: &str, value: Value| {
            sql.push_str(clause);
            values.push(value);
        };
        if let Some(tenant_id) = &filter.tenant_id {
            add(" AND tenant_id = ?", tenant_id.clone().into());
        }
        if let Some(status) = filter.status {
            add(" AND status = ?", status.name().to_owned().into());
        }
        if let Some(workload_type) = &filter.workload_type {
            add(" AND workload_type = ?", workload_type.clone().into());
        }
        if let Some((created_at_ms, id)) = cursor.map(decode).transpose()? {
            add(" AND (created_at_ms, id) < (?, ", to_column(created_at_ms).into());
            add("?)", id.to_owned().into());
        }
        add(" ORDER BY created_at_ms DESC, id DESC LIMIT ?", to_column(limit as u64 + 1).into());
        let items = self.db.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(task(row)?);
            }
            Ok(items)
        })?;
        Ok(page(items, limit, |task| encode(task.created_at_ms, &task.id)))
    }

    fn ahead(&self, id: &str) -> Result<u64, StoreError> {
        self.db.read(|db| {
            let ahead: i64 = db
                .prepare_cached(
                    "SELECT count(*) FROM tasks AS other, tasks AS this
                     WHERE this.id = ?1 AND this.status = 'queued' AND other.status = 'queued'
                       AND (other.class, other.created_at_ms, other.id) < (this.class, this.created_at_ms, this.id)",
                )?
                .query_row([id], |row| row.get(0))?;
            from_column(ahead)
        })
    }

    fn claim(&self, request: &ClaimRequest<'_>) -> Result<Vec<Claimed>, StoreError> {
        work::claim(&self.db, request)
    }

    fn renew(&self, node: &str, claims: &[Claim], lease_until_ms: u64) -> Result<Vec<Claim>, StoreError> {
        work::renew(&self.db, node, claims, lease_until_ms)
    }

    fn end(&self, ends: &[TaskEnd]) -> Result<Vec<bool>, StoreError> {
        work::end(&self.db, ends)
    }

    fn recover(&self, node: &str) -> Result<u64, StoreError> {
        work::recover(&self.db, node)
    }

    fn cancel(&self, tenant_id: &str, id: &str, at_ms: u64) -> Result<Option<Task>, StoreError> {
        self.db.write(|db| {
            let changed = db
                .prepare_cached(
                    "UPDATE tasks SET status = 'cancelled', finished_at_ms = ?3, token = token + 1, node = NULL,
                                      lease_until_ms = NULL
                     WHERE id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running')",
                )?
                .execute((id, tenant_id, to_column(at_ms)))?;
            if changed > 0 {
                work::finalize(db, id, at_ms, true)?;
            }
            find(db, tenant_id, id)
        })
    }

    fn retry(&self, tenant_id: &str, id: &str, now_ms: u64, deadline_ms: u64) -> Result<Task, StoreError> {
        self.db.write(|db| {
            let changed = db
                .prepare_cached(
                    "UPDATE tasks SET status = 'queued', attempts = 0, token = token + 1, not_before_ms = ?3,
                                      deadline_ms = ?4, finished_at_ms = NULL, error = NULL
                     WHERE id = ?1 AND tenant_id = ?2 AND status = 'dead_letter'",
                )?
                .execute((id, tenant_id, to_column(now_ms), to_column(deadline_ms)))?;
            match (changed, find(db, tenant_id, id)?) {
                (_, None) => Err(StoreError::NotFound.into()),
                (0, Some(_)) => Err(StoreError::Conflict.into()),
                (_, Some(task)) => Ok(task),
            }
        })
    }

    fn expire(&self, now_ms: u64, error: &str) -> Result<u64, StoreError> {
        work::expire(&self.db, now_ms, error)
    }

    fn prune(&self, finished_before_ms: u64) -> Result<u64, StoreError> {
        work::prune(&self.db, finished_before_ms)
    }

    fn open_count(&self) -> Result<u64, StoreError> {
        self.db.read(|db| {
            let open: i64 = db
                .prepare_cached("SELECT count(*) FROM tasks WHERE status IN ('queued', 'running')")?
                .query_row([], |row| row.get(0))?;
            from_column(open)
        })
    }
}

fn submitted_before(
    db: &Transaction,
    tenant_id: &str,
    idempotency: &Idempotency,
) -> Result<Option<Created>, Failure> {
    let known: Option<(String, [u8; 32])> = db
        .prepare_cached("SELECT task_id, digest FROM idempotency WHERE tenant_id = ?1 AND key = ?2")?
        .query_row((tenant_id, &idempotency.key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, digest)) = known else { return Ok(None) };
    if digest != idempotency.digest {
        return Ok(Some(Created::Differs));
    }
    Ok(find(db, tenant_id, &id)?.map(|task| Created::Before(Box::new(task))))
}

fn insert(db: &Transaction, task: &Task) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO tasks (id, tenant_id, user_id, key_id, workload_type, class, status, attempts, token,
                            created_at_ms, not_before_ms, deadline_ms, request_id, callback, gpu_time_us, result_bytes)
         VALUES (:id, :tenant_id, :user_id, :key_id, :workload_type, :class, 'queued', 0, 0,
                 :created_at_ms, :not_before_ms, :deadline_ms, :request_id, :callback, 0, 0)",
    )?
    .execute(named_params! {
        ":id": task.id,
        ":tenant_id": task.tenant_id,
        ":user_id": task.user_id,
        ":key_id": task.key_id,
        ":workload_type": task.workload_type,
        ":class": to_column(task.priority.class() as u64),
        ":created_at_ms": to_column(task.created_at_ms),
        ":not_before_ms": to_column(task.not_before_ms),
        ":deadline_ms": to_column(task.deadline_ms),
        ":request_id": task.request_id,
        ":callback": task.callback,
    })?;
    Ok(())
}

fn find(db: &Connection, tenant_id: &str, id: &str) -> Result<Option<Task>, Failure> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1 AND tenant_id = ?2"))?
        .query_row((id, tenant_id), |row| Ok(task(row)))
        .optional()?
        .transpose()
}

fn task(row: &Row) -> Result<Task, Failure> {
    let class: usize = from_column(row.get(5)?)?;
    let priority = Priority::ALL.get(class).copied();
    let status = TaskStatus::from_name(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?);
    let (Some(priority), Some(status)) = (priority, status) else {
        return Err(StoreError::Corrupt("a task's priority or status".to_owned()).into());
    };
    let time = |column: Option<i64>| column.map(from_column).transpose();
    Ok(Task {
        id: row.get(0)?,
        tenant_id: row.get(1)?,
        user_id: row.get(2)?,
        key_id: row.get(3)?,
        workload_type: row.get(4)?,
        priority,
        status,
        attempts: from_column(row.get(7)?)?,
        token: from_column(row.get(8)?)?,
        created_at_ms: from_column(row.get(9)?)?,
        not_before_ms: from_column(row.get(10)?)?,
        deadline_ms: from_column(row.get(11)?)?,
        started_at_ms: time(row.get(12)?)?,
        finished_at_ms: time(row.get(13)?)?,
        request_id: row.get(14)?,
        callback: row.get(15)?,
        gpu_time_us: from_column(row.get(16)?)?,
        result_bytes: from_column(row.get(17)?)?,
        error: row.get(18)?,
    })
}
