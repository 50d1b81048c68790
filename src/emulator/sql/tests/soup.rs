//! Any text is understood or refused, and never too much.

use proptest::prelude::*;

use super::*;

/// Pieces that statements are made of, so that the soup gets past the first of them.
const PIECES: [&str; 62] = [
    "CREATE",
    "TABLE",
    "IF",
    "NOT",
    "EXISTS",
    "OR",
    "REPLACE",
    "CATALOG",
    "SCHEMA",
    "USE",
    "GRANT",
    "REVOKE",
    "ON",
    "TO",
    "FROM",
    "SELECT",
    "MODIFY",
    "ALL",
    "PRIVILEGES",
    "a.b.c",
    "a",
    "`b`",
    "`<x>`",
    ".",
    ",",
    ";",
    "(",
    ")",
    "<",
    ">",
    ">>",
    "<>",
    ":",
    "::",
    "=",
    "'",
    "'t'",
    "\"t\"",
    "`",
    "\\",
    "--",
    "\n",
    "/*",
    "*/",
    "INT",
    "DECIMAL",
    "VARCHAR",
    "(3)",
    "(10,2)",
    "ARRAY<",
    "MAP<",
    "STRUCT<",
    "NULL",
    "COMMENT",
    "USING",
    "DELTA",
    "TBLPROPERTIES",
    "'delta.appendOnly'",
    "true",
    "1",
    "ä",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_soup_of_tokens_is_too_much(
        soup in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60),
        glue in prop::sample::select(&[" ", "", "\n"][..]),
    ) {
        let _ = statements(&soup.join(glue));
    }

    #[test]
    fn nor_is_any_text(text in any::<String>()) {
        let _ = statements(&text);
    }

    /// A statement that is cut or has a piece too many is refused within the text, or taken.
    #[test]
    fn a_place_lies_within_the_text(
        cut in 0..200_usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let text = "CREATE TABLE a.b.c (\n  x STRUCT<a: INT NOT NULL, b ARRAY<MAP<STRING, DEC(5, 2)>>>,\n \
                    y INT COMMENT 'y')\nUSING DELTA COMMENT 't' TBLPROPERTIES ('a' = 'b');\n\
                    GRANT SELECT ON TABLE a.b.c TO `p`";
        let mut text = text.to_owned();
        text.insert_str(cut.min(text.len()), piece);
        if let Err(problem) = statements(&text) {
            let Place { line, column } = problem.place;
            let lines: Vec<&str> = text.split('\n').collect();
            let at = lines.get(line as usize - 1);
            prop_assert!(at.is_some(), "{problem:?}\n{text}");
            prop_assert!(column as usize <= at.unwrap().chars().count() + 1, "{problem:?}\n{text}");
        }
    }
}
