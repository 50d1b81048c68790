//! A column's type as Spark writes it (`struct<a:int,b:array<string>>`) → the column type.

use super::hints;
use super::planner::DEPTH_MAX;
use super::types::{Column, ColumnType};

/// What is kept of a type that is not known, in characters.
const OTHER_CHARS_MAX: usize = 100;

/// Reads a type. One that is not known, or not written as a type should be, is kept as its
/// text, for whoever must tell of it.
pub(super) fn parse(text: &str) -> ColumnType {
    let mut parser = Parser { rest: text.trim() };
    match parser.ty(0) {
        Some(ty) if parser.rest.is_empty() => ty,
        _ => other(text),
    }
}

/// A type without others in it, as any of its names says it.
pub(super) fn scalar(text: &str) -> ColumnType {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    // `string collate UTF8_LCASE` is text that compares in another way.
    match lower.split_whitespace().next().unwrap_or_default() {
        "boolean" => ColumnType::Boolean,
        "byte" => ColumnType::TinyInt,
        "short" => ColumnType::SmallInt,
        "int" | "integer" => ColumnType::Int,
        "long" | "bigint" => ColumnType::BigInt,
        "float" => ColumnType::Float,
        "double" => ColumnType::Double,
        "string" => ColumnType::String,
        "binary" => ColumnType::Binary,
        "decimal" => ColumnType::Decimal {
            precision: 10,
            scale: 0,
        },
        // CHAR(n) takes text of at most n characters as VARCHAR(n) does, and pads it.
        _ if lower.starts_with("char(") => scalar(&format!("var{lower}")),
        _ => hints::column_type(&lower).unwrap_or_else(|_| other(text)),
    }
}

pub(super) fn other(text: &str) -> ColumnType {
    let shown = text.chars().filter(|c| !c.is_control());
    ColumnType::Other(shown.take(OTHER_CHARS_MAX).collect())
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn ty(&mut self, depth: usize) -> Option<ColumnType> {
        if depth > DEPTH_MAX {
            return None;
        }
        let word = self.word();
        if !self.takes('<') {
            return Some(scalar(word));
        }
        let ty = match word.trim().to_ascii_lowercase().as_str() {
            "array" => ColumnType::Array(Box::new(self.ty(depth + 1)?)),
            "map" => {
                let key = self.ty(depth + 1)?;
                if !self.takes(',') {
                    return None;
                }
                ColumnType::Map(Box::new(key), Box::new(self.ty(depth + 1)?))
            }
            "struct" => ColumnType::Struct(self.fields(depth)?),
            _ => return None,
        };
        self.takes('>').then_some(ty)
    }

    fn fields(&mut self, depth: usize) -> Option<Vec<Column>> {
        let mut fields = Vec::new();
        while !self.rest.starts_with('>') {
            let name = self.name()?;
            fields.push(Column::new(name, self.ty(depth + 1)?, true));
            if !self.takes(',') {
                break;
            }
        }
        Some(fields)
    }

    /// A field's name and the colon behind it; in backquotes where it holds signs.
    fn name(&mut self) -> Option<String> {
        let (name, behind) = match self.rest.strip_prefix('`') {
            Some(quoted) => quoted.split_once('`')?,
            None => self.rest.split_at(self.rest.find(':')?),
        };
        self.rest = behind.trim_start().strip_prefix(':')?.trim_start();
        Some(name.trim().to_owned())
    }

    /// Up to the sign that ends it: `decimal(10,2)` is one word.
    fn word(&mut self) -> &'t str {
        let mut in_brackets = false;
        let ends = |c: char| {
            match c {
                '(' => in_brackets = true,
                ')' => in_brackets = false,
                _ => {}
            }
            !in_brackets && matches!(c, '<' | '>' | ',')
        };
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn takes(&mut self, sign: char) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_from_its_text() {
        for (text, expected) in [
            ("boolean", "BOOLEAN"),
            ("tinyint", "TINYINT"),
            ("byte", "TINYINT"),
            ("smallint", "SMALLINT"),
            ("short", "SMALLINT"),
            ("int", "INT"),
            ("integer", "INT"),
            ("LONG", "BIGINT"),
            ("bigint", "BIGINT"),
            ("float", "FLOAT"),
            ("double", "DOUBLE"),
            ("decimal(10,2)", "DECIMAL(10,2)"),
            ("decimal", "DECIMAL(10,0)"),
            ("string", "STRING"),
            ("string collate UTF8_LCASE", "STRING"),
            ("varchar(7)", "VARCHAR(7)"),
            ("char(7)", "VARCHAR(7)"),
            ("binary", "BINARY"),
            ("date", "DATE"),
            ("timestamp", "TIMESTAMP"),
            ("timestamp_ntz", "TIMESTAMP_NTZ"),
            ("variant", "VARIANT"),
            (
                "struct<a:int,b:array<map<string,decimal(5,1)>>,`c:d`: struct<e:varchar(3)>>",
                "STRUCT<a: INT, b: ARRAY<MAP<STRING, DECIMAL(5,1)>>, c:d: STRUCT<e: VARCHAR(3)>>",
            ),
            ("struct<>", "STRUCT<>"),
        ] {
            assert_eq!(parse(text).to_string(), expected, "{text}");
            assert!(!matches!(parse(text), ColumnType::Other(_)), "{text}");
        }
    }

    #[test]
    fn what_is_no_known_type_is_kept_as_its_text() {
        let deep = "array<".repeat(1_000_000);
        let deep_closed = [&deep, "int", &">".repeat(1_000_000)].concat();
        for text in [
            "",
            "interval day to second",
            "geography(4326)",
            "decimal(99,2)",
            "array<int",
            "array<int>>",
            "map<int>",
            "struct<a int>",
            "struct<`a",
            "varchar(",
            ")>,<(",
            "list<int>",
            &deep,
            &deep_closed,
        ] {
            let kept: String = text.chars().take(OTHER_CHARS_MAX).collect();
            assert_eq!(parse(text), ColumnType::Other(kept));
        }
        let nested = parse("array<interval year>");
        let inner = ColumnType::Other("interval year".into());
        assert_eq!(nested, ColumnType::Array(Box::new(inner)));
    }
}
