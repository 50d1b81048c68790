//! What Unity Catalog says of a table (`GET .../tables/{c.s.t}`) → its columns.
//!
//! Nothing here trusts the answer. A type that is not known is kept by its name, so that
//! only a record that has a field for it must fail.

use serde::Deserialize;
use serde_json::Value;

use super::type_text::{self, other, parse, scalar};
use super::types::{Column, ColumnType};

/// Where Spark keeps a type with VARCHAR in it, whose JSON form knows strings only.
const VARCHAR_KEY: &str = "__CHAR_VARCHAR_TYPE_STRING";

/// A table as its catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogTable {
    /// What stays the same while the table is altered, and is another once it is made anew.
    pub id: Option<String>,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Answer {
    table_id: Option<String>,
    columns: Option<Vec<AnswerColumn>>,
}

#[derive(Deserialize)]
struct AnswerColumn {
    name: String,
    type_json: Option<String>,
    type_text: Option<String>,
    type_name: Option<String>,
    #[serde(default)]
    type_precision: u32,
    #[serde(default)]
    type_scale: u32,
    nullable: Option<bool>,
    position: Option<u64>,
    comment: Option<String>,
}

impl CatalogTable {
    /// Reads the body of the answer.
    ///
    /// # Errors
    /// It is not JSON, or not a table with columns.
    pub fn from_answer(body: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let mut columns = answer.columns.unwrap_or_default();
        if columns.is_empty() {
            return Err("it names no columns".to_owned());
        }
        columns.sort_by_key(|column| column.position.unwrap_or(u64::MAX));
        Ok(Self {
            id: answer.table_id,
            columns: columns.into_iter().map(AnswerColumn::column).collect(),
        })
    }
}

impl AnswerColumn {
    fn column(self) -> Column {
        Column {
            ty: self.ty(),
            nullable: self.nullable.unwrap_or(true),
            comment: self.comment,
            name: self.name,
        }
    }

    /// `type_json` is the only form that is complete. Without it, or with one that nests
    /// deeper than a JSON reader goes, the others serve.
    fn ty(&self) -> ColumnType {
        let text = self.type_text.as_deref();
        let json = self.type_json.as_deref();
        if let Some(json) = json.and_then(|json| serde_json::from_str::<Value>(json).ok()) {
            let mut ty = of_column(&json);
            if let Some(text) = text {
                refine(&mut ty, &parse(text));
            }
            return ty;
        }
        match (text, self.type_name.as_deref()) {
            (Some(text), _) => parse(text),
            (None, Some(name)) if name.eq_ignore_ascii_case("decimal") => scalar(&format!(
                "decimal({},{})",
                self.type_precision, self.type_scale
            )),
            (None, Some(name)) => scalar(name),
            (None, None) => other("a type without a name"),
        }
    }
}

/// A column's type by its JSON: that of a field, or of a type by itself.
fn of_column(json: &Value) -> ColumnType {
    match json.get("name") {
        Some(_) => of_field(json).ty,
        None => of_type(json),
    }
}

// The reader of JSON bounds the depth of what gets here.
fn of_type(json: &Value) -> ColumnType {
    if let Some(name) = json.as_str() {
        return scalar(name);
    }
    let part = |key: &str| match json.get(key) {
        Some(part) => Box::new(of_type(part)),
        None => Box::new(other(&format!("a type without {key}"))),
    };
    match json["type"].as_str() {
        Some("array") => ColumnType::Array(part("elementType")),
        Some("map") => ColumnType::Map(part("keyType"), part("valueType")),
        Some("struct") => {
            let fields = json["fields"].as_array().map_or(&[][..], Vec::as_slice);
            ColumnType::Struct(fields.iter().map(of_field).collect())
        }
        _ => other(&json.to_string()),
    }
}

fn of_field(json: &Value) -> Column {
    let mut ty = of_type(&json["type"]);
    let metadata = &json["metadata"];
    if let Some(raw) = metadata[VARCHAR_KEY].as_str() {
        refine(&mut ty, &type_text::parse(raw));
    }
    Column {
        name: json["name"].as_str().unwrap_or_default().to_owned(),
        ty,
        nullable: json["nullable"].as_bool().unwrap_or(true),
        comment: metadata["comment"].as_str().map(str::to_owned),
    }
}

/// Makes a STRING a VARCHAR where the same type, written otherwise, says so.
fn refine(ty: &mut ColumnType, said: &ColumnType) {
    match (ty, said) {
        (ty @ ColumnType::String, ColumnType::Varchar(_)) => *ty = said.clone(),
        (ColumnType::Array(element), ColumnType::Array(said)) => refine(element, said),
        (ColumnType::Map(key, value), ColumnType::Map(said_key, said_value)) => {
            refine(key, said_key);
            refine(value, said_value);
        }
        (ColumnType::Struct(fields), ColumnType::Struct(said)) => {
            for (field, said) in fields.iter_mut().zip(said) {
                if field.name == said.name {
                    refine(&mut field.ty, &said.ty);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(column: Value) -> Column {
        let body = json!({"table_id": "i", "columns": [column]}).to_string();
        let table = CatalogTable::from_answer(body.as_bytes()).unwrap();
        assert_eq!(table.id.as_deref(), Some("i"));
        table.columns.into_iter().next().unwrap()
    }

    fn of_json(ty: Value) -> String {
        let field = json!({"name": "c", "type": ty, "nullable": false, "metadata": {}});
        one(json!({"name": "c", "type_json": field.to_string()}))
            .ty
            .to_string()
    }

    #[test]
    fn every_type_is_read_from_json() {
        for (json, expected) in [
            (json!("boolean"), "BOOLEAN"),
            (json!("byte"), "TINYINT"),
            (json!("short"), "SMALLINT"),
            (json!("integer"), "INT"),
            (json!("long"), "BIGINT"),
            (json!("float"), "FLOAT"),
            (json!("double"), "DOUBLE"),
            (json!("decimal(38,18)"), "DECIMAL(38,18)"),
            (json!("string"), "STRING"),
            (json!("binary"), "BINARY"),
            (json!("date"), "DATE"),
            (json!("timestamp"), "TIMESTAMP"),
            (json!("timestamp_ntz"), "TIMESTAMP_NTZ"),
            (json!("variant"), "VARIANT"),
            (json!("interval day"), "interval day"),
            (
                json!({"type": "udt", "class": "x"}),
                "{\"type\":\"udt\",\"class\":\"x\"}",
            ),
            (json!(7), "7"),
            (
                json!({"type": "array"}),
                "ARRAY<a type without elementType>",
            ),
            (
                json!({"type": "array", "containsNull": true, "elementType":
                {"type": "struct", "fields": [
                    {"name": "m", "nullable": false, "metadata": {}, "type":
                        {"type": "map", "keyType": "string", "valueType":
                            {"type": "struct", "fields": [
                                {"name": "v", "type": "variant", "nullable": true, "metadata": {}}
                            ]}, "valueContainsNull": true}}
                ]}}),
                "ARRAY<STRUCT<m: MAP<STRING, STRUCT<v: VARIANT>> NOT NULL>>",
            ),
        ] {
            assert_eq!(of_json(json), expected);
        }
    }

    #[test]
    fn a_varchar_is_told_by_metadata_or_by_the_text() {
        let metadata = |raw: &str| json!({"__CHAR_VARCHAR_TYPE_STRING": raw});
        let inner = |metadata: Value| {
            json!({"type": "struct", "fields": [
                {"name": "a", "type": "string", "nullable": true, "metadata": metadata},
                {"name": "b", "type": {"type": "array", "elementType": "string"}}]})
        };
        let outer = |ty: Value, metadata: Value| {
            json!({"name": "c", "type": ty, "nullable": true, "metadata": metadata}).to_string()
        };
        let told = "STRUCT<a: VARCHAR(3), b: ARRAY<VARCHAR(4)>>";
        let raw = "struct<a:varchar(3),b:array<varchar(4)>>";
        for (column, expected) in [
            (
                json!({"type_json": outer(json!("string"), metadata("varchar(9)"))}),
                "VARCHAR(9)",
            ),
            (
                json!({"type_json": outer(inner(json!({})), metadata(raw))}),
                told,
            ),
            (
                json!({"type_json": outer(inner(json!({})), json!({})), "type_text": raw}),
                told,
            ),
            (
                json!({"type_json": outer(inner(metadata("varchar(3)")), json!({}))}),
                "STRUCT<a: VARCHAR(3), b: ARRAY<STRING>>",
            ),
            (json!({"type_text": raw, "type_name": "STRUCT"}), told),
            (json!({"type_json": "\"long\""}), "BIGINT"),
            (json!({"type_name": "LONG"}), "BIGINT"),
            (json!({"type_name": "BIGINT"}), "BIGINT"),
            (
                json!({"type_name": "DECIMAL", "type_precision": 9, "type_scale": 2}),
                "DECIMAL(9,2)",
            ),
            (json!({}), "a type without a name"),
        ] {
            let mut column = column;
            column["name"] = json!("c");
            assert_eq!(one(column).ty.to_string(), expected);
        }
    }

    #[test]
    fn columns_go_by_their_position() {
        let body = json!({"columns": [
            {"name": "b", "type_name": "INT", "position": 1, "comment": "said"},
            {"name": "a", "type_name": "INT", "position": 0, "nullable": false},
        ]});
        let table = CatalogTable::from_answer(body.to_string().as_bytes()).unwrap();
        assert_eq!(table.id, None);
        let names: Vec<_> = table
            .columns
            .iter()
            .map(|c| (&*c.name, c.nullable))
            .collect();
        assert_eq!(names, [("a", false), ("b", true)]);
        assert_eq!(table.columns[1].comment.as_deref(), Some("said"));
    }

    #[test]
    fn hostile_answers_are_refused_or_kept_by_name() {
        for body in [
            "",
            "[]",
            "{}",
            "{\"columns\":[]}",
            "{\"columns\":[{}]}",
            "{\"columns\":{\"name\":1}}",
            &"[".repeat(1_000_000),
            &"{\"columns\":".repeat(100_000),
        ] {
            assert!(CatalogTable::from_answer(body.as_bytes()).is_err());
        }
        // Deeper than a JSON reader goes: the text tells.
        let open = r#"{"type":"array","elementType":"#;
        let deep = [&open.repeat(200), "\"int\"", &"}".repeat(200)].concat();
        let text = "array<int>";
        let column = one(json!({"name": "c", "type_json": deep, "type_text": text}));
        assert_eq!(column.ty.to_string(), "ARRAY<INT>");
        let deeper = [&open.repeat(1_000_000), "1"].concat();
        let column = one(json!({"name": "c", "type_json": deeper}));
        assert_eq!(column.ty.to_string(), "a type without a name");
    }
}
