//! Rows in memory, counted against the run's limit.

use tokio::sync::OwnedSemaphorePermit;

/// Encoded rows on their way to the target, with their share of the run's memory, which is given back when they are gone.
#[derive(Debug)]
pub struct BudgetedBuffer {
    pub bytes: Vec<u8>,
    pub share: OwnedSemaphorePermit,
}
