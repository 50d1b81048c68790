//! CSV: where a record ends (quotes may hold newlines), and its cells.
//!
//! Records are framed and split here because a reader must be able to name the line where a
//! quote opened, stop at a bound, tell `""` from an empty cell, and refuse what others read
//! as they like (text after a closing quote, a carriage return by itself). The csv crate is
//! the oracle in the tests.

use std::borrow::Cow;

use super::framer::{Cut, Finished, Found, PlainRows, Unfinished};
use super::{Position, RowFault};

/// The characters that structure a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvDialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells that hold delimiters, quotes or newlines; doubled inside. None: a
    /// quote is a character like any other.
    pub quote: Option<u8>,
}

impl CsvDialect {
    /// Comma-separated.
    pub const COMMA: Self = Self {
        delimiter: b',',
        quote: Some(b'"'),
    };
    /// Tab-separated.
    pub const TAB: Self = Self {
        delimiter: b'\t',
        quote: Some(b'"'),
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a cell.
    CellStart,
    /// In a cell without quotes.
    Bare,
    /// Between the quotes.
    Quoted,
    /// After a quote in a quoted cell: it closes, or the next one doubles it.
    QuoteSeen,
    /// After a carriage return outside quotes: a newline must follow.
    CrSeen,
}

/// Cuts at newlines outside quotes.
pub(super) struct CsvCut {
    dialect: CsvDialect,
    state: State,
    /// The line being read, from 1.
    line: u64,
    record_line: u64,
    quote_line: u64,
    fault: Option<RowFault>,
}

impl CsvCut {
    pub(super) fn new(dialect: CsvDialect) -> Self {
        Self {
            dialect,
            state: State::CellStart,
            line: 1,
            record_line: 1,
            quote_line: 1,
            fault: None,
        }
    }

    fn fault(&mut self, fault: RowFault) -> State {
        self.fault.get_or_insert(fault);
        State::Bare
    }
}

impl Cut for CsvCut {
    fn next(&mut self, bytes: &[u8]) -> Found {
        let CsvDialect { delimiter, quote } = self.dialect;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let (State::Quoted, Some(quote)) = (self.state, quote) {
                match memchr::memchr2(b'\n', quote, &bytes[at..]) {
                    Some(0) => {}
                    Some(len) => {
                        at += len;
                        continue;
                    }
                    None => break,
                }
            }
            at += 1;
            if byte == b'\n' {
                self.line += 1;
                if self.state != State::Quoted {
                    return Found::End(at);
                }
                continue;
            }
            self.state = match self.state {
                State::Quoted if quote == Some(byte) => State::QuoteSeen,
                State::Quoted => State::Quoted,
                State::CrSeen => self.fault(RowFault::BareCarriageReturn),
                State::CellStart | State::Bare | State::QuoteSeen if byte == b'\r' => State::CrSeen,
                State::CellStart | State::Bare | State::QuoteSeen if byte == delimiter => {
                    State::CellStart
                }
                State::CellStart if quote == Some(byte) => {
                    self.quote_line = self.line;
                    State::Quoted
                }
                State::QuoteSeen if quote == Some(byte) => State::Quoted,
                State::QuoteSeen => self.fault(RowFault::TextAfterQuote),
                State::CellStart | State::Bare => State::Bare,
            };
        }
        Found::More
    }

    /// Those without quotes, which hold no line's end then.
    fn plain_rows(&mut self, bytes: &[u8], rows: &mut PlainRows<'_>) -> usize {
        let quote = self.dialect.quote.unwrap_or(b'\n');
        let mut start = 0;
        while !rows.is_full() {
            let rest = &bytes[start..];
            let (len, end_len) = match memchr::memchr3(b'\n', b'\r', quote, rest) {
                Some(at) if rest[at] == b'\n' => (at, 1),
                Some(at) if rest[at..].starts_with(b"\r\n") => (at, 2),
                _ => break,
            };
            if !rows.takes(len) {
                break;
            }
            if len > 0 {
                rows.push(start, len, len + end_len, self.line);
            }
            self.line += 1;
            start += len + end_len;
        }
        self.record_line = self.line;
        start
    }

    fn finish(&mut self) -> Finished {
        let finished = Finished {
            line: self.record_line,
            fault: self.fault.take(),
            before: 0,
        };
        self.state = State::CellStart;
        self.record_line = self.line;
        finished
    }

    fn row_line(&self) -> u64 {
        self.record_line
    }

    fn after(&self, byte: u64) -> Position {
        Position {
            byte,
            line: self.record_line,
            ..Position::default()
        }
    }

    fn go_on(&mut self, from: &Position) {
        *self = Self {
            line: from.line,
            record_line: from.line,
            ..Self::new(self.dialect)
        };
    }

    fn unfinished(&self) -> Option<Unfinished> {
        (self.state == State::Quoted).then_some(Unfinished {
            line: self.quote_line,
            what: "a quoted cell opens here and does not close",
            hint: "close the quote, or double the quotes inside the cell",
        })
    }
}

/// A cell of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Its text, quotes resolved.
    pub text: Cow<'a, str>,
    /// Whether it stood in quotes: then it is never null.
    pub quoted: bool,
}

/// The cells of a record that was framed without a fault.
pub fn cells(record: &str, dialect: CsvDialect) -> Cells<'_> {
    Cells {
        dialect,
        record,
        at: Some(0),
    }
}

/// See [`cells`].
pub struct Cells<'a> {
    dialect: CsvDialect,
    record: &'a str,
    /// Where the next cell begins.
    at: Option<usize>,
}

impl Cells<'_> {
    /// Where in the record the next cell begins; none behind the last one.
    pub fn at(&self) -> Option<usize> {
        self.at
    }

    /// Goes on behind a cell that ends before this place.
    pub fn pass(&mut self, end: usize) {
        // Behind the cell stands a delimiter, or the record's end.
        self.at = (end < self.record.len()).then_some(end + 1);
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        let at = self.at?;
        let rest = &self.record[at..];
        let quote = self
            .dialect
            .quote
            .filter(|&q| rest.as_bytes().first() == Some(&q));
        let (text, end) = if let Some(quote) = quote {
            quoted_cell(&rest[1..], quote)
        } else {
            let end = memchr::memchr(self.dialect.delimiter, rest.as_bytes());
            let end = end.unwrap_or(rest.len());
            (Cow::Borrowed(&rest[..end]), end)
        };
        self.pass(at + end);
        let quoted = quote.is_some();
        Some(Cell { text, quoted })
    }
}

/// The cell whose opening quote stands before `rest`, and its length with both quotes.
fn quoted_cell(rest: &str, quote: u8) -> (Cow<'_, str>, usize) {
    let mut text = Cow::Borrowed("");
    let mut from = 0;
    loop {
        let found = memchr::memchr(quote, &rest.as_bytes()[from..]);
        let at = found.map_or(rest.len(), |n| from + n);
        let doubled = rest.as_bytes().get(at + 1) == Some(&quote);
        // Of a doubled quote the first one belongs to the text.
        let piece = &rest[from..at + usize::from(doubled)];
        if text.is_empty() {
            text = Cow::Borrowed(piece);
        } else {
            text.to_mut().push_str(piece);
        }
        if !doubled {
            return (text, (at + 2).min(rest.len() + 1));
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(record: &str) -> Vec<(String, bool)> {
        cells(record, CsvDialect::COMMA)
            .map(|c| (c.text.into_owned(), c.quoted))
            .collect()
    }

    #[test]
    fn cells_know_whether_they_were_quoted() {
        for (record, expected) in [
            ("a,b", &[("a", false), ("b", false)][..]),
            ("a,", &[("a", false), ("", false)]),
            ("\"\",", &[("", true), ("", false)]),
            ("\"\"", &[("", true)]),
            ("\"a\"\"b\",\"\"\"\"", &[("a\"b", true), ("\"", true)]),
            ("\"x,\ny\",é", &[("x,\ny", true), ("é", false)]),
            ("a\"b,c", &[("a\"b", false), ("c", false)]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(t, q)| ((*t).to_owned(), *q))
                .collect();
            assert_eq!(split(record), expected, "{record}");
        }
    }
}
