//! What the TOML reader says, in the words of someone who writes job files.

/// A reader's message at a dotted path as `source.hots: unknown key; did you mean "host"? allowed: …`.
pub(super) fn explain(path: &str, message: &str) -> String {
    let words: Vec<&str> = message.split('`').collect();
    // The reader puts each name between backquotes, so that every second piece is one.
    let names = || words.iter().skip(3).step_by(2).copied().collect::<Vec<&str>>();
    match words.as_slice() {
        ["unknown field ", found, _, ..] => unknown_key(path, found, &names()),
        ["missing field ", missing, ..] if path == "." => format!("{missing}: this key is required"),
        ["missing field ", missing, ..] => format!("{path}.{missing}: this key is required"),
        ["unknown variant ", found, _, ..] => {
            let allowed = names();
            let listed: Vec<String> = allowed.iter().map(|name| format!("{name:?}")).collect();
            format!("{path}: found {found:?};{} allowed: {}", hint(found, &allowed), listed.join(", "))
        }
        // Where one of several words is wanted the reader does not say what it found.
        ["wanted string or table"] => format!("{path}: a text between quotes is expected"),
        _ => wrong_type(path, message),
    }
}

fn unknown_key(path: &str, found: &str, allowed: &[&str]) -> String {
    let parent = path.strip_suffix(found).unwrap_or(path).trim_end_matches('.');
    let place = if parent.is_empty() || parent == "." { found.to_owned() } else { format!("{parent}.{found}") };
    if found == "password" {
        return format!("{place}: a job file holds no passwords; use password_env or password_file");
    }
    format!("{place}: unknown key;{} allowed: {}", hint(found, allowed), allowed.join(", "))
}

/// `invalid type: string "four", expected usize` without the names of Rust's types.
fn wrong_type(path: &str, message: &str) -> String {
    let parts = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = parts else { return format!("{path}: {message}") };
    let found = if found == "map" { "a table".to_owned() } else { found.replace('`', "") };
    let expected = match expected {
        // Each width of integer serves one kind of key: readers and tables, percentages, ports, retries, chunk_rows.
        "usize" => "a whole number from 1 to 64",
        "u8" => "a whole number from 0 to 100",
        "u16" => "a whole number from 1 to 65535",
        "u32" => "a whole number, 0 or more",
        "u64" => "a whole number, 1 or more",
        "a string" => "a text between quotes",
        "a boolean" => "true or false",
        "a sequence" if path == "table" => "[[table]], with two brackets",
        "a sequence" => "a list such as [\"a\", \"b\"]",
        other => other,
    };
    format!("{path}: found {found}; expected {expected}")
}

fn hint(found: &str, allowed: &[&str]) -> String {
    nearest(found, allowed).map(|near| format!(" did you mean {near:?}?")).unwrap_or_default()
}

fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let (distance, best) = allowed.iter().map(|word| (distance(found, word), *word)).min()?;
    (distance <= 2.max(found.len() / 3)).then_some(best)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
