//! A policy file, read: who is meant by its words, what is granted, and what must come of it.
//!
//! # Invariants
//! - Every word is explained: groups, tags and hosts that nothing declares are refused, with their place.
//! - Nothing is skipped: a field that means nothing here is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::hujson::{self, Node, Value};
use super::padding;
use super::place::{Place, Problem, Wrong};
use super::ports::{self, Ports, protocol_of};
use super::range::Range;
use super::selector::{Selector, Words};

/// A policy file, in bytes. A network of ten thousand people needs a tenth.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Grants of one file: each becomes two rules of a node at most, one for each way.
pub const GRANTS_MAX: usize = 2_000;
/// Tests of one file.
pub const TESTS_MAX: usize = 1_000;

/// What a policy file says. By itself it allows nothing: see [`Policy::compile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub(super) groups: BTreeMap<String, BTreeSet<String>>,
    pub(super) hosts: BTreeMap<String, Range>,
    pub(super) tags: BTreeSet<String>,
    pub(super) grants: Vec<Grant>,
    pub(super) tests: Vec<Test>,
}

/// Who may reach what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it stands.
    pub at: Place,
    /// Who begins.
    pub src: Vec<Selector>,
    /// What is reached.
    pub dst: Vec<Selector>,
    /// By which protocols, at which ports.
    pub ports: Vec<Ports>,
    /// What applications are told: values in JSON, by the name of a capability.
    pub app: BTreeMap<String, Vec<String>>,
    /// Tags of members that carry it: to addresses that are no member's, and between members that must not see where
    /// the other is.
    pub via: Vec<String>,
}

/// What must come of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Where it stands.
    pub at: Place,
    /// Who begins.
    pub src: Selector,
    /// By which protocols; TCP if the test names none.
    pub protocols: Vec<u8>,
    /// What must be reached.
    pub accept: Vec<Target>,
    /// What must not be reached.
    pub deny: Vec<Target>,
}

/// A place that a test tries to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it stands.
    pub at: Place,
    /// As it is written.
    pub text: String,
    /// Whose port.
    pub dst: Selector,
    /// Which; 0 for protocols without.
    pub port: u16,
}

const SECTIONS: &[&str] = &["grants", "groups", "hosts", "tagOwners", "tests"];
const GRANT: &[&str] = &["app", "dst", "ip", "src", "via"];
const TEST: &[&str] = &["accept", "deny", "proto", "src"];

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        if text.len() > FILE_BYTES_MAX {
            let problem = Problem::TooMany { what: "bytes in a policy file", max: FILE_BYTES_MAX };
            return Err(Wrong { at: Place { line: 1, column: 1 }, problem });
        }
        let file = hujson::read(text)?;
        let mut sections = fields(&file, "a table", SECTIONS)?;
        let mut policy = Self::default();
        if let Some(node) = sections.remove("groups") {
            policy.read_groups(node)?;
        }
        if let Some(node) = sections.remove("tagOwners") {
            policy.read_tag_owners(node)?;
        }
        if let Some(node) = sections.remove("hosts") {
            policy.read_hosts(node)?;
        }
        if let Some(node) = sections.remove("grants") {
            policy.grants = at_most(list(node)?, "grants", GRANTS_MAX)?
                .iter()
                .map(|node| policy.grant(node))
                .collect::<Result<_, _>>()?;
        }
        if let Some(node) = sections.remove("tests") {
            policy.tests = at_most(list(node)?, "tests", TESTS_MAX)?
                .iter()
                .map(|node| policy.test(node))
                .collect::<Result<_, _>>()?;
        }
        Ok(policy)
    }

    /// What it grants, in the order of the file.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// What must come of it.
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    fn read_groups(&mut self, node: &Node) -> Result<(), Wrong> {
        for (at, name, people) in table(node, "a table of groups")? {
            if !is_word_behind("group:", name) {
                return wrong(*at, "a group's name, such as `group:research`", name);
            }
            let mut users = BTreeSet::new();
            for person in list(people)? {
                let user = text(person)?;
                if !is_user(user) {
                    return wrong(
                        person.at,
                        "a user: an address with `@`, or an account's id",
                        user,
                    );
                }
                users.insert(user.to_owned());
            }
            self.groups.insert(name.clone(), users);
        }
        Ok(())
    }

    fn read_tag_owners(&mut self, node: &Node) -> Result<(), Wrong> {
        let declared = table(node, "a table of tags")?;
        for (at, name, _) in declared {
            if !is_word_behind("tag:", name) {
                return wrong(*at, "a tag, such as `tag:gpu`", name);
            }
            self.tags.insert(name.clone());
        }
        for (_, _, owners) in declared {
            for owner in list(owners)? {
                let word = text(owner)?;
                let is_owner =
                    is_user(word) || word.starts_with("group:") || word.starts_with("tag:");
                if !is_owner {
                    return wrong(owner.at, "a user, a group, or a tag", word);
                }
                self.selector(owner)?;
            }
        }
        Ok(())
    }

    fn read_hosts(&mut self, node: &Node) -> Result<(), Wrong> {
        for (at, name, address) in table(node, "a table of hosts")? {
            let is_name = !name.is_empty() && !name.contains([':', '@', '*', '/']);
            if !is_name || name.parse::<Range>().is_ok() {
                return wrong(*at, "a host's name, without `:`, `@`, `*`, or `/`", name);
            }
            let word = text(address)?;
            let Ok(range) = word.parse() else {
                return wrong(address.at, "an address, or a block such as 10.0.0.0/24", word);
            };
            self.hosts.insert(name.clone(), range);
        }
        Ok(())
    }

    fn grant(&self, node: &Node) -> Result<Grant, Wrong> {
        let mut fields = fields(node, "a grant: a table with `src`, `dst`, and `ip`", GRANT)?;
        let src = self.selectors(required(&mut fields, node, "src")?)?;
        let dst = self.selectors(required(&mut fields, node, "dst")?)?;
        let app = fields.remove("app").map(capabilities).transpose()?.unwrap_or_default();
        let ports = match fields.remove("ip") {
            Some(ip) => port_list(ip)?,
            None if app.is_empty() => required(&mut fields, node, "ip").map(|_| Vec::new())?,
            None => Vec::new(),
        };
        let mut via = Vec::new();
        for tag in fields.remove("via").map(list).transpose()?.unwrap_or_default() {
            let Selector::Tag(named) = self.selector(tag)? else {
                return wrong(tag.at, "a tag", text(tag)?);
            };
            via.push(named);
        }
        Ok(Grant { at: node.at, src, dst, ports, app, via })
    }

    fn test(&self, node: &Node) -> Result<Test, Wrong> {
        let mut fields = fields(node, "a test: a table with `src`, and `accept` or `deny`", TEST)?;
        let src = self.selector(required(&mut fields, node, "src")?)?;
        let (protocols, has_ports) = match fields.remove("proto") {
            None => (vec![6], true),
            Some(proto) => match protocol_of(text(proto)?) {
                Some(known) => known,
                None => return wrong(proto.at, "a protocol's name or number", text(proto)?),
            },
        };
        let targets = |node: Option<&Node>| {
            let targets = node.map(list).transpose()?.unwrap_or_default();
            targets.iter().map(|target| self.target(target, has_ports)).collect::<Result<_, _>>()
        };
        let (accept, deny) = (targets(fields.remove("accept"))?, targets(fields.remove("deny"))?);
        Ok(Test { at: node.at, src, protocols, accept, deny })
    }

    /// `tag:gpu:22`, `host:443`, `[fd00::1]:22`; `*` is the port of protocols without.
    fn target(&self, node: &Node, has_ports: bool) -> Result<Target, Wrong> {
        const EXPECTED: &str =
            "a target and its port, such as `tag:gpu:22`; `:*` where there are no ports";
        let word = text(node)?;
        let Some((target, port)) = word.rsplit_once(':') else {
            return wrong(node.at, EXPECTED, word);
        };
        let port = match (port, has_ports) {
            ("*", false) => Some(0),
            (port, true) => port.parse().ok(),
            (_, false) => None,
        };
        let Some(port) = port else { return wrong(node.at, EXPECTED, word) };
        let bare = target.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let dst = self.words().selector(bare.unwrap_or(target), node.at)?;
        Ok(Target { at: node.at, text: word.to_owned(), dst, port })
    }

    /// A test that asks about one target, of texts that stand alone.
    pub(super) fn question(&self, src: &str, dst: &str, protocol: &str) -> Result<Test, Wrong> {
        let at = Place { line: 1, column: 1 };
        let Some((protocols, has_ports)) = protocol_of(protocol) else {
            return wrong(at, "a protocol's name or number", protocol);
        };
        let src = self.words().selector(src, at)?;
        let target = self.target(&Node { at, value: Value::Text(dst.to_owned()) }, has_ports)?;
        Ok(Test { at, src, protocols, accept: vec![target], deny: vec![] })
    }

    fn selectors(&self, node: &Node) -> Result<Vec<Selector>, Wrong> {
        list(node)?.iter().map(|word| self.selector(word)).collect()
    }

    fn selector(&self, node: &Node) -> Result<Selector, Wrong> {
        self.words().selector(text(node)?, node.at)
    }

    /// What a word may mean in this file.
    pub fn words(&self) -> Words<'_> {
        Words { groups: &self.groups, hosts: &self.hosts, tags: &self.tags }
    }
}

/// An address of mail, or an account's id.
pub(super) fn is_user(text: &str) -> bool {
    let is_mail = text.split_once('@').is_some_and(|(who, at)| !who.is_empty() && !at.is_empty());
    is_mail || text.starts_with("acc_")
}

fn is_word_behind(kind: &str, text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.strip_prefix(kind).is_some_and(|word| !word.is_empty() && word.bytes().all(is_known))
}

fn capabilities(node: &Node) -> Result<BTreeMap<String, Vec<String>>, Wrong> {
    let mut app = BTreeMap::new();
    for (_, name, values) in table(node, "a table of capabilities")? {
        let is_padding = name == padding::PADDING;
        let odd = |value: &&Node| is_padding && padding::level(value).is_none();
        if let Some(value) = list(values)?.iter().find(odd) {
            return wrong(value.at, padding::EXPECTED, what(&value.value));
        }
        let values = list(values)?.iter().map(|value| value.value.to_json()).collect();
        app.insert(name.clone(), values);
    }
    Ok(app)
}

fn port_list(node: &Node) -> Result<Vec<Ports>, Wrong> {
    let mut all = Vec::new();
    for entry in list(node)? {
        let Some(ports) = Ports::read(text(entry)?) else {
            return wrong(entry.at, ports::EXPECTED, text(entry)?);
        };
        all.extend(ports);
    }
    Ok(all)
}

pub(super) fn wrong<T>(at: Place, expected: &'static str, found: &str) -> Result<T, Wrong> {
    let found: String = found.chars().take(60).collect();
    Err(Wrong { at, problem: Problem::Expected { expected, found: format!("`{found}`") } })
}

fn what(value: &Value) -> &str {
    match value {
        Value::Word(word) => word,
        Value::Text(text) => text,
        Value::List(_) => "[",
        Value::Table(_) => "{",
    }
}

fn table<'n>(node: &'n Node, expected: &'static str) -> Result<&'n [(Place, String, Node)], Wrong> {
    let Value::Table(fields) = &node.value else {
        return wrong(node.at, expected, what(&node.value));
    };
    Ok(fields)
}

fn fields<'n>(
    node: &'n Node,
    expected: &'static str,
    known: &[&str],
) -> Result<BTreeMap<&'n str, &'n Node>, Wrong> {
    let table = table(node, expected)?;
    if let Some((at, name, _)) = table.iter().find(|(_, name, _)| !known.contains(&name.as_str())) {
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(Wrong {
            at: *at,
            problem: Problem::UnknownField { name: name.clone(), known },
        });
    }
    Ok(table.iter().map(|(_, name, node)| (name.as_str(), node)).collect())
}

fn required<'n>(
    fields: &mut BTreeMap<&str, &'n Node>,
    of: &Node,
    name: &'static str,
) -> Result<&'n Node, Wrong> {
    fields.remove(name).ok_or(Wrong { at: of.at, problem: Problem::Missing { name } })
}

fn list(node: &Node) -> Result<&[Node], Wrong> {
    let Value::List(elements) = &node.value else {
        return wrong(node.at, "a list", what(&node.value));
    };
    Ok(elements)
}

fn at_most<'n>(elements: &'n [Node], what: &'static str, max: usize) -> Result<&'n [Node], Wrong> {
    match elements.get(max) {
        None => Ok(elements),
        Some(node) => Err(Wrong { at: node.at, problem: Problem::TooMany { what, max } }),
    }
}

fn text(node: &Node) -> Result<&str, Wrong> {
    let Value::Text(text) = &node.value else {
        return wrong(node.at, "a text", what(&node.value));
    };
    Ok(text)
}
