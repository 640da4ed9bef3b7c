//! What kind of failure an SQLSTATE is (PostgreSQL documentation, appendix A, "PostgreSQL Error Codes").

use crate::model::error::Kind;

/// By code, then by class.
pub fn kind(code: &str) -> Kind {
    by_code(code).unwrap_or_else(|| by_class(code))
}

#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
fn by_code(code: &str) -> Option<Kind> {
    Some(match code {
        // A peer that does not speak the protocol will not learn it.
        "08P01" => Kind::Statement,
        // A writer that became a reader, or is still in recovery.
        "25006" => Kind::Transient,
        // Ended by the server for its idleness, its transaction's, or the transaction's length: the job sets these limits to none, and
        // whoever set them anew may have done so for this one session.
        "25P03" | "25P04" | "57P05" => Kind::Connection,
        // A constraint that was checked at COMMIT.
        "40002" => Kind::Data,
        // The connection broke, and nobody knows whether the statement was carried out.
        "40003" => Kind::Connection,
        "42501" => Kind::Permission,
        "23503" => Kind::ForeignKeyViolation,
        "3D000" | "57P04" => Kind::UnknownDatabase,
        // The disk, and a limit of the configuration: temp_file_limit, a tablespace's quota.
        "53100" | "53400" => Kind::StorageFull,
        "55P03" => Kind::LockTimeout,
        // Somebody else uses the object just now.
        "55006" => Kind::Transient,
        // A statement's own limit, or somebody who cancelled it.
        "57014" => Kind::Timeout,
        // Shutting down, crashed, not up yet.
        "57P01" | "57P02" | "57P03" => Kind::Transient,
        _ => return None,
    })
}

fn by_class(code: &str) -> Kind {
    match code.get(..2) {
        Some("08") => Kind::Connection,
        Some("22" | "23") => Kind::Data,
        Some("28") => Kind::Login,
        // Rolled back: serialization, deadlock. Out of memory, connections or another resource.
        Some("40" | "53") => Kind::Transient,
        _ => Kind::Statement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for code in ["08000", "08001", "08003", "08004", "08006", "08007", "40003", "57P05"] {
            assert_eq!(kind(code), Kind::Connection, "{code}");
        }
        for code in ["25006", "40000", "40001", "40P01", "53000", "53200", "53300", "57P01", "57P02", "57P03"] {
            assert_eq!(kind(code), Kind::Transient, "{code}");
        }
        for (code, stays) in [
            ("08P01", Kind::Statement),
            ("40002", Kind::Data),
            ("53100", Kind::StorageFull),
            ("53400", Kind::StorageFull),
            ("57P04", Kind::UnknownDatabase),
            ("57014", Kind::Timeout),
            ("28P01", Kind::Login),
            ("42P01", Kind::Statement),
            ("XX000", Kind::Statement),
        ] {
            assert_eq!(kind(code), stays, "{code}");
        }
    }
}
