//! What travels from a source to a target: cells, their text, ranges of keys, the encoder's contract and the digest. Pure.

pub mod cell;
pub mod chunk;
pub mod digest;
pub mod encode;
pub mod message;
pub mod text;
