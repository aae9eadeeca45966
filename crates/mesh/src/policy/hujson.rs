//! JSON as people write it: with comments, and with commas behind the last element. Every value knows where it stands.
//!
//! # Invariants
//! - What is refused is refused with its place, and with what could have stood there.
//! - No text makes the reader panic, recurse deeper than [`DEPTH_MAX`], or take longer than its length.

use super::place::{Place, Problem, Wrong};

/// How deep lists and tables may be nested; a policy needs four.
pub const DEPTH_MAX: usize = 32;

/// A value, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `null`, `true`, `false`, or a number, as it is written.
    Word(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the text; no name comes twice.
    Table(Vec<(Place, String, Node)>),
}

/// Reads a whole text.
pub(super) fn read(text: &str) -> Result<Node, Wrong> {
    let mut from = Reader { rest: text, at: Place { line: 1, column: 1 }, depth: 0 };
    let node = from.value()?;
    from.blank()?;
    match from.rest.is_empty() {
        true => Ok(node),
        false => from.expected("the end of the file"),
    }
}

struct Reader<'t> {
    rest: &'t str,
    at: Place,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.at = match next {
            '\n' => Place { line: self.at.line + 1, column: 1 },
            _ => Place { column: self.at.column + 1, ..self.at },
        };
        Some(next)
    }

    fn skip(&mut self, chars: usize) {
        for _ in 0..chars {
            self.bump();
        }
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, Wrong> {
        let found = match self.peek() {
            None => "the end of the file".to_owned(),
            Some(_) => {
                let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
                let word: String = self.rest.chars().take_while(is_word).take(20).collect();
                let found =
                    if word.is_empty() { self.rest.chars().take(1).collect() } else { word };
                match found.contains(char::is_control) {
                    true => format!("`{}`", found.escape_default()),
                    false => format!("`{found}`"),
                }
            }
        };
        Err(Wrong { at: self.at, problem: Problem::Expected { expected, found } })
    }

    /// Passes over white space and comments.
    fn blank(&mut self) -> Result<(), Wrong> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n' | '\u{feff}') => self.skip(1),
                Some('/') if self.rest.starts_with("//") => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.skip(1);
                    }
                }
                Some('/') if self.rest.starts_with("/*") => self.block_comment()?,
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Wrong> {
        let Some(len) = self.rest.find("*/") else {
            return Err(Wrong { at: self.at, problem: Problem::OpenComment });
        };
        let chars = self.rest[..len].chars().count() + 2;
        self.skip(chars);
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Wrong> {
        self.blank()?;
        let at = self.at;
        let value = match self.peek() {
            Some('{') => self.nested(Self::table)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Value::Text(self.text()?),
            Some('-' | '0'..='9') => Value::Word(self.number()?),
            Some(_) | None => Value::Word(self.word()?),
        };
        Ok(Node { at, value })
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Wrong>,
    ) -> Result<Value, Wrong> {
        if self.depth == DEPTH_MAX {
            return Err(Wrong { at: self.at, problem: Problem::TooDeep });
        }
        self.depth += 1;
        self.skip(1);
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Wrong> {
        let mut elements = Vec::new();
        loop {
            self.blank()?;
            if self.take(']') {
                return Ok(Value::List(elements));
            }
            elements.push(self.value()?);
            self.blank()?;
            if !self.take(',') && self.peek() != Some(']') {
                return self.expected("`,` or `]`");
            }
        }
    }

    fn table(&mut self) -> Result<Value, Wrong> {
        let mut fields: Vec<(Place, String, Node)> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        loop {
            self.blank()?;
            if self.take('}') {
                return Ok(Value::Table(fields));
            }
            let at = self.at;
            if self.peek() != Some('"') {
                return self.expected("a name in quotes, or `}`");
            }
            let name = self.text()?;
            if !names.insert(name.clone()) {
                return Err(Wrong { at, problem: Problem::Twice { name } });
            }
            self.blank()?;
            if !self.take(':') {
                return self.expected("`:`");
            }
            fields.push((at, name, self.value()?));
            self.blank()?;
            if !self.take(',') && self.peek() != Some('}') {
                return self.expected("`,` or `}`");
            }
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.skip(1);
        }
        is_there
    }

    fn text(&mut self) -> Result<String, Wrong> {
        self.skip(1);
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.skip(1);
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(c) if c >= ' ' => {
                    text.push(c);
                    self.skip(1);
                }
                Some(_) | None => return self.expected("`\"` at the end of a text"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        self.skip(1);
        let plain = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode(),
            Some(_) | None => return self.expected("one of `\"\\/bfnrtu` behind a backslash"),
        };
        self.skip(1);
        Ok(plain)
    }

    /// Four digits behind `\u`, or two times that for a pair of surrogates.
    fn unicode(&mut self) -> Result<char, Wrong> {
        let high = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return match char::from_u32(high) {
                Some(c) => Ok(c),
                None => self.expected("the first half of a pair of surrogates"),
            };
        }
        if !self.rest.starts_with("\\u") {
            return self.expected("the second half of a pair of surrogates");
        }
        self.skip(1);
        let low = self.four_digits()?;
        let whole = low.checked_sub(0xdc00).filter(|low| *low < 0x400);
        let whole = whole.and_then(|low| char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low));
        match whole {
            Some(c) => Ok(c),
            None => self.expected("the second half of a pair of surrogates"),
        }
    }

    fn four_digits(&mut self) -> Result<u32, Wrong> {
        self.skip(1);
        let digits: String = self.rest.chars().take(4).collect();
        let is_hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u32::from_str_radix(&digits, 16) {
            Ok(number) if is_hex => {
                self.skip(4);
                Ok(number)
            }
            Ok(_) | Err(_) => self.expected("four hexadecimal digits"),
        }
    }

    fn number(&mut self) -> Result<String, Wrong> {
        let mut number = String::new();
        self.take_into('-', &mut number);
        if !self.take_into('0', &mut number) {
            self.digits(&mut number)?;
        }
        if self.take_into('.', &mut number) {
            self.digits(&mut number)?;
        }
        if self.take_into('e', &mut number) || self.take_into('E', &mut number) {
            let _ = self.take_into('+', &mut number) || self.take_into('-', &mut number);
            self.digits(&mut number)?;
        }
        match self.peek() {
            Some(c) if c.is_alphanumeric() => self.expected("the end of a number"),
            Some(_) | None => Ok(number),
        }
    }

    fn take_into(&mut self, wanted: char, number: &mut String) -> bool {
        let is_there = self.take(wanted);
        if is_there {
            number.push(wanted);
        }
        is_there
    }

    fn digits(&mut self, number: &mut String) -> Result<(), Wrong> {
        let before = number.len();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            number.push(digit);
            self.skip(1);
        }
        if number.len() == before { self.expected("a digit") } else { Ok(()) }
    }

    fn word(&mut self) -> Result<String, Wrong> {
        let word: String = self.rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        if matches!(word.as_str(), "null" | "true" | "false") {
            self.skip(word.len());
            return Ok(word);
        }
        self.expected("a value: a table, a list, a text, a number, true, false, or null")
    }
}

impl Value {
    /// As one line of plain JSON.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Word(word) => to.push_str(word),
            Self::Text(text) => write_text(text, to),
            Self::List(elements) => {
                to.push('[');
                for (index, element) in elements.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { "," });
                    element.value.write(to);
                }
                to.push(']');
            }
            Self::Table(fields) => {
                to.push('{');
                for (index, (_, name, value)) in fields.iter().enumerate() {
                    to.push_str(if index == 0 { "" } else { "," });
                    write_text(name, to);
                    to.push(':');
                    value.value.write(to);
                }
                to.push('}');
            }
        }
    }
}

fn write_text(text: &str, to: &mut String) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            c if c < ' ' => to.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => to.push(c),
        }
    }
    to.push('"');
}
