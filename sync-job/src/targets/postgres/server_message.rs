//! What a PostgreSQL server says of an error, with the values of rows in it told from its words.
//!
//! Which fields a message has: "Error and Notice Message Fields" (PostgreSQL documentation, 54.8). Where its own code puts values
//! into them: SQLSTATE classes 22 (data exceptions) and 23 (integrity constraint violations), whatever a function raises, and
//! internal errors (XX) and classes that an extension made up.

use sqlx::postgres::PgDatabaseError;

use crate::rows::message::{Message, of_unknown};

/// The fields of an error that people read.
#[derive(Debug, Default)]
struct Fields<'a> {
    code: &'a str,
    message: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
    context: Option<&'a str>,
    /// The C function that reported it.
    routine: Option<&'a str>,
    /// Names that the server gives on their own: schema, table, column, type, constraint.
    names: [Option<&'a str>; 5],
}

/// Classes whose messages name objects, settings and sessions, and never hold values of rows (appendix A).
const CLASSES_OF_NAMES: [&str; 19] =
    ["08", "0A", "25", "26", "28", "2B", "2D", "2F", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"];

/// PL/pgSQL's RAISE: its text is a function's own, with whatever code.
const RAISE: &str = "exec_stmt_raise";

/// What libxml2 says without quoting the document. It quotes names of elements and entities elsewhere.
const XML_REASONS: [&str; 5] = [
    "xmlSAX2Characters: huge text node",
    "xmlSAX2Characters: out of memory",
    "internal error: Huge input lookup",
    "Start tag expected, '<' not found",
    "Extra content at the end of the document",
];

/// The server's message with its SQLSTATE, detail, hint, and the row and column of a COPY.
pub fn message(error: &PgDatabaseError) -> Message {
    Fields {
        code: error.code(),
        message: error.message(),
        detail: error.detail(),
        hint: error.hint(),
        context: error.r#where(),
        routine: error.routine(),
        names: [error.schema(), error.table(), error.column(), error.data_type(), error.constraint()],
    }
    .told()
}

impl Fields<'_> {
    fn told(&self) -> Message {
        let mut all = self.head().words(format!(" (SQLSTATE {})", self.code));
        for part in [self.detail.map(|detail| self.detail(detail)), self.hint.map(|hint| self.other(hint))] {
            all = part.iter().fold(all, |all, part| all.words("; ").message(part));
        }
        self.context.and_then(place).iter().fold(all, |all, place| all.words("; ").words(place))
    }

    fn head(&self) -> Message {
        match self.code {
            // An encoding's name in quotes, then bytes of the value.
            "22021" | "22P05" if !self.is_raised() => {
                let bytes = self.message.find("0x").unwrap_or(self.message.len());
                Message::from(&self.message[..bytes]).value(&self.message[bytes..])
            }
            _ => self.other(self.message),
        }
    }

    fn detail(&self, detail: &str) -> Message {
        match self.code {
            _ if self.is_raised() => self.other(detail),
            "2200M" | "2200N" | "2200S" | "2200T" => xml(detail),
            code if code.starts_with("23") => violation(detail),
            _ => self.other(detail),
        }
    }

    fn other(&self, text: &str) -> Message {
        if self.is_raised() {
            return Message::default().value(text);
        }
        if CLASSES_OF_NAMES.iter().any(|class| self.code.starts_with(class)) {
            return text.into();
        }
        of_unknown(text, |quoted| self.names.iter().flatten().any(|name| *name == quoted))
    }

    fn is_raised(&self) -> bool {
        self.routine == Some(RAISE) || matches!(self.code, "P0001" | "P0004")
    }
}

/// `Key (id)=(5) already exists.`, `Failing row contains (5, null).`
fn violation(detail: &str) -> Message {
    let columns = detail.find(")=(").map(|at| at + ")=(".len());
    let (start, end) = match (columns, detail.rfind(')'), detail.find('(')) {
        (Some(start), Some(end), _) if start <= end => (start, end),
        (_, _, Some(start)) => (start, detail.len()),
        _ => return of_unknown(detail, |_| false),
    };
    Message::from(&detail[..start]).value(&detail[start..end]).words(&detail[end..])
}

/// `line 3: reason`, then a piece of the document and a mark below it.
fn xml(detail: &str) -> Message {
    let (first, rest) = detail.split_at(detail.find('\n').unwrap_or(detail.len()));
    let (place, reason) = first.split_once(": ").unwrap_or(("", first));
    let is_known = XML_REASONS.contains(&reason);
    let place = Message::from(place).words(if place.is_empty() { "" } else { " of the value: " });
    if is_known { place.words(reason).words(" ").value(rest) } else { place.value(reason).value(rest) }
}

/// The column of a COPY whose value the server refused.
pub fn refused_column(error: &PgDatabaseError) -> Option<&str> {
    column_of(copy_place(error.r#where()?)?)
}

/// The row of a COPY that the server refused, counted from 1.
pub fn refused_row(error: &PgDatabaseError) -> Option<u64> {
    line_of(copy_place(error.r#where()?)?)
}

/// `line 2, column x` of `COPY docs, line 2, column x`. The outermost context is the last line; those before it may quote values.
fn copy_place(context: &str) -> Option<&str> {
    Some(context.lines().last()?.strip_prefix("COPY ")?.split_once(", ")?.1)
}

/// Its number, in the server's language. It counts the rows of a binary COPY, which is a chunk's.
fn line_of(place: &str) -> Option<u64> {
    let line = place.split(", ").next().unwrap_or(place);
    let digits = line.chars().skip_while(|letter| !letter.is_ascii_digit()).take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}

/// `line 2, column x`, in the server's language; in the text format `: "value"` would follow.
fn column_of(place: &str) -> Option<&str> {
    let (_, column) = place.split_once(", ")?.1.split_once(' ')?;
    column.split(": ").next()
}

/// The row and the column of a COPY.
fn place(context: &str) -> Option<String> {
    let place = copy_place(context)?;
    let row = format!("row {} of its chunk", line_of(place)?);
    Some(column_of(place).map_or(row.clone(), |name| format!("column {name}, {row}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Alice Cooper";

    fn told(fields: &Fields<'_>) -> Message {
        let told = fields.told();
        assert!(!told.to_string().contains(SECRET) && !told.to_string().contains("Alice"), "{told}");
        told
    }

    #[test]
    fn keys_and_rows_of_violations_are_values_and_names_are_not() {
        let cases = [
            (
                "23505",
                "duplicate key value violates unique constraint \"people_key\"",
                "Key (name)=(Alice Cooper) already exists.",
                "duplicate key value violates unique constraint \"people_key\" (SQLSTATE 23505); Key (name)=([hidden]) already exists.",
            ),
            (
                "23505",
                "doppelter Schlüsselwert verletzt Unique-Constraint »people_key«",
                "Schlüssel »(name)=(Alice Cooper)« existiert bereits.",
                "doppelter Schlüsselwert verletzt Unique-Constraint »people_key« (SQLSTATE 23505); Schlüssel »(name)=([hidden])« \
                 existiert bereits.",
            ),
            (
                "23502",
                "null value in column \"name\" of relation \"people\" violates not-null constraint",
                "Failing row contains (Alice Cooper, null).",
                "null value in column \"name\" of relation \"people\" violates not-null constraint (SQLSTATE 23502); Failing row \
                 contains [hidden]",
            ),
        ];
        for (code, message, detail, expected) in cases {
            let names = [Some("public"), Some("people"), Some("name"), None, Some("people_key")];
            let fields = Fields { code, message, detail: Some(detail), names, ..Fields::default() };
            assert_eq!(told(&fields).to_string(), expected);
            assert!(told(&fields).with_values().contains(SECRET));
        }
    }

    #[test]
    fn values_in_messages_of_data_exceptions_are_hidden() {
        for (code, message) in [
            ("22P02", "invalid input syntax for type integer: \"Alice Cooper\""),
            ("22003", "value \"Alice Cooper\" is out of range for type smallint"),
            ("22007", "invalid input syntax for type date: \"Alice Cooper\""),
            ("XX000", "parse error - invalid geometry \"Alice Cooper\""),
            ("P0001", "Alice Cooper may not be here"),
            ("ZZ001", "an extension dislikes 'Alice Cooper'"),
        ] {
            let fields = Fields { code, message, hint: Some("\"Alice Cooper\" <-- here"), ..Fields::default() };
            assert!(told(&fields).with_values().contains(SECRET));
        }
        let bytes = "invalid byte sequence for encoding \"UTF8\": 0xe4 0x20 0x41";
        let fields = Fields { code: "22021", message: bytes, ..Fields::default() };
        assert_eq!(told(&fields).to_string(), "invalid byte sequence for encoding \"UTF8\": [hidden] (SQLSTATE 22021)");
        let raised =
            Fields { code: "42501", message: "Alice Cooper may not", routine: Some(RAISE), ..Fields::default() };
        assert_eq!(told(&raised).to_string(), "[hidden] (SQLSTATE 42501)");
    }

    #[test]
    fn a_row_that_copy_refuses_has_its_place() {
        let fields = Fields {
            code: "2200N",
            message: "invalid XML content",
            detail: Some("line 1: xmlSAX2Characters: huge text node\n<name>Alice Cooper</name>\n      ^"),
            context: Some("COPY stopgap_1_2_0, line 2, column x"),
            ..Fields::default()
        };
        assert_eq!(
            told(&fields).to_string(),
            "invalid XML content (SQLSTATE 2200N); line 1 of the value: xmlSAX2Characters: huge text node [hidden]; column x, row 2 of \
             its chunk"
        );
        let fields = Fields {
            code: "22P02",
            message: "invalid input syntax for type json",
            detail: Some("Token \"Alice\" is invalid."),
            context: Some("JSON data, line 1: {\"name\": Alice...\nCOPY docs, Zeile 17, Spalte j: \"Alice Cooper\""),
            ..Fields::default()
        };
        assert!(told(&fields).to_string().ends_with("; column j, row 17 of its chunk"), "{}", told(&fields));
        assert_eq!(place("PL/pgSQL function f() line 3 at RAISE"), None);
        assert_eq!(place("COPY docs, line 4").unwrap(), "row 4 of its chunk");
    }

    #[test]
    fn names_in_other_messages_stay() {
        let fields = Fields { code: "42P01", message: "relation \"public.docs\" does not exist", ..Fields::default() };
        assert_eq!(told(&fields).to_string(), "relation \"public.docs\" does not exist (SQLSTATE 42P01)");
    }
}
