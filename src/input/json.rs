//! Where a row of a JSON file ends: at the end of each value of one top-level array, or of
//! values one after another.
//!
//! Only the structure around the values is checked here; what is in them is left to the
//! transcoder.

use super::framer::{Cut, Finished, Found, Unfinished};
use super::{Next, Position};

/// What the next byte may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space was seen.
    Begin,
    /// A value must follow; in an array `]` may end it only right behind `[`.
    Value { first: bool },
    /// In an object or an array of the row, this deep.
    Nested { depth: usize },
    /// In a string, this deep.
    Text { depth: usize, escaped: bool },
    /// In a number or a word at the top: no row of a table, but it has an end.
    Bare,
    /// After a value.
    After,
    /// After the array: only white space may follow.
    End,
    /// Something stands where it may not.
    Broken,
}

/// Cuts at the ends of values.
pub(super) struct JsonCut {
    state: State,
    /// The line on which the top-level array began, if there is one.
    array: Option<u64>,
    /// The line being read, from 1.
    line: u64,
    row_line: u64,
    /// The line after the last row and what was taken before the next, and what may follow.
    line_after: u64,
    next: Next,
    /// Bytes before the row's first one since the last row.
    before: usize,
    broken: Option<Unfinished>,
}

impl JsonCut {
    pub(super) fn new() -> Self {
        Self {
            state: State::Begin,
            array: None,
            line: 1,
            row_line: 1,
            line_after: 1,
            next: Next::Any,
            before: 0,
            broken: None,
        }
    }

    fn broken(&mut self, what: &'static str) -> State {
        self.broken = Some(Unfinished {
            line: self.line,
            what,
            hint: "a JSON file is one array of objects, or objects one after another",
        });
        State::Broken
    }

    /// The first byte of a value.
    fn begin(&mut self, byte: u8) -> State {
        self.row_line = self.line;
        match byte {
            b'{' | b'[' => State::Nested { depth: 1 },
            b'"' => State::Text {
                depth: 0,
                escaped: false,
            },
            _ => State::Bare,
        }
    }

    /// A byte between rows, which is no white space.
    fn between(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Begin, b'[') => {
                self.array = Some(self.line);
                State::Value { first: true }
            }
            (State::Value { first: true }, b']') => State::End,
            (State::After, b']') if self.array.is_some() => State::End,
            (State::After, b',') if self.array.is_some() => State::Value { first: false },
            (State::After, _) if self.array.is_some() => {
                self.broken("expected `,` or `]` after a row")
            }
            (State::End, _) => self.broken("text after the end of the array"),
            (State::Value { .. }, b',' | b']') => self.broken("expected a row"),
            (_, byte) => self.begin(byte),
        }
    }
}

impl Cut for JsonCut {
    fn next(&mut self, bytes: &[u8]) -> Found {
        for (at, &byte) in bytes.iter().enumerate() {
            let white = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            let was = self.state;
            self.state = match was {
                State::Broken => return Found::More,
                State::Begin | State::Value { .. } | State::After | State::End => {
                    let now = if white { was } else { self.between(byte) };
                    let outside = matches!(
                        now,
                        State::Begin | State::Value { .. } | State::After | State::End
                    );
                    self.before += usize::from(outside);
                    now
                }
                State::Bare if white || matches!(byte, b',' | b']') => {
                    self.state = State::After;
                    return Found::End(at);
                }
                State::Bare => State::Bare,
                State::Text {
                    depth,
                    escaped: true,
                } => State::Text {
                    depth,
                    escaped: false,
                },
                State::Text { depth, .. } => match byte {
                    b'\\' => State::Text {
                        depth,
                        escaped: true,
                    },
                    b'"' => State::Nested { depth },
                    _ => was,
                },
                State::Nested { depth } => match byte {
                    b'"' => State::Text {
                        depth,
                        escaped: false,
                    },
                    b'{' | b'[' => State::Nested { depth: depth + 1 },
                    b'}' | b']' => State::Nested { depth: depth - 1 },
                    _ => was,
                },
            };
            self.line += u64::from(byte == b'\n');
            if self.state == (State::Nested { depth: 0 }) {
                self.state = State::After;
                return Found::End(at + 1);
            }
        }
        Found::More
    }

    fn finish(&mut self) -> Finished {
        let before = std::mem::take(&mut self.before);
        self.line_after = self.line;
        self.next = match self.state {
            State::End => Next::End,
            _ => Next::Any,
        };
        // At the end of the file a value may be cut off: then nothing follows it.
        Finished {
            line: self.row_line,
            fault: None,
            before,
        }
    }

    fn row_line(&self) -> u64 {
        self.row_line
    }

    fn after(&self, byte: u64) -> Position {
        Position {
            byte,
            line: self.line_after,
            array: self.array,
            next: self.next,
        }
    }

    fn go_on(&mut self, from: &Position) {
        *self = Self {
            state: match from.next {
                Next::Any => State::After,
                Next::Row => State::Value { first: false },
                Next::End => State::End,
            },
            array: from.array,
            line: from.line,
            row_line: from.line,
            line_after: from.line,
            next: from.next,
            ..Self::new()
        };
    }

    fn unfinished(&self) -> Option<Unfinished> {
        match (self.array, self.state) {
            (Some(line), state) if state != State::End => Some(Unfinished {
                line,
                what: "the array that opens here never closes",
                hint: "was the file cut off? rows before the end are not affected",
            }),
            _ => None,
        }
    }

    fn take_before(&mut self) -> usize {
        let before = std::mem::take(&mut self.before);
        if before > 0 {
            (self.line_after, self.next) = match self.state {
                State::Begin | State::After | State::Broken => (self.line, Next::Any),
                State::Value { .. } => (self.line, Next::Row),
                State::End => (self.line, Next::End),
                State::Nested { .. } | State::Text { .. } | State::Bare => match self.array {
                    Some(_) => (self.row_line, Next::Row),
                    None => (self.row_line, Next::Any),
                },
            };
        }
        before
    }

    fn broken(&self) -> Option<Unfinished> {
        self.broken
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use crate::input::{Bytes, Compression, Format, Framer, Framing, Limits, Source};

    /// Gives out so many bytes at a time.
    struct Slow(std::io::Cursor<&'static [u8]>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(buffer.len());
            self.0.read(&mut buffer[..n])
        }
    }

    /// The rows up to 8 bytes, and the byte, the line and the text of each longer one.
    fn read(text: &'static str, step: usize) -> (Vec<&'static str>, Vec<(u64, u64, &'static str)>) {
        let source = Source {
            index: 0,
            name: "test".into(),
            format: Format::Json,
            header: None,
        };
        let framing = Framing {
            limits: Limits {
                line_bytes_max: 8,
                ..Limits::default()
            },
            ..Framing::default()
        };
        let reader = Bytes::from_reader(
            Slow(std::io::Cursor::new(text.as_bytes()), step),
            Compression::None,
        );
        let mut framer = Framer::new(source, reader, &framing).unwrap();
        let (mut rows, mut long) = (Vec::new(), Vec::new());
        while let Some(block) = framer.next_block().unwrap() {
            let first = block.first_byte as usize;
            for row in &block.rows {
                rows.push(&text[first + row.start()..][..row.len()]);
            }
            if let Some(piece) = block.long.filter(|piece| piece.ends) {
                let end = first + block.data.len();
                long.push((piece.byte, piece.line, &text[piece.byte as usize..end]));
            }
        }
        (rows, long)
    }

    #[test]
    fn what_stands_between_rows_is_no_part_of_a_row_over_the_limit() {
        for step in [1, 2, 3, 100] {
            let text =
                "[{\"a\":1} ,\n\n      {\"a\":2},\n\n {\"a\":12345} , {\"a\":3}]           \n";
            let (rows, long) = read(text, step);
            assert_eq!(rows, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], "{step}");
            assert_eq!(long, [(29, 5, "{\"a\":12345}")], "{step}");
        }
    }

    #[test]
    fn a_row_over_the_limit_swallows_no_row_behind_it() {
        for step in [1, 2, 3, 100] {
            let (rows, long) = read("[1234567890,{\"a\":2}]", step);
            assert_eq!(rows, ["{\"a\":2}"], "{step}");
            assert_eq!(long, [(1, 1, "1234567890")], "{step}");
        }
    }
}
