//! The generator's rows as cells. Text that the generator only formats is written into the row itself, not on the heap.

use std::borrow::Cow;
use std::fmt::{self, Write};

use tpchgen::dates::TPCHDate;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{Customer, LineItem, Nation, Order, Part, PartSupp, Region, Supplier};

use super::keys::Key;
use crate::value::Value;

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_162;

/// A row whose cells can be read by their place in the table.
pub(super) trait Cells {
    fn key(&self) -> Key;
    /// The cell at a place that the table has.
    fn cell(&self, at: usize) -> Value<'_>;
}

/// Text of at most `N` bytes.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// Variable-length text.
    fn of(value: &impl fmt::Display) -> Self {
        let mut text = Text { bytes: [b' '; N], len: 0 };
        // The only error is text longer than its column, which the specification rules out; it would come out cut.
        let _ = write!(text, "{value}");
        text
    }

    /// Fixed-length text: blank-padded to the column's length.
    fn padded(value: &impl fmt::Display) -> Self {
        Text { len: N, ..Text::of(value) }
    }

    /// As [`Text::padded`], without the formatting machinery.
    fn padded_str(value: &str) -> Self {
        let mut bytes = [b' '; N];
        for (to, from) in bytes.iter_mut().zip(value.as_bytes()) {
            *to = *from;
        }
        Text { bytes, len: N }
    }

    fn cell(&self) -> Value<'_> {
        Value::VarChar(Cow::Borrowed(&self.bytes[..self.len]))
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = self.len + piece.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(piece.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn text(value: &str) -> Value<'_> {
    Value::VarChar(Cow::Borrowed(value.as_bytes()))
}

fn money(value: TPCHDecimal) -> Value<'static> {
    Value::Decimal { value: i128::from(value.into_inner()), scale: 2 }
}

fn date(value: TPCHDate) -> Value<'static> {
    Value::Date((value.to_unix_epoch() + DAYS_TO_1970) as u32)
}

pub(super) struct LineItemCells<'a> {
    row: LineItem<'a>,
    instruct: Text<25>,
    mode: Text<10>,
}

impl<'a> From<LineItem<'a>> for LineItemCells<'a> {
    fn from(row: LineItem<'a>) -> Self {
        let (instruct, mode) = (Text::padded_str(row.l_shipinstruct), Text::padded_str(row.l_shipmode));
        LineItemCells { row, instruct, mode }
    }
}

impl Cells for LineItemCells<'_> {
    #[inline]
    fn key(&self) -> Key {
        [self.row.l_orderkey, i64::from(self.row.l_linenumber)]
    }

    #[inline]
    fn cell(&self, at: usize) -> Value<'_> {
        let row = &self.row;
        match at {
            0 => Value::BigInt(row.l_orderkey),
            1 => Value::BigInt(row.l_partkey),
            2 => Value::BigInt(row.l_suppkey),
            3 => Value::Int(row.l_linenumber),
            // The generator's quantities are whole; the column is decimal(15,2).
            4 => Value::Decimal { value: i128::from(row.l_quantity * 100), scale: 2 },
            5 => money(row.l_extendedprice),
            6 => money(row.l_discount),
            7 => money(row.l_tax),
            8 => text(row.l_returnflag),
            9 => text(row.l_linestatus),
            10 => date(row.l_shipdate),
            11 => date(row.l_commitdate),
            12 => date(row.l_receiptdate),
            13 => self.instruct.cell(),
            14 => self.mode.cell(),
            _ => text(row.l_comment),
        }
    }
}

pub(super) struct OrderCells<'a> {
    row: Order<'a>,
    priority: Text<15>,
    clerk: Text<15>,
}

impl<'a> From<Order<'a>> for OrderCells<'a> {
    fn from(row: Order<'a>) -> Self {
        let (priority, clerk) = (Text::padded_str(row.o_orderpriority), Text::padded(&row.o_clerk));
        OrderCells { row, priority, clerk }
    }
}

impl Cells for OrderCells<'_> {
    fn key(&self) -> Key {
        [self.row.o_orderkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        let row = &self.row;
        match at {
            0 => Value::BigInt(row.o_orderkey),
            1 => Value::BigInt(row.o_custkey),
            2 => text(row.o_orderstatus.as_str()),
            3 => money(row.o_totalprice),
            4 => date(row.o_orderdate),
            5 => self.priority.cell(),
            6 => self.clerk.cell(),
            7 => Value::Int(row.o_shippriority),
            _ => text(row.o_comment),
        }
    }
}

impl Cells for PartSupp<'_> {
    fn key(&self) -> Key {
        [self.ps_partkey, self.ps_suppkey]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        match at {
            0 => Value::BigInt(self.ps_partkey),
            1 => Value::BigInt(self.ps_suppkey),
            2 => Value::Int(self.ps_availqty),
            3 => money(self.ps_supplycost),
            _ => text(self.ps_comment),
        }
    }
}

pub(super) struct PartCells<'a> {
    row: Part<'a>,
    name: Text<55>,
    manufacturer: Text<25>,
    brand: Text<10>,
    container: Text<10>,
}

impl<'a> From<Part<'a>> for PartCells<'a> {
    fn from(row: Part<'a>) -> Self {
        PartCells {
            name: Text::of(&row.p_name),
            manufacturer: Text::padded(&row.p_mfgr),
            brand: Text::padded(&row.p_brand),
            container: Text::padded_str(row.p_container),
            row,
        }
    }
}

impl Cells for PartCells<'_> {
    fn key(&self) -> Key {
        [self.row.p_partkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        let row = &self.row;
        match at {
            0 => Value::BigInt(row.p_partkey),
            1 => self.name.cell(),
            2 => self.manufacturer.cell(),
            3 => self.brand.cell(),
            4 => text(row.p_type),
            5 => Value::Int(row.p_size),
            6 => self.container.cell(),
            7 => money(row.p_retailprice),
            _ => text(row.p_comment),
        }
    }
}

pub(super) struct CustomerCells<'a> {
    row: Customer<'a>,
    name: Text<25>,
    address: Text<40>,
    phone: Text<15>,
    segment: Text<10>,
}

impl<'a> From<Customer<'a>> for CustomerCells<'a> {
    fn from(row: Customer<'a>) -> Self {
        CustomerCells {
            name: Text::of(&row.c_name),
            address: Text::of(&row.c_address),
            phone: Text::padded(&row.c_phone),
            segment: Text::padded_str(row.c_mktsegment),
            row,
        }
    }
}

impl Cells for CustomerCells<'_> {
    fn key(&self) -> Key {
        [self.row.c_custkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        let row = &self.row;
        match at {
            0 => Value::BigInt(row.c_custkey),
            1 => self.name.cell(),
            2 => self.address.cell(),
            3 => Value::BigInt(row.c_nationkey),
            4 => self.phone.cell(),
            5 => money(row.c_acctbal),
            6 => self.segment.cell(),
            _ => text(row.c_comment),
        }
    }
}

pub(super) struct SupplierCells {
    row: Supplier,
    name: Text<25>,
    address: Text<40>,
    phone: Text<15>,
}

impl From<Supplier> for SupplierCells {
    fn from(row: Supplier) -> Self {
        SupplierCells {
            name: Text::padded(&row.s_name),
            address: Text::of(&row.s_address),
            phone: Text::padded(&row.s_phone),
            row,
        }
    }
}

impl Cells for SupplierCells {
    fn key(&self) -> Key {
        [self.row.s_suppkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        let row = &self.row;
        match at {
            0 => Value::BigInt(row.s_suppkey),
            1 => self.name.cell(),
            2 => self.address.cell(),
            3 => Value::BigInt(row.s_nationkey),
            4 => self.phone.cell(),
            5 => money(row.s_acctbal),
            _ => text(&row.s_comment),
        }
    }
}

pub(super) struct NationCells<'a> {
    row: Nation<'a>,
    name: Text<25>,
}

impl<'a> From<Nation<'a>> for NationCells<'a> {
    fn from(row: Nation<'a>) -> Self {
        NationCells { name: Text::padded_str(row.n_name), row }
    }
}

impl Cells for NationCells<'_> {
    fn key(&self) -> Key {
        [self.row.n_nationkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        match at {
            0 => Value::BigInt(self.row.n_nationkey),
            1 => self.name.cell(),
            2 => Value::BigInt(self.row.n_regionkey),
            _ => text(self.row.n_comment),
        }
    }
}

pub(super) struct RegionCells<'a> {
    row: Region<'a>,
    name: Text<25>,
}

impl<'a> From<Region<'a>> for RegionCells<'a> {
    fn from(row: Region<'a>) -> Self {
        RegionCells { name: Text::padded_str(row.r_name), row }
    }
}

impl Cells for RegionCells<'_> {
    fn key(&self) -> Key {
        [self.row.r_regionkey, 0]
    }

    fn cell(&self, at: usize) -> Value<'_> {
        match at {
            0 => Value::BigInt(self.row.r_regionkey),
            1 => self.name.cell(),
            _ => text(self.row.r_comment),
        }
    }
}
