//! What every other module speaks of: schemas, facts about servers, failures. Pure.

pub(crate) mod code;
pub mod error;
pub mod facts;
pub mod human;
pub mod logical;
pub mod loss;
pub mod position;
pub mod read;
pub mod run_state;
pub mod schema;
pub mod secret;
pub mod stage;
pub mod state;
