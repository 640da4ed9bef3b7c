//! How far the changes of a table were followed.

/// A place in the history of a table's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Changes up to here, this one included, are known. 0 is as good as any other.
    pub version: i64,
    /// Which history that is: a database that was restored counts the same versions again.
    pub history: String,
}

/// What a source says of a table's changes, at one state of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// Where that state is.
    pub now: Position,
    /// Changes after this version, and after any later one, can be had.
    pub complete_since: i64,
    /// The version at which the source began to follow the table, where it tells. A table that is emptied without a trace begins anew; at
    /// the same version that shows in the number of rows alone.
    pub begins: Option<i64>,
}
