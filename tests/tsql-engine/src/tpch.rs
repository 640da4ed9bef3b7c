//! The TPC-H tables, generated once and kept like any other rows.

use std::fmt::Display;
use std::sync::Arc;

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, RegionGenerator,
    SupplierGenerator,
};

use crate::instance::{Instance, ScriptError};
use crate::storage::{Database, Row};
use crate::value::{Collation, Len, SqlError, SqlType, Value};

/// Columns as TPC-H has them (specification, 1.4), keys of orders wide enough for every scale.
const SCHEMA: &str = "\
CREATE TABLE region (r_regionkey int NOT NULL PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152) NOT NULL)
CREATE TABLE nation (n_nationkey int NOT NULL PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152) NOT NULL)
CREATE TABLE supplier (s_suppkey int NOT NULL PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
  s_nationkey int NOT NULL, s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL)
CREATE TABLE customer (c_custkey int NOT NULL PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
  c_nationkey int NOT NULL, c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL)
CREATE TABLE part (p_partkey int NOT NULL PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
  p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL)
CREATE TABLE partsupp (ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL, ps_supplycost decimal(15,2) NOT NULL,
  ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey))
CREATE TABLE orders (o_orderkey bigint NOT NULL PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL,
  o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
  o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL)
CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL,
  l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL,
  l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
  l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber))";

impl Instance {
    /// Fills a database with the eight tables at this scale (1 is about 6 million line items).
    pub fn load_tpch(self: &Arc<Self>, database: &str, scale: f64) -> Result<(), ScriptError> {
        self.run_script(database, SCHEMA)?;
        let failed = |error| ScriptError { line: 1, error };
        self.fill(database, "region", RegionGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "nation", NationGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "supplier", SupplierGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "customer", CustomerGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "part", PartGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "partsupp", PartSuppGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "orders", OrderGenerator::new(scale, 1, 1).iter()).map_err(failed)?;
        self.fill(database, "lineitem", LineItemGenerator::new(scale, 1, 1).iter()).map_err(failed)
    }

    /// Rows from the generator's own text form: fields between bars.
    fn fill(&self, database: &str, table: &str, rows: impl Iterator<Item = impl Display>) -> Result<(), SqlError> {
        let key = Database::key("dbo", table);
        let state = self.database(database)?;
        let columns = state.tables.get(&key).map(|table| table.columns.clone()).unwrap_or_default();
        let mut filled: Vec<Row> = Vec::new();
        for row in rows {
            let text = row.to_string();
            let fields = text.trim_end_matches('|').split('|').zip(&columns);
            filled.push(fields.map(|(field, column)| parse(field, &column.declared.sql_type)).collect::<Result<Vec<_>, _>>()?.into());
        }
        self.change(database, |database| {
            if let Some(table) = database.tables.get_mut(&key) {
                table.rows = Arc::new(filled);
            }
            Ok(())
        })
    }
}

fn parse(field: &str, kind: &SqlType) -> Result<Value<'static>, SqlError> {
    let text = SqlType::VarChar { len: Len::Max, collation: Collation::default() };
    crate::convert::convert(Value::VarChar(field.as_bytes().to_vec().into()), &text, kind, None)
}
