//! Which certificates their issuers took back, as of when: a cache that works offline, and knows its age.
//!
//! A verifier that asks NVIDIA for each certificate tells NVIDIA whom it verifies, and stops when the answer does not
//! come. Here the operator fetches NVIDIA's lists, signs what they say, and everybody verifies with the same data.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use units::Timestamp;

use crate::chain::{Chain, LEAF};
use crate::limits::{ISSUERS_MAX, REVOKED_MAX};
use crate::signed::{self, NotSigned, Said};

/// What issuers took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    /// When the lists were fetched: the oldest of them.
    pub fetched_at: Timestamp,
    /// By the issuer's key id, the serial numbers it revoked; both in lowercase hexadecimal digits without leading
    /// zero bytes in serials. An issuer that revoked nothing is there with an empty list: that is an answer, too.
    pub issuers: BTreeMap<String, BTreeSet<String>>,
}

impl Revocations {
    /// Reads a cache that one of `trusted` signed.
    ///
    /// # Errors
    /// Why it is not such a cache.
    pub fn parse(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<Self, NotSigned> {
        signed::open(bytes, trusted)
    }

    /// The cache as two lines, signed.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        signed::seal(self, key)
    }

    /// The first certificate of the chain that was revoked: its place, and its serial number.
    pub(crate) fn find_revoked(&self, chain: &Chain) -> Option<(usize, String)> {
        issued(chain).find_map(|(at, issuer, serial)| {
            let revoked = self.issuers.get(&issuer).is_some_and(|list| list.contains(serial));
            revoked.then(|| (at, serial.to_owned()))
        })
    }

    /// The first issuer of whom the cache says nothing. The leaf's issuer is the chip itself, which keeps no list.
    pub(crate) fn find_unknown(&self, chain: &Chain) -> Option<String> {
        let mut listed = issued(chain).filter(|(at, ..)| *at != LEAF);
        listed
            .find(|(_, issuer, _)| !self.issuers.contains_key(issuer))
            .map(|(_, issuer, _)| issuer)
    }
}

/// Every certificate but the root, with its issuer's key id and its own serial number.
fn issued(chain: &Chain) -> impl Iterator<Item = (usize, String, &str)> {
    let issued = chain.certificates().len().saturating_sub(1);
    chain.certificates().iter().enumerate().take(issued).map(|(at, certificate)| {
        let issuer = certificate.issuer_key_id.as_deref().unwrap_or_default();
        (at, HEXLOWER.encode(issuer), certificate.serial.as_str())
    })
}

impl Said for Revocations {
    const KIND: &'static str = "iog attestation revocations 1";

    fn check(&self) -> Result<(), String> {
        if self.issuers.len() > ISSUERS_MAX {
            return Err(format!("it speaks of more than {ISSUERS_MAX} issuers"));
        }
        for (issuer, serials) in &self.issuers {
            if serials.len() > REVOKED_MAX {
                return Err(format!("issuer {issuer} has more than {REVOKED_MAX} serial numbers"));
            }
            let bad = |text: &&String| !is_hex(text) || text.starts_with("00");
            if !is_hex(issuer) || serials.iter().any(|serial| bad(&serial)) {
                return Err(format!("issuer {issuer} or a serial number of its is not plain"));
            }
        }
        Ok(())
    }
}

/// A number that is written in another way would never be found.
fn is_hex(text: &str) -> bool {
    HEXLOWER.decode(text.as_bytes()).is_ok_and(|bytes| !bytes.is_empty())
}
