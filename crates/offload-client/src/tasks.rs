//! Tasks and resident datasets: work that is not waited for, and data that is sent once.

use crate::{Answer, ClientError, GpuClient};
use serde::Deserialize;
use serde_json::Value as Json;
use std::time::{Duration, Instant};

/// Where a task is.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// Its id.
    pub task_id: String,
    /// `queued`, `running`, `completed`, `failed`, `cancelled` or `dead_letter`.
    pub status: String,
    /// 0 to 1.
    pub progress: f64,
    /// The outputs of a completed task, unless they are a link.
    #[serde(default)]
    pub result: Json,
    /// Where large outputs are.
    pub result_url: Option<String>,
    /// Why it has none.
    pub error: Option<Json>,
}

/// A step of a task that is followed.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// As [`Task::status`].
    pub status: String,
    /// 0 to 1.
    pub progress: f64,
}

impl GpuClient {
    /// Runs an operation over inputs as JSON, references to datasets included.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn run_json(
        &self,
        family: &str,
        operation: &str,
        inputs: &Json,
    ) -> Result<Answer, ClientError> {
        let body = serde_json::json!({"inputs": inputs});
        self.json(reqwest::Method::POST, &format!("/api/v1/workloads/{family}/{operation}"), Some(&body))
            .await
    }

    /// Submits an operation as a task and gives its id. The same `idempotency_key` is the same task.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn submit(
        &self,
        family: &str,
        operation: &str,
        inputs: &Json,
        idempotency_key: &str,
    ) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Promise {
            task_id: String,
        }
        let deadline = Instant::now() + self.settings.timeout;
        let path = format!("/api/v1/workloads/{family}/{operation}/async");
        let body = serde_json::json!({"inputs": inputs}).to_string();
        let request = self
            .request(reqwest::Method::POST, &path, deadline)
            .await?
            .header("content-type", "application/json")
            .header("idempotency-key", idempotency_key)
            .body(body);
        let promise: Promise = parse(&Self::answer(request).await?)?;
        Ok(promise.task_id)
    }

    /// A task as it is now.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn task(&self, id: &str) -> Result<Task, ClientError> {
        self.json(reqwest::Method::GET, &format!("/api/v1/tasks/{id}"), None).await
    }

    /// What a path of the service answers, the result of a task say.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn get(&self, path: &str) -> Result<Json, ClientError> {
        self.json(reqwest::Method::GET, path, None).await
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn cancel(&self, id: &str) -> Result<Task, ClientError> {
        self.json(reqwest::Method::DELETE, &format!("/api/v1/tasks/{id}"), None).await
    }

    /// Follows a task to its end over server-sent events, telling each step; at most so long.
    ///
    /// # Errors
    /// What the service answered, or why it did not; a stream that breaks off before the end.
    pub async fn follow(
        &self,
        id: &str,
        patience: Duration,
        mut step: impl FnMut(&Step),
    ) -> Result<Task, ClientError> {
        let path = format!("/api/v1/tasks/{id}/stream");
        let request = self.request(reqwest::Method::GET, &path, Instant::now() + patience).await?;
        let mut response = request.send().await?;
        if !response.status().is_success() {
            return Err(Self::failure(response.status(), &response.bytes().await?));
        }
        let mut read = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            read.extend_from_slice(&chunk);
            while let Some(end) = read.windows(2).position(|w| w == b"\n\n") {
                let event: Vec<u8> = read.drain(..end + 2).collect();
                let Some(data) = event.split(|b| *b == b'\n').find_map(|l| l.strip_prefix(b"data: ")) else {
                    continue;
                };
                let told: Step = parse(data)?;
                if !["queued", "running"].contains(&told.status.as_str()) {
                    return parse(data);
                }
                step(&told);
            }
        }
        Err(ClientError::Protocol("the stream of events broke off".into()))
    }

    /// Stores columns as a resident dataset, in place of the one of that name, and answers its description.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn put_dataset(&self, name: &str, columns: &Json) -> Result<Json, ClientError> {
        let body = serde_json::json!({"columns": columns});
        self.json(reqwest::Method::PUT, &format!("/api/v1/datasets/{name}"), Some(&body)).await
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.settings.timeout;
        let mut request = self.request(method, path, deadline).await?;
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        parse(&Self::answer(request).await?)
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(text).map_err(|e| ClientError::Protocol(e.to_string()))
}
