//! How a server is reached: addresses, passwords that may be rotated, TLS failures, outages, retries. Knows no driver.

pub mod dial;
pub mod login;
pub mod password;
pub mod reach;
pub mod relay;
pub mod retry;
pub mod tls;
