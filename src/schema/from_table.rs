//! The columns of a table → the message of a record that fills them (PROTOCOL: Delta and
//! Unity Catalog types).

use std::collections::{HashMap, HashSet};

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
};
use prost_reflect::{DescriptorPool, MessageDescriptor};

use super::{COLUMNS_MAX, Column, ColumnType, RecordPlan, SchemaError, TableName};

/// The numbers that protobuf keeps for itself.
const RESERVED_FIRST: i32 = 19_000;
const RESERVED_LAST: i32 = 19_999;

/// The name of the message of a table's record: `air_quality` → `AirQuality`.
pub fn message_name(table: &TableName) -> String {
    let name = camel(table.table());
    match is_identifier(&name) {
        true => name,
        false => "Record".to_owned(),
    }
}

/// The message of a record for a table of these columns: a field for each, of its name, NOT
/// NULL ones required, a message for each STRUCT.
///
/// # Errors
/// Columns that no field fills, each with the reason.
pub(crate) fn message_of_table(
    table: &TableName,
    columns: &[Column],
) -> Result<MessageDescriptor, SchemaError> {
    let root = message_name(table);
    let refuse = |what: String| {
        SchemaError::at(table.to_string(), None, what)
            .hint("declare a record without these columns and give it with --proto, or send JSON records with --json")
    };
    if columns.len() > COLUMNS_MAX {
        let has = columns.len();
        return Err(refuse(format!(
            "has {has} columns, a record takes at most {COLUMNS_MAX}"
        )));
    }
    let mut builder = Builder {
        taken: columns.iter().map(|c| c.name.clone()).collect(),
        root: root.clone(),
        structs: Vec::new(),
        problems: Vec::new(),
    };
    builder.taken.extend(columns.iter().filter_map(entry_name));
    let mut message = builder.message(root.clone(), columns, "");
    if !builder.problems.is_empty() {
        return Err(refuse(builder.problems.join("; ")));
    }
    message.nested_type.append(&mut builder.structs);
    let file = FileDescriptorProto {
        name: Some(table.to_string()),
        message_type: vec![message],
        ..Default::default()
    };
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_proto(file)
        .map_err(|e| refuse(e.to_string()))?;
    let made = pool.get_message_by_name(&root);
    made.ok_or_else(|| refuse("makes no message".to_owned()))
}

impl RecordPlan {
    /// The plan of the record that a table of these columns makes. What its rows lack is
    /// told in the table's name: there is no .proto to look at.
    ///
    /// # Errors
    /// Columns that no message has fields for, and those of [`RecordPlan::over_table`].
    pub fn of_table(
        table: &TableName,
        types: &[(String, ColumnType)],
        columns: &[Column],
    ) -> Result<Self, SchemaError> {
        let message = message_of_table(table, columns)?;
        let mut plan = Self::over_table(&message, types, columns)?;
        if let Some(root) = plan.messages.first_mut() {
            root.name = format!("table {table}");
        }
        Ok(plan)
    }
}

struct Builder {
    /// The record's name.
    root: String,
    /// Names in use within the record, where the messages of all STRUCTs stand side by side.
    taken: HashSet<String>,
    structs: Vec<DescriptorProto>,
    problems: Vec<String>,
}

impl Builder {
    fn message(&mut self, name: String, columns: &[Column], within: &str) -> DescriptorProto {
        let mut message = DescriptorProto {
            name: Some(name.clone()),
            ..Default::default()
        };
        let mut entries: HashMap<String, &str> = HashMap::new();
        let mut lower: HashMap<String, &str> = HashMap::new();
        let names: HashSet<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        for (number, column) in numbers().zip(columns) {
            let path = format!("{within}{}", column.name);
            let made = match misnamed(&column.name) {
                None => self.field(column, number, &path, &name, &mut message.nested_type),
                Some(why) => Err(why.to_owned()),
            };
            match made {
                Ok(field) => message.field.push(field),
                Err(why) => self
                    .problems
                    .push(format!("column \"{path}\" ({}): {why}", column.ty)),
            }
            let alike = lower.insert(column.name.to_ascii_lowercase(), &column.name);
            if let Some(other) = alike {
                let what = format!(
                    "columns \"{within}{other}\" and \"{path}\" differ in nothing but case"
                );
                self.problems.push(what);
                continue;
            }
            let Some(entry) = entry_name(column) else {
                continue;
            };
            if names.contains(entry.as_str()) {
                let what = format!(
                    "column \"{within}{entry}\" has the name that protobuf gives the entries of the MAP \"{path}\""
                );
                self.problems.push(what);
            }
            if let Some(other) = entries.insert(entry, &column.name) {
                let what = format!(
                    "the MAPs \"{within}{other}\" and \"{path}\" have names too like each other"
                );
                self.problems.push(what);
            }
        }
        message
    }

    /// A field of the message `around`, which gets the entry of a MAP.
    fn field(
        &mut self,
        column: &Column,
        number: i32,
        path: &str,
        around: &str,
        nested: &mut Vec<DescriptorProto>,
    ) -> Result<FieldDescriptorProto, String> {
        let single = match column.nullable {
            true => Label::Optional,
            false => Label::Required,
        };
        let (label, ty, type_name) = match &column.ty {
            ColumnType::Array(element) => {
                let (ty, name) = self.value(element, &column.name, path, "an ARRAY")?;
                (Label::Repeated, ty, name)
            }
            ColumnType::Map(key, value) => {
                let key = key_type(key)?;
                let (ty, name) = self.value(value, &column.name, path, "a MAP")?;
                let entry = entry_name(column).unwrap_or_default();
                nested.push(DescriptorProto {
                    name: Some(entry.clone()),
                    field: vec![
                        field("key", 1, Label::Optional, key, None),
                        field("value", 2, Label::Optional, ty, name),
                    ],
                    options: Some(MessageOptions {
                        map_entry: Some(true),
                        ..Default::default()
                    }),
                    ..Default::default()
                });
                let around = match around == self.root {
                    true => format!(".{around}"),
                    false => format!(".{}.{around}", self.root),
                };
                let name = format!("{around}.{entry}");
                (Label::Repeated, Type::Message, Some(name))
            }
            other => {
                let (ty, name) = self.value(other, &column.name, path, "a column")?;
                (single, ty, name)
            }
        };
        Ok(field(&column.name, number, label, ty, type_name))
    }

    /// The type of one value, and its message's name. `holder` is what holds it.
    fn value(
        &mut self,
        ty: &ColumnType,
        name: &str,
        path: &str,
        holder: &str,
    ) -> Result<(Type, Option<String>), String> {
        Ok(match ty {
            ColumnType::Struct(columns) if columns.is_empty() => {
                return Err("a STRUCT without fields makes no message".to_owned());
            }
            ColumnType::Struct(columns) => {
                let name = self.unique(camel(name));
                let message = self.message(name.clone(), columns, &format!("{path}."));
                self.structs.push(message);
                (Type::Message, Some(format!(".{}.{name}", self.root)))
            }
            ColumnType::Array(_) | ColumnType::Map(..) => {
                return Err(format!("protobuf has no list or map within {holder}"));
            }
            ColumnType::Other(_) => return Err("no record has a field for this type".to_owned()),
            scalar => (scalar_type(scalar), None),
        })
    }

    fn unique(&mut self, name: String) -> String {
        let base = match is_identifier(&name) {
            true => name,
            false => "Struct".to_owned(),
        };
        let numbered = (2..).map(|n: u32| format!("{base}{n}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        // Endless: one of them is free.
        names
            .find(|name| self.taken.insert(name.clone()))
            .unwrap_or(base)
    }
}

/// Why a column cannot be a field by its name.
fn misnamed(name: &str) -> Option<&'static str> {
    match name.chars().next() {
        _ if is_identifier(name) => None,
        None => Some("its name is empty"),
        Some('0'..='9') => Some("its name begins with a digit"),
        Some(_) => Some("its name is not of ASCII letters, digits and _"),
    }
}

/// 1, 2, 3, ... without those that protobuf keeps.
fn numbers() -> impl Iterator<Item = i32> {
    (1..RESERVED_FIRST).chain(RESERVED_LAST + 1..)
}

fn field(
    name: &str,
    number: i32,
    label: Label,
    ty: Type,
    type_name: Option<String>,
) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(ty.into()),
        type_name,
        // A row names its columns, and nothing else.
        json_name: Some(name.to_owned()),
        ..Default::default()
    }
}

fn scalar_type(ty: &ColumnType) -> Type {
    match ty {
        ColumnType::Boolean => Type::Bool,
        ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::Date => {
            Type::Int32
        }
        ColumnType::BigInt | ColumnType::Timestamp | ColumnType::TimestampNtz => Type::Int64,
        ColumnType::Float => Type::Float,
        ColumnType::Double => Type::Double,
        ColumnType::Binary => Type::Bytes,
        _ => Type::String,
    }
}

fn key_type(ty: &ColumnType) -> Result<Type, String> {
    match ty {
        ColumnType::Boolean
        | ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::String
        | ColumnType::Varchar(_) => Ok(scalar_type(ty)),
        other => Err(format!(
            "protobuf has no map with keys for {other}, only integers, BOOLEAN and STRING"
        )),
    }
}

/// The name that protobuf gives the entries of a map.
fn entry_name(column: &Column) -> Option<String> {
    matches!(column.ty, ColumnType::Map(..)).then(|| format!("{}Entry", camel(&column.name)))
}

/// `air_quality` → `AirQuality`, as protobuf does it.
fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut upper = true;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message as _;

    use super::super::{RecordPlan, check, columns, type_text};
    use super::*;

    fn table(text: &str) -> Vec<Column> {
        match type_text::parse(&format!("struct<{text}>")) {
            ColumnType::Struct(columns) => columns,
            other => panic!("{other}"),
        }
    }

    fn name() -> TableName {
        "main.default.air_quality".parse().unwrap()
    }

    #[test]
    fn a_record_of_a_table_makes_the_same_table() {
        let mut columns = table(
            "a:boolean,b:tinyint,c:smallint,d:int,e:bigint,f:float,g:double,h:decimal(20,3),\
            i:string,j:varchar(7),k:binary,l:date,m:timestamp,n:timestamp_ntz,o:variant,\
            p:array<timestamp>,q:map<int,variant>,r:struct<s:struct<t:array<struct<u:date>>>>,\
            R_:map<string,struct<r:map<boolean,struct<v:decimal(5,1)>>>>,_:array<string>",
        );
        for (i, column) in columns.iter_mut().enumerate() {
            // A list is never NULL, and protobuf cannot say so.
            let single = !matches!(column.ty, ColumnType::Array(_) | ColumnType::Map(..));
            column.nullable = !single || i % 2 == 0;
        }
        let message = message_of_table(&name(), &columns).unwrap();
        assert_eq!(message.full_name(), "AirQuality");
        let plan = RecordPlan::over_table(&message, &[], &columns).unwrap();
        assert_eq!(columns::of_record(&plan), columns);
        assert_eq!(check::problems(&plan, &columns), [""; 0]);
        let numbers: Vec<u32> = plan.root().fields.iter().map(|f| f.number).collect();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
        // What is sent is the message itself, under the same names.
        let sent = DescriptorProto::decode(plan.descriptor.as_slice()).unwrap();
        let nested: Vec<&str> = sent.nested_type.iter().map(|m| m.name()).collect();
        assert_eq!(nested, ["QEntry", "REntry", "T", "S", "R", "R3", "R2"]);
    }

    #[test]
    fn what_cannot_be_expressed_is_named_all_at_once() {
        let columns = table(
            "ok:int,a:array<array<int>>,b:array<map<string,int>>,c:map<string,array<int>>,\
            d:map<double,int>,e:interval day,`f g`:int,h:struct<i:map<date,int>>,j_k:map<int,int>,\
            jK:map<int,int>",
        );
        let error = message_of_table(&name(), &columns).unwrap_err();
        assert_eq!(error.file.as_deref(), Some("main.default.air_quality"));
        let told: Vec<&str> = error.message.split("; ").collect();
        assert_eq!(
            told,
            [
                "column \"a\" (ARRAY<ARRAY<INT>>): protobuf has no list or map within an ARRAY",
                "column \"b\" (ARRAY<MAP<STRING, INT>>): protobuf has no list or map within an ARRAY",
                "column \"c\" (MAP<STRING, ARRAY<INT>>): protobuf has no list or map within a MAP",
                "column \"d\" (MAP<DOUBLE, INT>): protobuf has no map with keys for DOUBLE, only integers, BOOLEAN and STRING",
                "column \"e\" (interval day): no record has a field for this type",
                "column \"f g\" (INT): its name is not of ASCII letters, digits and _",
                "column \"h.i\" (MAP<DATE, INT>): protobuf has no map with keys for DATE, only integers, BOOLEAN and STRING",
                "the MAPs \"j_k\" and \"jK\" have names too like each other",
            ]
        );
    }

    #[test]
    fn names_that_clash_in_the_message_are_told_by_their_columns() {
        for (text, told) in [
            (
                "map:map<string,int>,MapEntry:struct<a:int>",
                "column \"MapEntry\" has the name that protobuf gives the entries of the MAP \"map\"",
            ),
            (
                "s:struct<map:map<string,int>,MapEntry:int>",
                "column \"s.MapEntry\" has the name that protobuf gives the entries of the MAP \"s.map\"",
            ),
            (
                "device:int,Device:int",
                "columns \"device\" and \"Device\" differ in nothing but case",
            ),
            (
                "s:struct<>",
                "column \"s\" (STRUCT<>): a STRUCT without fields makes no message",
            ),
            (
                "`1st`:int",
                "column \"1st\" (INT): its name begins with a digit",
            ),
        ] {
            let error = message_of_table(&name(), &table(text)).unwrap_err();
            assert_eq!(error.message, told);
            assert!(error.hint.unwrap().contains("--json"));
        }
        let nameless = [Column::new("", ColumnType::Int, true)];
        let error = message_of_table(&name(), &nameless).unwrap_err();
        assert_eq!(error.message, "column \"\" (INT): its name is empty");
        let column = |i: usize| Column::new(format!("c{i}"), ColumnType::Int, true);
        let many: Vec<Column> = (0..=COLUMNS_MAX).map(column).collect();
        let error = message_of_table(&name(), &many).unwrap_err();
        let told = "has 2001 columns, a record takes at most 2000";
        assert_eq!(error.message, told);
        assert!(error.hint.unwrap().contains("--json"));
        assert!(message_of_table(&name(), &many[1..]).is_ok());
    }

    #[test]
    fn numbers_jump_over_those_that_protobuf_keeps() {
        let at = |n: usize| numbers().nth(n - 1);
        assert_eq!(
            (at(1), at(18_999), at(19_000)),
            (Some(1), Some(18_999), Some(20_000))
        );
    }
}
