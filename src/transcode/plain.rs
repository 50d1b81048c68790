//! Fields in their plainest form, written at once.
//!
//! Most rows give their fields in the declared order, as text, numbers of a few digits, and
//! lists and objects of those. Whatever is so is taken here, and only if the
//! careful path (`json_row`, `csv_row`, `value`) would write the same bytes for it. Anything
//! else is left to that path, which also is the one that refuses: here nothing is refused, and
//! a value that is not taken whole leaves no byte behind.

use super::wire::{LENGTH, Tag, close_length};
use crate::schema::plan::{FieldPlan, MessagePlan, Scalar, Shape};

mod key;
mod values;

pub(super) use values::{Around, CellEnds};

use key::Key;
use values::{Ends as _, JsonEnds, Kind, cell_text, quoted};

/// How many absent fields are passed over in search of the one that a key names.
const PASSED_OVER_MAX: usize = 4;
/// The keys of a map that are compared one by one; one of more is left to the careful path.
const KEYS_MAX: usize = 16;

/// What is plain about the fields of a record.
pub(super) struct Plain {
    /// As in the record's plan.
    messages: Vec<Message>,
    /// Of a record in its batch.
    record_tag: Tag,
    /// Of a map's key of text.
    key_tag: Tag,
}

struct Message {
    fields: Vec<Field>,
    /// A bit for each field that must be there.
    required: u64,
    /// It fits one word of bits, and can be taken as a value.
    small: bool,
}

struct Field {
    key: Key,
    tag: Tag,
    value: Value,
    /// It may be null, which is the same as absent.
    nullable: bool,
}

#[derive(Clone, Copy)]
enum Value {
    One(Kind),
    /// Each element with the field's tag.
    List(Kind),
    /// Elements behind one tag.
    Packed(Kind),
    /// With keys of text, and the tag of its values.
    Map(Kind, Tag),
    /// Left to the careful path.
    Other,
}

impl Plain {
    /// By the messages of the record's plan.
    pub(super) fn new(messages: &[MessagePlan]) -> Self {
        Self {
            messages: messages.iter().map(Message::new).collect(),
            record_tag: Tag::new(1, LENGTH),
            key_tag: Tag::new(1, LENGTH),
        }
    }

    /// Takes a row that is plain as a whole, a JSON object: writes the record as it stands in
    /// its batch. Returns where the row ends.
    #[inline]
    pub(super) fn object(&self, text: Around<'_>, out: &mut Vec<u8>) -> Option<usize> {
        self.message(0, self.record_tag, text, 0, out)
    }

    /// Whether records from these columns can be plain: all that is required is among them.
    pub(super) fn has_required(&self, columns: &[usize]) -> bool {
        let given = columns
            .iter()
            .fold(0, |all, column| all | 1 << (column % 64));
        let root = &self.messages[0];
        root.small && root.required & !given == 0
    }

    /// Takes a row that is plain as a whole, the record of a CSV whose columns go to these
    /// fields. Writes it as it stands in its batch.
    #[inline]
    pub(super) fn cells(
        &self,
        columns: &[usize],
        text: Around<'_>,
        ends: CellEnds,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        self.record_tag.put_open(out);
        let content = out.len();
        let mut at = 0;
        for (index, &field) in columns.iter().enumerate() {
            at = self.cell(field, text, at, ends, out)?;
            let last = index + 1 == columns.len();
            if last != (at == ends.end) {
                return None;
            }
            at += 1;
        }
        close_length(out, content);
        Some(())
    }

    /// Takes members of an object as long as they are plain, of the `from`th field and after;
    /// `first` tells whether none was taken before. `seen` has a bit for each of 64 fields,
    /// `from` among them, that was given. Returns where it has come to.
    #[inline]
    pub(super) fn members(
        &self,
        message: usize,
        text: Around<'_>,
        mut at: usize,
        progress: &mut Progress,
        out: &mut Vec<u8>,
    ) -> usize {
        let fields = &self.messages[message].fields;
        let window = progress.from / 64 * 64;
        let mut passed_over = 0;
        while let Some(field) = fields.get(progress.from)
            && progress.from < window + 64
        {
            let bit = 1 << (progress.from - window);
            let mut next = at;
            if !progress.first {
                if text.byte(next) != b',' {
                    break;
                }
                next += 1;
            }
            let Some(next) = field.key.after(text, text.after_space(next)) else {
                passed_over += 1;
                if passed_over > PASSED_OVER_MAX {
                    progress.from -= PASSED_OVER_MAX;
                    break;
                }
                progress.from += 1;
                continue;
            };
            let taken = match progress.seen & bit {
                0 => self.field(field, text, text.after_space(next), out),
                _ => None,
            };
            let Some(next) = taken else { break };
            at = next;
            passed_over = 0;
            progress.seen |= bit;
            progress.first = false;
            progress.from += 1;
        }
        at
    }

    #[inline(always)]
    fn field(
        &self,
        field: &Field,
        text: Around<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let start = out.len();
        let taken = match field.value {
            Value::One(Kind::Text { bytes_max }) => quoted(text, at, field.tag, bytes_max, out),
            Value::One(kind @ Kind::Message(_)) => self.value(kind, field.tag, text, at, out),
            Value::One(kind) => kind.bare(field.tag, text, at, JsonEnds, out),
            Value::List(kind) => self.list(kind, field.tag, text, at, out),
            Value::Packed(kind) => {
                field.tag.put_open(out);
                let content = out.len();
                self.list(kind, Tag::NONE, text, at, out).inspect(|_| {
                    match out.len() > content {
                        true => close_length(out, content),
                        false => {
                            out.truncate(start);
                            0
                        }
                    };
                })
            }
            Value::Map(kind, value) => self.map(kind, field.tag, value, text, at, out),
            Value::Other => None,
        };
        if taken.is_some() {
            return taken;
        }
        out.truncate(start);
        let null = field.nullable && text.chunk(at) == Some(*b"null");
        (null && JsonEnds.at(text, at + 4)).then_some(at + 4)
    }

    /// What is written of a value that is not taken is for the caller to take back.
    #[inline]
    fn value(
        &self,
        kind: Kind,
        tag: Tag,
        text: Around<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        match kind {
            Kind::Text { bytes_max } => quoted(text, at, tag, bytes_max, out),
            Kind::Message(index) => self.message(index, tag, text, at, out),
            kind => kind.bare(tag, text, at, JsonEnds, out),
        }
    }

    #[inline]
    fn message(
        &self,
        index: usize,
        tag: Tag,
        text: Around<'_>,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let message = &self.messages[index];
        if text.byte(at) != b'{' || !message.small {
            return None;
        }
        tag.put_open(out);
        let content = out.len();
        let mut progress = Progress::default();
        let at = self.members(index, text, at + 1, &mut progress, out);
        let whole = progress.seen & message.required == message.required;
        if text.byte(at) != b'}' || !whole {
            return None;
        }
        close_length(out, content);
        Some(at + 1)
    }

    fn list(
        &self,
        kind: Kind,
        tag: Tag,
        text: Around<'_>,
        mut at: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        if text.byte(at) != b'[' {
            return None;
        }
        at += 1;
        if text.byte(at) == b']' {
            return Some(at + 1);
        }
        loop {
            at = self.value(kind, tag, text, at, out)?;
            match text.byte(at) {
                b',' => at = text.after_space(at + 1),
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn map(
        &self,
        kind: Kind,
        tag: Tag,
        value_tag: Tag,
        text: Around<'_>,
        mut at: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        if text.byte(at) != b'{' {
            return None;
        }
        at += 1;
        if text.byte(at) == b'}' {
            return Some(at + 1);
        }
        let mut keys = [(0, 0); KEYS_MAX];
        for taken in 0..KEYS_MAX {
            tag.put_open(out);
            let entry = out.len();
            at = quoted(text, at, self.key_tag, usize::MAX, out)?;
            let key = (entry, out.len());
            let bytes = |(from, to): (usize, usize)| &out[from..to];
            if keys[..taken].iter().any(|&k| bytes(k) == bytes(key)) || text.byte(at) != b':' {
                return None;
            }
            keys[taken] = key;
            at = self.value(kind, value_tag, text, text.after_space(at + 1), out)?;
            let len = out.len() - entry;
            if len >= 0x80 {
                return None;
            }
            out[entry - 1] = len as u8;
            match text.byte(at) {
                b',' => at = text.after_space(at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
        None
    }

    /// Takes a cell of a CSV without quotes, for a field of the record.
    #[inline(always)]
    pub(super) fn cell(
        &self,
        field: usize,
        text: Around<'_>,
        at: usize,
        ends: CellEnds,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let field = &self.messages[0].fields[field];
        if ends.at(text, at) {
            return field.nullable.then_some(at);
        }
        let Value::One(kind) = field.value else {
            return None;
        };
        let start = out.len();
        let taken = match kind {
            Kind::Text { bytes_max } => cell_text(text, at, field.tag, bytes_max, ends, out),
            kind => kind.bare(field.tag, text, at, ends, out),
        };
        if taken.is_none() {
            out.truncate(start);
        }
        taken
    }
}

/// How far the members of an object are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// The field that is expected next.
    pub from: usize,
    /// A bit for each field that is given, of the 64 of its window.
    pub seen: u64,
    /// No member was taken yet.
    pub first: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            from: 0,
            seen: 0,
            first: true,
        }
    }
}

impl Message {
    fn new(plan: &MessagePlan) -> Self {
        let small = plan.fields.len() <= 64;
        let bits = plan.required.iter().map(|index| match small {
            true => 1 << index,
            false => 0,
        });
        Self {
            fields: plan.fields.iter().map(Field::new).collect(),
            required: bits.fold(0, |all, bit: u64| all | bit),
            small,
        }
    }
}

impl Field {
    fn new(plan: &FieldPlan) -> Self {
        let kind = Kind::of(plan.ty);
        let value = match (plan.shape, kind) {
            // One of several: whether another was given is not known here.
            _ if plan.oneof.is_some() => Value::Other,
            (_, None) => Value::Other,
            (Shape::Single, Some(kind)) => Value::One(kind),
            (Shape::Repeated, Some(kind)) => Value::List(kind),
            (Shape::Packed, Some(kind)) => Value::Packed(kind),
            (Shape::Map(Scalar::String), Some(kind)) => {
                Value::Map(kind, Tag::new(2, kind.wire_type()))
            }
            (Shape::Map(_), Some(_)) => Value::Other,
        };
        let wire_type = match (value, kind) {
            (Value::One(_) | Value::List(_), Some(kind)) => kind.wire_type(),
            _ => LENGTH,
        };
        Self {
            key: Key::new(&plan.name),
            tag: Tag::new(plan.number, wire_type),
            value,
            nullable: !plan.required && !plan.takes_null(),
        }
    }
}

#[cfg(test)]
mod tests;
