//! A JSON object → the wire bytes of a message, by protobuf's JSON mapping.
//!
//! A value that is JSON but does not fit its field is noted and the row read on, so that
//! all bad fields of a row are reported; text that is no JSON ends the row.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::plain::{Around, CellEnds, Plain, Progress};
use super::scanner::{Scanner, Syntax};
use super::value::{self, Misread, Rules, Token};
use super::wire::{LENGTH, close_length, open_length, put_bytes, put_tag};
use super::{Options, Reason, ReasonKind, SetValue};
use crate::schema::RecordPlan;
use crate::schema::closest;
use crate::schema::plan::{FieldPlan, Json, MessagePlan, Scalar, Shape, ValueType};

/// What is noted of one row at the most: it may be one long list of bad elements.
const REASONS_MAX: usize = 20;

/// Keys of a map that are compared one by one; beyond that they are hashed.
const KEYS_COMPARED_MAX: usize = 16;

/// How much of an unknown name or key is shown, in characters.
const NAME_SHOWN_MAX: usize = 100;

/// Buffers kept from row to row.
#[derive(Default)]
pub(super) struct Scratch {
    /// A bit for each field and each oneof of the messages being read, innermost last.
    seen: Vec<u64>,
    /// Where the keys of the maps being read were written, innermost map last.
    keys: Vec<Range<usize>>,
}

/// Where within what is around it a value stands, for messages.
enum Step<'s> {
    Field(&'s str),
    Index(usize),
    Key(&'s str),
}

impl Step<'_> {
    /// The path of what has this path within the step.
    fn before(&self, rest: &str) -> String {
        let step = match self {
            Self::Field(name) => (*name).to_owned(),
            Self::Index(index) => format!("[{index}]"),
            Self::Key(key) => {
                let shown: String = key.chars().take(NAME_SHOWN_MAX).collect();
                format!("[{shown:?}]")
            }
        };
        let point = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        format!("{step}{point}{rest}")
    }
}

/// Encodes one row.
pub(super) struct Encoder<'e> {
    plan: &'e RecordPlan,
    plain: &'e Plain,
    options: &'e Options,
    scratch: &'e mut Scratch,
    out: &'e mut Vec<u8>,
    reasons: Vec<Reason>,
    digits_cut: u64,
    /// The name of the row's source, and its line.
    pub(super) origin: (&'e str, u64),
}

impl<'e> Encoder<'e> {
    pub(super) fn new(
        plan: &'e RecordPlan,
        plain: &'e Plain,
        options: &'e Options,
        scratch: &'e mut Scratch,
        out: &'e mut Vec<u8>,
    ) -> Self {
        scratch.seen.clear();
        scratch.keys.clear();
        Self {
            plan,
            plain,
            options,
            scratch,
            out,
            reasons: Vec::new(),
            digits_cut: 0,
            origin: ("", 0),
        }
    }

    /// All that is wrong with the row, or how many timestamps lost digits.
    pub(super) fn finish(self) -> Result<u64, Vec<Reason>> {
        if self.reasons.is_empty() {
            Ok(self.digits_cut)
        } else {
            Err(self.reasons)
        }
    }

    /// Encodes a row that is one JSON object.
    pub(super) fn row(&mut self, text: &str, around: Around<'_>) {
        let mut json = Scanner::within(text, around);
        let result = match json.peek() {
            Some(b'{') => self.message(0, &mut json).and_then(|()| json.end()),
            _ => return self.reject(not_an_object()),
        };
        if let Err(syntax) = result {
            self.reject(syntax_reason(&syntax));
        }
    }

    /// The plan of the record itself.
    pub(super) fn root(&self) -> &'e MessagePlan {
        self.plan.root()
    }

    pub(super) fn reject(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// Notes a bad value; [`Self::within`] says where.
    #[cold]
    pub(super) fn bad(&mut self, misread: Misread) {
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(misread.in_field(String::new()));
        }
    }

    /// Runs `f` for the value at this step. Only what turns out to be bad is told where it is.
    #[inline]
    fn within<T>(&mut self, step: Step<'_>, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.reasons.len();
        let result = f(self);
        if self.reasons.len() > before {
            self.locate(before, &step);
        }
        result
    }

    #[cold]
    fn locate(&mut self, from: usize, step: &Step<'_>) {
        for reason in &mut self.reasons[from..] {
            reason.field = reason.field.as_deref().map(|rest| step.before(rest));
        }
    }

    /// Makes room for the seen-bits of a message and returns where they begin.
    pub(super) fn enter(&mut self, message: &MessagePlan) -> usize {
        let base = self.scratch.seen.len();
        let bits = message.fields.len() + message.oneofs.len();
        self.scratch.seen.resize(base + bits.div_ceil(64), 0);
        base
    }

    /// Checks what must be there and gives the seen-bits back.
    pub(super) fn leave(&mut self, message: &'e MessagePlan, base: usize) {
        for &index in &message.required {
            if !self.bit(base, index) {
                self.within(Step::Field(&message.fields[index].name), |encoder| {
                    encoder.bad(Misread::new(ReasonKind::Missing, "required, but missing"));
                });
            }
        }
        self.scratch.seen.truncate(base);
    }

    fn bit(&self, base: usize, index: usize) -> bool {
        self.scratch.seen[base + index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets a bit and says whether it was set before.
    fn set_bit(&mut self, base: usize, index: usize) -> bool {
        let before = self.bit(base, index);
        self.scratch.seen[base + index / 64] |= 1 << (index % 64);
        before
    }

    /// Notes that a field is given; false if it may not be.
    pub(super) fn note_field(
        &mut self,
        message: &'e MessagePlan,
        base: usize,
        index: usize,
        null: bool,
    ) -> bool {
        let field = &message.fields[index];
        if self.set_bit(base, index) {
            self.bad(Misread::new(ReasonKind::Duplicate, "given twice"));
            return false;
        }
        if null {
            if field.required {
                self.bad(Misread::new(ReasonKind::Missing, "required, but null"));
            }
            return false;
        }
        if let Some(oneof) = field.oneof
            && self.set_bit(base, message.fields.len() + oneof)
        {
            let what = format!("a second member of oneof \"{}\"", message.oneofs[oneof]);
            self.bad(Misread::new(ReasonKind::Duplicate, what));
            return false;
        }
        true
    }

    /// Encodes the object that comes next.
    fn message(&mut self, index: usize, json: &mut Scanner<'_>) -> Result<(), Syntax> {
        let plan = self.plan;
        let message = &plan.messages[index];
        let base = self.enter(message);
        if index == 0 {
            self.put_set_fields(base);
        }
        let plain = index > 0 || self.options.mapping.is_plain();
        json.take(b'{');
        let mut progress = Progress::default();
        loop {
            if plain {
                self.plain_members(index, base, &mut progress, json);
            }
            let Some(name) = json.key(progress.first)? else {
                break;
            };
            progress.first = false;
            let found = match index {
                0 => self.options.mapping.field(message, &name),
                _ => message.by_name.get(&*name).copied(),
            };
            let Some(found) = found else {
                json.value()?;
                self.unknown(message, &name);
                continue;
            };
            // Rows mostly give their fields in the order in which they are declared.
            progress.from = found + 1;
            let field = &message.fields[found];
            self.within(Step::Field(&field.name), |encoder| {
                let null = json.peek() == Some(b'n') && !field.takes_null();
                if null {
                    json.word("null")?;
                }
                if encoder.note_field(message, base, found, null) {
                    encoder.field(field, json)?;
                } else if !null {
                    json.value()?;
                }
                Ok(())
            })?;
        }
        self.leave(message, base);
        Ok(())
    }

    /// Takes the members that come next as long as they are plain.
    #[inline]
    fn plain_members(
        &mut self,
        index: usize,
        base: usize,
        progress: &mut Progress,
        json: &mut Scanner<'_>,
    ) {
        let word = base + progress.from / 64;
        if let Some(&seen) = self.scratch.seen.get(word) {
            progress.seen = seen;
            let at = self
                .plain
                .members(index, json.around(), json.at(), progress, self.out);
            json.go_to(at);
            self.scratch.seen[word] = progress.seen;
        }
    }

    /// Takes a cell of a CSV, for a field of the record, if it is plain. Returns its end.
    #[inline]
    pub(super) fn plain_cell(
        &mut self,
        base: usize,
        index: usize,
        text: Around<'_>,
        at: usize,
        ends: CellEnds,
    ) -> Option<usize> {
        if self.bit(base, index) {
            return None;
        }
        let end = self.plain.cell(index, text, at, ends, self.out)?;
        self.set_bit(base, index);
        Some(end)
    }

    fn unknown(&mut self, message: &MessagePlan, name: &str) {
        if self.options.ignore_unknown || self.reasons.len() >= REASONS_MAX {
            return;
        }
        self.reasons
            .push(unknown_field(message, name).in_field(name.to_owned()));
    }

    /// Encodes the value that comes next, which is not null, into a field.
    pub(super) fn field(
        &mut self,
        field: &'e FieldPlan,
        json: &mut Scanner<'_>,
    ) -> Result<(), Syntax> {
        match field.shape {
            Shape::Single => {
                self.tag(field.number, field.ty);
                self.value(field.ty, json)
            }
            Shape::Repeated | Shape::Packed => self.list(field, json),
            Shape::Map(key) => self.map(field, key, json),
        }
    }

    fn list(&mut self, field: &'e FieldPlan, json: &mut Scanner<'_>) -> Result<(), Syntax> {
        if !json.take(b'[') {
            return self.wrong_kind("a JSON array", json);
        }
        let packed = field.shape == Shape::Packed;
        let start = self.out.len();
        let mut content = start;
        if packed {
            put_tag(self.out, field.number, LENGTH);
            content = open_length(self.out);
        }
        let mut index = 0;
        while json.element(index == 0)? {
            self.within(Step::Index(index), |encoder| {
                if !packed {
                    encoder.tag(field.number, field.ty);
                }
                encoder.value(field.ty, json)
            })?;
            index += 1;
        }
        match (packed, index) {
            (true, 0) => self.out.truncate(start),
            (true, _) => {
                close_length(self.out, content);
            }
            (false, _) => {}
        }
        Ok(())
    }

    fn map(
        &mut self,
        field: &'e FieldPlan,
        key: Scalar,
        json: &mut Scanner<'_>,
    ) -> Result<(), Syntax> {
        if !json.take(b'{') {
            return self.wrong_kind("a JSON object, as a map must be", json);
        }
        let base = self.scratch.keys.len();
        let mut many = HashSet::new();
        let mut first = true;
        while let Some(name) = json.key(first)? {
            first = false;
            self.within(Step::Key(&name), |encoder| {
                put_tag(encoder.out, field.number, LENGTH);
                let entry = open_length(encoder.out);
                put_tag(encoder.out, 1, value::wire_type(key));
                let key_start = encoder.out.len();
                // A CSV's `True` is a bool, a key's is not.
                let token = match key {
                    Scalar::Bool if !matches!(&*name, "true" | "false") => Token::Text(&name),
                    _ => Token::Untyped(&name),
                };
                let put = value::put_scalar(encoder.out, key, token);
                let written = key_start..encoder.out.len();
                if let Err(misread) = put {
                    encoder.bad(misread);
                } else if !encoder.is_new_key(base, &mut many, &written) {
                    encoder.bad(Misread::new(ReasonKind::Duplicate, "given twice"));
                }
                encoder.tag(2, field.ty);
                encoder.value(field.ty, json)?;
                let moved = close_length(encoder.out, entry);
                let keys = &mut encoder.scratch.keys;
                keys.push(written.start + moved..written.end + moved);
                Ok(())
            })?;
        }
        self.scratch.keys.truncate(base);
        Ok(())
    }

    /// Whether none of the map's keys since `base` is encoded like this one: `1` and `1.0` are
    /// the same. `many` holds them once they are too many to compare one by one.
    fn is_new_key(&self, base: usize, many: &mut HashSet<Vec<u8>>, written: &Range<usize>) -> bool {
        let bytes = |key: &Range<usize>| &self.out[key.clone()];
        let keys = &self.scratch.keys[base..];
        if keys.len() < KEYS_COMPARED_MAX {
            return keys.iter().all(|key| bytes(key) != bytes(written));
        }
        if many.is_empty() {
            many.extend(keys.iter().map(|key| bytes(key).to_vec()));
        }
        many.insert(bytes(written).to_vec())
    }

    fn tag(&mut self, number: u32, ty: ValueType) {
        let wire_type = ty.scalar().map_or(LENGTH, value::wire_type);
        put_tag(self.out, number, wire_type);
    }

    /// Encodes the value that comes next, its tag already written.
    fn value(&mut self, ty: ValueType, json: &mut Scanner<'_>) -> Result<(), Syntax> {
        match ty {
            ValueType::Message(index) => {
                if json.peek() != Some(b'{') {
                    return self.wrong_kind("a JSON object", json);
                }
                let content = open_length(self.out);
                self.message(index, json)?;
                close_length(self.out, content);
                Ok(())
            }
            ValueType::Variant(takes) => {
                let expected = match (takes, json.peek()) {
                    (Json::Any, Some(b'n')) => Some("a JSON value"),
                    (Json::Object, first) if first != Some(b'{') => Some("a JSON object"),
                    (Json::Array, first) if first != Some(b'[') => Some("a JSON array"),
                    _ => None,
                };
                if let Some(expected) = expected {
                    return self.wrong_kind(expected, json);
                }
                let text = json.value_to_keep()?;
                put_bytes(self.out, text.as_bytes());
                Ok(())
            }
            _ => {
                let text: Cow<'_, str>;
                let token = match json.peek() {
                    Some(b'"') => {
                        text = json.string()?;
                        Token::Text(&text)
                    }
                    Some(b'-' | b'0'..=b'9') => Token::Number(json.number()?),
                    Some(b't') => {
                        json.word("true")?;
                        Token::Bool(true)
                    }
                    Some(b'f') => {
                        json.word("false")?;
                        Token::Bool(false)
                    }
                    _ => return self.wrong_kind("a single value", json),
                };
                self.put(ty, token);
                Ok(())
            }
        }
    }

    /// Writes the message of a single field, whose content `put` writes.
    pub(super) fn nested(
        &mut self,
        field: &FieldPlan,
        put: impl FnOnce(&mut Self, &'e MessagePlan, usize),
    ) {
        let ValueType::Message(index) = field.ty else {
            return;
        };
        let plan = self.plan;
        let message = &plan.messages[index];
        self.tag(field.number, field.ty);
        let content = open_length(self.out);
        let base = self.enter(message);
        put(self, message, base);
        self.leave(message, base);
        close_length(self.out, content);
    }

    /// Writes a scalar, or notes why not.
    pub(super) fn put(&mut self, ty: ValueType, token: Token<'_>) {
        let rules = Rules {
            enums: &self.plan.enums,
            time: &self.options.time,
        };
        match value::put(self.out, ty, token, &rules) {
            Ok(noticed) => self.digits_cut += u64::from(noticed.digits_cut),
            Err(misread) => self.bad(misread),
        }
    }

    /// Writes the fields that are the same in every row, or tell where it comes from.
    pub(super) fn put_set_fields(&mut self, base: usize) {
        let message = self.plan.root();
        for (index, value) in self.options.mapping.set() {
            let field = &message.fields[*index];
            self.in_field(field, |encoder| {
                encoder.note_field(message, base, *index, false);
                let (source, line) = encoder.origin;
                match value {
                    SetValue::Text(text) => encoder.put_untyped(field, text),
                    SetValue::Source => encoder.put_untyped(field, source),
                    SetValue::Line => encoder.put_untyped(field, &line.to_string()),
                }
            });
        }
    }

    /// Writes a field from text without a type; one that is no single scalar from JSON text.
    pub(super) fn put_untyped(&mut self, field: &'e FieldPlan, text: &str) {
        let plain = field.shape == Shape::Single
            && !matches!(field.ty, ValueType::Message(_) | ValueType::Variant(_));
        if plain {
            self.tag(field.number, field.ty);
            return self.put(field.ty, Token::Untyped(text));
        }
        let mut json = Scanner::new(text);
        if let Err(syntax) = self.field(field, &mut json).and_then(|()| json.end()) {
            let what = format!(
                "not valid JSON at column {} of its text: {}",
                syntax.at + 1,
                syntax.what
            );
            self.bad(Misread::new(ReasonKind::Syntax, what));
        }
    }

    /// Runs `f` with a field on the path of messages.
    pub(super) fn in_field(&mut self, field: &'e FieldPlan, f: impl FnOnce(&mut Self)) {
        self.within(Step::Field(&field.name), f);
    }

    fn wrong_kind(&mut self, expected: &str, json: &mut Scanner<'_>) -> Result<(), Syntax> {
        let text = json.value()?;
        let found = match text.as_bytes().first() {
            Some(b'{') => "a JSON object",
            Some(b'[') => "a JSON array",
            Some(b'"') => "a string",
            Some(b'n') => "null",
            Some(b't' | b'f') => "a bool",
            _ => "a number",
        };
        self.bad(Misread::new(
            ReasonKind::Type,
            format!("{found}, expected {expected}"),
        ));
        Ok(())
    }
}

/// A field that a message does not have, with the one that may have been meant.
pub(super) fn unknown_field(message: &MessagePlan, name: &str) -> Misread {
    let names = message.fields.iter().map(|f| f.name.as_str());
    let mut text = format!("no such field in {}", message.name);
    if let Some(close) = closest(name, names) {
        text.push_str(&format!(" (did you mean \"{close}\"?)"));
    }
    Misread::new(ReasonKind::UnknownField, text)
}

/// Takes a row as it is, if it is one JSON object.
pub(super) fn check_object(text: &str, out: &mut Vec<u8>) -> Result<(), Vec<Reason>> {
    let mut json = Scanner::new(text);
    let result = match json.peek() {
        Some(b'{') => json.value_to_keep().and_then(|_| json.end()),
        _ => return Err(vec![not_an_object()]),
    };
    result.map_err(|syntax| vec![syntax_reason(&syntax)])?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn not_an_object() -> Reason {
    Reason::of_row(ReasonKind::Syntax, "not a JSON object, as a row must be")
}

fn syntax_reason(syntax: &Syntax) -> Reason {
    let message = format!(
        "not valid JSON at column {}: {}",
        syntax.at + 1,
        syntax.what
    );
    Reason::of_row(ReasonKind::Syntax, message)
}
