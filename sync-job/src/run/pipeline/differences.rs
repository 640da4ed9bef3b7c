//! Finds the rows that differ between source and target, by their keys. Digests of many slices tell where they are; there, rows are compared one
//! by one, as hashes.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Context;
use super::router::{Judge, Passed, Router, Routes, SeenRow};
use super::sink::{ChunkResult, Sink};
use crate::model::error::Result;
use crate::plan::TablePlan;
use crate::proof::slices::{Part, Slices, parts};
use crate::proof::witness::Scope;
use crate::proof::witness::sample;
use crate::report::{Difference, DifferencesReport, DifferingKey};
use crate::rows::chunk::Chunk;
use crate::rows::digest::TableDigest;
use crate::rows::encode::LossCounts;
use crate::rows::message::{self, Message};
use crate::sources::{Reader, Source};
use crate::targets::{Staging, Target};

/// What a row of the target takes while it waits for its like: twice, as it comes and as it is looked up.
const BYTES_OF_HASHES: u64 = 64;
/// Of the job's memory, for all tables under way.
const SHARE_OF_MEMORY: u64 = 2;
const LEAST_ROWS: u64 = 10_000;
/// Ranges that are read one by one; of more, all that lies between the first and the last is read.
const MOST_RANGES: usize = 64;
/// Hashes in one statement to the target, of up to 21 bytes each.
const HASHES_AT_ONCE: usize = 20_000;

/// Staging tables for what is to be mended.
#[derive(Debug, Clone, Copy)]
pub struct Mending<'a> {
    /// For rows that the target lacks or holds with other values, and the plan to make it by.
    pub changed: (&'a Staging, &'a TablePlan),
    /// For keys that only the target has, likewise.
    pub gone: (&'a Staging, &'a TablePlan),
    /// Set before any staging table is made.
    pub has_staging: &'a AtomicBool,
}

/// A search through one table, in one state of the source where the reader has a transaction.
pub struct Search<'a, S: Source, T: Target> {
    pub context: &'a Context<S, T>,
    pub table: &'a TablePlan,
    /// [Its key](crate::plan::by_key).
    pub keys: &'a TablePlan,
    /// Nothing where differences are only to be named.
    pub mending: Option<Mending<'a>>,
    /// How many keys are named at most.
    pub limit: usize,
    /// Hashes of keys that the source changed since the table was copied, where that is known.
    pub newer: Option<&'a HashSet<u64>>,
}

/// What a search found.
pub struct Found {
    pub differences: DifferencesReport,
    /// Rows that the target had.
    pub held: u64,
    /// Of all rows of the source.
    pub source: TableDigest,
    /// Read from the source, rows that were read twice included, in the target's bulk format.
    pub bytes_read: u64,
    pub losses: LossCounts,
    /// What went into the staging table of changed rows, where there is one.
    pub changed: TableDigest,
    pub bytes_sent: u64,
    pub has_gone: bool,
    /// How many chunks were loaded into the staging table of changed rows.
    chunks: usize,
}

impl<S: Source, T: Target> Search<'_, S, T> {
    pub async fn run(&self, reader: &mut S::Reader) -> Result<Found> {
        let (table, target) = (self.table, &self.context.target);
        let held = self.context.while_target_answers(target.count(&table.target)).await?;
        let slices = self.slices(reader, held.max(table.rows.unwrap_or(0))).await?;
        let routes = Routes::new(table, self.keys, &slices);
        let mut found = Found {
            differences: DifferencesReport { newer_at_source: self.newer.map(|_| 0), ..DifferencesReport::default() },
            held,
            source: TableDigest::default(),
            bytes_read: 0,
            losses: LossCounts::new(table.columns.len()),
            changed: TableDigest::default(),
            bytes_sent: 0,
            has_gone: false,
            chunks: 0,
        };
        let differing = if slices.count() == 1 {
            vec![(0, held)]
        } else {
            self.differing_slices(reader, &routes, &slices, &mut found).await?
        };
        if let (Some(mending), false) = (self.mending, differing.is_empty()) {
            mending.has_staging.store(true, Ordering::Relaxed);
            let (staging, plan) = mending.changed;
            self.context.while_target_answers(target.create_staging(plan, staging)).await?;
        }
        for part in parts(&slices, &differing, self.most_rows()) {
            let passed = self.compare(reader, &routes, &part, &mut found).await?;
            if slices.count() == 1 && part.pass.0 == 0 {
                found.source = passed.digest;
            }
        }
        Ok(found)
    }

    /// How many rows of the target are held in memory at once.
    fn most_rows(&self) -> u64 {
        let limits = &self.context.limits;
        (limits.memory / SHARE_OF_MEMORY / BYTES_OF_HASHES / limits.tables as u64).max(LEAST_ROWS)
    }

    async fn slices(&self, reader: &mut S::Reader, rows: u64) -> Result<Slices> {
        let Some(key) = &self.table.witness_key else { return Ok(Slices::of(rows, None)) };
        let extremes = if sample::needs_no_extremes(key) { None } else { reader.extremes(self.table, key).await? };
        Ok(Slices::of(rows, Some((key, extremes))))
    }

    /// The slices whose digests differ, each with the number of rows that the target has in it.
    async fn differing_slices(
        &self,
        reader: &mut S::Reader,
        routes: &Routes<'_>,
        slices: &Slices,
        found: &mut Found,
    ) -> Result<Vec<(usize, u64)>> {
        let mut tally = Tally(vec![TableDigest::default(); slices.count()]);
        let units = self.whole(reader).await?;
        let (passed, result) = self.read(reader, self.table, &units, routes, &mut tally, None).await?;
        found.source = passed.digest;
        found.bytes_read += passed.bytes;
        found.losses.merge(&result.losses);
        let held = self.context.target.slice_digests(self.table, self.keys, slices);
        let held = self.context.while_target_answers(held).await?;
        let both = tally.0.iter().zip(&held).enumerate();
        Ok(both.filter(|(_, (read, held))| read != held).map(|(slice, (_, held))| (slice, held.rows)).collect())
    }

    /// Compares a part row by row.
    async fn compare(
        &self,
        reader: &mut S::Reader,
        routes: &Routes<'_>,
        part: &Part<'_>,
        found: &mut Found,
    ) -> Result<Passed> {
        let hashed = self.context.target.row_hashes(self.table, self.keys, part);
        let hashed = self.context.while_target_answers(hashed).await?;
        let mut held = HashMap::with_capacity(hashed.len());
        // Where the target has a key more than once all but one are too many.
        let mut extra: Vec<u64> = Vec::new();
        extra.extend(hashed.into_iter().filter_map(|row| held.insert(row.key, row.row).map(|_| row.key)));
        let (plan, units) = self.units(reader, part).await?;
        let mut judge = Comparison { part, held, named: Named::new(self, &mut found.differences) };
        let staging = self.mending.map(|mending| (mending.changed.0, found.chunks));
        found.chunks += 1;
        let (passed, result) = self.read(reader, &plan, &units, routes, &mut judge, staging).await?;
        extra.extend(judge.held.into_keys());
        found.bytes_read += passed.bytes;
        if part.slices.count() == 1 && part.pass.0 == 0 {
            found.losses.merge(&result.losses);
        }
        found.changed.merge(result.digest);
        // A stream has a few bytes of its own.
        found.bytes_sent += if staging.is_some() && result.digest.rows > 0 { result.bytes } else { 0 };
        self.note_extra(part, &extra, found).await?;
        Ok(passed)
    }

    /// Counts, names and stages rows that only the target has.
    async fn note_extra(&self, part: &Part<'_>, extra: &[u64], found: &mut Found) -> Result<()> {
        let is_newer = |hash: &u64| self.newer.is_some_and(|newer| newer.contains(hash));
        let (newer, old): (Vec<u64>, Vec<u64>) = extra.iter().partition(|hash| is_newer(hash));
        for (hashes, newer_at_source) in [(&old, false), (&newer, true)] {
            let differences = &mut found.differences;
            differences.count(Difference::Extra, hashes.len() as u64);
            if newer_at_source {
                differences.newer_at_source = differences.newer_at_source.map(|rows| rows + hashes.len() as u64);
            }
            let room = self.limit.saturating_sub(differences.keys.len());
            let some = &hashes[..hashes.len().min(room)];
            if some.is_empty() {
                continue;
            }
            let keys = self.context.target.keys_of(self.table, self.keys, part, some);
            for key in self.context.while_target_answers(keys).await?.into_iter().take(room) {
                let key = self.named(&key);
                found.differences.keys.push(DifferingKey { what: Difference::Extra, key, newer_at_source });
            }
        }
        let Some(mending) = self.mending.filter(|_| !extra.is_empty()) else { return Ok(()) };
        if !found.has_gone {
            let (staging, plan) = mending.gone;
            let create = self.context.target.create_staging(plan, staging);
            self.context.while_target_answers(create).await?;
            found.has_gone = true;
        }
        for hashes in extra.chunks(HASHES_AT_ONCE) {
            let stage = self.context.target.stage_keys(self.table, self.keys, part, hashes, mending.gone.0);
            self.context.while_target_answers(stage).await?;
        }
        Ok(())
    }

    fn named(&self, values: &[Option<String>]) -> Message {
        let parts = self.keys.columns.iter().zip(values).map(|(column, value)| {
            Message::from(format!("{} = ", column.target)).value(value.as_deref().unwrap_or("NULL"))
        });
        message::join(parts, ", ")
    }

    /// The units of all rows.
    async fn whole(&self, reader: &mut S::Reader) -> Result<Vec<S::Unit>> {
        match self.context.source.whole(self.table) {
            Some(whole) => Ok(vec![whole]),
            None => reader.units(self.table).await,
        }
    }

    /// The units that hold a part's rows, perhaps among others, and the plan to read them by.
    async fn units(&self, reader: &mut S::Reader, part: &Part<'_>) -> Result<(TablePlan, Vec<S::Unit>)> {
        if let (Some(Scope::Ranges { ranges, .. }), Some(key)) =
            (part.slices.scope(&part.wanted), &self.table.witness_key)
        {
            let ranges = if ranges.len() > MOST_RANGES { vec![span(&ranges)] } else { ranges };
            let units: Option<Vec<S::Unit>> =
                ranges.into_iter().map(|range| self.context.source.range(range)).collect();
            if let Some(units) = units {
                return Ok((TablePlan { chunk_key: vec![key.clone()], ..self.table.clone() }, units));
            }
        }
        Ok((self.table.clone(), self.whole(reader).await?))
    }

    /// Reads units past a judge; what it keeps goes into a staging table, where there is one.
    async fn read<J: Judge>(
        &self,
        reader: &mut S::Reader,
        plan: &TablePlan,
        units: &[S::Unit],
        routes: &Routes<'_>,
        judge: &mut J,
        staging: Option<(&Staging, usize)>,
    ) -> Result<(Passed, ChunkResult)> {
        let context = self.context;
        let name = self.table.target.to_string();
        let on_rows = |rows: u64, bytes: u64| context.progress.rows(&name, rows, bytes);
        let loader = match staging {
            Some((staging, number)) => Some(context.target.open_chunk(plan, staging, number).await?),
            None => None,
        };
        let encoders = [plan, self.keys].map(|plan| context.target.encoder(plan));
        let mut passed = Passed::default();
        let router = Router::new(encoders, routes, judge, &mut passed, &on_rows);
        let mut sink = Sink::new(router, loader, &context.memory, context.limits.stall_timeout, &|_, _| {});
        for unit in units {
            reader.read(plan, unit, &mut sink).await?;
        }
        let result = sink.finish().await?;
        Ok((passed, result))
    }
}

/// From the beginning of the first range to the end of the last; they ascend.
fn span(ranges: &[Chunk]) -> Chunk {
    Chunk {
        lower: ranges.first().and_then(|range| range.lower.clone()),
        upper: ranges.last().and_then(|range| range.upper.clone()),
    }
}

/// Adds up each slice, and keeps nothing.
struct Tally(Vec<TableDigest>);

impl Judge for Tally {
    fn keeps(&mut self, row: &SeenRow<'_>) -> bool {
        if let Some(slice) = self.0.get_mut(row.slice) {
            slice.merge(row.digest);
        }
        false
    }
}

/// Holds each row of a part against what the target has under its key.
struct Comparison<'a> {
    part: &'a Part<'a>,
    /// Hashes of rows by those of their keys; what has met its like is gone.
    held: HashMap<u64, u64>,
    named: Named<'a>,
}

impl Judge for Comparison<'_> {
    fn names_keys(&self) -> bool {
        self.named.has_room()
    }

    fn keeps(&mut self, row: &SeenRow<'_>) -> bool {
        if !self.part.holds(row.slice, row.hashes.key) {
            return false;
        }
        let what = match self.held.remove(&row.hashes.key) {
            Some(held) if held == row.hashes.row => return false,
            Some(_) => Difference::Differs,
            None => Difference::Missing,
        };
        self.named.note(what, row);
        true
    }
}

/// Counts rows that differ and notes some of their keys.
struct Named<'a> {
    report: &'a mut DifferencesReport,
    newer: Option<&'a HashSet<u64>>,
    limit: usize,
    /// How many of the keys that are named are not newer at the source: those come first.
    old: usize,
}

impl<'a> Named<'a> {
    fn new<S: Source, T: Target>(search: &Search<'a, S, T>, report: &'a mut DifferencesReport) -> Self {
        let old = report.keys.iter().filter(|key| !key.newer_at_source).count();
        Self { report, newer: search.newer, limit: search.limit, old }
    }

    fn has_room(&self) -> bool {
        self.old < self.limit
    }

    fn note(&mut self, what: Difference, row: &SeenRow<'_>) {
        self.report.count(what, 1);
        let newer_at_source = self.newer.is_some_and(|newer| newer.contains(&row.hashes.key));
        if newer_at_source {
            self.report.newer_at_source = self.report.newer_at_source.map(|rows| rows + 1);
        }
        if !self.has_room() || newer_at_source && self.report.keys.len() >= self.limit {
            return;
        }
        let keys = &mut self.report.keys;
        if keys.len() >= self.limit
            && let Some(newer) = keys.iter().rposition(|key| key.newer_at_source)
        {
            keys.swap_remove(newer);
        }
        self.old += usize::from(!newer_at_source);
        keys.push(DifferingKey { what, key: row.key.clone(), newer_at_source });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::chunk::KeyValue;

    #[test]
    fn many_ranges_become_the_one_that_holds_them() {
        let bound = |value| Some(vec![KeyValue::Int(value)]);
        let range = |lower, upper| Chunk { lower, upper };
        let ranges = [range(bound(1), bound(2)), range(bound(5), bound(6)), range(bound(8), None)];
        assert_eq!(span(&ranges), range(bound(1), None));
        assert_eq!(span(&ranges[..2]), range(bound(1), bound(6)));
    }
}
