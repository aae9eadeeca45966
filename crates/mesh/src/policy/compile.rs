//! From a policy file and the members of a network to what each member must know.
//!
//! # Invariants
//! - A policy whose tests fail gives nobody rules.
//! - A member is told of grants that name it, as who begins, as who is reached, or as who carries; never of others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ports::Ports;
use super::range::{Range, is_in, merged};
use super::selector::{Member, Selector};
use super::source::{Grant, Policy};
use super::tables::Allowed;
use super::trial::Failure;
use crate::guard::Direction;
use crate::key::PublicKey;

/// Connections that may be made at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which grant of the file it comes from, counted from 0.
    pub grant: u32,
    /// The line on which the grant begins.
    pub line: u32,
    /// Who begins: the other side if `In`, the node if `Out`.
    pub heading: Direction,
    /// Addresses on the node's side.
    pub local: Vec<Range>,
    /// Addresses on the other side.
    pub remote: Vec<Range>,
    /// Protocols, and ports of the one who is connected to.
    pub ports: Vec<Ports>,
    /// Members that carry it: to addresses that are no member's, and between members.
    pub via: Vec<PublicKey>,
    /// What applications are told: values in JSON, by the name of a capability.
    pub app: BTreeMap<String, Vec<String>>,
}

/// A policy for one set of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    grants: Vec<Resolved>,
}

/// What one grant says about a connection. It allows it if all three hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which grant of the file, counted from 0.
    pub grant: u32,
    /// The line on which it begins.
    pub line: u32,
    /// Whether who begins is of its `src`.
    pub is_src: bool,
    /// Whether what is reached is of its `dst`.
    pub is_dst: bool,
    /// Whether protocol and port are of its `ip`.
    pub is_port: bool,
}

/// A grant, come down to addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resolved {
    line: u32,
    src: Vec<Range>,
    dst: Vec<Range>,
    ports: Vec<Ports>,
    via: Vec<PublicKey>,
    app: BTreeMap<String, Vec<String>>,
}

impl Policy {
    /// What the policy means for these members.
    ///
    /// # Errors
    /// All tests of the file that fail.
    pub fn compile(&self, members: &[Member]) -> Result<Compiled, Vec<Failure>> {
        let failures = self.failures();
        if failures.is_empty() { Ok(self.resolve(members)) } else { Err(failures) }
    }

    /// What the policy means for these members, whatever its tests say.
    pub(super) fn resolve(&self, members: &[Member]) -> Compiled {
        self.resolve_within(members, usize::MAX).expect("memory holds less")
    }

    /// What the policy means for these members, whatever its tests say. `None` if that is more than so many ranges of
    /// addresses and members that carry: a short file can come to millions.
    pub fn resolve_within(&self, members: &[Member], ranges_max: usize) -> Option<Compiled> {
        let words = self.words();
        let all = |selectors: &[Selector]| {
            let ranges = selectors.iter().flat_map(|selector| words.addresses(selector, members));
            merged(ranges.collect())
        };
        let carries =
            |via: &[String], member: &Member| via.iter().any(|tag| member.tags.contains(tag));
        let resolved = |grant: &Grant| Resolved {
            line: grant.at.line,
            src: all(&grant.src),
            dst: all(&grant.dst),
            ports: grant.ports.clone(),
            via: members
                .iter()
                .filter(|member| carries(&grant.via, member))
                .map(|member| member.key)
                .collect(),
            app: grant.app.clone(),
        };
        let mut left = ranges_max;
        let grants = self.grants.iter().map(|grant| {
            let resolved = resolved(grant);
            let count = resolved.src.len() + resolved.dst.len() + resolved.via.len();
            left = left.checked_sub(count)?;
            Some(resolved)
        });
        Some(Compiled { grants: grants.collect::<Option<_>>()? })
    }
}

impl Compiled {
    /// The first grant that lets `source` begin a connection to `target`, if one does: what the tables of both ends
    /// say, found the plain way.
    pub fn allows(
        &self,
        source: IpAddr,
        target: IpAddr,
        protocol: u8,
        port: u16,
    ) -> Option<Allowed> {
        let mut steps = self.steps(source, target, protocol, port);
        let step = steps.find(|step| step.is_src && step.is_dst && step.is_port)?;
        Some(Allowed { grant: step.grant, line: step.line })
    }

    /// What each grant says about a connection, in the order of the file.
    pub fn steps(
        &self,
        source: IpAddr,
        target: IpAddr,
        protocol: u8,
        port: u16,
    ) -> impl Iterator<Item = Step> {
        self.grants.iter().zip(0..).map(move |(grant, index)| Step {
            grant: index,
            line: grant.line,
            is_src: is_in(&grant.src, source),
            is_dst: is_in(&grant.dst, target),
            is_port: grant.ports.iter().any(|ports| ports.contains(protocol, port)),
        })
    }

    /// What one member must know.
    pub fn rules_of(&self, member: &Member) -> Vec<Rule> {
        self.rules(member).collect()
    }

    /// What one member must know. `None` if that is more than so many rules, or more than so many ranges of addresses
    /// and ports in them.
    pub fn rules_within(
        &self,
        member: &Member,
        rules_max: usize,
        ranges_max: usize,
    ) -> Option<Vec<Rule>> {
        let (mut rules, mut left) = (Vec::new(), ranges_max);
        for rule in self.rules(member) {
            left = left.checked_sub(rule.local.len() + rule.remote.len() + rule.ports.len())?;
            if rules.len() == rules_max {
                return None;
            }
            rules.push(rule);
        }
        Some(rules)
    }

    fn rules(&self, member: &Member) -> impl Iterator<Item = Rule> {
        self.grants.iter().zip(0..).flat_map(move |(grant, index)| {
            let mine = |ranges: &[Range]| -> Vec<Range> {
                let own = member.addresses.iter().copied();
                merged(own.filter(|address| is_in(ranges, *address)).map(Range::one).collect())
            };
            let outward = grant.rule(index, Direction::Out, mine(&grant.src), &grant.dst);
            let local = match grant.via.contains(&member.key) {
                true => grant.dst.clone(),
                false => mine(&grant.dst),
            };
            let inward = grant.rule(index, Direction::In, local, &grant.src);
            [outward, inward].into_iter().flatten()
        })
    }
}

impl Resolved {
    /// Its rule for one way, unless it says nothing.
    fn rule(
        &self,
        grant: u32,
        heading: Direction,
        local: Vec<Range>,
        remote: &[Range],
    ) -> Option<Rule> {
        let says = !local.is_empty() && !remote.is_empty();
        says.then(|| Rule {
            grant,
            line: self.line,
            heading,
            local,
            remote: remote.to_vec(),
            ports: self.ports.clone(),
            via: self.via.clone(),
            app: self.app.clone(),
        })
    }
}
