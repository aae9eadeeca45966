//! Rules as tables: one look along each axis says which rules could apply, and what all axes agree on does.
//!
//! An axis is cut where any rule's range begins or ends; between two cuts the same rules apply to every value, and a
//! set of bits says which. A decision is three binary searches and the first bit that three sets have in common.
//!
//! # Invariants
//! - Allowed is what a rule allows; everything else is not.
//! - Of several rules that allow, the first in the file is named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use units::Timestamp;

use super::compile::Rule;
use super::range::Range;
use crate::cover::Cover;
use crate::guard::Direction;

/// What is asked about: the first packet of a connection, from this node's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who begins: the other side if `In`, this node if `Out`.
    pub heading: Direction,
    /// The address on this node's side.
    pub local: IpAddr,
    /// The address on the other side.
    pub remote: IpAddr,
    /// The protocol's number.
    pub protocol: u8,
    /// The port of the one who is connected to; 0 where the protocol has none.
    pub port: u16,
}

/// What allows a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed {
    /// Which grant of the file, counted from 0.
    pub grant: u32,
    /// The line on which the grant begins.
    pub line: u32,
}

/// What may pass at one node, ready to be asked.
#[derive(Clone, Debug)]
pub struct Tables {
    version: u64,
    expires: Option<Timestamp>,
    /// Grants whose connections need no cover.
    bare: BTreeSet<u32>,
    outward: Way,
    inward: Way,
}

#[derive(Clone, Debug)]
struct Way {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// The rules of one way and one family of addresses.
#[derive(Clone, Debug)]
struct Family<A> {
    rules: Vec<Allowed>,
    local: Axis<A>,
    remote: Axis<A>,
    /// Which of `ports` a protocol has; 0 has no rules.
    protocols: Box<[u16; 256]>,
    ports: Vec<Axis<u16>>,
}

/// Cuts, and the set of rules that applies behind each.
#[derive(Clone, Debug)]
struct Axis<V> {
    /// The first is the least value there is.
    cuts: Vec<V>,
    /// Which set applies behind the cut.
    classes: Vec<u32>,
    /// Sets of bits, `words` long each.
    sets: Vec<u64>,
    words: usize,
}

/// A value of an axis.
trait Value: Copy + Ord {
    const LEAST: Self;
    fn next(self) -> Option<Self>;
}

macro_rules! value {
    ($($number:ty)*) => {$(
        impl Value for $number {
            const LEAST: Self = 0;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    )*};
}
value!(u16 u32 u128);

/// An address as a number of its family.
trait Address: Value {
    fn of(address: IpAddr) -> Option<Self>;
}

impl Address for u32 {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => Some(v4.to_bits()),
            IpAddr::V6(_) => None,
        }
    }
}

impl Address for u128 {
    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(v6.to_bits()),
        }
    }
}

impl Tables {
    /// Tables of these rules, which are in the order of their grants.
    pub fn new(version: u64, rules: &[Rule]) -> Self {
        let way = |heading| {
            let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.heading == heading).collect();
            Way { v4: Family::new(&rules), v6: Family::new(&rules) }
        };
        let is_bare = |rule: &&Rule| rule.cover() == Some(Cover::None);
        let bare = rules.iter().filter(is_bare).map(|rule| rule.grant).collect();
        let (outward, inward) = (way(Direction::Out), way(Direction::In));
        Self { version, expires: None, bare, outward, inward }
    }

    /// The same, which allow nothing from a moment on.
    #[must_use]
    pub fn until(self, expires: Timestamp) -> Self {
        Self { expires: Some(expires), ..self }
    }

    /// The same, of another version.
    #[must_use]
    pub(super) fn of_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// From when on they allow nothing, if they say so.
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Tables that allow nothing, of no version.
    pub fn nothing() -> Self {
        Self::new(0, &[])
    }

    /// Of which version of the policy.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether connections of a grant need no cover.
    pub fn is_bare(&self, grant: u32) -> bool {
        self.bare.contains(&grant)
    }

    /// What allows it, if anything does.
    #[inline]
    pub fn judge(&self, question: &Question) -> Option<Allowed> {
        let way = match question.heading {
            Direction::Out => &self.outward,
            Direction::In => &self.inward,
        };
        match (question.local, question.remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                way.v4.judge(local.to_bits(), remote.to_bits(), question.protocol, question.port)
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                way.v6.judge(local.to_bits(), remote.to_bits(), question.protocol, question.port)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }
}

impl<A: Address> Family<A> {
    fn new(rules: &[&Rule]) -> Self {
        let of_family = |ranges: &[Range]| -> Vec<(A, A)> {
            let pair = |range: &Range| Some((A::of(range.first())?, A::of(range.last())?));
            ranges.iter().filter_map(pair).collect()
        };
        let has = |rule: &&&Rule| {
            !of_family(&rule.local).is_empty() && !of_family(&rule.remote).is_empty()
        };
        let rules: Vec<&Rule> = rules.iter().filter(has).copied().collect();
        let spans = |ranges: fn(&Rule) -> &[Range]| -> Vec<(A, A, usize)> {
            let of_rule = |(index, rule): (usize, &&Rule)| {
                of_family(ranges(rule)).into_iter().map(move |(first, last)| (first, last, index))
            };
            rules.iter().enumerate().flat_map(of_rule).collect()
        };
        let mut by_protocol: BTreeMap<u8, Vec<(u16, u16, usize)>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            for ports in &rule.ports {
                let spans = by_protocol.entry(ports.protocol).or_default();
                spans.push((ports.first, ports.last, index));
            }
        }
        let mut protocols = Box::new([0; 256]);
        let mut ports = vec![Axis::new(&[], rules.len())];
        // Protocols that are alike share an axis.
        let mut known: BTreeMap<Vec<(u16, u16, usize)>, u16> = BTreeMap::new();
        for (protocol, spans) in by_protocol {
            protocols[usize::from(protocol)] = *known.entry(spans).or_insert_with_key(|spans| {
                ports.push(Axis::new(spans, rules.len()));
                u16::try_from(ports.len() - 1).expect("there are 256 protocols")
            });
        }
        Self {
            local: Axis::new(&spans(|rule| &rule.local), rules.len()),
            remote: Axis::new(&spans(|rule| &rule.remote), rules.len()),
            rules: rules
                .iter()
                .map(|rule| Allowed { grant: rule.grant, line: rule.line })
                .collect(),
            protocols,
            ports,
        }
    }

    #[inline]
    fn judge(&self, local: A, remote: A, protocol: u8, port: u16) -> Option<Allowed> {
        let axis = &self.ports[usize::from(self.protocols[usize::from(protocol)])];
        let sets = axis.at(port).iter().zip(self.local.at(local)).zip(self.remote.at(remote));
        for (word, ((port, local), remote)) in sets.enumerate() {
            let common = port & local & remote;
            if common != 0 {
                return self.rules.get(word * 64 + common.trailing_zeros() as usize).copied();
            }
        }
        None
    }
}

impl<V: Value> Axis<V> {
    /// The axis of spans (first, last, rule) of so many rules.
    fn new(spans: &[(V, V, usize)], rules: usize) -> Self {
        let words = rules.div_ceil(64);
        let mut turns: BTreeMap<V, Vec<(usize, bool)>> = BTreeMap::from([(V::LEAST, Vec::new())]);
        // Whoever wrote a span the wrong way round has named nothing.
        for (first, last, rule) in spans.iter().filter(|(first, last, _)| first <= last) {
            turns.entry(*first).or_default().push((*rule, true));
            if let Some(after) = last.next() {
                turns.entry(after).or_default().push((*rule, false));
            }
        }
        let mut axis = Self { cuts: vec![], classes: vec![], sets: vec![], words };
        let mut classes: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
        // A rule's ranges may overlap: it applies while more have begun than ended.
        let (mut open, mut set) = (vec![0_u32; rules], vec![0_u64; words]);
        for (cut, turns) in turns {
            for (rule, begins) in turns {
                open[rule] = if begins { open[rule] + 1 } else { open[rule] - 1 };
                let bit = 1 << (rule % 64);
                match open[rule] {
                    0 => set[rule / 64] &= !bit,
                    _ => set[rule / 64] |= bit,
                }
            }
            axis.cut(cut, &set, &mut classes);
        }
        axis
    }

    fn cut(&mut self, cut: V, set: &[u64], classes: &mut BTreeMap<Vec<u64>, u32>) {
        let next = u32::try_from(classes.len()).expect("an axis has fewer cuts than 2^32");
        let class = *classes.entry(set.to_vec()).or_insert_with(|| {
            self.sets.extend_from_slice(set);
            next
        });
        if self.classes.last() != Some(&class) {
            self.cuts.push(cut);
            self.classes.push(class);
        }
    }

    /// The rules that may apply to a value.
    #[inline]
    fn at(&self, value: V) -> &[u64] {
        let behind = self.cuts.partition_point(|cut| *cut <= value) - 1;
        let from = self.classes[behind] as usize * self.words;
        &self.sets[from..from + self.words]
    }
}
