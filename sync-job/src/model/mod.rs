//! What every other module speaks of: schemas, facts about servers, failures. Pure.

pub mod error;
pub mod facts;
pub mod human;
pub mod schema;
pub mod secret;
