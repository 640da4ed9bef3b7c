//! What both ends of a load agree on: the encoder that a row is visited into, its errors, and what was lost on the way.

use crate::cell::Cell;
use crate::digest::TableDigest;
use crate::message::Message;

/// Turns cells into the target's bulk format and into the digest. Pure: no I/O.
pub trait RowEncoder: Send {
    fn begin_row(&mut self);
    /// Writes the next cell; `column` counts from 0 within the row.
    fn cell(&mut self, column: usize, cell: Cell<'_>) -> Result<(), CellError>;
    fn end_row(&mut self);
    /// Takes back the row that just ended: neither its bytes nor its hash count. What was lost in it stays counted. Nothing may be
    /// [taken](RowEncoder::take) in between.
    fn discard_row(&mut self);
    /// Rows encoded so far.
    fn rows(&self) -> u64;
    /// Of the rows encoded so far.
    fn digest(&self) -> TableDigest;
    /// Bytes waiting in the buffer.
    fn buffered(&self) -> usize;
    /// Hands out the buffer and goes on with `empty`.
    fn take(&mut self, empty: Vec<u8>) -> Vec<u8>;
    /// The rest of the stream, the digest of all rows, and what was lost.
    fn finish(self) -> (Vec<u8>, TableDigest, LossCounts);
}

/// What to do with text that the target cannot hold as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextPolicy {
    /// Remove U+0000 and count, instead of failing.
    pub strip_nul: bool,
    /// Put U+FFFD for undecodable bytes and count, instead of failing.
    pub replace_undecodable: bool,
}

/// Why one value cannot be carried. The row's key and the column's name are added where they are known. What is printed of it
/// does not hold the value; [`CellError::message`] does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum CellError {
    Nul,
    Undecodable,
    OutOfRange { value: Message },
    TooManyCharacters { characters: usize, limit: usize },
    TooLong { bytes: usize, limit: usize },
    Mismatch { expected: String, cell: Message },
}

impl CellError {
    pub fn out_of_range(value: impl AsRef<str>) -> Self {
        CellError::OutOfRange { value: Message::default().value(value) }
    }

    pub fn message(&self) -> Message {
        match self {
            CellError::Nul => {
                "the text holds U+0000, which the target cannot store; set nul = \"strip\" to remove and count it"
                    .into()
            }
            CellError::Undecodable => {
                "the text holds bytes that are not valid in its encoding; set undecodable = \"replace\" to put \
                                       U+FFFD and count it"
                    .into()
            }
            CellError::OutOfRange { value } => {
                Message::from("the value ").message(value).words(" does not fit the target type")
            }
            CellError::TooManyCharacters { characters, limit } => format!(
                "the text has {characters} characters and the target type takes {limit}; choose a wider target_type"
            )
            .into(),
            CellError::TooLong { bytes, limit } => format!(
                "the value is {bytes} bytes long and the target stores at most {limit}; exclude the column or the row"
            )
            .into(),
            CellError::Mismatch { expected, cell } => {
                Message::from("the source sent ").message(cell).words(format!(", which cannot become {expected}"))
            }
        }
    }
}

/// A way in which a value was changed because the job or the type map says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Fraction digits of a time beyond the target's six.
    FractionCut,
    /// The offset of a datetimeoffset other than +00:00; the instant is kept.
    OffsetDropped,
    /// U+0000 removed from text.
    NulStripped,
    /// Undecodable bytes or lone surrogates replaced by U+FFFD.
    Undecodable,
}

impl Loss {
    pub const ALL: [Loss; 4] = [Loss::FractionCut, Loss::OffsetDropped, Loss::NulStripped, Loss::Undecodable];

    /// What programs read; see docs/json.md.
    pub fn code(self) -> &'static str {
        match self {
            Loss::FractionCut => "fraction_cut",
            Loss::OffsetDropped => "offset_dropped",
            Loss::NulStripped => "nul_stripped",
            Loss::Undecodable => "undecodable",
        }
    }

    /// For the report: "1,200 rows: fraction digits cut".
    pub fn describe(self) -> &'static str {
        match self {
            Loss::FractionCut => "fraction digits cut",
            Loss::OffsetDropped => "offset dropped, instant kept",
            Loss::NulStripped => "U+0000 removed",
            Loss::Undecodable => "undecodable bytes replaced by U+FFFD",
        }
    }
}

/// Rows affected by each kind of loss, by column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LossCounts(Vec<[u64; Loss::ALL.len()]>);

impl LossCounts {
    pub fn new(columns: usize) -> Self {
        Self(vec![[0; Loss::ALL.len()]; columns])
    }

    pub fn count(&mut self, column: usize, loss: Loss, rows: u64) {
        self.0[column][loss as usize] += rows;
    }

    pub fn get(&self, column: usize, loss: Loss) -> u64 {
        self.0[column][loss as usize]
    }

    /// Adds the counts of other rows of the same table.
    pub fn merge(&mut self, other: &LossCounts) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            for (count, more) in mine.iter_mut().zip(theirs) {
                *count += more;
            }
        }
    }
}
