//! Threads for bodies too large for a connection's own thread, at a priority between the lanes' and the network's: decoding a bulk job
//! must not delay a realtime one.

use offload_api::{ApiError, ErrorCode};
use tokio::sync::oneshot;

/// Bodies and outputs above this size are handled by the codec's threads.
pub const LARGE_BYTES: usize = 256 << 10;

/// The threads.
pub struct Codec(rayon::ThreadPool);

impl Codec {
    /// So many threads at this niceness (0 normal, 19 least).
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(threads: usize, niceness: i32) -> Result<Codec, rayon::ThreadPoolBuildError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("codec-{i}"))
            .start_handler(move |_| {
                // A refusal costs some latency under load and nothing else.
                let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), niceness);
            })
            .panic_handler(|_| {
                tracing::error!("a codec thread panicked; its request is answered with an error")
            })
            .build()
            .map(Codec)
    }

    /// Has one of the threads run `f`, and does not wait for it.
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) {
        self.0.spawn(f);
    }

    /// Runs `f` on one of the threads.
    ///
    /// # Errors
    /// `internal` when `f` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (sender, receiver) = oneshot::channel();
        // A receiver that is gone belongs to a connection that is gone.
        self.0.spawn(move || drop(sender.send(f())));
        receiver.await.map_err(|_| {
            ApiError::new(ErrorCode::Internal, "the request could not be handled; the log has the cause")
        })
    }
}
