//! Drops staging tables that nobody needs any more.

use super::Context;
use crate::connect::retry::{self, RetryPolicy};
use crate::sources::Source;
use crate::targets::{Staging, Target};

/// How often dropping a staging table is tried again.
const DROP_RETRIES: u32 = 2;

/// What cannot be dropped now is dropped by the next run. After an interruption all are dropped at once: with no more connections
/// than tables may be under way.
pub(super) async fn drop_staging<S: Source, T: Target>(context: &Context<S, T>, staging: &Staging) {
    // Before one, a permit would come after all tables that have not begun.
    let _permit = if context.cancel.is_cancelled() { Some(context.tables.acquire().await) } else { None };
    let drop = async || {
        let dropped = tokio::time::timeout(context.limits.stall_timeout, context.target.drop_staging(staging)).await;
        dropped.unwrap_or_else(|_| {
            tracing::warn!(staging = %staging.name, "the target does not answer: the next run will drop the staging table");
            Ok(())
        })
    };
    // An interruption does not keep from it.
    let policy = retry::of_job(DROP_RETRIES, context.limits.outage, context.cancel.clone());
    let policy = RetryPolicy { cancel: None, ..policy };
    if let Err(error) = policy.retry(&staging.name.to_string(), &mut 0, drop).await {
        tracing::warn!(staging = %staging.name, error = error.chain(), "the next run will drop the staging table");
    }
}
