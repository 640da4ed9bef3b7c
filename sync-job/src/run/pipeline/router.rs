//! Shows each row that is read, as hashes, to whoever decides whether it goes on.

use super::sink::OnRows;
use crate::plan::TablePlan;
use crate::proof::slices::{HashedRow, Slices};
use crate::rows::cell::Cell;
use crate::rows::digest::TableDigest;
use crate::rows::encode::{CellError, LossCounts, RowEncoder};
use crate::rows::message::{self, Message};

/// After so many rows progress is told.
const TOLD_ROWS: u64 = 1_000;

/// A row that was read.
pub struct SeenRow<'a> {
    pub slice: usize,
    pub hashes: HashedRow,
    /// Of this row alone.
    pub digest: TableDigest,
    /// Its key for people; empty unless the [judge](Judge::names_keys) wants it.
    pub key: &'a Message,
}

/// Decides what becomes of rows.
pub trait Judge: Send {
    /// Whether keys are needed for people.
    fn names_keys(&self) -> bool {
        false
    }

    /// Whether the row goes on.
    fn keeps(&mut self, row: &SeenRow<'_>) -> bool;
}

/// What passed, whether it went on or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    pub digest: TableDigest,
    pub bytes: u64,
}

/// How rows are hashed and told apart.
pub struct Routes<'a> {
    slices: &'a Slices,
    /// The column of the key's ranges.
    ranged: Option<usize>,
    /// The place of each column in the key, if it is of it, and its name.
    of_key: Vec<Option<(usize, &'a str)>>,
}

impl<'a> Routes<'a> {
    pub fn new(table: &'a TablePlan, keys: &TablePlan, slices: &'a Slices) -> Self {
        let in_key = |target: &str| keys.columns.iter().position(|column| column.target == target);
        let ranged = table.witness_column();
        Self {
            slices,
            ranged: table.columns.iter().position(|column| ranged.is_some_and(|ranged| ranged.target == column.target)),
            of_key: table
                .columns
                .iter()
                .map(|column| Some((in_key(&column.target)?, column.target.as_str())))
                .collect(),
        }
    }
}

/// An encoder that asks a judge after each row. Its digest, and what it encodes, are of the rows that go on.
pub struct Router<'a, E, J> {
    rows: E,
    keys: E,
    routes: &'a Routes<'a>,
    judge: &'a mut J,
    passed: &'a mut Passed,
    on_rows: OnRows<'a>,
    told: Passed,
    /// For the key's bytes, which nobody needs.
    spare: Vec<u8>,
    /// Before the row that is being encoded.
    began: usize,
    range: usize,
    names: Vec<Message>,
}

impl<'a, E: RowEncoder, J: Judge> Router<'a, E, J> {
    pub fn new(
        [rows, keys]: [E; 2],
        routes: &'a Routes<'a>,
        judge: &'a mut J,
        passed: &'a mut Passed,
        on_rows: OnRows<'a>,
    ) -> Self {
        let told = *passed;
        let names = vec![Message::default(); routes.of_key.iter().flatten().count()];
        Self { rows, keys, routes, judge, passed, on_rows, told, spare: Vec::new(), began: 0, range: 0, names }
    }

    fn progress(&mut self) {
        (self.on_rows)(self.passed.digest.rows - self.told.digest.rows, self.passed.bytes - self.told.bytes);
        self.told = *self.passed;
    }
}

/// The digest of what came after `before`.
fn since(before: TableDigest, now: TableDigest) -> TableDigest {
    now.without(before).unwrap_or_default()
}

impl<E: RowEncoder, J: Judge> RowEncoder for Router<'_, E, J> {
    fn begin_row(&mut self) {
        self.began = self.rows.buffered();
        self.range = 0;
        self.rows.begin_row();
        self.keys.begin_row();
    }

    fn cell(&mut self, index: usize, cell: Cell<'_>) -> Result<(), CellError> {
        self.rows.cell(index, cell)?;
        if self.routes.ranged == Some(index) {
            self.range = self.routes.slices.range_of(cell).ok_or_else(|| CellError::Mismatch {
                expected: "a value that ranges are made of".to_owned(),
                cell: Message::default().value(cell.describe()),
            })?;
        }
        if let Some((place, name)) = self.routes.of_key[index] {
            self.keys.cell(place, cell)?;
            if self.judge.names_keys() {
                self.names[place] = Message::from(format!("{name} = ")).value(cell.describe());
            }
        }
        Ok(())
    }

    fn end_row(&mut self) {
        let before = [self.rows.digest(), self.keys.digest()];
        self.rows.end_row();
        self.keys.end_row();
        let digest = since(before[0], self.rows.digest());
        // A hash has 64 bits, with or without a sign.
        let hashes = HashedRow { key: since(before[1], self.keys.digest()).sum as u64, row: digest.sum as u64 };
        self.passed.digest.merge(digest);
        self.passed.bytes += (self.rows.buffered() - self.began) as u64;
        let mut unused = self.keys.take(std::mem::take(&mut self.spare));
        unused.clear();
        self.spare = unused;
        let key =
            if self.judge.names_keys() { message::join(self.names.iter().cloned(), ", ") } else { Message::default() };
        let slice = self.routes.slices.slice_of(self.range, hashes.key);
        if !self.judge.keeps(&SeenRow { slice, hashes, digest, key: &key }) {
            self.rows.discard_row();
        }
        if self.passed.digest.rows - self.told.digest.rows >= TOLD_ROWS {
            self.progress();
        }
    }

    fn discard_row(&mut self) {
        self.rows.discard_row();
    }

    fn rows(&self) -> u64 {
        self.passed.digest.rows
    }

    fn digest(&self) -> TableDigest {
        self.rows.digest()
    }

    fn buffered(&self) -> usize {
        self.rows.buffered()
    }

    fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
        self.rows.take(empty)
    }

    fn finish(mut self) -> (Vec<u8>, TableDigest, LossCounts) {
        self.progress();
        self.rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::type_map::StoredType;
    use crate::rows::encode::TextPolicy;
    use crate::targets::encode::copy_binary::CopyEncoder;

    fn encoder(columns: usize) -> CopyEncoder {
        CopyEncoder::new((0..columns).map(|_| (StoredType::Int4, TextPolicy::default())))
    }

    /// Keeps rows of some keys, and notes all.
    struct Odd(Vec<(HashedRow, String)>, Vec<u64>);

    impl Judge for Odd {
        fn names_keys(&self) -> bool {
            true
        }

        fn keeps(&mut self, row: &SeenRow<'_>) -> bool {
            self.0.push((row.hashes, row.key.with_values()));
            self.1.contains(&row.hashes.key)
        }
    }

    fn one_row(cells: &[i64]) -> TableDigest {
        let mut encoder = encoder(cells.len());
        encoder.begin_row();
        cells.iter().enumerate().for_each(|(index, value)| encoder.cell(index, Cell::Int(*value)).unwrap());
        encoder.end_row();
        encoder.digest()
    }

    #[test]
    fn rows_that_are_not_kept_leave_nothing_but_their_hashes() {
        let slices = Slices::One;
        let routes = Routes { slices: &slices, ranged: None, of_key: vec![None, Some((0, "id"))] };
        let kept = one_row(&[2]).sum as u64;
        let (mut judge, mut passed) = (Odd(Vec::new(), vec![kept]), Passed::default());
        let mut router = Router::new([encoder(2), encoder(1)], &routes, &mut judge, &mut passed, &|_, _| {});
        for (value, id) in [(10, 1), (20, 2), (30, 3)] {
            router.begin_row();
            router.cell(0, Cell::Int(value)).unwrap();
            router.cell(1, Cell::Int(id)).unwrap();
            router.end_row();
        }
        let (bytes, digest, _) = router.finish();
        let mut alone = encoder(2);
        alone.begin_row();
        alone.cell(0, Cell::Int(20)).unwrap();
        alone.cell(1, Cell::Int(2)).unwrap();
        alone.end_row();
        assert_eq!((bytes, digest), (alone.finish().0, one_row(&[20, 2])));
        let all: Vec<HashedRow> = judge.0.iter().map(|(hashes, _)| *hashes).collect();
        let of = |value, id| HashedRow { key: one_row(&[id]).sum as u64, row: one_row(&[value, id]).sum as u64 };
        assert_eq!(all, [of(10, 1), of(20, 2), of(30, 3)]);
        assert_eq!(judge.0[2].1, "id = 3");
        assert_eq!((passed.digest.rows, passed.bytes), (3, 3 * 18));
    }
}
