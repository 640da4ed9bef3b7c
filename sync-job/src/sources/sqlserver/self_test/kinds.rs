//! Which probe each column of the plan needs, by the kind of its type.

use super::probe::{Literal, Probe, Subject};
use super::{numbers, others, texts, times, variants};
use crate::plan::TablePlan;
use crate::plan::self_test::TestedColumn;

impl Subject<'_> {
    /// The name of its kind, and the constants that it is asked for over.
    pub fn literals(&self) -> (String, Vec<Literal>) {
        texts::of(self)
            .or_else(|| variants::of(self))
            .or_else(|| times::of(self))
            .or_else(|| numbers::of(self))
            .unwrap_or_else(|| others::of(self))
    }

    fn probe(&self) -> Probe {
        let (kind, literals) = self.literals();
        Probe { kind, read: self.read.clone(), bytes_of_text: self.bytes_of_text, literals }
    }
}

/// The probes that the plan needs, each once, with their columns.
pub fn of(tables: &[TablePlan]) -> Vec<(Probe, Vec<TestedColumn>)> {
    let mut found: Vec<(Probe, Vec<TestedColumn>)> = Vec::new();
    // Catalogs have many thousands of columns and few kinds of them.
    let mut known: Vec<(Subject<'_>, usize)> = Vec::new();
    for table in tables {
        // What a mask shows has no literal.
        let columns = table.columns.iter().filter(|column| !column.masked);
        let columns = columns.map(|column| (column.source.as_str(), Subject::column(column)));
        let keys = table.chunk_key.iter().map(|key| (key.name.as_str(), Subject::key(key)));
        for (name, subject) in columns.chain(keys) {
            let read = subject.plan.clone();
            let place_of = known.iter().find(|(other, _)| *other == subject).map(|(_, index)| *index);
            let index = place_of.unwrap_or_else(|| {
                let index = place(&mut found, subject.probe());
                known.push((subject, index));
                index
            });
            let columns = &mut found[index].1;
            let column = TestedColumn { table: table.source.clone(), column: name.to_owned(), read };
            // A key's column is mostly a column that is copied, too.
            if !columns.iter().rev().take_while(|other| other.table == table.source).any(|other| *other == column) {
                columns.push(column);
            }
        }
    }
    found
}

/// The place of a probe that asks the same. A column's length is in its read expression and not in the SQL.
fn place(found: &mut Vec<(Probe, Vec<TestedColumn>)>, probe: Probe) -> usize {
    let sql = probe.sql();
    found.iter().position(|(other, _)| other.kind == probe.kind && other.sql() == sql).unwrap_or_else(|| {
        found.push((probe, Vec::new()));
        found.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::model::schema::ColumnType;
    use crate::plan::ColumnPlan;
    use crate::plan::type_map::map;
    use crate::rows::cell::Cell;
    use crate::rows::encode::TextPolicy;
    use crate::rows::text::CodePage;
    use crate::sources::sqlserver::column_type;
    use crate::sources::sqlserver::self_test::probe::Expected;
    use crate::sources::sqlserver::types::{CodePageOrName, Length, SourceType};

    fn column(source_type: SourceType) -> ColumnPlan {
        let ColumnType { holds, read, .. } = column_type(&source_type);
        let holds = holds.unwrap();
        ColumnPlan {
            source: "c".to_owned(),
            source_id: 1,
            target: "c".to_owned(),
            declared: String::new(),
            mapping: map(holds, Engine::Postgres),
            holds,
            read,
            companion: None,
            nullable: true,
            masked: false,
            unwitnessed: None,
            computed: false,
            identity: None,
            policy: TextPolicy::default(),
            collation: Some("Greek_CI_AS".to_owned()),
        }
    }

    /// One of each type of the source, with the kind that it is probed as.
    fn types() -> Vec<(SourceType, &'static str)> {
        use SourceType as S;
        let greek = || CodePageOrName::Known(CodePage::new(1253).unwrap());
        vec![
            (S::Bit, "bit"),
            (S::TinyInt, "tinyint"),
            (S::SmallInt, "smallint"),
            (S::Int, "int"),
            (S::BigInt, "bigint"),
            (S::Decimal { precision: 12, scale: 3 }, "decimal"),
            (S::Money, "money"),
            (S::SmallMoney, "smallmoney"),
            (S::Real, "real"),
            (S::Float, "float"),
            (S::Date, "date"),
            (S::Time { digits: 7 }, "time(7)"),
            (S::DateTime, "datetime"),
            (S::SmallDateTime, "smalldatetime"),
            (S::DateTime2 { digits: 3 }, "datetime2(3)"),
            (S::DateTimeOffset { digits: 0 }, "datetimeoffset(0)"),
            (S::Char { bytes: 3, code_page: greek() }, "char in Greek_CI_AS, code page 1253"),
            (S::VarChar { bytes: Length::Limited(9), code_page: greek() }, "varchar in Greek_CI_AS, code page 1253"),
            (S::VarChar { bytes: Length::Max, code_page: greek() }, "varchar(max) in Greek_CI_AS, code page 1253"),
            (S::Text { code_page: greek() }, "text in Greek_CI_AS, code page 1253"),
            (S::NChar { units: 3 }, "nchar"),
            (S::NVarChar { units: Length::Limited(9) }, "nvarchar"),
            (S::NVarChar { units: Length::Max }, "nvarchar(max)"),
            (S::NText, "ntext"),
            (S::Binary { bytes: 9 }, "binary"),
            (S::VarBinary { bytes: Length::Limited(9) }, "varbinary"),
            (S::VarBinary { bytes: Length::Max }, "varbinary(max)"),
            (S::Image, "image"),
            (S::UniqueIdentifier, "uniqueidentifier"),
            (S::Xml, "xml"),
            (S::RowVersion, "rowversion"),
            (S::SqlVariant, "sql_variant"),
            (S::HierarchyId, "hierarchyid"),
            (S::Geometry, "geometry"),
            (S::Geography, "geography"),
            (S::Json, "json"),
            (S::Vector { dimensions: Some(3) }, "vector"),
            (S::Clr("dbo.Point".to_owned()), "a CLR type's stored bytes"),
        ]
    }

    #[test]
    fn every_type_is_probed_as_itself_and_with_null() {
        for (source_type, kind) in types() {
            let probe = Subject::column(&column(source_type.clone())).probe();
            assert_eq!(probe.kind, kind);
            assert!(probe.literals.len() > 1, "{kind} is asked for over NULL alone");
            assert!(probe.literals.iter().any(|literal| literal.expected == Expected::Cell(Cell::Null)), "{kind}");
            let falls_back = matches!(source_type, SourceType::Clr(_));
            assert_eq!(probe.kind.starts_with("a CLR"), falls_back, "{kind}");
        }
    }

    #[test]
    fn text_has_another_way_and_nothing_else_has() {
        for (source_type, kind) in types() {
            let probe = Subject::column(&column(source_type)).probe();
            let is_text = ["char", "text", "xml", "json", "vector", "hierarchyid", "geo", "sql_variant"]
                .iter()
                .any(|part| kind.contains(part));
            let other = probe.through_driver();
            assert_eq!(other.is_some(), is_text, "{kind}");
            // Half a character has no text.
            let broken = |literal: &Literal| matches!(literal.expected, Expected::Broken(_));
            assert!(other.is_none_or(|other| !other.literals.iter().any(broken)), "{kind}");
        }
    }

    #[test]
    fn a_kind_is_asked_for_once_whatever_the_lengths() {
        let short = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(9) })).probe();
        let long = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(90) })).probe();
        let wide = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(4000) })).probe();
        assert!(short.sql().starts_with("SELECT CAST([v0] AS varbinary(8000)), "), "{}", short.sql());
        // The longest is read whole, by another expression.
        assert!(wide.sql().starts_with("SELECT CAST([v0] AS varbinary(max)), "), "{}", wide.sql());
        let mut found = Vec::new();
        assert_eq!([short, long, wide].map(|probe| place(&mut found, probe)), [0, 0, 1]);
    }
}
