//! What a run leaves behind, whoever writes it: the job, or the launcher where the job could not.
//!
//! [`store`] keeps a [`record::Record`] of each run and decides whose [`record::Notification`] is the one that people get;
//! [`notify`] sends that one, and [`notice`] is its text and its way to SNS; [`cloud`] holds the settings that every AWS client here is made with.

pub mod cloud;
pub mod notice;
pub mod notify;
pub mod record;
pub mod store;
