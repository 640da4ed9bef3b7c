//! A whole run: plan, lease, views of the source, the pipeline of tables and chunks, the report.

mod deadline;
pub mod id;
pub mod job;
pub mod pipeline;
mod resume;
mod views;
