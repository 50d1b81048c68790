//! `config.json`: where the service is, and which tables there are.

use std::fmt;
use std::path::{Path, PathBuf};

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::sdk::TableProperties;

/// What the file says, checked.
#[derive(Debug)]
pub struct Config {
    /// Where the service is.
    pub databricks: Databricks,
    /// The tables, in the order of the file.
    pub tables: Vec<TableConfig>,
}

/// A table of the file.
#[derive(Debug)]
pub struct TableConfig {
    /// Its place in URLs.
    pub key: String,
    /// What its records are.
    pub record: Record,
    /// The variable with the token that its callers must show.
    pub token_env: Option<String>,
}

/// What a table's records are.
#[derive(Debug)]
pub enum Record {
    /// What the file says.
    Known(TableProperties),
    /// What Unity Catalog says of the table of this name.
    OfCatalog(String),
}

/// Where the service is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Databricks {
    /// The Zerobus endpoint.
    pub server_endpoint: String,
    /// The workspace's id.
    #[serde(default)]
    pub workspace_id: Option<String>,
    /// The workspace's URL.
    pub workspace_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    databricks: Databricks,
    #[serde(deserialize_with = "in_order")]
    tables: Vec<(String, Given)>,
}

/// A table as it is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    table_name: String,
    /// The record is the same whatever its package is.
    #[serde(default, rename = "proto_package")]
    _package: Option<String>,
    #[serde(default)]
    message_name: Option<String>,
    #[serde(default)]
    fields: Option<Vec<Field>>,
    /// A .proto file, beside the configuration, in place of `fields`.
    #[serde(default)]
    proto: Option<PathBuf>,
    #[serde(default)]
    token_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    #[serde(default)]
    r#type: Option<String>,
    proto_type: String,
    field_num: i32,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with the table and the field, or the line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(".")))
    }

    /// The same from a text; files that it names are found in `dir`.
    ///
    /// # Errors
    /// Those of [`Config::read`].
    pub fn parse(text: &str, dir: &Path) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if file.tables.is_empty() {
            return Err("tables is empty: there is nothing to serve".to_owned());
        }
        let tables = file.tables.into_iter().map(|(key, given)| {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            if key.is_empty() || !key.bytes().all(is_plain) {
                return Err(format!(
                    "table \"{key}\": a key is part of a URL, expected letters, digits, _, - and ."
                ));
            }
            let token_env = given.token_env.clone();
            let record = given.record(dir);
            let record = record.map_err(|why| format!("table \"{key}\": {why}"))?;
            Ok(TableConfig {
                key,
                record,
                token_env,
            })
        });
        Ok(Self {
            databricks: file.databricks,
            tables: tables.collect::<Result<_, String>>()?,
        })
    }
}

impl Given {
    fn record(self, dir: &Path) -> Result<Record, String> {
        let name = self.table_name;
        let message = self.message_name.as_deref();
        let made = match (self.fields, &self.proto) {
            (Some(_), Some(_)) => {
                return Err("gives fields and proto, expected one of them".to_owned());
            }
            (None, Some(proto)) => {
                TableProperties::from_proto_file(&name, dir.join(proto), message)
            }
            (Some(fields), None) => {
                Field::check(&fields)?;
                if let Some(message) = message.filter(|message| !is_identifier(message)) {
                    return Err(format!(
                        "message_name \"{message}\": expected letters, digits and _, and no digit first"
                    ));
                }
                let fields = fields.iter().map(Field::descriptor);
                let descriptor = DescriptorProto {
                    name: Some(message.unwrap_or("Record").to_owned()),
                    field: fields.collect::<Result<_, _>>()?,
                    ..DescriptorProto::default()
                };
                TableProperties::from_descriptor_proto(&name, descriptor)
            }
            // A name that is none is found here, not by the catalog.
            (None, None) => {
                let named = TableProperties::json(&name).map_err(|e| e.to_string());
                return named.map(|_| Record::OfCatalog(name));
            }
        };
        made.map(Record::Known).map_err(|e| e.to_string())
    }
}

impl Field {
    /// Names and numbers are each there once, and numbers are those that protobuf has.
    fn check(fields: &[Self]) -> Result<(), String> {
        if fields.is_empty() {
            return Err("fields is empty: a record has at least one".to_owned());
        }
        for (index, field) in fields.iter().enumerate() {
            let Self {
                name, field_num, ..
            } = field;
            let before = fields.iter().take(index);
            if let Some(other) = before.clone().find(|f| f.field_num == *field_num) {
                let other = &other.name;
                return Err(format!(
                    "field \"{name}\": field_num {field_num} is that of \"{other}\""
                ));
            }
            if before.clone().any(|f| f.name == *name) {
                return Err(format!("field \"{name}\" is there twice"));
            }
            if !is_identifier(name) {
                return Err(format!(
                    "field \"{name}\": expected letters, digits and _, and no digit first"
                ));
            }
            if !matches!(field_num, 1..=18_999 | 20_000..=536_870_911) {
                return Err(format!(
                    "field \"{name}\": field_num {field_num}: expected 1 to 536870911, without 19000 to 19999"
                ));
            }
        }
        Ok(())
    }

    fn descriptor(&self) -> Result<FieldDescriptorProto, String> {
        let bad = |what: String| format!("field \"{}\": {what}", self.name);
        let words: Vec<_> = self.proto_type.split_whitespace().collect();
        let (label, name) = match words[..] {
            [name] | ["optional", name] => (Label::Optional, name),
            ["required", name] => (Label::Required, name),
            ["repeated", name] => (Label::Repeated, name),
            _ => {
                let given = &self.proto_type;
                let expected = "expected such as \"optional int64\"";
                return Err(bad(format!("proto_type \"{given}\": {expected}")));
            }
        };
        let ty = scalar(name).ok_or_else(|| {
            let hint = "a table with other types has a .proto file: \"proto\": \"record.proto\"";
            bad(format!("proto_type \"{name}\" is no scalar type; {hint}"))
        })?;
        if let Some(given) = &self.r#type
            && given != name
        {
            return Err(bad(format!(
                "type is \"{given}\", proto_type says \"{name}\""
            )));
        }
        Ok(FieldDescriptorProto {
            name: Some(self.name.clone()),
            number: Some(self.field_num),
            label: Some(label.into()),
            r#type: Some(ty.into()),
            ..FieldDescriptorProto::default()
        })
    }
}

/// Whether protobuf takes it as a name.
fn is_identifier(name: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.bytes().all(is_word)
}

fn scalar(name: &str) -> Option<Type> {
    Some(match name {
        "double" => Type::Double,
        "float" => Type::Float,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "uint32" => Type::Uint32,
        "uint64" => Type::Uint64,
        "sint32" => Type::Sint32,
        "sint64" => Type::Sint64,
        "fixed32" => Type::Fixed32,
        "fixed64" => Type::Fixed64,
        "sfixed32" => Type::Sfixed32,
        "sfixed64" => Type::Sfixed64,
        "bool" => Type::Bool,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        _ => return None,
    })
}

/// The members of an object in their order; one that is there twice is refused.
fn in_order<'de, D: Deserializer<'de>>(given: D) -> Result<Vec<(String, Given)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, Given)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of tables by their keys")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all: Self::Value = Vec::new();
            while let Some(key) = map.next_key::<String>()? {
                let value = map.next_value::<Given>();
                let value = value.map_err(|e| A::Error::custom(format!("table \"{key}\": {e}")))?;
                if all.iter().any(|(other, _)| *other == key) {
                    return Err(A::Error::custom(format!("table \"{key}\" is there twice")));
                }
                all.push((key, value));
            }
            Ok(all)
        }
    }
    given.deserialize_map(InOrder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(tables: &str) -> Result<Config, String> {
        let databricks = r#"{"server_endpoint": "1.zerobus.us-west-2.cloud.databricks.com",
            "workspace_id": "1", "workspace_url": "https://w.cloud.databricks.com"}"#;
        let text = format!(r#"{{"databricks": {databricks}, "tables": {{{tables}}}}}"#);
        Config::parse(&text, Path::new("."))
    }

    fn with_field(field: &str) -> Result<Config, String> {
        parsed(&format!(
            r#""one": {{"table_name": "c.s.t", "proto_package": "one", "message_name": "One",
                "fields": [{field}]}}"#
        ))
    }

    #[test]
    fn tables_are_made_of_their_fields() {
        let config = with_field(
            r#"{"name": "a", "type": "string", "proto_type": "optional string", "field_num": 1},
               {"name": "b", "proto_type": "repeated int64", "field_num": 2}"#,
        )
        .unwrap();
        let TableConfig { key, record, .. } = &config.tables[0];
        let Record::Known(table) = record else {
            panic!("{record:?}");
        };
        assert_eq!(
            (key.as_str(), table.table_name().as_str()),
            ("one", "c.s.t")
        );
        let descriptor = table.descriptor().unwrap();
        assert_eq!(descriptor.name(), "One");
        assert!(descriptor.get_field_by_name("b").unwrap().is_list());
    }

    #[test]
    fn a_table_may_leave_its_record_to_the_catalog() {
        let config = parsed(r#""one": {"table_name": "c.s.t", "token_env": "ONE"}"#).unwrap();
        let TableConfig {
            record, token_env, ..
        } = &config.tables[0];
        assert!(matches!(record, Record::OfCatalog(name) if name == "c.s.t"));
        assert_eq!(token_env.as_deref(), Some("ONE"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (given, told) in [
            (
                with_field(r#"{"name": "a", "proto_type": "optional text", "field_num": 1}"#),
                "table \"one\": field \"a\": proto_type \"text\" is no scalar type",
            ),
            (
                with_field(
                    r#"{"name": "a", "type": "int32", "proto_type": "int64", "field_num": 1}"#,
                ),
                "table \"one\": field \"a\": type is \"int32\", proto_type says \"int64\"",
            ),
            (parsed(r#""one": {"table_name": "c.t"}"#), "table \"one\": "),
            (
                parsed(r#""one": {"tabel_name": "c.s.t"}"#),
                "table \"one\": unknown field `tabel_name`",
            ),
            (
                parsed(r#""a b": {"table_name": "c.s.t", "fields": []}"#),
                "a key is part of a URL",
            ),
            (
                with_field(r#"{"name": "a b", "proto_type": "int32", "field_num": 1}"#),
                "table \"one\": field \"a b\": expected letters",
            ),
            (parsed(""), "tables is empty"),
            (with_field(""), "fields is empty"),
            (
                with_field(
                    r#"{"name": "a", "proto_type": "int32", "field_num": 1},
                       {"name": "b", "proto_type": "int32", "field_num": 1}"#,
                ),
                "field \"b\": field_num 1 is that of \"a\"",
            ),
            (
                with_field(r#"{"name": "a", "proto_type": "int32", "field_num": 19000}"#),
                "field \"a\": field_num 19000: expected 1 to",
            ),
            (
                parsed(r#""one": {"table_name": "c.t", "proto": "x.proto"}"#),
                "table \"one\": ",
            ),
        ] {
            let error = given.unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let table = r#"{"table_name": "c.s.t", "fields": []}"#;
        let twice = parsed(&format!(r#""one": {table}, "one": {table}"#));
        assert!(twice.unwrap_err().contains("is there twice"));
    }
}
