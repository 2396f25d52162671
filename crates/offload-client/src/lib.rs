//! Calls the service: typed inputs out, typed errors back, tokens renewed, retries within the deadline.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use offload_api::{Record, Tensor, Value};
//! use offload_client::GpuClient;
//!
//! let client = GpuClient::builder("http://localhost:8080").api_key("…").build()?;
//! let a = Tensor::new(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
//! let inputs = Record::new().with("a", Value::Tensor(a.clone())).with("b", Value::Tensor(a));
//! let answer = client.run("matrix", "multiply", &inputs, &Default::default()).await?;
//! println!("{} on {}", answer.result, answer.device);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod request;
mod retry;
mod tasks;

pub use request::CallOptions;
pub use retry::Retry;
pub use tasks::{Step, Task};

use offload_api::{ApiError, Record};
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service answered with an error.
    #[error(transparent)]
    Service(#[from] ApiError),
    /// The service was not reached, or its answer broke off.
    #[error("the service was not reached: {0}")]
    Transport(#[from] reqwest::Error),
    /// The answer is not what the contract says.
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    /// An input holds NaN or infinity, which JSON cannot carry.
    #[error(transparent)]
    NotFinite(#[from] offload_api::json::NotFinite),
}

/// An answer, in the envelope's shape.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// The outputs by name, or the one output named `result` by itself.
    pub result: Json,
    /// Microseconds on a GPU; 0 on the CPU.
    pub gpu_time_us: u64,
    /// Microseconds in the service.
    pub total_time_us: u64,
    /// Whether it came from the cache.
    pub cache_hit: bool,
    /// The GPU that ran it.
    pub device_id: Option<u32>,
    /// `cpu`, `gpu:<id>` or `cache`.
    pub device: String,
    /// The request's id, for the service's log.
    pub request_id: String,
}

/// How a client is made.
#[derive(Clone, Debug)]
pub struct Builder {
    endpoint: String,
    api_key: String,
    unix_socket: Option<PathBuf>,
    timeout: Duration,
    retry: Retry,
}

impl Builder {
    /// The key to get tokens with.
    pub fn api_key(mut self, key: &str) -> Self {
        self.api_key = key.into();
        self
    }

    /// Talk over this Unix socket; the endpoint's host is then only a name.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// How long a call may take, retries included. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How retryable errors are retried.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn build(self) -> Result<GpuClient, ClientError> {
        let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &self.unix_socket {
            http = http.unix_socket(path.clone());
        }
        Ok(GpuClient { http: http.build()?, settings: self, token: Mutex::new(None) })
    }
}

struct Token {
    text: String,
    renew_at: Instant,
}

/// A client of the service. Cheap to share behind an `Arc`; connections are pooled.
pub struct GpuClient {
    http: reqwest::Client,
    settings: Builder,
    token: Mutex<Option<Token>>,
}

impl GpuClient {
    /// A client of the service at this address.
    pub fn builder(endpoint: &str) -> Builder {
        Builder {
            endpoint: endpoint.trim_end_matches('/').into(),
            api_key: String::new(),
            unix_socket: None,
            timeout: Duration::from_secs(5),
            retry: Retry::default(),
        }
    }

    /// Runs an operation. Submissions are pure functions of their inputs, so a retry can do no harm.
    ///
    /// # Errors
    /// What the service answered, or why it did not.
    pub async fn run(
        &self,
        family: &str,
        operation: &str,
        inputs: &Record,
        options: &CallOptions,
    ) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + self.settings.timeout;
        let body = request::envelope(inputs, options, self.settings.timeout)?;
        let path = format!("/api/v1/workloads/{family}/{operation}");
        let mut attempt = 0;
        loop {
            let error = match self.post(&path, &body, deadline).await {
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes).map_err(|e| ClientError::Protocol(e.to_string()));
                }
                Err(e) => e,
            };
            attempt += 1;
            match self.settings.retry.pause(&error, attempt, deadline) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn post(&self, path: &str, body: &[u8], deadline: Instant) -> Result<Vec<u8>, ClientError> {
        let request = self
            .request(reqwest::Method::POST, path, deadline)
            .await?
            .header("content-type", "application/json")
            .body(body.to_vec());
        let answer = Self::answer(request).await;
        if let Err(ClientError::Service(e)) = &answer
            && e.error == offload_api::ErrorCode::Unauthenticated
        {
            // The key may have been replaced, or the service's signing keys: the next attempt asks anew.
            *self.token.lock().await = None;
        }
        answer
    }

    /// A request with a token, to be answered before the deadline.
    async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        deadline: Instant,
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        let token = self.token(deadline).await?;
        Ok(self
            .http
            .request(method, format!("{}{path}", self.settings.endpoint))
            .bearer_auth(token)
            .timeout(deadline.saturating_duration_since(Instant::now())))
    }

    /// A token that is good for a while yet.
    async fn token(&self, deadline: Instant) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Issued {
            token: String,
            expires_in: u64,
        }
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|t| t.renew_at > Instant::now()) {
            return Ok(token.text.clone());
        }
        let body = serde_json::json!({"api_key": self.settings.api_key}).to_string();
        let request = self
            .http
            .post(format!("{}/api/v1/auth/token", self.settings.endpoint))
            .header("content-type", "application/json")
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .body(body);
        let issued: Issued = serde_json::from_slice(&Self::answer(request).await?)
            .map_err(|e| ClientError::Protocol(e.to_string()))?;
        let renew_at = Instant::now() + Duration::from_secs(issued.expires_in * 9 / 10);
        let text = issued.token.clone();
        *held = Some(Token { text: issued.token, renew_at });
        Ok(text)
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Vec<u8>, ClientError> {
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if status.is_success() {
            return Ok(bytes.into());
        }
        Err(Self::failure(status, &bytes))
    }

    fn failure(status: reqwest::StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ApiError>(body) {
            Ok(error) => error.into(),
            Err(_) => ClientError::Protocol(format!("status {status} without an error body")),
        }
    }
}
