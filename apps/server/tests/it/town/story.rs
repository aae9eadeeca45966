//! What was said and answered, as text for a snapshot: ids, times and secrets are named, not shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::{Answer, Ask, Caller, Town};

/// Requests and their answers, in order.
pub(crate) struct Story<'a> {
    town: &'a Town,
    text: String,
    names: Names,
}

impl<'a> Story<'a> {
    pub(crate) fn new(town: &'a Town) -> Self {
        Self { town, text: String::new(), names: Names::default() }
    }

    /// One request of one caller, without a body.
    pub(crate) fn ask(&mut self, caller: &dyn Caller, method: &str, path: &str) -> Answer {
        self.say(caller, method, path, &Value::Null)
    }

    /// One request of one caller, with a JSON body.
    pub(crate) fn say(
        &mut self,
        caller: &dyn Caller,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let body_text = if body.is_null() { String::new() } else { format!(" {body}") };
        let asked = format!("{}: {method} {path}{body_text}", caller.name());
        self.record(&asked, Ask::new(method, path).json(body).by(caller))
    }

    /// One request, told in these words.
    pub(crate) fn record(&mut self, asked: &str, ask: Ask) -> Answer {
        let answer = self.town.send(ask);
        let asked = self.names.redact(asked);
        let shown = if answer.status >= 400 {
            let problem = answer.problem();
            self.names.show(&problem)
        } else {
            self.body(&answer)
        };
        let retry = match answer.header("retry-after") {
            "" => String::new(),
            secs => format!(" (retry after {secs} s)"),
        };
        writeln!(self.text, "{asked}\n→ {}{retry}\n{shown}", answer.status).unwrap();
        answer
    }

    /// Between two parts.
    pub(crate) fn note(&mut self, words: &str) {
        writeln!(self.text, "── {words}\n").unwrap();
    }

    pub(crate) fn text(self) -> String {
        self.text
    }

    fn body(&mut self, answer: &Answer) -> String {
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(json) => self.names.show(&json),
            Err(_) if answer.body.is_empty() => String::new(),
            Err(_) => format!("{}\n", self.names.redact(&answer.text())),
        }
    }
}

/// A name for each id, by the order in which they came up.
#[derive(Default)]
struct Names {
    known: BTreeMap<String, String>,
    counts: BTreeMap<String, u32>,
}

impl Names {
    fn show(&mut self, json: &Value) -> String {
        let mut json = json.clone();
        self.walk(&mut json);
        format!("{json:#}\n")
    }

    fn walk(&mut self, json: &mut Value) {
        match json {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    match (name.as_str(), &*field) {
                        ("request_id" | "version" | "journal_hash", Value::String(_))
                        | ("journal_seq" | "beats_from" | "age_s", Value::Number(_)) => {
                            *field = Value::String(format!("[{name}]"));
                        }
                        (_, _) => self.walk(field),
                    }
                }
            }
            Value::String(text) => *text = self.redact(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn redact(&mut self, text: &str) -> String {
        if is_time(text) {
            return "[time]".to_owned();
        }
        if is_hour(text) {
            return "[hour]".to_owned();
        }
        let text = without_dates(text);
        let mut shown = String::new();
        let mut word = String::new();
        for char in text.chars().chain(['\0']) {
            if char.is_ascii_alphanumeric() || char == '_' {
                word.push(char);
                continue;
            }
            shown.push_str(&self.name(&word));
            word.clear();
            shown.extend(Some(char).filter(|char| *char != '\0'));
        }
        shown
    }

    fn name(&mut self, word: &str) -> String {
        let is_hex = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let kind = match word.split_once('_') {
            Some(("iog" | "iogw", secret)) if secret.len() > 26 => "secret",
            Some(("inv", secret)) if secret.len() > 26 => "token",
            Some((kind, id)) if kind.len() == 3 && id.len() == 26 => kind,
            None if is_hex => "sha256",
            _ => return word.to_owned(),
        };
        if let Some(name) = self.known.get(word) {
            return name.clone();
        }
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let name = format!("[{kind} {count}]");
        self.known.insert(word.to_owned(), name.clone());
        name
    }
}

/// `2026-11-22T16:10:00.000Z`
fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// Dates within a sentence, as `2026-11-22 16:07 UTC`, are hidden.
fn without_dates(text: &str) -> String {
    let mut parts = text.split(" UTC").map(str::to_owned).collect::<Vec<_>>();
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        let at = part.len().saturating_sub(16);
        if part.is_char_boundary(at) && is_minute(&part[at..]) {
            part.replace_range(at.., "[minute]");
        }
    }
    parts.join(" UTC")
}

/// `2026-11-22T16:00:00`
fn is_hour(text: &str) -> bool {
    text.len() == 19 && text.ends_with(":00:00") && text.as_bytes()[10] == b'T'
}

/// `2026-11-22 16:07`
fn is_minute(text: &str) -> bool {
    let at = |place: usize| text.as_bytes()[place];
    text.len() == 16 && (at(4), at(10), at(13)) == (b'-', b' ', b':')
}
