//! TPC-H's tables as the catalog shows them.

use std::sync::Arc;

use crate::instance::Instance;
use crate::session::Session;
use crate::value::SqlError;

const TABLES: &str = "
CREATE TABLE dbo.region (r_regionkey bigint NOT NULL PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152) NOT NULL);
CREATE TABLE dbo.nation (n_nationkey bigint NOT NULL PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey bigint NOT NULL, n_comment varchar(152) NOT NULL);
CREATE TABLE dbo.supplier (s_suppkey bigint NOT NULL PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey bigint NOT NULL, s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE dbo.customer (c_custkey bigint NOT NULL PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey bigint NOT NULL, c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE dbo.part (p_partkey bigint NOT NULL PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE dbo.partsupp (ps_partkey bigint NOT NULL, ps_suppkey bigint NOT NULL, ps_availqty int NOT NULL, ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE dbo.orders (o_orderkey bigint NOT NULL PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE dbo.lineitem (l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber int NOT NULL, l_quantity decimal(15,2) NOT NULL, l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
";

/// Defines the tables in a database; their rows come from the generator.
pub fn attach(instance: &Arc<Instance>, database: &str, scale: f64) -> Result<(), SqlError> {
    instance.run_script(database, TABLES).map_err(|failure| failure.error)?;
    let session = Session::internal(Arc::clone(instance), database)?;
    session.connection.execute(
        "UPDATE \"$objects\" SET tpch = ?1 WHERE type = 'U' AND schema_id = 1 AND name IN
         ('region','nation','supplier','customer','part','partsupp','orders','lineitem')",
        [scale],
    )?;
    Ok(())
}
