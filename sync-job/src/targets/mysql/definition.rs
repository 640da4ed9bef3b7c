//! What a table is besides its columns' types, its keys and its rows, read from `SHOW CREATE TABLE`.
//!
//! The catalogs do not show everything (MariaDB 10.11 has no view of periods, MySQL none of a table's tablespace), and each version
//! knows more than the one before. So the definition is read word by word, and each clause that is neither preserved nor of no concern
//! keeps the table in place, a clause that nobody has heard of included.

use crate::plan::{Dependent, DependentKind};
use crate::targets::decisions::Decision;
use crate::targets::decisions::mysql::{OF_COLUMN, OF_INDEX, OF_OPTIONS};

/// What a new table under the old name would lack. `mark`: how the job's own comments of indexes begin.
pub(super) fn dependents(definition: &str, mark: &str) -> Vec<Dependent> {
    let tokens = tokens(definition);
    let Some((items, options)) = parts(&tokens) else {
        return vec![Dependent::unnamed(DependentKind::UnreadableDefinition)];
    };
    let mut dependents = Vec::new();
    for item in items {
        of_item(item, mark, &mut dependents);
    }
    dependents.extend(of_options(options));
    dependents
}

const GENERATED_KEY: &str = "my_row_id";

/// The primary key that the server made for want of another (MySQL 8.4 Reference Manual, 15.1.20.11 "Generated Invisible Primary
/// Keys"), which is nobody's. MariaDB makes none; it shows a display width, so that somebody's column of this name is not taken for one.
pub(super) fn is_generated_key(name: &str, column_type: &str, extra: &str, key: &str) -> bool {
    let extra = extra.to_uppercase();
    let counts = extra.contains("AUTO_INCREMENT") && extra.contains("INVISIBLE");
    name == GENERATED_KEY && column_type == "bigint unsigned" && key == "PRI" && counts
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A keyword, a number, or anything else without quotes.
    Word(String),
    Name(String),
    Text(String),
    Sign(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        match self {
            // MariaDB quotes the names of an engine's own options.
            Token::Word(own) | Token::Name(own) => own.eq_ignore_ascii_case(word),
            Token::Sign(sign) => word.len() == 1 && word.starts_with(*sign),
            Token::Text(_) => false,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(_)) && self.is(word)
    }

    /// Nothing of a text, which may be a password.
    fn shown(&self) -> Option<String> {
        match self {
            Token::Word(word) | Token::Name(word) => Some(word.clone()),
            Token::Sign(sign) => Some(sign.to_string()),
            Token::Text(_) => None,
        }
    }
}

/// What a comment holds counts: it is for some versions alone (`/*!80023 INVISIBLE */`, `/*M!100301 COMPRESSED*/`), or an option that
/// means nothing to this engine.
fn tokens(definition: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = definition;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '`' => quoted(rest, '`', Token::Name),
            '\'' | '"' => quoted(rest, first, Token::Text),
            '/' if rest.starts_with("/*") => {
                let version = rest[2..].trim_start_matches('M').strip_prefix('!').unwrap_or(&rest[2..]);
                rest = version.trim_start_matches(|c: char| c.is_ascii_digit());
                continue;
            }
            '*' if rest.starts_with("*/") => (None, 2),
            _ if first.is_whitespace() => (None, first.len_utf8()),
            _ if is_part(first) => {
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (Some(Token::Word(rest[..length].to_owned())), length)
            }
            _ => (Some(Token::Sign(first)), first.len_utf8()),
        };
        tokens.extend(token);
        rest = &rest[length..];
    }
    tokens
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A doubled quote stands for one; in a text a backslash takes the next character along.
fn quoted(text: &str, quote: char, make: fn(String) -> Token) -> (Option<Token>, usize) {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() => {
                return (Some(make(value)), at + c.len_utf8());
            }
            '\\' if quote != '`' => value.extend(characters.next().map(|(_, next)| next)),
            _ => value.push(c),
        }
    }
    (Some(make(value)), text.len())
}

/// What is between the parentheses, item by item, and what follows them.
fn parts(tokens: &[Token]) -> Option<(Vec<&[Token]>, &[Token])> {
    let open = tokens.iter().position(|token| token.is("("))?;
    let length = group(&tokens[open..]).filter(|length| *length > 1)?;
    let mut depth = 0_i32;
    let items = tokens[open + 1..open + length - 1]
        .split(|token| {
            depth += nesting(token);
            depth == 0 && token.is(",")
        })
        .collect();
    Some((items, &tokens[open + length..]))
}

fn nesting(token: &Token) -> i32 {
    match token {
        Token::Sign('(') => 1,
        Token::Sign(')') => -1,
        _ => 0,
    }
}

/// How many tokens the parentheses and what is inside have, if one opens here: 0 otherwise. Nothing where it has no end.
fn group(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        depth += nesting(token);
        if depth <= 0 {
            return Some(if at == 0 { 0 } else { at + 1 });
        }
    }
    None
}

fn after_group(tokens: &[Token]) -> &[Token] {
    &tokens[group(tokens).unwrap_or(tokens.len())..]
}

fn of_item(item: &[Token], mark: &str, dependents: &mut Vec<Dependent>) {
    let begins = |words: &[&str]| item.first().is_some_and(|first| words.iter().any(|word| first.is_word(word)));
    match item.first() {
        Some(Token::Name(column)) if is_generated_column(column, &item[1..]) => {}
        Some(Token::Name(column)) => of_column(column, &item[1..], dependents),
        // The catalogs show foreign keys, checks, and indexes of kinds that the job does not make.
        _ if begins(&["CONSTRAINT", "CHECK", "FULLTEXT", "SPATIAL", "VECTOR"]) => {}
        _ if begins(&["PRIMARY", "UNIQUE", "KEY", "INDEX"]) => of_index(item, mark, dependents),
        _ if begins(&["PERIOD"]) => {
            dependents.push(Dependent::new(DependentKind::Period, shown(item.get(2..).unwrap_or_default())));
        }
        Some(_) => dependents.push(Dependent::new(DependentKind::TableOption, shown(item))),
        None => {}
    }
}

/// As [`is_generated_key`], of a column's definition.
fn is_generated_column(name: &str, definition: &[Token]) -> bool {
    let has = |word: &str| definition.iter().any(|token| token.is_word(word));
    let is_big = matches!(definition, [first, second, ..] if first.is_word("bigint") && second.is_word("unsigned"));
    name == GENERATED_KEY && is_big && has("AUTO_INCREMENT") && has("INVISIBLE")
}

fn of_column(column: &str, definition: &[Token], dependents: &mut Vec<Dependent>) {
    let clauses = after_group(definition.get(1..).unwrap_or_default());
    for (clause, kept) in kept(clauses, OF_COLUMN) {
        let dependent = match clause {
            Some("DEFAULT") => Dependent::new(DependentKind::ColumnDefault, column),
            Some("GENERATED ALWAYS AS") => Dependent::new(DependentKind::GeneratedColumn, column),
            Some("INVISIBLE") => Dependent::new(DependentKind::InvisibleColumn, column),
            // MariaDB's json is a text with this check.
            Some("CHECK") if is_json_check(kept, column) => continue,
            Some("CHECK") => Dependent::new(DependentKind::ColumnCheck, column),
            _ => Dependent::new(DependentKind::ColumnOption, shown(kept)).of(column),
        };
        dependents.push(dependent);
    }
}

fn is_json_check(check: &[Token], column: &str) -> bool {
    let [_, Token::Sign('('), valid, Token::Sign('('), Token::Name(name), Token::Sign(')'), Token::Sign(')')] = check
    else {
        return false;
    };
    valid.is_word("json_valid") && name == column
}

fn of_index(item: &[Token], mark: &str, dependents: &mut Vec<Dependent>) {
    let option = |tokens: &[Token], index: &str| Dependent::new(DependentKind::IndexOption, shown(tokens)).of(index);
    let Some(open) = item.iter().position(|token| token.is("(")) else {
        return dependents.push(Dependent::new(DependentKind::TableOption, shown(item)));
    };
    let index = name_in(&item[..open]).unwrap_or("PRIMARY");
    let behind = after_group(&item[open..]);
    let columns = &item[open + 1..item.len() - behind.len() - 1];
    let mut depth = 0;
    for column in columns.split(|token| {
        depth += nesting(token);
        depth == 0 && token.is(",")
    }) {
        // Of an expression the catalogs tell.
        let Some(Token::Name(name)) = column.first() else { continue };
        match &column[1..] {
            [] => {}
            [order] if order.is_word("ASC") || order.is_word("DESC") => {}
            [Token::Sign('('), ..] => {
                dependents.push(Dependent::new(DependentKind::PrefixIndex, index).of(name));
            }
            more => dependents.push(option(more, index)),
        }
    }
    let comment = behind.iter().position(|token| token.is_word("COMMENT")).and_then(|at| behind.get(at + 1));
    if comment.is_some_and(|comment| !matches!(comment, Token::Text(text) if text.starts_with(mark))) {
        dependents.push(Dependent::new(DependentKind::IndexComment, index));
    }
    dependents.extend(kept(behind, OF_INDEX).into_iter().map(|(_, kept)| option(kept, index)));
}

fn of_options(options: &[Token]) -> Vec<Dependent> {
    let partitions = options.iter().position(|token| token.is_word("PARTITION"));
    let (options, partitions) = options.split_at(partitions.unwrap_or(options.len()));
    let option = |kept: &[Token]| Dependent::new(DependentKind::TableOption, shown(kept));
    let mut dependents: Vec<Dependent> = kept(options, OF_OPTIONS).into_iter().map(|(_, kept)| option(kept)).collect();
    dependents.extend((!partitions.is_empty()).then(|| Dependent::unnamed(DependentKind::Partitions)));
    dependents
}

/// The parts of a definition that keep the table in place, each with the clause that it is, if it is known.
fn kept<'a>(mut rest: &'a [Token], clauses: &[(&'static str, Decision)]) -> Vec<(Option<&'static str>, &'a [Token])> {
    let mut found: Vec<(Option<&'static str>, &[Token])> = Vec::new();
    while !rest.is_empty() {
        let known = clauses.iter().find_map(|(words, decision)| Some((*words, *decision, length(words, rest)?)));
        let length = match known {
            Some((words, Decision::KeepsInPlace, length)) => {
                // Up to the next clause that is known, what follows is its value.
                let value = rest[length..].len() - next_clause(&rest[length..], clauses).len();
                found.push((Some(words), &rest[..length + value]));
                length + value
            }
            Some((_, _, length)) => length,
            None => {
                let length = rest.len() - next_clause(&rest[1..], clauses).len();
                found.push((None, &rest[..length]));
                length
            }
        };
        rest = &rest[length..];
    }
    found
}

fn next_clause<'a>(tokens: &'a [Token], clauses: &[(&'static str, Decision)]) -> &'a [Token] {
    let mut rest = tokens;
    while !rest.is_empty() && !clauses.iter().any(|(words, _)| length(words, rest).is_some()) {
        rest = match group(rest) {
            Some(0) => &rest[1..],
            Some(length) => &rest[length..],
            None => &[],
        };
    }
    rest
}

/// How many tokens a clause has here, if it is here; `?` is any value.
fn length(clause: &str, tokens: &[Token]) -> Option<usize> {
    let words = clause.split(' ');
    let length = words.clone().count();
    let is_here = tokens.len() >= length && words.zip(tokens).all(|(word, token)| word == "?" || token.is(word));
    is_here.then_some(length)
}

fn name_in(tokens: &[Token]) -> Option<&str> {
    tokens.iter().find_map(|token| if let Token::Name(name) = token { Some(name.as_str()) } else { None })
}

/// Without what is in parentheses, which may be long.
fn shown(tokens: &[Token]) -> String {
    let mut depth = 0;
    let mut words: Vec<String> = Vec::new();
    for token in tokens {
        depth += nesting(token);
        words.extend(token.shown().filter(|_| depth == 0 && !token.is(")")));
    }
    words.join(" ").replace(" = ", "=").trim_end_matches([' ', '=']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(definition: &str) -> Vec<String> {
        dependents(definition, "made by stopgap").iter().map(Dependent::to_string).collect()
    }

    #[test]
    fn what_the_job_makes_itself_keeps_nothing() {
        let mysql = "CREATE TABLE `a``(` (\n  `id` int NOT NULL AUTO_INCREMENT COMMENT 'it''s, (odd) \\' `text`',\n  \
            `n` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,\n  `e` enum('a','b,)') NOT NULL,\n  \
            PRIMARY KEY (`id`,`n` DESC) COMMENT 'made by stopgap, as the source has it',\n  UNIQUE KEY `k` (`n`) USING BTREE,\n  \
            CONSTRAINT `f` FOREIGN KEY (`n`) REFERENCES `b` (`n`) ON DELETE SET NULL,\n  CONSTRAINT `c` CHECK ((`id` > 0)) \
            /*!80016 NOT ENFORCED */,\n  FULLTEXT KEY `t` (`n`) /*!50100 WITH PARSER `ngram` */ \n) ENGINE=InnoDB AUTO_INCREMENT=7 \
            DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin STATS_PERSISTENT=1 ROW_FORMAT=DYNAMIC COMPRESSION='zlib' COMMENT='x'";
        assert_eq!(of(mysql), Vec::<String>::new());
        let mariadb = "CREATE TABLE `a` (\n  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK \
            (json_valid(`j`)),\n  `u` bigint(20) unsigned NOT NULL,\n  KEY `u` (`u`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 \
            COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC `page_compressed`='1' `encrypted`='no'";
        assert_eq!(of(mariadb), Vec::<String>::new());
    }

    #[test]
    fn every_other_clause_is_named() {
        for (column, dependent) in [
            ("int DEFAULT '5' COMMENT 'x'", "the default of column c"),
            ("int DEFAULT ((`e` + 1))", "the default of column c"),
            ("int DEFAULT NULL /*!80023 INVISIBLE */", "the invisible column c"),
            ("int(11) INVISIBLE DEFAULT NULL", "the invisible column c"),
            ("int GENERATED ALWAYS AS ((`u` + 1)) VIRTUAL NOT NULL", "the generated column c"),
            ("timestamp(6) GENERATED ALWAYS AS ROW START", "the generated column c"),
            ("int NOT NULL /*!50606 COLUMN_FORMAT FIXED */", "COLUMN_FORMAT FIXED of column c"),
            ("point NOT NULL /*!80003 SRID 4326 */", "SRID 4326 of column c"),
            ("text /*M!100301 COMPRESSED*/ DEFAULT NULL", "COMPRESSED of column c"),
            ("int NOT SECONDARY DEFAULT NULL", "NOT SECONDARY of column c"),
            ("longtext DEFAULT NULL CHECK (json_valid(`d`))", "the check of column c"),
            (
                "int DEFAULT NULL /*!80021 SECONDARY_ENGINE_ATTRIBUTE '{\"y\": 1}' */",
                "SECONDARY_ENGINE_ATTRIBUTE of column c",
            ),
            ("int FROM THE FUTURE (1, 2) NOT NULL", "FROM THE FUTURE of column c"),
            ("int DEFAULT NULL WITHOUT SYSTEM VERSIONING", "WITHOUT SYSTEM VERSIONING of column c"),
        ] {
            assert_eq!(of(&format!("CREATE TABLE `t` (\n  `c` {column}\n) ENGINE=InnoDB")), [dependent], "{column}");
        }
        for (item, dependent) in [
            ("KEY `k` (`c`(10))", "the index k over the beginning of column c"),
            ("KEY `k` (`c`) /*!80000 INVISIBLE */", "INVISIBLE of index k"),
            ("KEY `k` (`c`) IGNORED", "IGNORED of index k"),
            ("UNIQUE KEY `k` (`c`,`app` WITHOUT OVERLAPS)", "WITHOUT OVERLAPS of index k"),
            ("PRIMARY KEY (`c`) COMMENT 'mine'", "the comment of index PRIMARY"),
            ("PERIOD FOR `app` (`b`, `c`)", "the period app"),
            ("PERIOD FOR SYSTEM_TIME (`b`, `c`)", "the period SYSTEM_TIME"),
            ("PROJECTION `p` (`c`)", "PROJECTION p"),
        ] {
            assert_eq!(
                of(&format!("CREATE TABLE `t` (\n  `c` int,\n  {item}\n) ENGINE=InnoDB")),
                [dependent],
                "{item}"
            );
        }
        for (option, dependent) in [
            ("ENGINE=InnoDB WITH SYSTEM VERSIONING", "WITH SYSTEM VERSIONING"),
            ("ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`c`)\nPARTITIONS 4 */", "its partitions"),
            ("/*!50100 TABLESPACE `ts` */ ENGINE=InnoDB", "TABLESPACE ts"),
            ("/*!80023 AUTOEXTEND_SIZE=4194304 */ ENGINE=InnoDB", "AUTOEXTEND_SIZE=4194304"),
            ("ENGINE=InnoDB ROW_FORMAT=COMPACT", "ROW_FORMAT=COMPACT"),
            ("ENGINE=InnoDB CONNECTION='mysql://a:secret@b/c' COMMENT='x'", "CONNECTION"),
            ("ENGINE=InnoDB FUTURE_OPTION=4 COMMENT='x'", "FUTURE_OPTION=4"),
            ("ENGINE=InnoDB `future`='4'", "future"),
        ] {
            assert_eq!(of(&format!("CREATE TABLE `t` (\n  `c` int\n) {option}")), [dependent], "{option}");
        }
        assert_eq!(of("CREATE TABLE `t` (`c` int"), ["a definition that could not be read"]);
    }

    #[test]
    fn a_generated_key_is_the_servers() {
        let is_key = |name, extra, key| is_generated_key(name, "bigint unsigned", extra, key);
        assert!(is_key("my_row_id", "auto_increment INVISIBLE", "PRI"));
        assert!(!is_key("my_row_id", "INVISIBLE", "") && !is_key("row_id", "auto_increment INVISIBLE", "PRI"));
    }
}
