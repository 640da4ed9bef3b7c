//! How a server is reached: passwords that may be rotated, TLS failures, retries. Knows no driver.

pub mod login;
pub mod password;
pub mod retry;
pub mod tls;
