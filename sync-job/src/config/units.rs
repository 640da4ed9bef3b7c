//! Durations and sizes as people write them.

use std::time::Duration;

/// `250ms`, `30s`, `5m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(total) if total > 0 => Ok(Duration::from_millis(total)),
        _ => Err(format!("{text:?} is not a duration; write a number and ms, s, m, h or d, such as \"30s\"")),
    }
}

/// `512KiB`, `256MiB`, `1GiB`, or their decimal cousins KB, MB, GB.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let bytes = match unit.to_lowercase().as_str() {
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes)) {
        Some(total) if total > 0 => Ok(total),
        _ => Err(format!("{text:?} is not a size; write a number and KiB, MiB or GiB, such as \"256MiB\"")),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2 h").unwrap(), Duration::from_hours(2));
        assert_eq!(size("256MiB").unwrap(), 256 << 20);
        for bad in ["", "5", "s", "0s", "1.5h", "-3s", "99999999999999999999s", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(size("12").is_err());
    }
}
