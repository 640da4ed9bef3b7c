//! Proof that a copy is right, and the only maker of the [`ticket::SwapTicket`] that a swap needs. Pure.

pub mod slices;
pub mod ticket;
pub mod verdict;
pub mod witness;
