//! Where keys lie: from key to place in the generator's order and back, without generating rows.

use std::ops::ControlFlow;

use tpchgen::generators::{
    CustomerGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, PartSuppGeneratorIterator, SupplierGenerator,
};

use super::schema::Table;
use super::segment::Segment;

/// Both columns of a primary key; the second is 0 where the key has one.
pub(super) type Key = [i64; 2];

/// Places of the leading key: the generator counts orders for lineitem and parts for partsupp.
pub(super) fn places(table: Table, scale: f64) -> i64 {
    match table {
        Table::Region => 5,
        Table::Nation => 25,
        Table::Supplier => SupplierGenerator::calculate_row_count(scale, 1, 1),
        Table::Customer => CustomerGenerator::calculate_row_count(scale, 1, 1),
        Table::Part => PartGenerator::calculate_row_count(scale, 1, 1),
        Table::PartSupp => PartSuppGenerator::calculate_row_count(scale, 1, 1),
        Table::Orders | Table::LineItem => OrderGenerator::calculate_row_count(scale, 1, 1),
    }
}

/// The leading key at a place.
pub(super) fn key_at(table: Table, place: i64) -> i64 {
    match table {
        Table::Region | Table::Nation => place,
        Table::Orders | Table::LineItem => OrderGenerator::make_order_key(place + 1),
        _ => place + 1,
    }
}

/// The first place whose leading key is `key` or more, of `places`.
pub(super) fn place_of(table: Table, key: i64, places: i64) -> i64 {
    let place = match table {
        Table::Region | Table::Nation => key,
        // Clause 4.2.3: the first 8 of every 32 keys are in use, beginning with key 1.
        Table::Orders | Table::LineItem => (key >> 5).saturating_mul(8).saturating_add((key & 31).min(8) - 1),
        _ => key.saturating_sub(1),
    };
    place.clamp(0, places)
}

/// The places of a segment's keys.
pub(super) fn span(table: Table, segment: &Segment, places: i64) -> std::ops::Range<i64> {
    let start = place_of(table, segment.low, places);
    let end = segment.high.checked_add(1).map_or(places, |after| place_of(table, after, places));
    start..end.max(start)
}

/// The suppliers of a part in key order (the generator's own order is another).
pub(super) fn suppliers(part: i64, scale: f64) -> [i64; 4] {
    let mut keys = [0, 1, 2, 3].map(|number| PartSuppGeneratorIterator::select_part_supplier(part, number, scale));
    keys.sort_unstable();
    keys
}

/// Hands out every key of the segments in key order.
pub(super) fn each(
    table: Table,
    scale: f64,
    segments: &[Segment],
    mut visit: impl FnMut(Key) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let places = places(table, scale);
    for segment in segments {
        let span = span(table, segment, places);
        let mut checked = |key: Key| if segment.admits(key) { visit(key) } else { ControlFlow::Continue(()) };
        match table {
            Table::LineItem => {
                let mut lines = OrderGenerator::create_line_count_random();
                lines.advance_rows(span.start);
                for place in span {
                    let order = key_at(table, place);
                    for line in 1..=i64::from(lines.next_value()) {
                        checked([order, line])?;
                    }
                    lines.row_finished();
                }
            }
            Table::PartSupp => {
                for place in span {
                    let part = key_at(table, place);
                    for supplier in suppliers(part, scale) {
                        checked([part, supplier])?;
                    }
                }
            }
            _ => {
                for place in span {
                    checked([key_at(table, place), 0])?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

/// Rows of a table, exactly.
pub(super) fn count(table: Table, scale: f64) -> u64 {
    let places = places(table, scale);
    let rows = match table {
        Table::LineItem => {
            let mut lines = OrderGenerator::create_line_count_random();
            let mut rows = 0;
            for _ in 0..places {
                rows += i64::from(lines.next_value());
                lines.row_finished();
            }
            rows
        }
        Table::PartSupp => places * 4,
        _ => places,
    };
    rows as u64
}
