//! Numbers as people read them.

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `4.1 M`, `950`.
pub fn short_count(number: u64) -> String {
    match number {
        0..10_000 => count(number),
        10_000..1_000_000 => format!("{:.0} k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.1} G", number as f64 / 1e9),
    }
}

/// `12.3 MiB`, `240 MiB`: three digits, so that a column of sizes stays narrow.
pub fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if value < 99.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `0.42s`, `12.3s`, `3m12s`, `2h05m`.
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if seconds < 1.0 {
        format!("{seconds:.2}s")
    } else if whole < 60 {
        format!("{seconds:.1}s")
    } else if whole < 3600 {
        format!("{}m{:02}s", whole / 60, whole % 60)
    } else {
        format!("{}h{:02}m", whole / 3600, whole / 60 % 60)
    }
}

/// Wraps words at `width`, each line after `indent`.
pub fn wrap(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = String::from(indent);
    for word in text.split_whitespace() {
        let empty = line.len() == indent.len();
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(&line);
            out.push('\n');
            line = String::from(indent);
        } else if !empty {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&line);
    out
}

/// Wrapped text whose first line starts with `first` and whose further ones start with `rest`, as wide as `first`.
pub fn hanging(first: &str, text: &str, rest: &str, width: usize) -> String {
    let wrapped = wrap(text, rest, width);
    format!("{first}{}", wrapped.strip_prefix(rest).unwrap_or(&wrapped))
}

/// `1 table`, `12 tables`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(short_count(4_123_456), "4.1 M");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1000 << 20), "1.0 GiB");
        assert_eq!(bytes(240 << 20), "240 MiB");
        assert_eq!(seconds(192.4), "3m12s");
        assert_eq!(seconds(0.417), "0.42s");
        assert_eq!(seconds(7500.0), "2h05m");
    }

    #[test]
    fn wrapping_keeps_every_word() {
        let text = "one two three four five";
        let wrapped = wrap(text, "  ", 10);
        assert!(wrapped.lines().all(|line| line.len() <= 10 && line.starts_with("  ")));
        assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>().join(" "), text);
    }
}
