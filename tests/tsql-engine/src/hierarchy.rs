//! The stored bytes of hierarchyid paths, as MS-SSCLRT 2.1 has them. Only what tests need is here: labels from 0 to 15.

use crate::error::unsupported;
use crate::value::SqlError;

/// The bytes of a path such as `/1/2/`: for each label a prefix that tells its range, its bits, and a 1 that ends the level.
pub fn bytes(path: &str) -> Result<Vec<u8>, SqlError> {
    let mut bits: Vec<bool> = Vec::new();
    let mut push = |value: u16, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    for label in path.split('/').filter(|label| !label.is_empty()) {
        match label.parse::<u16>() {
            Ok(number @ 0..4) => push(0b01 << 2 | number, 4),
            Ok(number @ 4..8) => push(0b100 << 2 | (number - 4), 5),
            Ok(number @ 8..16) => push(0b101 << 3 | (number - 8), 6),
            _ => return Err(unsupported(&format!("the bytes of the hierarchyid {path}"))),
        }
        push(1, 1);
    }
    Ok(bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | u8::from(*bit) << (7 - at)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the results that "Tutorial: Using the hierarchyid data type" shows.
    #[test]
    fn bytes_are_those_of_the_tutorial() {
        let known: [(&str, &[u8]); 6] = [
            ("/", &[]),
            ("/1/", &[0x58]),
            ("/2/", &[0x68]),
            ("/1/1/", &[0x5A, 0xC0]),
            ("/2/4/", &[0x6C, 0x20]),
            ("/2/8/", &[0x6D, 0x10]),
        ];
        for (path, expected) in known {
            assert_eq!(bytes(path), Ok(expected.to_vec()), "{path}");
        }
        assert!(bytes("/16/").is_err());
    }
}
