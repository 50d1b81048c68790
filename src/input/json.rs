//! Where a row of a JSON file ends: at the end of each value of one top-level array, or of
//! values one after another.
//!
//! Only the structure around the values is checked here; what is in them is left to the
//! transcoder.

use super::Position;
use super::framer::{Cut, Finished, Found, Unfinished};

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
    /// The line on which the last row ended.
    line_after: u64,
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
                    let in_row =
                        matches!(now, State::Nested { .. } | State::Text { .. } | State::Bare);
                    self.before += usize::from(!in_row);
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
        self.line_after = self.line;
        // At the end of the file a value may be cut off: then nothing follows it.
        Finished {
            line: self.row_line,
            fault: None,
            before: std::mem::take(&mut self.before),
        }
    }

    fn row_line(&self) -> u64 {
        self.row_line
    }

    fn line_after(&self) -> u64 {
        self.line_after
    }

    fn array(&self) -> Option<u64> {
        self.array
    }

    fn go_on(&mut self, from: &Position) {
        *self = Self {
            state: match from.after_comma {
                true => State::Value { first: false },
                false => State::After,
            },
            array: from.array,
            line: from.line,
            line_after: from.line,
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

    fn broken(&self) -> Option<Unfinished> {
        self.broken
    }
}
