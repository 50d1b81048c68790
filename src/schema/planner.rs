//! A message descriptor → the record plan, or the reason why no table can hold it.

use std::collections::HashMap;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, prost::Message as _,
};

use super::compile::{ProtoSource, compile};
use super::plan::{EnumPlan, FieldPlan, MessagePlan, RecordPlan, Shape, ValueType};
use super::values::{as_column, scalar, well_known};
use super::{Column, ColumnType, SchemaError, bundle, closest, hints};

/// The deepest nesting of messages that the service takes (PROTOCOL: limits).
pub const DEPTH_MAX: usize = 100;
/// The most columns that a table may have (PROTOCOL: limits).
pub const COLUMNS_MAX: usize = 2_000;
/// The most fields of a record with all its nested messages: types that hold each other
/// twice, a few levels deep, are small in a .proto and endless as columns.
pub const FIELDS_MAX: usize = 20_000;

impl RecordPlan {
    /// Compiles a .proto file and plans its message.
    ///
    /// # Errors
    /// Whatever makes the file or the message unfit, with its place in the file.
    pub fn from_proto(source: &ProtoSource) -> Result<Self, SchemaError> {
        Self::from_descriptor(&compile(source)?, &source.types)
    }

    /// Plans a message. `types` are column types by the path of their field
    /// (`location.seen_at`); they beat hints.
    ///
    /// # Errors
    /// A message that the service has no columns for: groups, extensions, recursion, `Any`,
    /// more than [`COLUMNS_MAX`] fields, deeper than [`DEPTH_MAX`], names equal but for
    /// case; a hint or a type that does not fit its field.
    pub fn from_descriptor(
        root: &MessageDescriptor,
        types: &[(String, ColumnType)],
    ) -> Result<Self, SchemaError> {
        Self::over_table(root, types, &[])
    }

    /// The same for a table of these columns. They say what neither `types` nor hints do:
    /// what a field's column holds, and whether every row must have it. What does not fit
    /// is left for [`check`](super::check).
    ///
    /// # Errors
    /// Those of [`RecordPlan::from_descriptor`].
    pub fn over_table(
        root: &MessageDescriptor,
        types: &[(String, ColumnType)],
        columns: &[Column],
    ) -> Result<Self, SchemaError> {
        let fields = root.fields().len();
        if fields > COLUMNS_MAX {
            let what = format!("has {fields} fields, a table takes at most {COLUMNS_MAX}");
            return Err(refuse_message(root, &what));
        }
        if fields == 0 {
            return Err(refuse_message(root, "has no fields")
                .hint("choose another message with --message NAME"));
        }
        let mut planner = Planner {
            messages: Vec::new(),
            enums: Vec::new(),
            enum_index: HashMap::new(),
            fields: 0,
            around: Vec::new(),
            path: String::new(),
            types: types.iter().map(|(path, ty)| (path.as_str(), ty)).collect(),
            rewritten: false,
        };
        planner.message(root, columns)?;
        if let Some((path, _)) = planner.types.iter().next() {
            return Err(unknown_path(&planner.messages, path));
        }
        Ok(Self {
            name: root.name().to_owned(),
            descriptor: bundle::bundle(root).encode_to_vec(),
            messages: planner.messages,
            enums: planner.enums,
            rewritten: planner.rewritten,
        })
    }
}

struct Planner<'t> {
    messages: Vec<MessagePlan>,
    enums: Vec<EnumPlan>,
    enum_index: HashMap<String, usize>,
    /// Fields planned so far, over all messages.
    fields: usize,
    /// The messages being planned, outermost first.
    around: Vec<MessageDescriptor>,
    /// From the record to the field being planned: `location.seen_at`.
    path: String,
    /// Column types that are given from outside, by path; those used are taken out.
    types: HashMap<&'t str, &'t ColumnType>,
    /// A well-known type was met.
    rewritten: bool,
}

impl Planner<'_> {
    fn message(
        &mut self,
        message: &MessageDescriptor,
        columns: &[Column],
    ) -> Result<usize, SchemaError> {
        if message.extension_ranges().len() > 0 {
            return Err(refuse_message(message, "has an extension range")
                .hint("a table's columns are all known; declare the fields in the message"));
        }
        let index = self.messages.len();
        self.messages.push(MessagePlan {
            name: message.full_name().to_owned(),
            fields: Vec::new(),
            by_name: HashMap::new(),
            oneofs: Vec::new(),
            required: Vec::new(),
        });
        self.around.push(message.clone());
        let path = self.path.len();
        let mut oneofs: Vec<String> = Vec::new();
        let mut fields = Vec::new();
        let mut by_name: HashMap<Box<str>, usize> = HashMap::new();
        let mut folded_names: HashMap<String, String> = HashMap::new();
        let columns: HashMap<&str, &Column> =
            columns.iter().map(|c| (c.name.as_str(), c)).collect();
        // `fields()` goes by number; columns go in the order they are written in.
        let mut declared: Vec<FieldDescriptor> = message.fields().collect();
        declared.sort_by(|a, b| a.path().cmp(b.path()));
        for field in &declared {
            self.fields += 1;
            if self.fields > FIELDS_MAX {
                let what = format!("is one of more than {FIELDS_MAX} nested fields");
                return Err(refuse(field, &what));
            }
            if path > 0 {
                self.path.push('.');
            }
            self.path.push_str(field.name());
            let folded = field.name().to_ascii_lowercase();
            if let Some(other) = folded_names.insert(folded, field.name().to_owned()) {
                let what = format!("differs from \"{other}\" only in case, columns do not");
                return Err(refuse(field, &what));
            }
            let oneof = field.containing_oneof().filter(|o| !o.is_synthetic());
            let oneof = oneof.map(|o| match oneofs.iter().position(|n| n == o.name()) {
                Some(at) => at,
                None => {
                    oneofs.push(o.name().to_owned());
                    oneofs.len() - 1
                }
            });
            let column = columns.get(field.name());
            let (shape, (ty, hinted)) = self.field_type(field, column.map(|c| &c.ty))?;
            // A list that is missing is empty, never NULL.
            let never_null = shape == Shape::Single && column.is_some_and(|c| !c.nullable);
            by_name
                .entry(field.json_name().into())
                .or_insert(fields.len());
            fields.push(FieldPlan {
                name: field.name().to_owned(),
                number: field.number(),
                shape,
                ty,
                hinted,
                required: never_null || field.cardinality() == Cardinality::Required,
                oneof,
            });
            self.path.truncate(path);
        }
        self.around.pop();
        // A field's own name beats another's JSON name.
        by_name.extend((0..).zip(&fields).map(|(i, f)| (f.name.as_str().into(), i)));
        let plan = &mut self.messages[index];
        plan.required = (0..fields.len()).filter(|&i| fields[i].required).collect();
        plan.by_name = by_name;
        plan.fields = fields;
        plan.oneofs = oneofs;
        Ok(index)
    }

    fn field_type(
        &mut self,
        field: &FieldDescriptor,
        column: Option<&ColumnType>,
    ) -> Result<(Shape, (ValueType, bool)), SchemaError> {
        if field.is_group() {
            return Err(refuse(field, "is a group, which a table has no column for")
                .hint("declare a nested message instead"));
        }
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let key = scalar(&entry.map_entry_key_field().kind());
            let key = key.ok_or_else(|| refuse(field, "has a key that is no scalar"))?;
            let column = match column {
                Some(ColumnType::Map(_, value)) => Some(&**value),
                _ => None,
            };
            let ty = self.value_type(field, &entry.map_entry_value_field().kind(), column)?;
            return Ok((Shape::Map(key), ty));
        }
        let column = match (field.is_list(), column) {
            (false, column) => column,
            (true, Some(ColumnType::Array(element))) => Some(&**element),
            (true, _) => None,
        };
        let ty = self.value_type(field, &field.kind(), column)?;
        let shape = match (field.is_list(), field.is_packed()) {
            (false, _) => Shape::Single,
            (true, false) => Shape::Repeated,
            (true, true) => Shape::Packed,
        };
        Ok((shape, ty))
    }

    /// The type, and whether a flag or a comment has named it.
    fn value_type(
        &mut self,
        field: &FieldDescriptor,
        kind: &Kind,
        column: Option<&ColumnType>,
    ) -> Result<(ValueType, bool), SchemaError> {
        let ty = match kind {
            Kind::Message(message) => match well_known(message) {
                Some(Some(ty)) => {
                    self.rewritten = true;
                    ty
                }
                Some(None) => {
                    let what = format!(
                        "is a {}, which the service has no column for",
                        message.full_name()
                    );
                    return Err(refuse(field, &what));
                }
                None => {
                    let columns = match column {
                        Some(ColumnType::Struct(columns)) => columns.as_slice(),
                        _ => &[],
                    };
                    self.nested(field, message, columns)?
                }
            },
            Kind::Enum(descriptor) => ValueType::Enum(self.enumeration(descriptor)),
            other => match scalar(other) {
                Some(scalar) => ValueType::Scalar(scalar),
                None => return Err(refuse(field, "has a type that the service does not know")),
            },
        };
        if let Some(given) = self.types.remove(self.path.as_str()) {
            return as_column(ty, given).map(|ty| (ty, true)).map_err(|needs| {
                let what = format!("--type {}={given} needs a field of type {needs}", self.path);
                match scalar(kind) {
                    Some(is) => SchemaError::of_flag(format!("{what}, it is {}", is.name())),
                    None => SchemaError::of_flag(what),
                }
            });
        }
        match hints::of_field(field)? {
            // A column that the field does not fit is told by the check.
            None => {
                let of_column = column.and_then(|column| as_column(ty, column).ok());
                Ok((of_column.unwrap_or(ty), false))
            }
            Some(hint) => as_column(ty, &hint).map(|ty| (ty, true)).map_err(|needs| {
                let what = format!("has the hint {hint}, which needs the type {needs}");
                refuse(field, &what)
            }),
        }
    }

    fn nested(
        &mut self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
        columns: &[Column],
    ) -> Result<ValueType, SchemaError> {
        if self.around.contains(message) {
            let what = format!("makes \"{}\" recursive", message.full_name());
            return Err(refuse(field, &what)
                .hint("a table's columns have a fixed depth; keep the rest as JSON text in a string with // @delta VARIANT"));
        }
        if self.around.len() >= DEPTH_MAX {
            let what = format!("nests deeper than {DEPTH_MAX} messages");
            return Err(refuse(field, &what));
        }
        if message.fields().len() == 0 {
            let what = format!("is of \"{}\", which has no fields", message.full_name());
            return Err(refuse(field, &what));
        }
        Ok(ValueType::Message(self.message(message, columns)?))
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> usize {
        let name = descriptor.full_name();
        if let Some(&index) = self.enum_index.get(name) {
            return index;
        }
        let index = self.enums.len();
        self.enum_index.insert(name.to_owned(), index);
        self.enums.push(EnumPlan {
            name: name.to_owned(),
            numbers: descriptor
                .values()
                .map(|v| (v.name().into(), v.number()))
                .collect(),
        });
        index
    }
}

/// A type was given for a field that the record does not have.
fn unknown_path(messages: &[MessagePlan], path: &str) -> SchemaError {
    let mut paths = Vec::new();
    collect_paths(messages, &messages[0], "", &mut paths);
    let message = format!("--type {path}: no such field in {}", messages[0].name);
    let error = SchemaError::of_flag(message);
    match closest(path, paths.iter().map(String::as_str)) {
        Some(close) => error.hint(format!("did you mean \"{close}\"?")),
        None => error,
    }
}

fn collect_paths(
    messages: &[MessagePlan],
    message: &MessagePlan,
    prefix: &str,
    paths: &mut Vec<String>,
) {
    for field in &message.fields {
        let path = format!("{prefix}{}", field.name);
        if let ValueType::Message(index) = field.ty {
            collect_paths(messages, &messages[index], &format!("{path}."), paths);
        }
        paths.push(path);
    }
}

fn refuse(field: &FieldDescriptor, what: &str) -> SchemaError {
    let file = field.parent_message().parent_file();
    let message = format!("field \"{}\" {what}", field.name());
    SchemaError::at(file.name(), hints::line_of(field), message)
}

fn refuse_message(message: &MessageDescriptor, what: &str) -> SchemaError {
    let file = message.parent_file();
    let line = hints::line_of_path(&file, message.path());
    SchemaError::at(
        file.name(),
        line,
        format!("message \"{}\" {what}", message.full_name()),
    )
}
