//! The job's deadline.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Cancels after its time, unless it is dropped before.
pub(super) struct Deadline {
    after: Duration,
    began: Instant,
    _timer: AbortOnDropHandle<()>,
}

impl Deadline {
    pub(super) fn start(after: Duration, cancel: CancellationToken) -> Self {
        let timer = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            tracing::error!("the job's deadline has passed: stopping");
            cancel.cancel();
        });
        Self { after, began: Instant::now(), _timer: AbortOnDropHandle::new(timer) }
    }

    /// Its time, if that has passed.
    pub(super) fn passed(&self) -> Option<Duration> {
        (self.began.elapsed() >= self.after).then_some(self.after)
    }
}
