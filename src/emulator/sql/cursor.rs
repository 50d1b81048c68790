//! The tokens of a script, and a place among them.

use std::fmt;

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token as Read, Tokenizer};

use super::Problem;

/// How much of what stands at a place a message shows, in characters.
const SHOWN_MAX: usize = 40;
/// How many tokens a placeholder such as `<service-principal-id>` is made of at most.
const PLACEHOLDER_TOKENS_MAX: usize = 16;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A token that says something, that is neither white space nor a comment.
#[derive(Debug)]
pub(super) struct Token {
    kind: Kind,
    place: Place,
}

#[derive(Debug)]
enum Kind {
    Word(String),
    /// A name in backticks, which is no keyword.
    Quoted(String),
    /// A text in single or double quotes.
    Text(String),
    Number(String),
    /// Anything else, as it is written.
    Sign(String),
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Sign(text) => f.write_str(text),
            Self::Quoted(name) => write!(f, "`{name}`"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::End => Ok(()),
        }
    }
}

/// How Databricks SQL is cut into tokens. sqlparser's own dialect of that name does not know
/// a backslash in a string.
#[derive(Debug)]
struct Databricks;

impl Dialect for Databricks {
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '`'
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_'
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }
}

/// The tokens of a text, the last one its end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = Tokenizer::new(&Databricks, text).tokenize_with_location();
    let read = read.map_err(|error| {
        let (line, column) = (error.location.line, error.location.column);
        Problem::new(Place { line, column }, error.message)
    })?;
    let mut tokens = Vec::new();
    let mut end = Place { line: 1, column: 1 };
    for token in read {
        let (line, column) = (token.span.start.line, token.span.start.column);
        let place = Place { line, column };
        let mut push = |kind| tokens.push(Token { kind, place });
        match token.token {
            Read::Whitespace(_) | Read::EOF => continue,
            Read::Word(word) if word.quote_style.is_some() => push(Kind::Quoted(word.value)),
            Read::Word(word) => push(Kind::Word(word.value)),
            Read::SingleQuotedString(text) | Read::DoubleQuotedString(text) => {
                push(Kind::Text(text));
            }
            Read::Number(number, _) => push(Kind::Number(number)),
            // The ends of two types, as in ARRAY<ARRAY<INT>>, and an empty STRUCT.
            Read::ShiftRight => {
                push(Kind::Sign(">".to_owned()));
                push(Kind::Sign(">".to_owned()));
            }
            Read::Neq => {
                push(Kind::Sign("<".to_owned()));
                push(Kind::Sign(">".to_owned()));
            }
            other => push(Kind::Sign(other.to_string())),
        }
        let (line, column) = (token.span.end.line, token.span.end.column);
        end = Place { line, column };
    }
    let kind = Kind::End;
    tokens.push(Token { kind, place: end });
    Ok(tokens)
}

/// A place among the tokens.
pub(super) struct Cursor<'t> {
    /// Never empty: what is left, up to the end.
    left: &'t [Token],
}

impl<'t> Cursor<'t> {
    pub(super) fn new(tokens: &'t [Token]) -> Self {
        Self { left: tokens }
    }

    pub(super) fn place(&self) -> Place {
        let start = Place { line: 1, column: 1 };
        self.left.first().map_or(start, |token| token.place)
    }

    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.peek(), None | Some(Kind::End))
    }

    fn peek(&self) -> Option<&'t Kind> {
        self.left.first().map(|token| &token.kind)
    }

    fn advance(&mut self) {
        // The end is never left.
        if let [_, left @ ..] = self.left
            && !left.is_empty()
        {
            self.left = left;
        }
    }

    /// Leaves what stands here unread.
    pub(super) fn skip(&mut self) {
        self.advance();
    }

    /// Whether these keywords and signs follow, in any case.
    pub(super) fn is(&self, words: &[&str]) -> bool {
        let follows = |(token, word): (&Token, &&str)| match &token.kind {
            Kind::Word(text) | Kind::Sign(text) => text.eq_ignore_ascii_case(word),
            _ => false,
        };
        self.left.len() > words.len() && self.left.iter().zip(words).all(follows)
    }

    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let is = self.is(words);
        if is {
            words.iter().for_each(|_| self.advance());
        }
        is
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.take_words(&[word])
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.take_words(&[sign])
    }

    /// Takes a keyword or a sign.
    ///
    /// # Errors
    /// Something else stands here.
    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Problem> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(self.expected(&format!("\"{sign}\""))),
        }
    }

    /// Takes a name, with or without backticks.
    pub(super) fn name(&mut self, what: &str) -> Result<&'t str, Problem> {
        let name = match self.peek() {
            Some(Kind::Word(name)) => name,
            Some(Kind::Quoted(name)) if !(name.starts_with('<') && name.ends_with('>')) => name,
            _ => return Err(self.expected(what)),
        };
        self.advance();
        Ok(name)
    }

    /// Takes a keyword that is not in backticks.
    pub(super) fn word(&mut self, what: &str) -> Result<&'t str, Problem> {
        match self.peek() {
            Some(Kind::Word(word)) => {
                self.advance();
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Takes a text in quotes; texts that follow each other are one.
    pub(super) fn text(&mut self, what: &str) -> Result<String, Problem> {
        let Some(Kind::Text(text)) = self.peek() else {
            return Err(self.expected(what));
        };
        let mut text = text.clone();
        self.advance();
        while let Some(Kind::Text(more)) = self.peek() {
            text.push_str(more);
            self.advance();
        }
        Ok(text)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.peek(), Some(Kind::Text(_)))
    }

    /// Takes a number as it is written, without a sign.
    pub(super) fn number(&mut self, what: &str) -> Result<&'t str, Problem> {
        match self.peek() {
            Some(Kind::Number(number)) => {
                self.advance();
                Ok(number)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.peek(), Some(Kind::Number(_)))
    }

    /// What to say of a place where something else was expected.
    pub(super) fn expected(&self, what: &str) -> Problem {
        let message = match self.peek() {
            None | Some(Kind::End) => format!("expected {what}, found the end"),
            Some(_) if let Some(placeholder) = self.placeholder() => {
                let message = format!("expected {what}, found the placeholder {placeholder}");
                return Problem::new(self.place(), message)
                    .hint(format!("put your own name in place of {placeholder}"));
            }
            Some(kind) => format!("expected {what}, found {:?}", shown(&kind.to_string())),
        };
        Problem::new(self.place(), message)
    }

    /// What guides write where a name of the reader's own belongs, such as `<catalog_name>`.
    fn placeholder(&self) -> Option<String> {
        if let Some(Kind::Quoted(name)) = self.peek() {
            let is = name.starts_with('<') && name.ends_with('>');
            return is.then(|| shown(name));
        }
        if !self.is(&["<"]) {
            return None;
        }
        let line = self.place().line;
        let mut text = String::new();
        for token in self.left.iter().take(PLACEHOLDER_TOKENS_MAX) {
            match &token.kind {
                Kind::Word(_) | Kind::Number(_) | Kind::Sign(_) if token.place.line == line => {
                    text.push_str(&token.kind.to_string());
                }
                _ => return None,
            }
            if text.ends_with('>') {
                return Some(shown(&text));
            }
        }
        None
    }
}

/// A text as messages show it.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
