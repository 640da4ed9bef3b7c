//! A whole run: plan, lease, snapshots, the pipeline of tables and chunks, the report.

mod deadline;
pub mod id;
pub mod job;
pub mod pipeline;
mod snapshots;
