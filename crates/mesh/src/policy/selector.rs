//! The words by which a policy names members and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::place::{Place, Problem, Wrong};
use super::range::Range;
use super::source::{is_user, wrong};
use crate::key::PublicKey;

/// Who or what is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// `*`: every member.
    Everyone,
    /// `autogroup:member`: members without a tag, which are people's own.
    Untagged,
    /// `autogroup:tagged`: members with a tag.
    Tagged,
    /// `group:…`: members of people of the group.
    Group(String),
    /// `tag:…`: members with the tag.
    Tag(String),
    /// An account's id or an address of mail: members of that user, but those with tags.
    User(String),
    /// A name of `hosts`.
    Host(String, Range),
    /// Addresses as they are.
    Addresses(Range),
}

/// A node of a private network, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub key: PublicKey,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user: Option<String>,
    /// Groups that it was given, `group:…`, beside those that the file puts its user in.
    pub groups: BTreeSet<String>,
    /// What it is, `tag:…`.
    pub tags: BTreeSet<String>,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
}

/// What the words of one policy file may mean.
#[derive(Clone, Copy, Debug)]
pub struct Words<'p> {
    pub(super) groups: &'p BTreeMap<String, BTreeSet<String>>,
    pub(super) hosts: &'p BTreeMap<String, Range>,
    pub(super) tags: &'p BTreeSet<String>,
}

impl Words<'_> {
    /// What a word means.
    ///
    /// # Errors
    /// If nothing explains it.
    pub fn selector(&self, word: &str, at: Place) -> Result<Selector, Wrong> {
        let owned = || word.to_owned();
        let undeclared =
            |section| Wrong { at, problem: Problem::Undeclared { name: owned(), section } };
        match word {
            "*" => Ok(Selector::Everyone),
            "autogroup:member" => Ok(Selector::Untagged),
            "autogroup:tagged" => Ok(Selector::Tagged),
            _ if word.starts_with("autogroup:") => {
                wrong(at, "`autogroup:member` or `autogroup:tagged`", word)
            }
            _ if word.starts_with("group:") => match self.groups.contains_key(word) {
                true => Ok(Selector::Group(owned())),
                false => Err(undeclared("groups")),
            },
            _ if word.starts_with("tag:") => match self.tags.contains(word) {
                true => Ok(Selector::Tag(owned())),
                false => Err(undeclared("tagOwners")),
            },
            _ if is_user(word) => Ok(Selector::User(owned())),
            _ => match (self.hosts.get(word), word.parse()) {
                (Some(range), _) => Ok(Selector::Host(owned(), *range)),
                (None, Ok(range)) => Ok(Selector::Addresses(range)),
                (None, Err(_)) => Err(undeclared("hosts")),
            },
        }
    }

    /// Whether a word means this member, all of it.
    pub(super) fn means(&self, selector: &Selector, member: &Member) -> bool {
        let is_tagged = !member.tags.is_empty();
        match selector {
            Selector::Everyone => true,
            Selector::Untagged => !is_tagged,
            Selector::Tagged => is_tagged,
            Selector::Group(group) => {
                let users = self.groups.get(group);
                let has = |user: &String| users.is_some_and(|users| users.contains(user));
                member.groups.contains(group)
                    || (!is_tagged && member.user.as_ref().is_some_and(has))
            }
            Selector::Tag(tag) => member.tags.contains(tag),
            Selector::User(user) => !is_tagged && member.user.as_ref() == Some(user),
            Selector::Host(_, range) | Selector::Addresses(range) => {
                member.addresses.iter().any(|address| range.contains(*address))
            }
        }
    }

    /// The addresses that a word means among these members.
    pub(super) fn addresses(&self, selector: &Selector, members: &[Member]) -> Vec<Range> {
        match selector {
            Selector::Host(_, range) | Selector::Addresses(range) => vec![*range],
            Selector::Everyone
            | Selector::Untagged
            | Selector::Tagged
            | Selector::Group(_)
            | Selector::Tag(_)
            | Selector::User(_) => {
                let meant = members.iter().filter(|member| self.means(selector, member));
                meant.flat_map(|member| &member.addresses).copied().map(Range::one).collect()
            }
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everyone => f.write_str("*"),
            Self::Untagged => f.write_str("autogroup:member"),
            Self::Tagged => f.write_str("autogroup:tagged"),
            Self::Group(word) | Self::Tag(word) | Self::User(word) | Self::Host(word, _) => {
                f.write_str(word)
            }
            Self::Addresses(range) => write!(f, "{range}"),
        }
    }
}
