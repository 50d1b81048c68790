//! A JSON scanner over one row: it hands out the pieces of the text as they are (numbers
//! keep every digit) and says where and why a text is no JSON.

use std::borrow::Cow;

use super::keys::Keys;
use super::plain::Around;
use super::words::not_plain;

/// The deepest nesting of arrays and objects in a value that is taken as a whole.
pub(super) const JSON_DEPTH_MAX: usize = 100;

/// Why a text is no JSON, and after how many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax {
    pub at: usize,
    pub what: &'static str,
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    /// The text and what stands behind it, for loads of several bytes.
    around: Around<'a>,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self::within(text, Around(text.as_bytes()))
    }

    /// A scanner of a text that is the beginning of what stands `around` it.
    pub(super) fn within(text: &'a str, around: Around<'a>) -> Self {
        Self {
            text,
            around,
            at: 0,
        }
    }

    pub(super) fn around(&self) -> Around<'a> {
        self.around
    }

    /// Goes on at a place between two values.
    #[inline]
    pub(super) fn go_to(&mut self, at: usize) {
        debug_assert!(self.at <= at && at <= self.text.len());
        self.at = at;
    }

    pub(super) fn fail<T>(&self, what: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, what })
    }

    /// The next byte that is no white space, without taking it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                other => return Some(other),
            }
        }
        None
    }

    /// Takes this byte if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("text after the end of the value"),
        }
    }

    /// After `{` or a member: the next member's name, its colon taken; none at the end.
    pub(super) fn key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Syntax> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first && !self.take(b',') {
            return self.fail("expected `,` or `}`");
        }
        if self.peek() != Some(b'"') {
            return self.fail("expected a name in double quotes");
        }
        let name = self.string()?;
        if !self.take(b':') {
            return self.fail("expected `:`");
        }
        Ok(Some(name))
    }

    /// Where the text that was not taken yet begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// After `[` or an element: whether another element follows.
    pub(super) fn element(&mut self, first: bool) -> Result<bool, Syntax> {
        if self.take(b']') {
            return Ok(false);
        }
        if !first && !self.take(b',') {
            return self.fail("expected `,` or `]`");
        }
        Ok(true)
    }

    /// Takes a word such as `true`.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Syntax> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.fail("expected a value")
    }

    /// Takes a number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Syntax> {
        let Some(number) = Number::begin(&self.text[self.at..]) else {
            return self.fail("not a JSON number");
        };
        self.at += number.text.len();
        Ok(number)
    }

    /// Takes a string, with its escapes resolved.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        let start = self.at + 1;
        let end = self.plain_run(start)?;
        if self.text.as_bytes()[end] == b'"' {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = self.text[start..end].to_owned();
        self.at = end;
        loop {
            self.escape(&mut text)?;
            let end = self.plain_run(self.at)?;
            text.push_str(&self.text[self.at..end]);
            self.at = end;
            if self.text.as_bytes()[end] == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(text));
            }
        }
    }

    /// The end of the run of plain characters that begins here: a quote or a backslash.
    #[inline]
    fn plain_run(&mut self, start: usize) -> Result<usize, Syntax> {
        let bytes = self.text.as_bytes();
        let mut at = start;
        // Eight at a time; the lowest byte that is marked is always right.
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let marked = not_plain(u64::from_le_bytes(*eight));
            if marked != 0 {
                at += marked.trailing_zeros() as usize / 8;
                return self.run_ends(at);
            }
            at += 8;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let plain = |b: &&u8| **b >= 0x20 && !matches!(**b, b'"' | b'\\');
        at += rest.iter().take_while(plain).count();
        self.run_ends(at)
    }

    #[inline]
    fn run_ends(&mut self, at: usize) -> Result<usize, Syntax> {
        match self.text.as_bytes().get(at) {
            Some(b) if *b >= 0x20 => Ok(at),
            Some(_) => {
                self.at = at;
                self.fail("a control character in a string")
            }
            None => {
                self.at = self.text.len();
                self.fail("a string that does not end")
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), Syntax> {
        let letter = self.text.as_bytes().get(self.at + 1);
        let plain = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex(self.at + 2)?;
                let (code, len) = match first {
                    0xD800..=0xDBFF => {
                        let bytes = self.text.as_bytes();
                        let second = match bytes.get(self.at + 6..self.at + 8) {
                            Some(b"\\u") => self.hex(self.at + 8)?,
                            _ => 0,
                        };
                        if !(0xDC00..=0xDFFF).contains(&second) {
                            return self.fail("half of a surrogate pair");
                        }
                        (0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
                    }
                    other => (other, 6),
                };
                let Some(c) = char::from_u32(code) else {
                    return self.fail("half of a surrogate pair");
                };
                text.push(c);
                self.at += len;
                return Ok(());
            }
            _ => return self.fail("an unknown escape in a string"),
        };
        text.push(plain);
        self.at += 2;
        Ok(())
    }

    fn hex(&self, at: usize) -> Result<u32, Syntax> {
        let mut value = 0;
        for i in at..at + 4 {
            let digit = self.text.as_bytes().get(i);
            let Some(digit) = digit.and_then(|&b| char::from(b).to_digit(16)) else {
                return self.fail("expected four hexadecimal digits after \\u");
            };
            value = value * 16 + digit;
        }
        Ok(value)
    }

    /// Takes any value and returns its text. Iterative, so that depth costs no stack.
    pub(super) fn value(&mut self) -> Result<&'a str, Syntax> {
        self.walk(|_, _| true)
    }

    /// The same for a value that is kept as a whole: no object may name a key twice, since
    /// readers disagree on which one counts.
    pub(super) fn value_to_keep(&mut self) -> Result<&'a str, Syntax> {
        let mut keys = Keys::default();
        self.walk(|depth, key| match key {
            Some(key) => keys.add(depth, key),
            None => {
                keys.open(depth);
                true
            }
        })
    }

    fn next_key(
        &mut self,
        first: bool,
        depth: usize,
        seen: &mut impl FnMut(usize, Option<Cow<'a, str>>) -> bool,
    ) -> Result<bool, Syntax> {
        let Some(name) = self.key(first)? else {
            return Ok(false);
        };
        match seen(depth, Some(name)) {
            true => Ok(true),
            false => self.fail("a key that the object has already"),
        }
    }

    /// Walks over any value. `seen` hears of each object or array that opens (no key), with
    /// the depth around it, and of each key, with the depth it is at; false refuses a key.
    fn walk(
        &mut self,
        mut seen: impl FnMut(usize, Option<Cow<'a, str>>) -> bool,
    ) -> Result<&'a str, Syntax> {
        self.peek();
        let start = self.at;
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    if open.len() >= JSON_DEPTH_MAX {
                        return self.fail("nested deeper than 100 levels");
                    }
                    open.push(bracket);
                    seen(open.len() - 1, None);
                    let more = match bracket {
                        b'{' => self.next_key(true, open.len(), &mut seen)?,
                        _ => self.element(true)?,
                    };
                    if more {
                        continue;
                    }
                    open.pop();
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                }
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                Some(_) => return self.fail("expected a value"),
                None => return self.fail("the text ends in the middle of a value"),
            }
            // A value is complete: go on in what is open around it.
            loop {
                let more = match open.last() {
                    None => return Ok(&self.text[start..self.at]),
                    Some(b'{') => self.next_key(false, open.len(), &mut seen)?,
                    Some(_) => self.element(false)?,
                };
                if more {
                    break;
                }
                open.pop();
            }
        }
    }
}

/// A JSON number: its text, and its value as far as that is plain to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub text: &'a str,
    pub negative: bool,
    /// All digits but the exponent's, as one number; none if they are too many for it.
    pub mantissa: Option<u64>,
    /// The value is the mantissa times ten to this power.
    pub exponent: i32,
}

/// Digits that surely fit a u64.
const MANTISSA_DIGITS_MAX: usize = 19;

impl<'a> Number<'a> {
    /// The number that a text begins with, if what follows cannot belong to it.
    #[inline]
    fn begin(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut mantissa = 0u64;
        // The value is of no use once it has wrapped around.
        let mut digits = |from: usize| {
            let mut at = from;
            while let Some(b) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
                at += 1;
            }
            at
        };
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let mut at = digits(start);
        let mut count = at - start;
        if count == 0 || count > 1 && bytes[start] == b'0' {
            return None;
        }
        let mut exponent = 0;
        if bytes.get(at) == Some(&b'.') {
            let end = digits(at + 1);
            let fraction = end - at - 1;
            if fraction == 0 {
                return None;
            }
            at = end;
            count += fraction;
            exponent = -i32::try_from(fraction).unwrap_or(i32::MAX);
        }
        let mut mantissa = (count <= MANTISSA_DIGITS_MAX).then_some(mantissa);
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let from = at + 1 + sign;
            let rest = bytes.get(from..).unwrap_or_default();
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            at = from + length;
            match text[from - sign..at].parse::<i32>() {
                Ok(power) => exponent = exponent.saturating_add(power),
                Err(_) => mantissa = None,
            }
        }
        match bytes.get(at) {
            // `01` and `1a` are no numbers, rather than a number and something else.
            Some(b) if b.is_ascii_alphanumeric() || *b == b'.' => None,
            _ => Some(Self {
                text: &text[..at],
                negative,
                mantissa,
                exponent,
            }),
        }
    }

    /// The value, if it is written as a plain integer of 64 bits.
    #[inline]
    pub(super) fn whole(&self) -> Option<i64> {
        let value = i64::try_from(self.mantissa?).ok()?;
        (self.exponent == 0).then_some(if self.negative { -value } else { value })
    }

    /// The number that a text is.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        Self::begin(text).filter(|number| number.text.len() == text.len())
    }
}

/// Whether the whole text is one JSON number.
pub(super) fn is_number(text: &str) -> bool {
    Number::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<&str, Syntax> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
    }

    #[test]
    fn takes_what_serde_json_takes_and_refuses_what_it_refuses() {
        let cases = [
            "{}",
            "[]",
            " [1, 2 ] ",
            r#"{"a":{"b":[1,{"c":null}]}}"#,
            "true",
            "false",
            "null",
            "-0",
            "0.5e-3",
            "1E+2",
            r#""\u00e9\ud83d\ude00\n""#,
            "",
            "{",
            "[1",
            "[1,]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "tru",
            "nul",
            "1 2",
            r#""\x""#,
            r#""\ud83d""#,
            r#""\udc00""#,
            r#""\ud83d\u0041""#,
            "\"\u{1}\"",
            r#"""#,
            r#"{"a":1 "b":2}"#,
            "[1 2]",
            "{1:2}",
            "1a",
            "NaN",
            "]",
            "}",
            r#""\u12"#,
            r#""\"#,
        ];
        for text in cases {
            let oracle = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(whole(text).is_ok(), oracle.is_ok(), "{text:?}");
        }
    }

    #[test]
    fn strings_come_out_as_serde_json_reads_them() {
        for text in [
            r#""plain""#,
            r#""a\"b\\c\/d\b\f\n\r\t""#,
            r#""\u0041\ud83d\ude00é""#,
        ] {
            let oracle: String = serde_json::from_str(text).unwrap();
            assert_eq!(Scanner::new(text).string().unwrap(), oracle);
        }
    }

    #[test]
    fn a_value_to_keep_names_no_key_twice() {
        for (text, good) in [
            (r#"{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}"#, true),
            (r#"[{"a":{}},{"a":[]},{}]"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":1}"#, false),
            (r#"{"b":[[{"x":{"k":1,"k":2}}]]}"#, false),
            (r#"{"b":[{"k":1}],"k":1,"b":2}"#, false),
            (r#"[{"a":{"z":1},"z":1},{"a":{"z":1},"z":1}]"#, true),
            (r#"[{"a":{"b":1},"a":1}]"#, false),
        ] {
            assert_eq!(Scanner::new(text).value_to_keep().is_ok(), good, "{text}");
            assert!(Scanner::new(text).value().is_ok());
        }
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = "[".repeat(100_000);
        assert_eq!(
            whole(&deep).unwrap_err().what,
            "nested deeper than 100 levels"
        );
        let fits = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(whole(&fits).is_ok());
    }
}
