//! What the source's own engine says of a table, to hold against what the target has.
//!
//! Both digests begin at the bytes that the job encoded, so that neither finds a value that the job read wrongly. The witness does:
//! the source adds up its columns itself, by functions that the target knows, too, and the sums are compared before the swap.
//! Everything here is pure: [`plan`] decides what is asked of which column, [`sample`] of which rows, [`compare`] what the answers
//! mean. Each side renders the questions in its own SQL.

pub mod compare;
#[cfg(test)]
pub mod fixture;
pub mod plan;
pub mod sample;

pub use compare::{Difference, Outcome, Silence, Summary, Testimony};
pub use plan::{Aggregate, Content, Plan, Question, Subject};
pub use sample::{Scope, Turn};

/// Sums of wide decimals are made of remainders, since SQL Server's sums end at 38 digits: the values modulo this prime, in units of
/// their last digit.
pub const MODULUS: u64 = 999_999_937;

/// Where a server has no hash of long text, these characters of each (counting from 1) are added up, each times its place: a code page
/// that was swapped for another shows in letters beyond ASCII, wherever in a short text they are.
pub const PLACES: [u32; 12] = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48];

/// Before SQL Server 2016 HASHBYTES takes so many bytes at most ("HASHBYTES (Transact-SQL)"): of longer values their beginning is hashed.
pub const HASHED_BYTES: u32 = 8_000;

/// Expressions that one SELECT may have: PostgreSQL allows 1,664, SQL Server and MySQL 4,096.
pub const QUESTIONS_AT_ONCE: usize = 1_000;

/// Seconds from 0001-01-01 to 1970-01-01.
pub const SECONDS_TO_1970: i64 = 62_135_596_800;

/// An answer as both sides spell it, NULL where nothing was added up.
pub type Answer = Option<String>;

/// A number without signs and zeros that say nothing: `-0.00` is `0`, `1.50` is `1.5`.
pub fn canonical(number: &str) -> String {
    let number = number.trim();
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A double, so that two of the same value are spelt alike; of the zeros both engines may show either.
pub fn canonical_float(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:e}") }
}

/// The modulus as a decimal of this scale.
pub fn modulus(scale: u8) -> String {
    crate::rows::cell::decimal_text(i128::from(MODULUS), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_spelt_in_one_way() {
        for (found, expected) in [
            ("-0.00", "0"),
            ("+1.50", "1.5"),
            ("007", "7"),
            ("-.5", "-0.5"),
            ("0", "0"),
            ("100", "100"),
            ("-10.0", "-10"),
        ] {
            assert_eq!(canonical(found), expected, "{found}");
        }
        assert_eq!(canonical_float(-0.0), canonical_float(0.0));
        assert_ne!(canonical_float(0.1), canonical_float(f64::from(0.1_f32)));
    }

    #[test]
    fn the_modulus_has_the_units_of_the_last_digit() {
        assert_eq!(modulus(0), "999999937");
        assert_eq!(modulus(4), "99999.9937");
        assert_eq!(modulus(38), "0.00000000000000000000000000000999999937");
    }
}
