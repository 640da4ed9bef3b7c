//! What differs from server to server: collations, limits, and what is allowed.

/// What the job does differently from server to server.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of the server")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    pub collations: Collations,
    /// Bytes: no packet may be as large.
    pub max_allowed_packet: u64,
    /// LOAD DATA LOCAL INFILE is allowed.
    pub bulk_load: bool,
    /// A LOAD DATA into a table with an AUTO_INCREMENT column keeps others out of it until its end, whatever the column's values
    /// (`innodb_autoinc_lock_mode` is not 2, "interleaved").
    pub locks_to_count_up: bool,
    /// `DESC` in an index means nothing to it.
    pub only_ascends: bool,
    /// Tables without a primary key are refused (`sql_require_primary_key`), and none is made for them.
    pub wants_keys: bool,
}

/// The server's names for the collations that come closest to the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collations {
    pub accents_and_case_ignored: &'static str,
    pub case_ignored: &'static str,
    pub exact_words: &'static str,
}

/// Names of MySQL 8.0.
pub const MYSQL: Collations = Collations {
    accents_and_case_ignored: "utf8mb4_0900_ai_ci",
    case_ignored: "utf8mb4_0900_as_ci",
    exact_words: "utf8mb4_0900_as_cs",
};

/// Names of MariaDB 10.10 and later, which has none of the above before 11.4.
pub const MARIADB: Collations = Collations {
    accents_and_case_ignored: "utf8mb4_uca1400_ai_ci",
    case_ignored: "utf8mb4_uca1400_as_ci",
    exact_words: "utf8mb4_uca1400_as_cs",
};

/// Compares bytes, and pads with spaces as SQL Server does.
const BINARY: &str = "utf8mb4_bin";

impl Default for Collations {
    fn default() -> Self {
        Self { accents_and_case_ignored: BINARY, case_ignored: BINARY, exact_words: BINARY }
    }
}

impl Collations {
    /// Whether the job gives columns this collation on some server.
    pub fn is_given(collation: &str) -> bool {
        let names = |known: Collations| [known.accents_and_case_ignored, known.case_ignored, known.exact_words];
        collation == BINARY || names(MYSQL).contains(&collation) || names(MARIADB).contains(&collation)
    }

    /// The closest to a SQL Server collation. There is none that minds case and ignores accents; the stricter one keeps all rows.
    pub fn closest(&self, source: &str) -> &'static str {
        let says = |part: &str| source.split('_').any(|word| word.eq_ignore_ascii_case(part));
        match (says("CI"), says("AI")) {
            _ if says("BIN") || says("BIN2") => BINARY,
            (true, true) => self.accents_and_case_ignored,
            (true, false) => self.case_ignored,
            (false, _) if says("CS") => self.exact_words,
            (false, _) => BINARY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations_are_matched_by_what_they_ignore() {
        assert_eq!(MYSQL.closest("SQL_Latin1_General_CP1_CI_AS"), "utf8mb4_0900_as_ci");
        assert_eq!(MYSQL.closest("Latin1_General_100_CI_AI_SC_UTF8"), "utf8mb4_0900_ai_ci");
        assert_eq!(MARIADB.closest("Japanese_CS_AS_KS_WS"), "utf8mb4_uca1400_as_cs");
        assert_eq!(MYSQL.closest("Latin1_General_BIN2"), "utf8mb4_bin");
    }
}
