//! Names of runs.

use chrono::Utc;

/// A run's name: when it began, and something that two runs of one second do not share.
pub fn new_run_id() -> String {
    format!("{}-{:04x}", Utc::now().format("%Y%m%dT%H%M%SZ"), rand::random::<u16>())
}

/// Whether a text is a run's name: one of [`new_run_id`], of the launcher (a time or `manual`, and a part of a hash), or an
/// instance's id.
pub(super) fn is_run_id(text: &str) -> bool {
    let Some((start, end)) = text.split_once('-') else { return false };
    let is_hex = |lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&end.len()) && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_time = start.len() == 16
        && start.bytes().zip(b"00000000T000000Z").all(|(found, logical)| match logical {
            b'0' => found.is_ascii_digit(),
            other => found == *other,
        });
    match start {
        "manual" => is_hex(12..=12),
        "i" => is_hex(8..=17),
        _ => is_time && is_hex(4..=8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_told_from_names_that_go_on() {
        for name in [&new_run_id(), "20261120T040000Z-04666cb6", "manual-aad59cbcf41c", "i-712ad0874196df8a6"] {
            assert!(is_run_id(name), "{name}");
        }
        assert!(!is_run_id("manual-orders") && !is_run_id("i-will"));
        assert!(!is_run_id("eu_20261121T021603Z-00ff") && !is_run_id(""));
    }
}
