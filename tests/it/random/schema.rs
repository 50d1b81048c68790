//! Random .proto files, as text: two files of either syntax, messages and enums nested in
//! each other, fields of every type.

use std::collections::HashSet;
use std::fmt::Write as _;

use fastrand::Rng;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// Files in the order in which they import each other, and the record's full name.
pub struct Schema {
    pub files: Vec<(&'static str, String)>,
    pub root: String,
}

impl Schema {
    /// None: the names that were drawn collide, or a reference reaches the wrong scope.
    pub fn compile(&self) -> Option<MessageDescriptor> {
        let mut pool = DescriptorPool::global();
        for (name, text) in &self.files {
            let file = protox::file::File::from_source(name, text)
                .unwrap_or_else(|e| panic!("{e}\n{text}"));
            pool.add_file_descriptor_proto(file.into()).ok()?;
        }
        pool.get_message_by_name(&self.root)
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, text) in &self.files {
            writeln!(f, "// {name}\n{text}")?;
        }
        write!(f, "// the record: {}", self.root)
    }
}

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];
const KNOWN: [&str; 11] = [
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
    "Timestamp",
    "Duration",
];
/// Few names, so that they meet in the scopes of a bundle.
const TYPE_NAMES: [&str; 8] = ["Row", "Inner", "Kind", "A", "B", "kind", "Entry", "Inner_2"];
const FIELD_NAMES: [&str; 12] = [
    "b",
    "c_d",
    "id",
    "value",
    "key",
    "some_long_name",
    "_x",
    "x1",
    "UPPER",
    "entry",
    "e",
    "f",
];
const VALUE_NAMES: [&str; 6] = ["NONE", "SOME", "ONE", "two", "NEGATIVE", "THREE_4"];
const JSON_NAMES: [&str; 8] = ["a", "k", "with space", "é", "日本", "a.b", "$ref", "Other"];

/// A message or an enum, without its fields.
struct Type {
    full_name: String,
    name: String,
    file: usize,
    parent: Option<usize>,
    is_enum: bool,
}

/// A random schema. Messages refer to those declared or drawn before them only, wherever
/// they stand, so that nothing is recursive.
pub fn schema(rng: &mut Rng) -> Schema {
    let packages = [
        rng.choice(["", "test", "a.b"]),
        rng.choice(["", "test", "other"]),
    ];
    let mut generator = Generator {
        proto3: [rng.bool(), rng.bool()],
        types: Vec::new(),
        order: Vec::new(),
        rng,
    };
    for (file, package) in packages.iter().enumerate() {
        let package = package.unwrap_or_default();
        for _ in 0..generator.rng.usize(1..4) {
            generator.declare(file, None, package, 0);
        }
    }
    let root = generator.choose_root();
    let mut files = Vec::new();
    for (file, name) in ["imported.proto", "row.proto"].into_iter().enumerate() {
        let syntax = if generator.proto3[file] {
            "proto3"
        } else {
            "proto2"
        };
        let mut text = format!("syntax = \"{syntax}\";\n");
        match packages[file] {
            Some("") | None => {}
            Some(package) => writeln!(text, "package {package};").unwrap(),
        }
        for known in ["wrappers", "timestamp", "duration"] {
            writeln!(text, "import \"google/protobuf/{known}.proto\";").unwrap();
        }
        if file == 1 {
            text.push_str("import \"imported.proto\";\n");
        }
        generator.types_in(file, None, &mut text, 0);
        files.push((name, text));
    }
    Schema { files, root }
}

struct Generator<'r> {
    rng: &'r mut Rng,
    proto3: [bool; 2],
    types: Vec<Type>,
    /// Each message may refer to those before it in here.
    order: Vec<usize>,
}

impl Generator<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.rng.usize(0..of.len())]
    }

    /// Now and then a type's name, which is mostly free in this scope.
    fn short_name(&mut self, names: &[&'static str]) -> &'static str {
        match self.one_in(30) {
            true => self.pick(&TYPE_NAMES),
            false => self.pick(names),
        }
    }

    fn declare(&mut self, file: usize, parent: Option<usize>, scope: &str, depth: usize) {
        let name = self.pick(&TYPE_NAMES);
        let full_name = match scope {
            "" => name.to_owned(),
            scope => format!("{scope}.{name}"),
        };
        if self.types.iter().any(|t| t.full_name == full_name) {
            return;
        }
        let is_enum = self.one_in(3);
        let index = self.types.len();
        self.types.push(Type {
            full_name: full_name.clone(),
            name: name.to_owned(),
            file,
            parent,
            is_enum,
        });
        if !is_enum {
            let at = self.rng.usize(0..=self.order.len());
            self.order.insert(at, index);
            if depth < 2 {
                for _ in 0..self.rng.usize(0..3) {
                    self.declare(file, Some(index), &full_name, depth + 1);
                }
            }
        }
    }

    /// Mostly the message that may refer to all the others.
    fn choose_root(&mut self) -> String {
        let types = &self.types;
        let mut of_file = self.order.iter().rev().filter(|&&i| types[i].file == 1);
        let last = of_file.clone().count();
        let skip = if last > 1 && self.rng.u8(0..4) == 0 {
            1
        } else {
            0
        };
        match of_file.nth(skip) {
            Some(&index) => types[index].full_name.clone(),
            None => String::new(),
        }
    }

    fn types_in(&mut self, file: usize, parent: Option<usize>, text: &mut String, depth: usize) {
        let pad = "  ".repeat(depth);
        let mut value_names: HashSet<&str> = HashSet::new();
        for index in 0..self.types.len() {
            let ty = &self.types[index];
            if ty.file != file || ty.parent != parent {
                continue;
            }
            let name = ty.name.clone();
            if ty.is_enum {
                writeln!(text, "{pad}enum {name} {{").unwrap();
                self.values(file, &name, &mut value_names, text, depth + 1);
            } else {
                writeln!(text, "{pad}message {name} {{").unwrap();
                self.types_in(file, Some(index), text, depth + 1);
                self.fields(index, text, depth + 1);
            }
            writeln!(text, "{pad}}}").unwrap();
        }
    }

    fn values(
        &mut self,
        file: usize,
        name: &str,
        taken: &mut HashSet<&'static str>,
        text: &mut String,
        depth: usize,
    ) {
        let pad = "  ".repeat(depth);
        let mut lines = Vec::new();
        let mut numbers: Vec<i32> = Vec::new();
        let mut alias = false;
        for i in 0..self.rng.usize(1..6) {
            let short = self.short_name(&VALUE_NAMES);
            let value = match taken.insert(short) {
                true => short.to_owned(),
                false => format!("{}_{i}", name.to_uppercase()),
            };
            let number = match self.rng.u8(0..4) {
                _ if i == 0 && self.proto3[file] => 0,
                0 => self.rng.i32(..),
                1 => self.rng.i32(-3..3),
                _ => i as i32,
            };
            alias |= numbers.contains(&number);
            numbers.push(number);
            lines.push(format!("{pad}{value} = {number};\n"));
        }
        if alias {
            writeln!(text, "{pad}option allow_alias = true;").unwrap();
        }
        text.extend(lines);
    }

    fn fields(&mut self, message: usize, text: &mut String, depth: usize) {
        let pad = "  ".repeat(depth);
        let proto3 = self.proto3[self.types[message].file];
        let mut names: HashSet<String> = HashSet::new();
        let mut numbers: HashSet<u32> = HashSet::new();
        let (count, mut oneof) = (self.rng.usize(1..9), 0);
        for i in 0..count {
            let head = self.rng.u8(0..12);
            let members = match head {
                0 => self.rng.usize(1..4),
                _ => 1,
            };
            if head == 0 {
                writeln!(text, "{pad}oneof choice_{i} {{").unwrap();
                oneof += 1;
            }
            for member in 0..members {
                let mut name = self.short_name(&FIELD_NAMES).to_owned();
                if !names.insert(name.to_lowercase()) {
                    name = format!("f{i}n{member}");
                }
                let number = self.number(&mut numbers);
                let (ty, packable) = self.field_type(message);
                let label = match (head, proto3) {
                    (0, _) => "",
                    (1 | 2, _) => "repeated ",
                    (3, _) => &format!("map<{}, ", self.key()),
                    (4, true) => "optional ",
                    (4, false) => "required ",
                    (_, true) => "",
                    (_, false) => "optional ",
                };
                let close = if head == 3 { ">" } else { "" };
                let options = self.options(head, packable, proto3, &ty);
                writeln!(text, "{pad}{label}{ty}{close} {name} = {number}{options};").unwrap();
            }
            if head == 0 {
                writeln!(text, "{pad}}} // oneof {oneof}").unwrap();
            }
        }
    }

    fn options(&mut self, head: u8, packable: bool, proto3: bool, ty: &str) -> String {
        let mut options = Vec::new();
        if self.one_in(10) {
            let names: &[_] = if self.one_in(5) {
                &FIELD_NAMES
            } else {
                &JSON_NAMES
            };
            options.push(format!("json_name = \"{}\"", self.pick(names)));
        }
        if matches!(head, 1 | 2) && packable && self.rng.bool() {
            options.push(format!("packed = {}", self.rng.bool()));
        }
        if head > 4 && !proto3 && ty.contains("int") && self.one_in(5) {
            options.push("default = 5".to_owned());
        }
        match options.is_empty() {
            true => String::new(),
            false => format!(" [{}]", options.join(", ")),
        }
    }

    fn number(&mut self, taken: &mut HashSet<u32>) -> u32 {
        loop {
            let number = match self.rng.u8(0..8) {
                0 => self.rng.u32(1..1 << 29),
                1 => self.rng.u32(1..3_000),
                _ => self.rng.u32(1..20),
            };
            if !(19_000..20_000).contains(&number) && taken.insert(number) {
                return number;
            }
        }
    }

    fn key(&mut self) -> &'static str {
        // No double, no float and no bytes, which comes last.
        self.pick(&SCALARS[2..14])
    }

    /// A type, and whether a list of it can be packed.
    fn field_type(&mut self, message: usize) -> (String, bool) {
        let file = self.types[message].file;
        match self.rng.u8(0..10) {
            0 => (format!("google.protobuf.{}", self.pick(&KNOWN)), false),
            1 | 2 => {
                let before = self.order.iter().take_while(|&&i| i != message);
                let visible: Vec<usize> = before
                    .copied()
                    .filter(|&i| self.types[i].file <= file)
                    .collect();
                match self.rng.choice(&visible) {
                    Some(&i) => (format!(".{}", self.types[i].full_name), false),
                    None => ("int32".to_owned(), true),
                }
            }
            3 => {
                // A proto3 field may not be of a proto2 enum.
                let fits = |t: &Type| t.is_enum && t.file <= file;
                let proto3 = self.proto3;
                let fits = |t: &Type| fits(t) && (!proto3[file] || proto3[t.file]);
                let enums: Vec<usize> = (0..self.types.len())
                    .filter(|&i| fits(&self.types[i]))
                    .collect();
                match self.rng.choice(&enums) {
                    Some(&i) => (format!(".{}", self.types[i].full_name), true),
                    None => ("sint64".to_owned(), true),
                }
            }
            _ => {
                let ty = self.pick(&SCALARS);
                (ty.to_owned(), !matches!(ty, "string" | "bytes"))
            }
        }
    }
}
