//! Names of members, and the answers to questions of DNS about them.
//!
//! ```text
//! node0.mesh          →  addresses of the member
//! node0.rental.mesh   →  the same, where a node is in several networks
//! an address          →  the first name that has it
//! ```
//!
//! # Invariants
//! - What is asked about `mesh`, and about addresses of private networks, is answered here and told nobody else.
//! - Bytes from outside never panic, and an answer is never longer than who asks can take: then it says so.
//! - Names do not depend on large and small letters.

mod answer;
mod inside;
mod name;
mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::routes::Prefix;

pub use answer::{Answer, UDP_ANSWER_MAX, UDP_ANSWER_MIN};
pub use inside::{Asked, DNS_PORT, answered, asked, is_for};
pub use name::{MeshName, NotAName};
pub use tcp::{TCP_ANSWER_MAX, conversed};

/// What all names end in.
pub const ZONE: &str = "mesh";
/// How many names there may be: some for each member.
pub const NAMES_MAX: usize = 262_144;
/// How long an answer may be kept, in seconds: members come and go.
pub const TTL_SECONDS: u32 = 10;

/// Who is called what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    forward: BTreeMap<MeshName, BTreeSet<IpAddr>>,
    reverse: BTreeMap<IpAddr, MeshName>,
    /// Addresses that are ours to answer for, whether somebody has them or not.
    blocks: Vec<Prefix>,
}

impl Names {
    /// These names, and these blocks of private networks. A name that comes twice has the addresses of both; of several
    /// names of one address, the first is the one that it is called by. Names beyond [`NAMES_MAX`] are left out.
    pub fn new(
        names: impl IntoIterator<Item = (MeshName, Vec<IpAddr>)>,
        blocks: Vec<Prefix>,
    ) -> Self {
        let mut all = Self { blocks, ..Self::default() };
        for (name, addresses) in names {
            if all.forward.len() >= NAMES_MAX && !all.forward.contains_key(&name) {
                continue;
            }
            for ip in &addresses {
                all.reverse.entry(*ip).or_insert_with(|| name.clone());
            }
            all.forward.entry(name).or_default().extend(addresses);
        }
        all
    }

    /// The addresses of a name.
    pub fn addresses(&self, name: &MeshName) -> Option<&BTreeSet<IpAddr>> {
        self.forward.get(name)
    }

    /// What an address is called.
    pub fn name_of(&self, ip: IpAddr) -> Option<&MeshName> {
        self.reverse.get(&ip)
    }

    fn is_ours(&self, ip: IpAddr) -> bool {
        self.reverse.contains_key(&ip) || self.blocks.iter().any(|block| block.contains(ip))
    }
}
