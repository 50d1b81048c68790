//! Makes the descriptor that the service is sent: one message with everything it reaches
//! nested inside, absolute names without a package, well-known types as scalars.
//!
//! The service takes a bare `DescriptorProto`: no file around it, no imports, no siblings
//! (PROTOCOL: the record descriptor). Types that the message does not hold itself are
//! therefore moved into it, under their outermost message, so that the scopes of enum
//! values stay as they were.

use std::collections::{HashMap, HashSet};

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FieldOptions, MessageOptions, OneofDescriptorProto,
};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::plan::Scalar;
use super::values::well_known;

/// Bundles a message that the plan has accepted: no recursion, no groups.
pub(super) fn bundle(root: &MessageDescriptor) -> DescriptorProto {
    let mut bundler = Bundler {
        root: root.clone(),
        reached: HashSet::from([root.full_name().to_owned()]),
        kept: HashSet::from([root.full_name().to_owned()]),
        top_level: Vec::new(),
        names: HashMap::new(),
    };
    bundler.reach(root);
    bundler.name_top_level();
    let mut out = bundler.message(root);
    for outside in &bundler.top_level {
        match outside {
            TopLevel::Message(message) => out.nested_type.push(bundler.message(message)),
            TopLevel::Enum(descriptor, None) => {
                out.enum_type.push(bundler.enumeration(descriptor));
            }
            TopLevel::Enum(descriptor, Some(shell)) => out.nested_type.push(DescriptorProto {
                name: Some(shell.clone()),
                enum_type: vec![bundler.enumeration(descriptor)],
                ..Default::default()
            }),
        }
    }
    out
}

enum TopLevel {
    Message(MessageDescriptor),
    /// With the name of a message made to hold it, where its values' names would collide.
    Enum(EnumDescriptor, Option<String>),
}

struct Bundler {
    root: MessageDescriptor,
    /// Full names of the messages and enums that fields lead to.
    reached: HashSet<String>,
    /// Full names of the messages in the bundle: those reached, and those around them,
    /// which keep their nested types only.
    kept: HashSet<String>,
    /// Outermost types from outside the root, in the order they are reached.
    top_level: Vec<TopLevel>,
    /// Full name of an outermost type → its absolute name in the bundle.
    names: HashMap<String, String>,
}

impl Bundler {
    fn reach(&mut self, message: &MessageDescriptor) {
        for field in in_order(message) {
            match field.kind() {
                Kind::Message(inner) if well_known(&inner).is_none() => self.reach_message(&inner),
                Kind::Enum(inner) => self.reach_enum(inner),
                _ => {}
            }
        }
    }

    fn reach_message(&mut self, message: &MessageDescriptor) {
        if self.reached.insert(message.full_name().to_owned()) {
            self.keep(message);
            self.reach(message);
        }
    }

    fn reach_enum(&mut self, descriptor: EnumDescriptor) {
        if self.reached.insert(descriptor.full_name().to_owned()) {
            match descriptor.parent_message() {
                Some(parent) => self.keep(&parent),
                None => self.top_level.push(TopLevel::Enum(descriptor, None)),
            }
        }
    }

    /// Keeps a message and those around it, which give it its scope.
    fn keep(&mut self, message: &MessageDescriptor) {
        if self.kept.insert(message.full_name().to_owned()) {
            match message.parent_message() {
                Some(parent) => self.keep(&parent),
                None => self.top_level.push(TopLevel::Message(message.clone())),
            }
        }
    }

    /// Gives each type from outside a name that nothing in the root has.
    fn name_top_level(&mut self) {
        let root = self.root.clone();
        let mut taken: HashSet<String> = root.fields().map(|f| f.name().to_owned()).collect();
        taken.extend(root.oneofs().map(|o| o.name().to_owned()));
        taken.extend(root.child_messages().map(|m| m.name().to_owned()));
        for child in root.child_enums() {
            taken.insert(child.name().to_owned());
            taken.extend(child.values().map(|v| v.name().to_owned()));
        }
        for outside in &mut self.top_level {
            let (full_name, name) = match outside {
                TopLevel::Message(m) => (m.full_name(), unique(m.name(), &mut taken)),
                TopLevel::Enum(e, shell) => {
                    let name = unique(e.name(), &mut taken);
                    if e.values().any(|v| taken.contains(v.name())) {
                        *shell = Some(name.clone());
                        (e.full_name(), format!("{name}.{}", e.name()))
                    } else {
                        taken.extend(e.values().map(|v| v.name().to_owned()));
                        (e.full_name(), name)
                    }
                }
            };
            let absolute = format!(".{}.{name}", root.name());
            self.names.insert(full_name.to_owned(), absolute);
        }
    }

    fn absolute(&self, full_name: &str, name: &str, parent: Option<MessageDescriptor>) -> String {
        if full_name == self.root.full_name() {
            return format!(".{name}");
        }
        match (self.names.get(full_name), parent) {
            (Some(absolute), _) => absolute.clone(),
            (None, Some(p)) => {
                let around = self.absolute(p.full_name(), p.name(), p.parent_message());
                format!("{around}.{name}")
            }
            (None, None) => format!(".{full_name}"),
        }
    }

    fn message(&self, message: &MessageDescriptor) -> DescriptorProto {
        let absolute = self.absolute(
            message.full_name(),
            message.name(),
            message.parent_message(),
        );
        let mut out = DescriptorProto {
            name: Some(last_part(&absolute)),
            nested_type: message
                .child_messages()
                .filter(|m| self.kept.contains(m.full_name()) && *m != self.root)
                .map(|m| self.message(&m))
                .collect(),
            enum_type: message
                .child_enums()
                .filter(|e| self.reached.contains(e.full_name()))
                .map(|e| self.enumeration(&e))
                .collect(),
            options: message.is_map_entry().then(|| MessageOptions {
                map_entry: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        if self.reached.contains(message.full_name()) {
            out.field = in_order(message).map(|f| self.field(&f)).collect();
            out.oneof_decl = message
                .oneofs()
                .map(|o| OneofDescriptorProto {
                    name: Some(o.name().to_owned()),
                    options: None,
                })
                .collect();
        }
        out
    }

    fn field(&self, field: &FieldDescriptor) -> FieldDescriptorProto {
        let proto = field.field_descriptor_proto();
        let mut out = FieldDescriptorProto {
            name: proto.name.clone(),
            number: proto.number,
            label: proto.label,
            r#type: proto.r#type,
            type_name: None,
            default_value: proto.default_value.clone(),
            oneof_index: proto.oneof_index,
            json_name: proto.json_name.clone(),
            proto3_optional: proto.proto3_optional,
            ..Default::default()
        };
        match field.kind() {
            Kind::Message(message) => match well_known(&message).flatten() {
                Some(ty) => {
                    out.r#type = ty.scalar().map(|s| wire_type(s).into());
                }
                None => {
                    let parent = message.parent_message();
                    out.r#type = Some(Type::Message.into());
                    out.type_name =
                        Some(self.absolute(message.full_name(), message.name(), parent));
                }
            },
            Kind::Enum(e) => {
                out.type_name = Some(self.absolute(e.full_name(), e.name(), e.parent_message()));
            }
            _ => {}
        }
        // The only option that changes the bytes. Without a file around the message its
        // default is proto2's, so it is always said.
        if proto.label() == Label::Repeated && field.is_packed() {
            out.options = Some(FieldOptions {
                packed: Some(true),
                ..Default::default()
            });
        }
        out
    }

    fn enumeration(&self, descriptor: &EnumDescriptor) -> EnumDescriptorProto {
        let absolute = self.absolute(
            descriptor.full_name(),
            descriptor.name(),
            descriptor.parent_message(),
        );
        let proto = descriptor.enum_descriptor_proto();
        EnumDescriptorProto {
            name: Some(last_part(&absolute)),
            value: proto
                .value
                .iter()
                .map(|v| EnumValueDescriptorProto {
                    name: v.name.clone(),
                    number: v.number,
                    options: None,
                })
                .collect(),
            options: proto
                .options
                .as_ref()
                .and_then(|o| o.allow_alias)
                .map(|alias| prost_reflect::prost_types::EnumOptions {
                    allow_alias: Some(alias),
                    ..Default::default()
                }),
            ..Default::default()
        }
    }
}

/// Fields as written, not by number.
fn in_order(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by(|a, b| a.path().cmp(b.path()));
    fields.into_iter()
}

fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut n = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}_{n}");
        n += 1;
    }
    candidate
}

fn last_part(absolute: &str) -> String {
    absolute.rsplit('.').next().unwrap_or(absolute).to_owned()
}

fn wire_type(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Double => Type::Double,
        Scalar::Float => Type::Float,
        Scalar::Int32 => Type::Int32,
        Scalar::Int64 => Type::Int64,
        Scalar::Uint32 => Type::Uint32,
        Scalar::Uint64 => Type::Uint64,
        Scalar::Sint32 => Type::Sint32,
        Scalar::Sint64 => Type::Sint64,
        Scalar::Fixed32 => Type::Fixed32,
        Scalar::Fixed64 => Type::Fixed64,
        Scalar::Sfixed32 => Type::Sfixed32,
        Scalar::Sfixed64 => Type::Sfixed64,
        Scalar::Bool => Type::Bool,
        Scalar::String => Type::String,
        Scalar::Bytes => Type::Bytes,
    }
}
