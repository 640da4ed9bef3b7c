//! Generates the rows of key ranges, beginning near the first of them.

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSupp, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use super::cells::{
    Cells, CustomerCells, LineItemCells, NationCells, OrderCells, PartCells, RegionCells, SupplierCells,
};
use super::keys::{places, span};
use super::overlay::Overlay;
use super::schema::Table;
use super::segment::Segment;
use crate::value::Flow;

/// Places in one part of the generator, about. A read generates up to so many rows in vain before its first; each part
/// costs a few microseconds to set up.
const PART_PLACES: i64 = 512;

/// Takes the rows of a scan; generic, so that each table's cells are compiled in line.
pub(super) trait Visitor {
    fn row(&mut self, row: &impl Cells) -> Flow;
}

/// Hands out the rows of the segments in key order until the visitor stops it.
pub(super) fn scan(
    table: Table,
    scale: f64,
    segments: &[Segment],
    overlay: &Overlay,
    visitor: &mut impl Visitor,
) -> Flow {
    let wanted = Pass { segments, overlay };
    let places = places(table, scale);
    // The generator divides evenly and gives the last part the remainder; it does not divide nation and region.
    let parts = if matches!(table, Table::Region | Table::Nation) { 1 } else { (places / PART_PLACES).max(1) };
    let each = (places / parts).max(1);
    let part_of = |place: i64| (place / each).min(parts - 1);

    let mut rest = segments;
    let mut next = 0;
    while let Some(segment) = rest.first() {
        let span = span(table, segment, places);
        let first = part_of(span.start).max(next);
        let last = if span.is_empty() { -1 } else { part_of(span.end - 1) };
        if first > last {
            rest = &rest[1..];
            continue;
        }
        // The part may reach into later segments: those take their rows of it now, and go on after it.
        if part(table, scale, first as i32 + 1, parts as i32, wanted, visitor) == Flow::Stop {
            return Flow::Stop;
        }
        next = first + 1;
    }
    Flow::Continue
}

/// What is wanted of the generator's rows, and what stands for some of them.
#[derive(Clone, Copy)]
struct Pass<'a> {
    segments: &'a [Segment],
    overlay: &'a Overlay,
}

fn part(table: Table, scale: f64, part: i32, parts: i32, wanted: Pass<'_>, visitor: &mut impl Visitor) -> Flow {
    match table {
        Table::Region => pass(RegionGenerator::new(scale, part, parts).iter().map(RegionCells::from), wanted, visitor),
        Table::Nation => pass(NationGenerator::new(scale, part, parts).iter().map(NationCells::from), wanted, visitor),
        Table::Supplier => {
            pass(SupplierGenerator::new(scale, part, parts).iter().map(SupplierCells::from), wanted, visitor)
        }
        Table::Customer => {
            pass(CustomerGenerator::new(scale, part, parts).iter().map(CustomerCells::from), wanted, visitor)
        }
        Table::Part => pass(PartGenerator::new(scale, part, parts).iter().map(PartCells::from), wanted, visitor),
        Table::PartSupp => pass(BySupplier::new(PartSuppGenerator::new(scale, part, parts).iter()), wanted, visitor),
        Table::Orders => pass(OrderGenerator::new(scale, part, parts).iter().map(OrderCells::from), wanted, visitor),
        Table::LineItem => {
            pass(LineItemGenerator::new(scale, part, parts).iter().map(LineItemCells::from), wanted, visitor)
        }
    }
}

/// Passes on the rows that the segments admit; both come in key order.
fn pass<R: Cells>(rows: impl Iterator<Item = R>, wanted: Pass<'_>, visitor: &mut impl Visitor) -> Flow {
    let mut segments = wanted.segments.iter();
    let Some(mut segment) = segments.next() else { return Flow::Continue };
    for row in rows {
        let key = row.key();
        while key[0] > segment.high {
            match segments.next() {
                Some(following) => segment = following,
                None => return Flow::Continue,
            }
        }
        if key[0] < segment.low || !segment.admits(key) {
            continue;
        }
        let flow = match wanted.overlay.changed(key) {
            Some(changed) => visitor.row(changed),
            None => visitor.row(&row),
        };
        if flow == Flow::Stop {
            return Flow::Stop;
        }
    }
    Flow::Continue
}

/// The suppliers of each part in key order; the generator has them in another.
struct BySupplier<I> {
    rows: I,
    /// Of one part, the last first.
    group: Vec<PartSupp<'static>>,
}

impl<I: Iterator<Item = PartSupp<'static>>> BySupplier<I> {
    fn new(rows: I) -> Self {
        BySupplier { rows, group: Vec::with_capacity(4) }
    }
}

impl<I: Iterator<Item = PartSupp<'static>>> Iterator for BySupplier<I> {
    type Item = PartSupp<'static>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.group.is_empty() {
            // Clause 4.2.3: four suppliers a part; the generator's parts never cut a group.
            self.group.extend(self.rows.by_ref().take(4));
            self.group.sort_unstable_by_key(|row| std::cmp::Reverse(row.ps_suppkey));
        }
        self.group.pop()
    }
}
