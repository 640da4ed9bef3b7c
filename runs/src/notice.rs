//! The one message that people get of a run, and its way to SNS.

use aws_config::SdkConfig;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::{Value, json};

use crate::cloud;

/// SNS takes 256 KiB for the message in all its forms (Publish, API reference); the rest is left for attributes.
const LARGEST: usize = 255 * 1024;
/// "Subjects must be ASCII text … less than 100 characters long" (Publish, API reference).
const LONGEST_SUBJECT: usize = 99;
const COLUMNS: usize = 80;
/// The form for programs stands in the message once for each protocol.
const LARGEST_COMPACT: usize = 8 * 1024;
const PROGRAM_PROTOCOLS: [&str; 5] = ["sqs", "http", "https", "lambda", "firehose"];

/// What there is to tell of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub job: String,
    pub run_id: String,
    /// One word: `ok`, `tables_failed`, `interrupted`, `lost`…
    pub status: String,
    pub environment: String,
    /// The first line of the mail.
    pub headline: String,
    /// Plain text; longer lines than 80 columns are folded.
    pub body: String,
    /// The same for programs. What is too large is left out.
    pub compact: Value,
    /// Where the whole report is, if the body must be cut.
    pub location: Option<String>,
}

/// Why a message could not be published.
#[derive(Debug, thiserror::Error)]
#[error("publishing to {topic} failed: {reason}")]
pub struct PublishError {
    pub topic: String,
    pub reason: String,
}

/// Publishes to a topic and returns the message's id.
pub async fn publish(config: &SdkConfig, topic: &str, notice: &Notice) -> Result<String, PublishError> {
    let failed = |reason: String| PublishError { topic: topic.to_owned(), reason };
    let mut own = aws_sdk_sns::config::Builder::from(config);
    if let Some(region) = cloud::region_of(topic) {
        own = own.region(region);
    }
    let mut request = aws_sdk_sns::Client::from_conf(own.build())
        .publish()
        .topic_arn(topic)
        .subject(subject(&notice.headline))
        .message_structure("json")
        .message(message(notice));
    for (name, value) in [("job", &notice.job), ("status", &notice.status), ("environment", &notice.environment)] {
        if !value.is_empty() {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            request = request.message_attributes(name, attribute.map_err(|error| failed(error.to_string()))?);
        }
    }
    let sent = request.send().await.map_err(|error| failed(cloud::reason(&error)))?;
    Ok(sent.message_id.unwrap_or_default())
}

/// ASCII, one line, short enough for SNS.
pub fn subject(headline: &str) -> String {
    let ascii: String = headline.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if ascii.len() <= LONGEST_SUBJECT {
        return ascii;
    }
    format!("{}...", ascii[..LONGEST_SUBJECT - 3].trim_end())
}

/// The message for `MessageStructure=json`: text for people, JSON for programs.
pub fn message(notice: &Notice) -> String {
    let mut compact = notice.compact.to_string();
    if compact.len() > LARGEST_COMPACT {
        let location = notice.location.as_deref().unwrap_or_default();
        compact = json!({"job": notice.job, "run_id": notice.run_id, "status": notice.status, "report": location})
            .to_string();
    }
    let folded = fold(&notice.body);
    let mut room = LARGEST;
    loop {
        let body = cut(&folded, room, notice.location.as_deref());
        let mut forms = serde_json::Map::from_iter([("default".to_owned(), Value::String(body))]);
        forms.extend(PROGRAM_PROTOCOLS.map(|protocol| (protocol.to_owned(), Value::String(compact.clone()))));
        let text = Value::Object(forms).to_string();
        if text.len() <= LARGEST {
            return text;
        }
        // Characters that JSON escapes take more room than they have bytes.
        room -= (text.len() - LARGEST).clamp(1, room / 2);
    }
}

/// Lines of at most 80 columns, as mail clients show them; what has no space is not broken.
fn fold(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
        let mut rest = text;
        let mut indent = String::new();
        while rest.chars().count() + indent.len() > COLUMNS {
            let words = rest.len() - rest.trim_start().len();
            let limit = rest.char_indices().nth(COLUMNS - indent.len()).map_or(rest.len(), |(at, _)| at);
            let broken = rest[words..limit].rfind(' ').or_else(|| rest[limit..].find(' ').map(|at| limit - words + at));
            let Some(at) = broken.map(|at| words + at) else { break };
            out.push_str(&indent);
            out.push_str(rest[..at].trim_end());
            out.push('\n');
            if indent.is_empty() {
                indent = " ".repeat((words + 2).min(COLUMNS / 2));
            }
            rest = rest[at..].trim_start();
        }
        out.push_str(&indent);
        out.push_str(rest);
        out.push_str(end);
    }
    out
}

/// At most `room` bytes, ending with a whole line and a word about what is missing.
fn cut(body: &str, room: usize, location: Option<&str>) -> String {
    if body.len() <= room {
        return body.to_owned();
    }
    let rest = location.map(|location| format!(" The whole report: {location}/report.txt")).unwrap_or_default();
    let ending = format!("\n[The message ends here: SNS takes 256 KiB.{rest}]\n");
    let mut end = room.saturating_sub(ending.len());
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let end = body[..end].rfind('\n').unwrap_or(end);
    format!("{}{ending}", &body[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(body: String) -> Notice {
        Notice {
            job: "erp".into(),
            run_id: "r1".into(),
            status: "ok".into(),
            environment: "prod".into(),
            headline: "[OK] erp".into(),
            body,
            compact: json!({"job": "erp", "rows": 7}),
            location: Some("s3://b/runs/erp/r1".into()),
        }
    }

    #[test]
    fn subjects_are_short_and_ascii() {
        assert_eq!(subject("[OK] erp: 4.1 M rows → all\nwell"), "[OK] erp: 4.1 M rows ? all?well");
        let long = subject(&"x".repeat(300));
        assert!(long.len() < 100 && long.ends_with("..."), "{long}");
    }

    #[test]
    fn a_message_too_large_loses_its_tail_at_a_line() {
        let line = "a line with \"quotes\" and ünïcödé, which take more room as JSON\n";
        let text = message(&notice(line.repeat(10_000)));
        assert!(text.len() <= LARGEST && text.len() > LARGEST - 4096, "{}", text.len());
        let forms: Value = serde_json::from_str(&text).unwrap();
        let body = forms["default"].as_str().unwrap();
        let kept = body.split_once("\n[The message ends here").unwrap().0;
        assert!(kept.lines().all(|kept| format!("{kept}\n") == line));
        assert!(body.contains("s3://b/runs/erp/r1/report.txt"));
    }

    #[test]
    fn lines_are_folded_between_words() {
        let short = "short\n\n  lines\n";
        assert_eq!(fold(short), short);
        let text = format!("  {}\nhttps://{}\n", "wörds and more ".repeat(20), "x".repeat(100));
        let folded = fold(&text);
        let (lines, last) = folded.trim_end().rsplit_once('\n').unwrap();
        assert!(lines.lines().all(|line| line.chars().count() <= COLUMNS && line.starts_with("  ")), "{folded}");
        assert_eq!(last.len(), 108);
        assert!(text.split_whitespace().eq(folded.split_whitespace()));
    }

    #[test]
    fn programs_get_json_and_people_get_text() {
        let forms: Value = serde_json::from_str(&message(&notice("all well\n".into()))).unwrap();
        assert_eq!(forms["default"], "all well\n");
        for protocol in PROGRAM_PROTOCOLS {
            let own: Value = serde_json::from_str(forms[protocol].as_str().unwrap()).unwrap();
            assert_eq!(own["rows"], 7, "{protocol}");
        }
    }
}
