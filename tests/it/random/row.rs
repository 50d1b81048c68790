//! Random rows of a message, as text: every form in which JSON may write a value, and rows
//! that are broken in every way.

use fastrand::Rng;
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

use super::scalar::range;

/// What stands where something else should.
const STRAY: [&str; 42] = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[null]",
    "{\"a\":null}",
    "\"\"",
    "0",
    "-0",
    "1",
    "1.5",
    "\"1\"",
    "\"-1\"",
    "\"1.0\"",
    "\"1e2\"",
    "\"+5\"",
    "\"007\"",
    "\" 1\"",
    "\"1_000\"",
    "\"0x10\"",
    "\".5\"",
    "\"1.\"",
    "\"nan\"",
    "\"inf\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-Infinity\"",
    "\"1e999\"",
    "1e999",
    "1e-400",
    "NaN",
    "Infinity",
    "01",
    "1.",
    "+1",
    "\"true\"",
    "\"AA\"",
    "\"AB==\"",
    "\"A\"",
    "\"****\"",
    "[[1],{\"a\":[{}]}]",
];
const STRINGS: [&str; 12] = [
    "",
    "a",
    "plain text",
    "\u{e9}\u{65e5}",
    "\u{1f600}",
    "\"quoted\" \\ /",
    "\t\r\n\u{8}\u{c}",
    "\u{0}\u{1f}\u{7f}\u{2028}",
    "null",
    "1",
    "true",
    "\u{10ffff}",
];

/// One row, which stands on one line and is not blank.
pub fn row(rng: &mut Rng, message: &MessageDescriptor) -> String {
    // Half of the rows are sound; some are all wrong.
    let stray = [0.0, 0.0, 0.01, 0.05, 0.2][rng.usize(0..5)];
    let mut writer = Writer { rng, stray };
    let mut text = writer.message(message, 0);
    if writer.rng.u8(0..12) == 0 {
        text = writer.broken(text);
    }
    text = text.replace('\n', " ");
    match text.trim().is_empty() {
        true => "}".to_owned(),
        false => text,
    }
}

pub(super) struct Writer<'r> {
    pub(super) rng: &'r mut Rng,
    /// How likely it is that a value is not what it should be.
    pub(super) stray: f64,
}

impl Writer<'_> {
    pub(super) fn stray(&mut self) -> bool {
        self.rng.f64() < self.stray
    }

    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    pub(super) fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.rng.usize(0..of.len())]
    }

    /// The text as a whole cut off, with a character too many, or with more behind.
    fn broken(&mut self, text: String) -> String {
        let chars: Vec<char> = text.chars().collect();
        let at = self.rng.usize(0..chars.len());
        let (before, after) = chars.split_at(at);
        let (before, after) = (String::from_iter(before), String::from_iter(after));
        match self.rng.u8(0..6) {
            0 => before,
            1 => after,
            2 => format!(
                "{text}{}",
                self.pick(&["}", "{}", " 1", ",", "x", "null", " ", "\t"])
            ),
            3 => before + &after.chars().skip(1).collect::<String>(),
            4 => self.pick(&STRAY).to_owned(),
            _ => {
                let extra = [
                    "\"", ",", ":", "{", "}", "[", "]", "\\", "0", "e", ".", "-", "\t",
                ];
                before + self.pick(&extra) + &after
            }
        }
    }

    fn message(&mut self, message: &MessageDescriptor, depth: u32) -> String {
        let mut members: Vec<String> = Vec::new();
        let mut oneofs: Vec<String> = Vec::new();
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        if self.one_in(3) {
            self.rng.shuffle(&mut fields);
        }
        for field in fields {
            let names = unambiguous_names(&field);
            if names.is_empty() {
                continue;
            }
            let required = field.cardinality() == Cardinality::Required;
            let given = match required {
                true => !self.stray(),
                false => self.rng.u32(0..6) > 1 + depth.min(3),
            };
            if !given {
                continue;
            }
            let null = if required {
                self.stray()
            } else {
                self.one_in(20)
            };
            if let (false, Some(oneof)) = (null, field.containing_oneof()) {
                let second = oneofs.iter().any(|name| name == oneof.name());
                if second && !self.stray() {
                    continue;
                }
                oneofs.push(oneof.name().to_owned());
            }
            loop {
                let name = &names[self.rng.usize(0..names.len())];
                let value = match null {
                    true => "null".to_owned(),
                    false => self.field(&field, depth),
                };
                members.push(self.member(name, &value));
                if !self.stray() {
                    break;
                }
            }
        }
        if self.stray() {
            let name = self.pick(&["nope", "", "C-D", "[a.b]", "@type", "Nope"]);
            let value = self.pick(&STRAY);
            let at = self.rng.usize(0..=members.len());
            members.insert(at, format!("\"{name}\":{value}"));
        }
        self.join('{', &members, '}')
    }

    fn join(&mut self, open: char, members: &[String], close: char) -> String {
        let (comma, pad) = match self.rng.u8(0..4) {
            0 => (" ,\t", " "),
            1 => (", ", ""),
            _ => (",", ""),
        };
        format!("{open}{pad}{}{pad}{close}", members.join(comma))
    }

    fn member(&mut self, name: &str, value: &str) -> String {
        let name = self.string(name);
        let colon = self.pick(&[":", ":", " : "]);
        format!("{name}{colon}{value}")
    }

    /// A value for a field, which may be a list or a map.
    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> String {
        if self.stray() {
            return self.pick(&STRAY).to_owned();
        }
        let many = match self.rng.u8(0..8) {
            0 => 0,
            1 => self.rng.usize(3..40),
            _ => self.rng.usize(1..3),
        };
        let many = many.min(40 >> (4 * depth.min(2)));
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            let mut keys = std::collections::HashSet::new();
            let mut members = Vec::new();
            for _ in 0..many {
                let name = match self.stray() {
                    true => self.pick(&STRAY).trim_matches('"').to_owned(),
                    false => self.key(&key.kind()),
                };
                if keys.insert(name.clone()) || self.stray() {
                    let value = self.value(&value.kind(), depth + 1);
                    members.push(self.member(&name, &value));
                }
            }
            return self.join('{', &members, '}');
        }
        if field.is_list() {
            let values: Vec<_> = (0..many)
                .map(|_| self.value(&field.kind(), depth + 1))
                .collect();
            return self.join('[', &values, ']');
        }
        self.value(&field.kind(), depth + 1)
    }

    fn key(&mut self, kind: &Kind) -> String {
        match kind {
            Kind::Bool => self.pick(&["true", "false"]).to_owned(),
            Kind::String => self.pick(&STRINGS).to_owned(),
            _ => {
                let (min, max) = range(kind);
                match self.rng.u8(0..10) {
                    0 => self.integer(min, max),
                    _ => self.whole(min, max).to_string(),
                }
            }
        }
    }

    fn value(&mut self, kind: &Kind, depth: u32) -> String {
        if self.stray() {
            return self.pick(&STRAY).to_owned();
        }
        match kind {
            Kind::Double => self.float(false),
            Kind::Float => self.float(true),
            Kind::Bool => self.pick(&["true", "false"]).to_owned(),
            Kind::String => {
                let text = self.pick(&STRINGS);
                self.string(text)
            }
            Kind::Bytes => self.bytes(),
            Kind::Enum(descriptor) => self.enumeration(descriptor),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => self.timestamp(),
                "google.protobuf.Duration" => self.duration(),
                name if name.starts_with("google.protobuf.") => {
                    let inner = message.get_field(1).unwrap().kind();
                    self.value(&inner, depth)
                }
                _ => self.message(message, depth),
            },
            _ => {
                let (min, max) = range(kind);
                let text = self.integer(min, max);
                if self.one_in(4) {
                    format!("\"{text}\"")
                } else {
                    text
                }
            }
        }
    }

    /// A JSON string, some of it escaped.
    pub(super) fn string(&mut self, text: &str) -> String {
        let all = self.one_in(12);
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '/' if all => out.push_str("\\/"),
                '\u{8}' => out.push_str("\\b"),
                c if all || c < ' ' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        if self.stray() && self.stray() {
            out.push_str(self.pick(&[
                "\\ud83d",
                "\\ude00",
                "\\ud83d\\u0041",
                "\\x",
                "\\u12",
                "\\",
                "\t",
                "\u{1}",
            ]));
        }
        out + "\""
    }
}

/// The names by which a field is meant whether names or JSON names come first.
fn unambiguous_names(field: &FieldDescriptor) -> Vec<String> {
    let message = field.parent_message();
    let is_it = |found: Option<FieldDescriptor>| found.is_none_or(|found| found == *field);
    let names = [field.name(), field.json_name()].into_iter();
    names
        .filter(|n| is_it(message.get_field_by_name(n)) && is_it(message.get_field_by_json_name(n)))
        .map(str::to_owned)
        .collect()
}
