//! Which row of a chunk has which key. A target that refuses a value tells the row's place in the chunk and not its key.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::TablePlan;
use crate::rows::cell::Cell;
use crate::rows::digest::TableDigest;
use crate::rows::encode::{CellError, LossCounts, RowEncoder};
use crate::rows::message::{self, Message};

/// More rows than are on their way between the job and the place where the target notices.
const MOST_KEYS: usize = 100_000;

/// The keys of a chunk's last rows.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    keys: VecDeque<Message>,
    /// Rows that passed, whose keys are no longer kept.
    forgotten: u64,
}

impl Keys {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: Message) {
        let mut kept = self.lock();
        kept.keys.push_back(key);
        if kept.keys.len() > MOST_KEYS {
            kept.keys.pop_front();
            kept.forgotten += 1;
        }
    }

    /// The key of a row, counted from 1; `None` where it is not known.
    pub fn of(&self, row: u64) -> Option<Message> {
        let kept = self.lock();
        let place = row.checked_sub(kept.forgotten + 1)?;
        kept.keys.get(usize::try_from(place).ok()?).cloned()
    }
}

/// An encoder that notes the key of each row.
pub struct NamedRows<E> {
    encoder: E,
    /// Place and source's name of each column of the key.
    columns: Vec<(usize, String)>,
    row: Vec<Message>,
    keys: Keys,
}

impl<E> NamedRows<E> {
    /// `None` where the table has no key that is copied.
    pub fn new(encoder: E, table: &TablePlan, keys: Keys) -> Option<Self> {
        let place = |name: &String| table.columns.iter().position(|column| &column.source == name);
        let columns: Vec<_> = table.row_key.iter().filter_map(|name| Some((place(name)?, name.clone()))).collect();
        (!columns.is_empty()).then_some(Self { encoder, columns, row: Vec::new(), keys })
    }
}

impl<E: RowEncoder> RowEncoder for NamedRows<E> {
    fn begin_row(&mut self) {
        self.row.clear();
        self.encoder.begin_row();
    }

    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<(), CellError> {
        if let Some((_, name)) = self.columns.iter().find(|(place, _)| *place == column) {
            self.row.push(Message::from(format!("{name} = ")).value(cell.describe()));
        }
        self.encoder.cell(column, cell)
    }

    fn end_row(&mut self) {
        self.keys.push(message::join(self.row.drain(..), ", "));
        self.encoder.end_row();
    }

    fn discard_row(&mut self) {
        self.keys.lock().keys.pop_back();
        self.encoder.discard_row();
    }

    fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    fn digest(&self) -> TableDigest {
        self.encoder.digest()
    }

    fn buffered(&self) -> usize {
        self.encoder.buffered()
    }

    fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
        self.encoder.take(empty)
    }

    fn finish(self) -> (Vec<u8>, TableDigest, LossCounts) {
        self.encoder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_have_their_keys() {
        let keys = Keys::default();
        assert_eq!(keys.of(1), None);
        for row in 1..=MOST_KEYS as u64 + 2 {
            keys.push(Message::default().value(row.to_string()));
        }
        let of = |row| keys.of(row).map(|key| key.with_values());
        assert_eq!((of(0), of(2)), (None, None));
        assert_eq!(of(3).as_deref(), Some("3"));
        let last = MOST_KEYS as u64 + 2;
        assert_eq!(of(last), Some(last.to_string()));
        assert_eq!(of(last + 1), None);
    }
}
