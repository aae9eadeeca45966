//! Just enough XML for the manifests that NVIDIA signs: one narrow shape, and its canonical form (Canonical XML 1.1).
//!
//! What is read is refused unless it is plain: elements, attributes in double quotes, and text, without entities,
//! comments, declarations of types, sections of raw text, or instructions. Then the canonical form is: every element
//! with both tags, namespaces that are new at it in the order of their prefixes, attributes in the order of their
//! namespaces and names, and text as it is.
//!
//! # Invariants
//! - Values are taken from canonical bytes only, and only after somebody's signature over exactly those bytes was
//!   checked. So whatever this reader misunderstands, it can refuse what is good but not admit what was not signed.

use std::collections::BTreeMap;

/// How deep elements nest: NVIDIA's manifests have six levels.
const DEPTH_MAX: usize = 16;
/// How many attributes an element has, namespaces included: NVIDIA's have twelve.
const ATTRIBUTES_MAX: usize = 64;

const SIGNATURE: &str = "ds:Signature";

/// A signed document, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// The canonical form of everything but the signature.
    pub(crate) signed: String,
    /// The namespaces in force within the signature, by prefix; the empty one is the default.
    pub(crate) scope: BTreeMap<String, String>,
    /// The text of each element within the signature, by the element's name. Nobody has signed it.
    pub(crate) signature: Vec<(String, String)>,
}

/// An opening tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    is_empty: bool,
}

impl<'a> Element<'a> {
    /// The value of the attribute that is written with this name, prefix included.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

enum Token<'a> {
    Open(Element<'a>),
    Close(&'a str),
    Text(&'a str),
}

/// Takes a document apart, or nothing when it is not of the narrow shape.
pub(crate) fn parse(text: &str) -> Option<Document> {
    let mut rest = without_declaration(text)?;
    let mut reading = Reading::default();
    while !rest.is_empty() {
        let (token, after) = token(rest)?;
        reading.on(token)?;
        rest = after;
    }
    let Reading { document, open, has_root, .. } = reading;
    (open.is_empty() && has_root && !document.scope.is_empty()).then_some(document)
}

/// The opening tags of a canonical document, in order.
pub(crate) fn elements(canonical: &str) -> Option<Vec<Element<'_>>> {
    let (mut rest, mut elements) = (canonical, Vec::new());
    while !rest.is_empty() {
        let (token, after) = token(rest)?;
        if let Token::Open(element) = token {
            elements.push(element);
        }
        rest = after;
    }
    Some(elements)
}

#[derive(Default)]
struct Reading {
    document: Document,
    /// The elements that are open, with the namespaces in force in each.
    open: Vec<(String, BTreeMap<String, String>)>,
    has_root: bool,
    /// Within the signature.
    is_aside: bool,
}

impl Reading {
    fn on(&mut self, token: Token<'_>) -> Option<()> {
        match token {
            Token::Open(element) => self.on_open(&element),
            Token::Close(name) => self.on_close(name),
            Token::Text(text) => self.on_text(text),
        }
    }

    fn on_open(&mut self, element: &Element<'_>) -> Option<()> {
        if self.open.len() >= DEPTH_MAX || (self.open.is_empty() && self.has_root) {
            return None;
        }
        self.has_root = true;
        let above = self.open.last().map(|(_, scope)| scope.clone()).unwrap_or_default();
        let (scope, tag) = canonical_tag(element, above)?;
        if element.name == SIGNATURE {
            // One signature, directly below the root: there is nothing else that it could be about.
            if self.open.len() != 1 || !self.document.scope.is_empty() {
                return None;
            }
            self.is_aside = true;
            self.document.scope.clone_from(&scope);
        }
        match self.is_aside {
            true => self.document.signature.push((element.name.to_owned(), String::new())),
            false => self.document.signed.push_str(&tag),
        }
        self.open.push((element.name.to_owned(), scope));
        match element.is_empty {
            true => self.on_close(element.name),
            false => Some(()),
        }
    }

    fn on_close(&mut self, name: &str) -> Option<()> {
        let (opened, _) = self.open.pop()?;
        if opened != name {
            return None;
        }
        match self.is_aside {
            true => self.is_aside = name != SIGNATURE,
            false => self.document.signed.push_str(&format!("</{name}>")),
        }
        Some(())
    }

    fn on_text(&mut self, text: &str) -> Option<()> {
        match (self.open.is_empty(), self.is_aside) {
            // Around the root there is only white space, which is not part of the canonical form.
            (true, _) => text.trim().is_empty().then_some(()),
            (false, true) => {
                self.document.signature.last_mut()?.1.push_str(text);
                Some(())
            }
            (false, false) => {
                self.document.signed.push_str(text);
                Some(())
            }
        }
    }
}

/// The namespaces in force within an element, and its opening tag in canonical form.
fn canonical_tag(
    element: &Element<'_>,
    above: BTreeMap<String, String>,
) -> Option<(BTreeMap<String, String>, String)> {
    let (mut scope, mut fresh, mut attributes) = (above, BTreeMap::new(), BTreeMap::new());
    for (name, value) in &element.attributes {
        let prefix = name.strip_prefix("xmlns:").or((*name == "xmlns").then_some(""));
        let Some(prefix) = prefix else { continue };
        if value.is_empty() || fresh.contains_key(prefix) {
            return None;
        }
        let known = scope.insert(prefix.to_owned(), (*value).to_owned());
        fresh.insert(prefix, (known.as_deref() != Some(*value)).then_some(*value));
    }
    for (name, value) in &element.attributes {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if prefix == "xmlns" || *name == "xmlns" {
            continue;
        }
        // Attributes without a prefix have no namespace, whatever the default is.
        let space = if prefix.is_empty() { "" } else { scope.get(prefix)?.as_str() };
        if attributes.insert((space, local), (*name, *value)).is_some() {
            return None;
        }
    }
    let mut tag = format!("<{}", element.name);
    for (prefix, value) in fresh.iter().filter_map(|(prefix, value)| Some((prefix, (*value)?))) {
        tag.push_str(&namespace(prefix, value));
    }
    for (name, value) in attributes.values() {
        tag.push_str(&format!(" {name}=\"{value}\""));
    }
    tag.push('>');
    Some((scope, tag))
}

/// A namespace as canonical XML writes it.
pub(crate) fn namespace(prefix: &str, value: &str) -> String {
    match prefix {
        "" => format!(" xmlns=\"{value}\""),
        prefix => format!(" xmlns:{prefix}=\"{value}\""),
    }
}

/// The declaration of XML itself is not part of the canonical form.
fn without_declaration(text: &str) -> Option<&str> {
    match text.strip_prefix("<?xml ") {
        Some(declared) => declared.split_once("?>").map(|(_, rest)| rest),
        None => Some(text),
    }
}

fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let Some(tag) = text.strip_prefix('<') else {
        let (said, rest) = text.split_at(text.find('<').unwrap_or(text.len()));
        return is_plain(said).then_some((Token::Text(said), rest));
    };
    let (tag, rest) = tag.split_once('>')?;
    match tag.strip_prefix('/') {
        Some(name) => is_name(name).then_some((Token::Close(name), rest)),
        None => Some((Token::Open(element(tag)?), rest)),
    }
}

fn element(tag: &str) -> Option<Element<'_>> {
    let (tag, is_empty) = match tag.strip_suffix('/') {
        Some(tag) => (tag, true),
        None => (tag, false),
    };
    let (name, mut rest) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
    let mut attributes = Vec::new();
    while !rest.trim_start_matches(' ').is_empty() {
        let (attribute, after) = attribute(rest)?;
        attributes.push(attribute);
        rest = after;
    }
    let fits = is_name(name) && attributes.len() <= ATTRIBUTES_MAX;
    fits.then_some(Element { name, attributes, is_empty })
}

fn attribute(text: &str) -> Option<((&str, &str), &str)> {
    let (name, rest) = text.strip_prefix(' ')?.trim_start_matches(' ').split_once("=\"")?;
    let (value, rest) = rest.split_once('"')?;
    // White space in a value would be changed by a reader of XML before it is signed.
    let fits = is_name(name) && is_plain(value) && !value.contains(['\n', '\t', '<']);
    fits.then_some(((name, value), rest))
}

/// Characters that stand for themselves, in the document as in its canonical form.
fn is_plain(text: &str) -> bool {
    let stands = |byte: u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~') && !b"&>".contains(&byte);
    text.bytes().all(stands)
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":_-.".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic()) && text.bytes().all(fits)
}
