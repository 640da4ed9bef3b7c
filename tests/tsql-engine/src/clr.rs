//! The stored bytes of the CLR types that SQL Server brings (MS-SSCLRT). Of geometries and geographies there are points: tests need no more.

use crate::error::unsupported;
use crate::value::SqlError;

/// The first version of the format, and what is known of a single point: it is valid, and it is one (2.1.1).
const VERSION: u8 = 1;
const VALID_SINGLE_POINT: u8 = 0x04 | 0x08;

/// The bytes of a value of the type `name`, which is kept as text: a path, or an SRID, a semicolon and well-known text.
pub fn bytes(kept: &[u8], name: &str) -> Result<Vec<u8>, SqlError> {
    let text = String::from_utf8_lossy(kept);
    if name == "hierarchyid" {
        return crate::hierarchy::bytes(&text);
    }
    point(&text, name == "geography").ok_or_else(|| unsupported(&format!("the bytes of the {name} {text}")))
}

/// A geography's latitude comes before its longitude; well-known text has them the other way round.
fn point(text: &str, is_geography: bool) -> Option<Vec<u8>> {
    let (srid, shape) = text.split_once(';')?;
    let numbers = shape.trim().strip_prefix("POINT")?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (x, y) = numbers.split_once(' ')?;
    let (x, y): (f64, f64) = (x.trim().parse().ok()?, y.trim().parse().ok()?);
    let (first, second) = if is_geography { (y, x) } else { (x, y) };
    let mut out = srid.trim().parse::<i32>().ok()?.to_le_bytes().to_vec();
    out.extend_from_slice(&[VERSION, VALID_SINGLE_POINT]);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&second.to_le_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_stored_as_documented() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let shown = bytes(b"4326;POINT (-122.349 47.651)", "geography").unwrap();
        assert_eq!(hex(shown), "E6100000010C17D9CEF753D347407593180456965EC0");
        let shown = bytes(b"0;POINT (1 2)", "geometry").unwrap();
        assert_eq!(hex(shown), "00000000010C000000000000F03F0000000000000040");
        assert!(bytes(b"0;LINESTRING (0 0, 1 1)", "geometry").is_err());
    }
}
