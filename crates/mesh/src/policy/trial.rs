//! Tests and questions about a policy, answered without a network: whoever is named is played by a stand-in.
//!
//! A stand-in has what its word says and nothing else: that of `tag:gpu` has this tag and no other, that of a user is
//! in the groups that the file puts the user in. So a test says the same wherever it runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::compile::{Compiled, Step};
use super::place::{Place, Wrong};
use super::ports::protocol_name;
use super::selector::{Member, Selector};
use super::source::{Policy, Target, Test};
use super::tables::Allowed;
use crate::key::PublicKey;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// A tag that no file can name.
const SOME_TAG: &str = "tag:?";

/// A test of a policy that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It should reach, and does not.
    #[error("{at}: {src} should reach {target} by {protocol}, and no grant allows it")]
    Refused {
        /// Where the test names the target.
        at: Place,
        /// Who begins.
        src: Selector,
        /// What should be reached.
        target: String,
        /// How.
        protocol: String,
    },
    /// It should not reach, and does.
    #[error("{at}: {src} should not reach {target} by {protocol}, and the grant of line {} allows it", by.line)]
    Reached {
        /// Where the test names the target.
        at: Place,
        /// Who begins.
        src: Selector,
        /// What should not be reached.
        target: String,
        /// How.
        protocol: String,
        /// What allows it.
        by: Allowed,
    },
}

/// Whether a connection may be made, and what each grant says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What allows it, if anything does.
    pub allowed: Option<Allowed>,
    /// What each grant says, in the order of the file.
    pub steps: Vec<Step>,
}

/// A connection that is tried.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    source: IpAddr,
    target: IpAddr,
    protocol: u8,
    port: u16,
}

/// Everybody a trial needs, and what the policy means for them.
struct Stage {
    cast: Vec<(Selector, Member)>,
    compiled: Compiled,
}

impl Policy {
    /// The tests of the file that fail.
    pub fn failures(&self) -> Vec<Failure> {
        let targets =
            |test: &Test| test.accept.iter().chain(&test.deny).map(|to| to.dst.clone()).collect();
        let words: Vec<Vec<Selector>> = self.tests.iter().map(targets).collect();
        let sources = self.tests.iter().map(|test| test.src.clone());
        let stage = Stage::new(self, sources.chain(words.into_iter().flatten()).collect());
        self.tests.iter().flat_map(|test| stage.failures_of(test)).collect()
    }

    /// Whether `src` may connect to a target such as `tag:gpu:22`, by a protocol of this name or number.
    ///
    /// # Errors
    /// If a word means nothing in this file; the place is one in the word's own text.
    pub fn explain(&self, src: &str, dst: &str, protocol: &str) -> Result<Explanation, Wrong> {
        let test = self.question(src, dst, protocol)?;
        let target = test.accept.first().expect("a question has a target");
        let stage = Stage::new(self, BTreeSet::from([test.src.clone(), target.dst.clone()]));
        let attempts = stage.attempts(&test, target);
        let refused = |attempt: &&Attempt| stage.judge(attempt).is_none();
        let shown = attempts.iter().find(refused).or(attempts.first());
        Ok(Explanation {
            allowed: shown.and_then(|attempt| stage.judge(attempt)),
            steps: shown.map(|attempt| stage.steps(attempt)).unwrap_or_default(),
        })
    }
}

impl Stage {
    fn new(policy: &Policy, words: BTreeSet<Selector>) -> Self {
        let cast: Vec<(Selector, Member)> =
            words.into_iter().zip(1..).map(|(word, number)| stand_in(word, number)).collect();
        let members: Vec<Member> = cast.iter().map(|(_, member)| member.clone()).collect();
        let compiled = policy.resolve(&members);
        Self { cast, compiled }
    }

    fn failures_of(&self, test: &Test) -> Vec<Failure> {
        let protocol = test.protocols.first().copied().map(protocol_name).unwrap_or_default();
        let refused = |target: &Target| {
            let attempts = self.attempts(test, target);
            let holds = !attempts.is_empty() && attempts.iter().all(|it| self.judge(it).is_some());
            (!holds).then(|| Failure::Refused {
                at: target.at,
                src: test.src.clone(),
                target: target.text.clone(),
                protocol: protocol.clone(),
            })
        };
        let reached = |target: &Target| {
            let by = self.attempts(test, target).iter().find_map(|it| self.judge(it))?;
            Some(Failure::Reached {
                at: target.at,
                src: test.src.clone(),
                target: target.text.clone(),
                protocol: protocol.clone(),
                by,
            })
        };
        let accept = test.accept.iter().filter_map(refused);
        accept.chain(test.deny.iter().filter_map(reached)).collect()
    }

    /// Every way to try a target: each address of each end, of one family.
    fn attempts(&self, test: &Test, target: &Target) -> Vec<Attempt> {
        let (sources, targets) = (self.addresses(&test.src), self.addresses(&target.dst));
        let mut attempts = Vec::new();
        for protocol in &test.protocols {
            for (source, target_ip) in
                sources.iter().flat_map(|s| targets.iter().map(move |t| (s, t)))
            {
                let (protocol, port) = (*protocol, target.port);
                let is_of_family = match protocol {
                    ICMP => source.is_ipv4(),
                    ICMPV6 => source.is_ipv6(),
                    _ => true,
                };
                if is_of_family && source.is_ipv4() == target_ip.is_ipv4() {
                    attempts.push(Attempt { source: *source, target: *target_ip, protocol, port });
                }
            }
        }
        attempts
    }

    /// Addresses that stand for a word: those of its stand-in, or the first and the last of what it names.
    fn addresses(&self, word: &Selector) -> Vec<IpAddr> {
        if let Selector::Host(_, range) | Selector::Addresses(range) = word {
            return BTreeSet::from([range.first(), range.last()]).into_iter().collect();
        }
        let played = self.cast.iter().find(|(name, _)| name == word);
        played.map(|(_, member)| member.addresses.clone()).unwrap_or_default()
    }

    fn judge(&self, it: &Attempt) -> Option<Allowed> {
        self.compiled.allows(it.source, it.target, it.protocol, it.port)
    }

    fn steps(&self, it: &Attempt) -> Vec<Step> {
        self.compiled.steps(it.source, it.target, it.protocol, it.port).collect()
    }
}

/// A member that has what a word says. Its addresses are those of members, at the far end of their block.
fn stand_in(word: Selector, number: u16) -> (Selector, Member) {
    let (mut user, mut groups, mut tags) = (None, BTreeSet::new(), BTreeSet::new());
    match &word {
        Selector::Group(group) => drop(groups.insert(group.clone())),
        Selector::Tag(tag) => drop(tags.insert(tag.clone())),
        Selector::Tagged => drop(tags.insert(SOME_TAG.to_owned())),
        Selector::User(name) => user = Some(name.clone()),
        Selector::Everyone | Selector::Untagged | Selector::Host(..) | Selector::Addresses(_) => {}
    }
    let mut key = [0xff; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    let v4 = Ipv4Addr::from_bits(Ipv4Addr::new(100, 127, 255, 254).to_bits() - u32::from(number));
    let v6 = Ipv6Addr::new(0xfdff, 0xffff, 0xffff, 0, 0, 0, 0, number);
    let is_member = !matches!(word, Selector::Host(..) | Selector::Addresses(_));
    let addresses = if is_member { vec![v4.into(), v6.into()] } else { vec![] };
    let name = format!("stand-in-{number}");
    (word, Member { key: PublicKey(key), name, user, groups, tags, addresses })
}
