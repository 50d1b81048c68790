//! The table that records go to, and what they are.

use std::path::Path;
use std::sync::Arc;

use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};
use prost_reflect::{DescriptorPool, MessageDescriptor};

use super::{Error, ErrorKind};
use crate::schema::compile::compile;
use crate::schema::{
    Column, Declared, ProtoSource, RecordPlan, SchemaError, TableName, message_of_table,
};

/// The table that records go to, and what they are.
///
/// The descriptor that the service is sent stands by itself: imports, sibling types and packages
/// are bundled into it, and well-known types become scalars.
#[derive(Debug, Clone)]
pub struct TableProperties {
    name: TableName,
    /// None: JSON.
    proto: Option<Proto>,
}

#[derive(Debug, Clone)]
struct Proto {
    descriptor: MessageDescriptor,
    plan: Arc<RecordPlan>,
}

impl TableProperties {
    /// Records of this protobuf message for the table `catalog.schema.table`.
    ///
    /// # Errors
    /// A name that is none; a message that no table can hold, with the field.
    pub fn new(table_name: &str, descriptor: MessageDescriptor) -> Result<Self, Error> {
        let plan = RecordPlan::from_descriptor(&descriptor, &[]).map_err(|e| of_schema(&e))?;
        Ok(Self {
            name: name(table_name)?,
            proto: Some(Proto {
                descriptor,
                plan: Arc::new(plan),
            }),
        })
    }

    /// The same for a descriptor that stands by itself: nested types only, and absolute type
    /// names without a package.
    ///
    /// # Errors
    /// Those of [`TableProperties::new`]; a descriptor that refers to something outside itself.
    pub fn from_descriptor_proto(
        table_name: &str,
        descriptor: DescriptorProto,
    ) -> Result<Self, Error> {
        let message = descriptor.name().to_owned();
        let file = FileDescriptorProto {
            name: Some("record.proto".to_owned()),
            message_type: vec![descriptor],
            ..FileDescriptorProto::default()
        };
        let unusable = |why: String| {
            let message = format!("the descriptor cannot be used: {why}");
            let hint = "it must hold all types that it names; TableProperties::new bundles them";
            Error::hinting(ErrorKind::Settings, message, Some(hint))
        };
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_proto(file)
            .map_err(|e| unusable(e.to_string()))?;
        let descriptor = pool
            .get_message_by_name(&message)
            .ok_or_else(|| unusable("it has no name".to_owned()))?;
        Self::new(table_name, descriptor)
    }

    /// The same for a message of a .proto file, which is compiled here and now; imports are
    /// found beside it. Without a name: the only or first message of the file.
    ///
    /// # Errors
    /// Those of [`TableProperties::new`]; what is wrong with the file, with its line.
    pub fn from_proto_file(
        table_name: &str,
        file: impl AsRef<Path>,
        message: Option<&str>,
    ) -> Result<Self, Error> {
        let source = ProtoSource {
            declared: Declared::Proto {
                file: file.as_ref().to_owned(),
                include: Vec::new(),
            },
            message: message.map(str::to_owned),
            types: Vec::new(),
        };
        Self::new(table_name, compile(&source).map_err(|e| of_schema(&e))?)
    }

    /// Records with a field for each of these columns.
    pub(super) fn of_columns(name: TableName, columns: &[Column]) -> Result<Self, Error> {
        let descriptor = message_of_table(&name, columns).map_err(|e| of_schema(&e))?;
        let plan = RecordPlan::of_table(&name, &[], columns).map_err(|e| of_schema(&e))?;
        Ok(Self {
            name,
            proto: Some(Proto {
                descriptor,
                plan: Arc::new(plan),
            }),
        })
    }

    /// Records that are the text of JSON objects, which the service converts.
    ///
    /// # Errors
    /// A name that is none.
    pub fn json(table_name: &str) -> Result<Self, Error> {
        Ok(Self {
            name: name(table_name)?,
            proto: None,
        })
    }

    /// The table's full name.
    pub fn table_name(&self) -> String {
        self.name.to_string()
    }

    /// The message that records are; none: JSON.
    pub fn descriptor(&self) -> Option<&MessageDescriptor> {
        self.proto.as_ref().map(|proto| &proto.descriptor)
    }

    /// The message as it is sent: bundled, with scalars for well-known types.
    #[cfg(feature = "gateway")]
    pub(crate) fn sent(&self) -> Option<MessageDescriptor> {
        use prost_reflect::prost::Message as _;

        let sent = DescriptorProto::decode(self.plan()?.descriptor.as_slice()).ok()?;
        let of_sent = Self::from_descriptor_proto(&self.table_name(), sent).ok()?;
        of_sent.descriptor().cloned()
    }

    pub(super) fn name(&self) -> &TableName {
        &self.name
    }

    pub(crate) fn plan(&self) -> Option<&Arc<RecordPlan>> {
        self.proto.as_ref().map(|proto| &proto.plan)
    }
}

pub(super) fn name(text: &str) -> Result<TableName, Error> {
    text.parse()
        .map_err(|e| Error::new(ErrorKind::Settings, format!("{e}")))
}

fn of_schema(error: &SchemaError) -> Error {
    let place = match (&error.file, error.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        (None, _) => String::new(),
    };
    let message = format!("{place}{}", error.message);
    Error::hinting(ErrorKind::Settings, message, error.hint.as_deref())
}
