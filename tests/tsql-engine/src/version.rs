//! The releases of SQL Server that the engine can stand for, and what came with which of them.

/// A release; what it does not know yet is refused as it refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    V2012,
    V2014,
    V2016,
    V2017,
    V2019,
    #[default]
    V2022,
}

impl Version {
    pub const ALL: [Version; 6] =
        [Version::V2012, Version::V2014, Version::V2016, Version::V2017, Version::V2019, Version::V2022];

    /// The release of a year, as in `2019`.
    pub fn of_year(year: &str) -> Option<Version> {
        Self::ALL.into_iter().find(|version| version.year() == year)
    }

    pub fn year(self) -> &'static str {
        match self {
            Version::V2012 => "2012",
            Version::V2014 => "2014",
            Version::V2016 => "2016",
            Version::V2017 => "2017",
            Version::V2019 => "2019",
            Version::V2022 => "2022",
        }
    }

    /// Its first build: major, minor, build, revision.
    pub fn build(self) -> [u16; 4] {
        match self {
            Version::V2012 => [11, 0, 2100, 60],
            Version::V2014 => [12, 0, 2000, 8],
            Version::V2016 => [13, 0, 1601, 5],
            Version::V2017 => [14, 0, 1000, 169],
            Version::V2019 => [15, 0, 2000, 5],
            Version::V2022 => [16, 0, 1000, 6],
        }
    }

    /// As SERVERPROPERTY('ProductVersion') has it.
    pub fn number(self) -> String {
        self.build().map(|part| part.to_string()).join(".")
    }

    /// The compatibility level of databases that it creates.
    pub fn compatibility(self) -> u16 {
        self.build()[0] * 10
    }

    /// Whether it has a function, by the "Applies to" of the function's page.
    pub fn has_function(self, name: &str) -> bool {
        let since = match name {
            "datediff_big" => Version::V2016,
            "string_agg" | "trim" => Version::V2017,
            _ => Version::V2012,
        };
        self >= since
    }

    /// Whether it has a view of `sys`, or a column of one, by the "Applies to" of the view's page.
    pub fn has_catalog(self, view: &str, column: &str) -> bool {
        let since = match (view, column) {
            ("masked_columns" | "security_policies" | "security_predicates" | "periods", _) => Version::V2016,
            ("tables", "is_memory_optimized" | "durability") => Version::V2014,
            ("tables", "temporal_type" | "temporal_type_desc" | "history_table_id" | "is_external") => Version::V2016,
            ("tables", "is_node" | "is_edge") | ("columns" | "all_columns", "graph_type") => Version::V2017,
            ("columns" | "all_columns", "is_masked" | "encryption_type" | "generated_always_type" | "is_hidden") => {
                Version::V2016
            }
            _ => Version::V2012,
        };
        self >= since
    }
}
