//! What must be refused though prost-reflect takes it, told from the row and its message:
//! keys given twice, required fields that are missing, enum numbers without a name.

use std::collections::HashSet;
use std::fmt;

use prost_reflect::{Cardinality, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// What is wrong with a row that they take.
#[derive(Debug)]
pub struct Faults {
    /// An object has a key twice.
    pub key_twice: bool,
    /// The same, or has a field's name and its JSON name.
    pub field_twice: bool,
    /// A required field is missing; what stands in the first of two values is not seen.
    pub missing: bool,
    /// An enum number has no name; the same.
    pub unnamed: bool,
}

impl Faults {
    pub fn of(row: &str, message: &DynamicMessage) -> Self {
        let json: Json = serde_json::from_str(row).unwrap();
        let mut names = HashSet::new();
        json_names(&message.descriptor(), &mut names);
        let mut faults = Self {
            key_twice: json.has_twice(&HashSet::new()),
            field_twice: json.has_twice(&names),
            missing: false,
            unnamed: false,
        };
        faults.look_at(message);
        faults
    }

    fn look_at(&mut self, message: &DynamicMessage) {
        for field in message.descriptor().fields() {
            let required = field.cardinality() == Cardinality::Required;
            self.missing |= required && !message.has_field(&field);
        }
        for (field, value) in message.fields() {
            self.look_at_value(value, &field.kind());
        }
    }

    fn look_at_value(&mut self, value: &Value, kind: &Kind) {
        match (value, kind) {
            (Value::List(list), _) => list.iter().for_each(|v| self.look_at_value(v, kind)),
            (Value::Map(map), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                map.values().for_each(|v| self.look_at_value(v, &kind));
            }
            (Value::Message(message), _) => self.look_at(message),
            (Value::EnumNumber(number), Kind::Enum(descriptor)) => {
                self.unnamed |= descriptor.get_value(*number).is_none();
            }
            _ => {}
        }
    }
}

/// The names of all fields that have another JSON name, with it.
type Names = HashSet<(String, String)>;

fn json_names(message: &MessageDescriptor, names: &mut Names) {
    for field in message.fields() {
        if field.name() != field.json_name() {
            names.insert((field.name().to_owned(), field.json_name().to_owned()));
        }
        if let Kind::Message(inner) = field.kind() {
            json_names(&inner, names);
        }
    }
}

/// JSON text with all of its keys.
enum Json {
    Scalar,
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn has_twice(&self, names: &Names) -> bool {
        match self {
            Self::Scalar => false,
            Self::List(list) => list.iter().any(|v| v.has_twice(names)),
            Self::Object(members) => {
                let mut keys: HashSet<&str> = HashSet::new();
                let twice = !members.iter().all(|(key, _)| keys.insert(key));
                let both = |(a, b): &(String, String)| keys.contains(&**a) && keys.contains(&**b);
                let within = || members.iter().any(|(_, v)| v.has_twice(names));
                twice || names.iter().any(both) || within()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
