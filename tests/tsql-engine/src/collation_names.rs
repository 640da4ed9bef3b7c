//! Which collations a release of SQL Server has ("Windows Collation Name", "SQL Server Collation Name").

use crate::collation::code_page;
use crate::error::error;
use crate::value::SqlError;
use crate::version::Version;

/// The designators of Windows' collations that have no version in their names.
const FAMILIES: &[&str] = &[
    "albanian",
    "arabic",
    "assamese",
    "azeri_cyrillic",
    "azeri_latin",
    "bashkir",
    "bengali",
    "bosnian_cyrillic",
    "bosnian_latin",
    "breton",
    "chinese_hong_kong_stroke",
    "chinese_prc",
    "chinese_prc_stroke",
    "chinese_simplified_pinyin",
    "chinese_simplified_stroke_order",
    "chinese_taiwan_bopomofo",
    "chinese_taiwan_stroke",
    "chinese_traditional_bopomofo",
    "chinese_traditional_pinyin",
    "chinese_traditional_stroke_count",
    "chinese_traditional_stroke_order",
    "corsican",
    "croatian",
    "cyrillic_general",
    "czech",
    "danish_greenlandic",
    "danish_norwegian",
    "dari",
    "divehi",
    "estonian",
    "finnish_swedish",
    "french",
    "frisian",
    "georgian_modern_sort",
    "german_phonebook",
    "greek",
    "hebrew",
    "hungarian",
    "hungarian_technical",
    "icelandic",
    "indic_general",
    "japanese",
    "japanese_bushu_kakusu",
    "japanese_unicode",
    "japanese_xjis",
    "kazakh",
    "khmer",
    "korean",
    "korean_wansung",
    "lao",
    "latin1_general",
    "latvian",
    "lithuanian",
    "macedonian_fyrom",
    "maltese",
    "maori",
    "mapudungan",
    "modern_spanish",
    "mohawk",
    "nepali",
    "norwegian",
    "pashto",
    "persian",
    "polish",
    "romanian",
    "romansh",
    "sami_norway",
    "sami_sweden_finland",
    "serbian_cyrillic",
    "serbian_latin",
    "slovak",
    "slovenian",
    "syriac",
    "tamazight",
    "tatar",
    "thai",
    "tibetan",
    "traditional_spanish",
    "turkish",
    "turkmen",
    "uighur",
    "ukrainian",
    "upper_sorbian",
    "urdu",
    "uzbek_latin",
    "vietnamese",
    "welsh",
    "yakut",
];

/// What may follow the designator and its version, in this order, besides `_BIN` and `_BIN2`.
const SENSITIVITIES: &[&[&str]] = &[&["ci", "cs"], &["ai", "as"], &["ks"], &["ws"], &["vss"], &["sc"], &["utf8"]];

/// 448 where the release has no collation of that name.
pub fn known(name: &str, version: Version) -> Result<(), SqlError> {
    let lower = name.to_ascii_lowercase();
    // SQL Server's own old collations are a list of some eighty names; those whose code page is known stand for them.
    let old = lower.starts_with("sql_") && !lower.contains("utf8") && code_page(name) != 0;
    if old || windows(&lower, version) {
        return Ok(());
    }
    Err(error(448, format!("Invalid collation '{name}'.")))
}

fn windows(lower: &str, version: Version) -> bool {
    let longest = FAMILIES
        .iter()
        .filter(|family| lower.strip_prefix(**family).is_some_and(|rest| rest.starts_with('_')))
        .max_by_key(|family| family.len());
    let Some(family) = longest else { return false };
    let mut rest: Vec<&str> = lower[family.len() + 1..].split('_').collect();
    let number = match rest.first() {
        Some(&"90") => 90,
        Some(&"100") => 100,
        Some(&"140") => 140,
        _ => 0,
    };
    if number > 0 {
        rest.remove(0);
    }
    // Version 140 came with SQL Server 2017, for two Japanese collations; UTF-8 with 2019, where surrogate pairs are known.
    if number == 140 && (version < Version::V2017 || !matches!(*family, "japanese_bushu_kakusu" | "japanese_xjis")) {
        return false;
    }
    if rest.last() == Some(&"utf8") && version < Version::V2019 {
        return false;
    }
    if matches!(rest.as_slice(), ["bin" | "bin2"]) {
        return true;
    }
    if rest == ["bin2", "utf8"] {
        return *family == "latin1_general" && number == 100;
    }
    let mut places = SENSITIVITIES.iter();
    let ordered = rest.iter().all(|part| places.any(|allowed| allowed.contains(part)));
    let has = |part: &str| rest.contains(&part);
    let complete = (has("ci") || has("cs")) && (has("ai") || has("as"));
    let pairs = number >= 90 && has("sc") || number == 140;
    ordered
        && complete
        && (!has("sc") || (number == 90 || number == 100))
        && (!has("vss") || number == 140)
        && (!has("utf8") || pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations_are_those_of_the_release() {
        for (name, since) in [
            ("SQL_Latin1_General_CP1_CI_AS", Some("2012")),
            ("SQL_Latin1_General_CP850_BIN2", Some("2012")),
            ("Latin1_General_CI_AS", Some("2012")),
            ("latin1_general_bin", Some("2012")),
            ("Latin1_General_100_BIN2", Some("2012")),
            ("Latin1_General_100_CI_AS_KS_WS_SC", Some("2012")),
            ("Chinese_PRC_Stroke_90_CS_AI_KS_WS_SC", Some("2012")),
            ("Japanese_XJIS_140_CI_AS_VSS", Some("2017")),
            ("Latin1_General_100_CI_AS_SC_UTF8", Some("2019")),
            ("Latin1_General_100_BIN2_UTF8", Some("2019")),
            ("Japanese_Bushu_Kakusu_140_CS_AS_UTF8", Some("2019")),
            ("Latin1_General_CI_AS_SC", None),
            ("Latin1_General_100_CI_AS_UTF8", None),
            ("Latin1_General_BIN2_UTF8", None),
            ("Latin1_General_140_CI_AS", None),
            ("Latin1_General_100_AS_CI", None),
            ("Latin1_General_100_CI", None),
            ("Klingon_100_CI_AS", None),
            ("Latin1_General", None),
        ] {
            for version in Version::ALL {
                let expected = since.is_some_and(|year| version.year() >= year);
                assert_eq!(known(name, version).is_ok(), expected, "{name} in {}", version.year());
            }
        }
    }
}
