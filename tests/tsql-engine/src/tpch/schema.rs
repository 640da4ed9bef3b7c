//! TPC-H's tables as a SQL Server schema (TPC Benchmark H, clause 1.4).

use crate::value::{Collation, Len, SqlType};

/// The eight tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Region,
    Nation,
    Supplier,
    Customer,
    Part,
    PartSupp,
    Orders,
    LineItem,
}

impl Table {
    pub const ALL: [Table; 8] = [
        Table::Region,
        Table::Nation,
        Table::Supplier,
        Table::Customer,
        Table::Part,
        Table::PartSupp,
        Table::Orders,
        Table::LineItem,
    ];

    /// Finds a table by its name, in any case, as the collation compares.
    pub fn find(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Table::Region => "region",
            Table::Nation => "nation",
            Table::Supplier => "supplier",
            Table::Customer => "customer",
            Table::Part => "part",
            Table::PartSupp => "partsupp",
            Table::Orders => "orders",
            Table::LineItem => "lineitem",
        }
    }

    /// Places of the primary key's columns among the table's columns.
    pub fn key(self) -> &'static [usize] {
        match self {
            Table::PartSupp => &[0, 1],
            Table::LineItem => &[0, 3],
            _ => &[0],
        }
    }

    /// The statement that defines the table.
    pub fn create(self) -> String {
        let columns: Vec<String> =
            self.layout().iter().map(|(name, kind)| format!("{name} {} NOT NULL", kind.declaration())).collect();
        let key: Vec<&str> = self.key().iter().map(|at| self.layout()[*at].0).collect();
        format!("CREATE TABLE dbo.{} ({}, PRIMARY KEY ({}));", self.name(), columns.join(", "), key.join(", "))
    }

    /// Names and types, as clause 1.4.1 lists them.
    pub fn layout(self) -> &'static [(&'static str, Kind)] {
        use Kind::{Char, Date, Int, Key, Money, Text};
        match self {
            Table::Region => &[("r_regionkey", Key), ("r_name", Char(25)), ("r_comment", Text(152))],
            Table::Nation => {
                &[("n_nationkey", Key), ("n_name", Char(25)), ("n_regionkey", Key), ("n_comment", Text(152))]
            }
            Table::Supplier => &[
                ("s_suppkey", Key),
                ("s_name", Char(25)),
                ("s_address", Text(40)),
                ("s_nationkey", Key),
                ("s_phone", Char(15)),
                ("s_acctbal", Money),
                ("s_comment", Text(101)),
            ],
            Table::Customer => &[
                ("c_custkey", Key),
                ("c_name", Text(25)),
                ("c_address", Text(40)),
                ("c_nationkey", Key),
                ("c_phone", Char(15)),
                ("c_acctbal", Money),
                ("c_mktsegment", Char(10)),
                ("c_comment", Text(117)),
            ],
            Table::Part => &[
                ("p_partkey", Key),
                ("p_name", Text(55)),
                ("p_mfgr", Char(25)),
                ("p_brand", Char(10)),
                ("p_type", Text(25)),
                ("p_size", Int),
                ("p_container", Char(10)),
                ("p_retailprice", Money),
                ("p_comment", Text(23)),
            ],
            Table::PartSupp => &[
                ("ps_partkey", Key),
                ("ps_suppkey", Key),
                ("ps_availqty", Int),
                ("ps_supplycost", Money),
                ("ps_comment", Text(199)),
            ],
            Table::Orders => &[
                ("o_orderkey", Key),
                ("o_custkey", Key),
                ("o_orderstatus", Char(1)),
                ("o_totalprice", Money),
                ("o_orderdate", Date),
                ("o_orderpriority", Char(15)),
                ("o_clerk", Char(15)),
                ("o_shippriority", Int),
                ("o_comment", Text(79)),
            ],
            Table::LineItem => &[
                ("l_orderkey", Key),
                ("l_partkey", Key),
                ("l_suppkey", Key),
                ("l_linenumber", Int),
                ("l_quantity", Money),
                ("l_extendedprice", Money),
                ("l_discount", Money),
                ("l_tax", Money),
                ("l_returnflag", Char(1)),
                ("l_linestatus", Char(1)),
                ("l_shipdate", Date),
                ("l_commitdate", Date),
                ("l_receiptdate", Date),
                ("l_shipinstruct", Char(25)),
                ("l_shipmode", Char(10)),
                ("l_comment", Text(44)),
            ],
        }
    }
}

/// The specification's datatypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// "Identifier": a bigint, so that no scale factor overflows it.
    Key,
    /// "Integer".
    Int,
    /// "Decimal": decimal(15,2).
    Money,
    Date,
    /// "Fixed text", blank-padded.
    Char(u16),
    /// "Variable text".
    Text(u16),
}

impl Kind {
    fn declaration(self) -> String {
        match self {
            Kind::Key => "bigint".to_owned(),
            Kind::Int => "int".to_owned(),
            Kind::Money => "decimal(15,2)".to_owned(),
            Kind::Date => "date".to_owned(),
            Kind::Char(length) => format!("char({length})"),
            Kind::Text(length) => format!("varchar({length})"),
        }
    }

    pub fn sql_type(self) -> SqlType {
        let collation = || Collation("SQL_Latin1_General_CP1_CI_AS".to_owned());
        match self {
            Kind::Key => SqlType::BigInt,
            Kind::Int => SqlType::Int,
            Kind::Money => SqlType::Decimal { precision: 15, scale: 2 },
            Kind::Date => SqlType::Date,
            Kind::Char(len) => SqlType::Char { len, collation: collation() },
            Kind::Text(len) => SqlType::VarChar { len: Len::N(len), collation: collation() },
        }
    }
}
