//! A server that speaks TDS 7.4 to any client, for tests and the demo. The SQL is answered by `tsql-engine`.
//!
//! [`server`] takes connections, one thread each; [`connection`] is the way to a login, [`request`] the conversation after it;
//! [`login`], [`rpc`], [`bulk`] and [`types`] are the parts of the protocol (MS-TDS), [`packet`] and [`tls`] what carries
//! them.

pub mod answers;
pub mod bulk;
pub mod connection;
pub mod control;
pub mod faults;
pub mod login;
pub mod packet;
pub mod read;
pub mod request;
pub mod response;
pub mod rpc;
pub mod server;
pub mod tls;
pub mod transaction;
pub mod types;
pub mod values;
