//! A run's head from the beginning of its record, whose report may be of any size.

use crate::record::Head;

/// A head and what follows it up to the report; its headline is the one text in it that may be long.
pub const LENGTH: u64 = 64 * 1024;
/// Where the report begins: JSON escapes line ends, so no text in the head looks like this.
const REPORT: &[u8] = b"\n  \"report\":";

/// Understands the beginning of a `report.json`, as [`super::Store`] has always written it: fields of the head, then the report.
pub fn head(bytes: &[u8]) -> serde_json::Result<Head> {
    let Some(end) = bytes.windows(REPORT.len()).position(|window| window == REPORT) else {
        return serde_json::from_slice(bytes);
    };
    let fields = bytes[..end].trim_ascii_end();
    let mut closed = fields.strip_suffix(b",").unwrap_or(fields).to_vec();
    closed.push(b'}');
    serde_json::from_slice(&closed)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;

    use super::*;
    use crate::record::{Head, Record};

    #[test]
    fn a_head_is_read_from_the_beginning_of_a_record_of_any_size() {
        let mut own = Head::new("erp", "a", Utc::now());
        own.headline = Some("[OK] erp: a \"report\":\n  \"report\": of two lines".to_owned());
        let record = Record { head: own.clone(), report: Some(json!({"report": "x".repeat(200_000)})) };
        let text = serde_json::to_vec_pretty(&record).unwrap();
        assert_eq!(head(&text[..4096]).unwrap(), own);
        assert_eq!(serde_json::from_slice::<Record>(&text).unwrap(), record);
        let text = serde_json::to_vec(&json!({"job": "erp"})).unwrap();
        assert!(head(&text).is_err(), "what is no head is said");
        assert!(head(b"").is_err());
    }

    /// As records were written before there were heads.
    #[test]
    fn a_record_without_a_head_of_its_own_is_understood() {
        let text = br#"{
  "job": "erp",
  "run_id": "a",
  "state": "ended",
  "environment": "prod",
  "instance": "i-1",
  "started_by": "schedule",
  "started": "2026-11-20T04:00:00Z",
  "ended": "2026-11-20T04:01:00Z",
  "status": "ok",
  "headline": "[OK] erp",
  "tables": 1,
  "rows": 2,
  "dry_run": false,
  "report": {
    "job": "erp", "cut off he"#;
        let head = head(text).unwrap();
        assert_eq!((head.instance.as_deref(), head.rows, head.is_notified()), (Some("i-1"), Some(2), false));
    }
}
