//! What the nodes that run tasks do with them: claim, keep, end, recover, clean up.

use super::super::database::{Database, Failure, from_column, to_column};
use super::{COLUMNS, task};
use offload_pipeline::records::{
    Claim, ClaimRequest, Claimed, EndState, StoreError, TaskEnd, TaskRequest, TaskStatus,
};
use rusqlite::{Transaction, named_params};

/// Tasks touched in one transaction of cleaning up: more would keep writers waiting.
const CHUNK: i64 = 1000;

pub(super) fn claim(db: &Database, request: &ClaimRequest<'_>) -> Result<Vec<Claimed>, StoreError> {
    let now = to_column(request.now_ms);
    db.write(|db| {
        db.prepare_cached(
            "UPDATE tasks SET status = 'queued', token = token + 1, node = NULL, lease_until_ms = NULL
             WHERE status = 'running' AND lease_until_ms <= ?1",
        )?
        .execute([now])?;
        let mut statement = db.prepare_cached(
            "WITH aged AS (
                 SELECT id, tenant_id, created_at_ms,
                        CASE WHEN class = 3 AND :now - created_at_ms >= :low + :medium THEN 1
                             WHEN class = 3 AND :now - created_at_ms >= :low THEN 2
                             WHEN class = 2 AND :now - created_at_ms >= :medium THEN 1
                             ELSE class END AS class
                 FROM tasks WHERE status = 'queued' AND not_before_ms <= :now),
             turns AS (
                 SELECT *, row_number() OVER (PARTITION BY tenant_id, class ORDER BY created_at_ms, id) AS turn
                 FROM aged)
             SELECT id FROM turns ORDER BY class, turn, created_at_ms, id LIMIT :limit",
        )?;
        let ids = statement
            .query_map(
                named_params! {
                    ":now": now,
                    ":low": to_column(request.age_ms[0]),
                    ":medium": to_column(request.age_ms[1]),
                    ":limit": to_column(request.limit as u64),
                },
                |row| row.get::<_, String>(0),
            )?
            .collect::<Result<Vec<_>, _>>()?;
        ids.iter().map(|id| claim_one(db, id, request)).collect()
    })
}

fn claim_one(db: &Transaction, id: &str, request: &ClaimRequest<'_>) -> Result<Claimed, Failure> {
    let lease_until = request.now_ms.saturating_add(request.lease_ms);
    let task = db
        .prepare_cached(&format!(
            "UPDATE tasks SET status = 'running', node = ?2, lease_until_ms = ?3, started_at_ms = ?4,
                              attempts = attempts + 1, token = token + 1
             WHERE id = ?1 RETURNING {COLUMNS}"
        ))?
        .query_row((id, request.node, to_column(lease_until), to_column(request.now_ms)), |row| {
            Ok(task(row))
        })??;
    let request = db
        .prepare_cached("SELECT route, content_type, body FROM task_requests WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(TaskRequest { route: row.get(0)?, content_type: row.get(1)?, body: row.get(2)? })
        })?;
    Ok(Claimed { task, request })
}

pub(super) fn renew(
    db: &Database,
    node: &str,
    claims: &[Claim],
    lease_until_ms: u64,
) -> Result<Vec<Claim>, StoreError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    db.write(|db| {
        let mut statement = db.prepare_cached(
            "UPDATE tasks SET lease_until_ms = ?4 WHERE id = ?1 AND token = ?2 AND node = ?3 AND status = 'running'",
        )?;
        let mut lost = Vec::new();
        for claim in claims {
            let kept =
                statement.execute((&claim.id, to_column(claim.token), node, to_column(lease_until_ms)))?;
            if kept == 0 {
                lost.push(claim.clone());
            }
        }
        Ok(lost)
    })
}

pub(super) fn end(db: &Database, ends: &[TaskEnd]) -> Result<Vec<bool>, StoreError> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    db.write(|db| ends.iter().map(|end| end_one(db, end)).collect())
}

fn end_one(db: &Transaction, end: &TaskEnd) -> Result<bool, Failure> {
    let (status, error, again, forget_attempt) = match &end.state {
        EndState::Completed(_) => (TaskStatus::Completed, None, None, false),
        EndState::Without(status, error) => (*status, Some(error), None, false),
        EndState::Again { not_before_ms, counts } => {
            (TaskStatus::Queued, None, Some(to_column(*not_before_ms)), !counts)
        }
    };
    let result = match &end.state {
        EndState::Completed(body) => Some(body),
        _ => None,
    };
    let at = to_column(end.at_ms);
    let changed = db
        .prepare_cached(
            "UPDATE tasks SET status = :status, error = :error, finished_at_ms = :finished,
                              not_before_ms = coalesce(:again, not_before_ms),
                              attempts = attempts - :forget, gpu_time_us = gpu_time_us + :gpu,
                              result_bytes = :bytes, token = token + 1, node = NULL, lease_until_ms = NULL
             WHERE id = :id AND token = :token AND status = 'running'",
        )?
        .execute(named_params! {
            ":id": end.claim.id,
            ":token": to_column(end.claim.token),
            ":status": status.name(),
            ":error": error,
            ":finished": status.is_final().then_some(at),
            ":again": again,
            ":forget": i64::from(forget_attempt),
            ":gpu": to_column(end.gpu_time_us),
            ":bytes": to_column(result.map_or(0, |body| body.len() as u64)),
        })?;
    if changed == 0 {
        return Ok(false);
    }
    if let Some(body) = result {
        db.prepare_cached("INSERT OR REPLACE INTO task_results (id, body) VALUES (?1, ?2)")?
            .execute((&end.claim.id, body))?;
    }
    if status.is_final() {
        finalize(db, &end.claim.id, end.at_ms, status != TaskStatus::DeadLetter)?;
    }
    Ok(true)
}

/// What every end for good brings: the callback is due, and the request is no longer needed, unless it is a dead
/// letter's.
pub(super) fn finalize(db: &Transaction, id: &str, at_ms: u64, forget_request: bool) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO callbacks (webhook_id, tenant_id, task_id, url, attempts, token, status, due_at_ms, at_ms)
         SELECT 'msg_' || id || '_' || token, tenant_id, id, callback, 0, 0, 'due', ?2, ?2
         FROM tasks WHERE id = ?1 AND callback IS NOT NULL",
    )?
    .execute((id, to_column(at_ms)))?;
    if forget_request {
        db.prepare_cached("DELETE FROM task_requests WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

pub(super) fn recover(db: &Database, node: &str) -> Result<u64, StoreError> {
    db.write(|db| {
        let recovered = db
            .prepare_cached(
                "UPDATE tasks SET status = 'queued', token = token + 1, node = NULL, lease_until_ms = NULL
                 WHERE status = 'running' AND node = ?1",
            )?
            .execute([node])?;
        Ok(recovered as u64)
    })
}

pub(super) fn expire(db: &Database, now_ms: u64, error: &str) -> Result<u64, StoreError> {
    db.write(|db| {
        let ids = db
            .prepare_cached("SELECT id FROM tasks WHERE status = 'queued' AND deadline_ms <= ?1 LIMIT ?2")?
            .query_map((to_column(now_ms), CHUNK), |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        for id in &ids {
            db.prepare_cached(
                "UPDATE tasks SET status = 'failed', error = ?2, finished_at_ms = ?3, token = token + 1
                 WHERE id = ?1",
            )?
            .execute((id, error, to_column(now_ms)))?;
            finalize(db, id, now_ms, true)?;
        }
        from_column(ids.len() as i64)
    })
}

pub(super) fn prune(db: &Database, finished_before_ms: u64) -> Result<u64, StoreError> {
    let mut pruned = 0;
    loop {
        let count = db.write(|db| {
            Ok(db
                .prepare_cached(
                    "DELETE FROM tasks WHERE id IN (
                         SELECT id FROM tasks WHERE finished_at_ms < ?1
                           AND NOT EXISTS (SELECT 1 FROM callbacks WHERE task_id = tasks.id AND status = 'due')
                         LIMIT ?2)",
                )?
                .execute((to_column(finished_before_ms), CHUNK))? as u64)
        })?;
        pruned += count;
        if count < CHUNK as u64 {
            return Ok(pruned);
        }
    }
}
