//! Where a reader's rows go: into the target's loader, or nowhere but the digest.

use crate::digest::TableDigest;
use crate::error::Result;
use crate::load::{LossCounts, RowEncoder};
use crate::source::RowSink;
use crate::target::Loader;

/// Called with the rows and bytes that went on.
pub type Tell<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Encodes rows and sends them in buffers; without a loader the bytes are thrown away.
pub struct Sink<'a, E: RowEncoder, L: Loader> {
    encoder: E,
    loader: Option<L>,
    spare: Vec<u8>,
    limit: usize,
    rows_told: u64,
    pub bytes: u64,
    tell: Tell<'a>,
}

/// What a chunk came to.
pub struct ChunkResult {
    pub digest: TableDigest,
    pub losses: LossCounts,
    pub bytes: u64,
}

impl<'a, E: RowEncoder, L: Loader> Sink<'a, E, L> {
    pub fn new(encoder: E, loader: Option<L>, limit: usize, tell: Tell<'a>) -> Self {
        Self { encoder, loader, spare: Vec::with_capacity(limit + limit / 8), limit, rows_told: 0, bytes: 0, tell }
    }

    /// Sends the rest and makes the rows permanent.
    pub async fn finish(mut self) -> Result<ChunkResult> {
        let (rest, digest, losses) = self.encoder.finish();
        let last = rest.len() as u64;
        if let Some(mut loader) = self.loader.take() {
            loader.send(rest).await?;
            loader.commit().await?;
        }
        (self.tell)(digest.rows - self.rows_told, last);
        Ok(ChunkResult { digest, losses, bytes: self.bytes + last })
    }
}

impl<E: RowEncoder, L: Loader> RowSink for Sink<'_, E, L> {
    type Encoder = E;

    fn encoder(&mut self) -> &mut E {
        &mut self.encoder
    }

    fn is_full(&self) -> bool {
        self.encoder.buffered() >= self.limit
    }

    async fn flush(&mut self) -> Result<()> {
        let full = self.encoder.take(std::mem::take(&mut self.spare));
        let sent = full.len() as u64;
        self.spare = match &mut self.loader {
            Some(loader) => loader.send(full).await?,
            None => full,
        };
        self.spare.clear();
        // A buffer that one huge value blew up is not kept.
        if self.spare.capacity() > self.limit * 2 {
            self.spare = Vec::new();
        }
        self.spare.reserve(self.limit + self.limit / 8);
        self.bytes += sent;
        let rows = self.encoder.rows();
        (self.tell)(rows - self.rows_told, sent);
        self.rows_told = rows;
        Ok(())
    }
}
