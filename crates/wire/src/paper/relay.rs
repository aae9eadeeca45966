//! Where a relay is.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::AccountId;
use utoipa::ToSchema;

use super::kind::{Paper, Unsound, sound};
use super::limits::{RELAY_ADDRESSES_MAX, RELAY_BYTES_MAX, RELAY_SCORE_MAX, RELAY_VALID_MAX};
use super::node_key::NodeKey;
use crate::Time;

/// The longest name of a host there is, in bytes (RFC 1035, section 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;

/// Where a relay is, and how good it was lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelayRecord {
    /// The relay's key: its certificate is of this key.
    pub relay: NodeKey,
    /// Whose it is; absent if that is nobody's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// Where it takes connections.
    #[schema(value_type = Vec<String>)]
    pub tcp: Vec<SocketAddr>,
    /// Where it takes packets of meshes; none if it forwards none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub udp: Vec<SocketAddr>,
    /// Services have names under this domain, which leads to the relay; absent if it has no such door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// From 0 to 1000, by measurement; higher is better.
    pub score: u16,
    /// When this was signed.
    pub issued: Time,
    /// From when on it no longer holds.
    pub expires: Time,
}

impl Paper for RelayRecord {
    const KIND: &'static str = "relay";
    const BYTES_MAX: usize = RELAY_BYTES_MAX;
    const VALID_MAX: Duration = RELAY_VALID_MAX;

    fn issued(&self) -> Time {
        self.issued
    }

    fn expires(&self) -> Time {
        self.expires
    }

    fn check(&self) -> Result<(), Unsound> {
        let few = 1..=RELAY_ADDRESSES_MAX;
        sound(few.contains(&self.tcp.len()), "tcp", "1 to 16 addresses")?;
        sound(self.udp.len() <= RELAY_ADDRESSES_MAX, "udp", "at most 16 addresses")?;
        let is_domain = self.domain.as_deref().is_none_or(is_domain);
        sound(is_domain, "domain", "a host name in lower case, without a last dot")?;
        sound(self.score <= RELAY_SCORE_MAX, "score", "at most 1000")
    }
}

/// Whether it is a host name in lower case, such as `relay-1.example.org`.
fn is_domain(text: &str) -> bool {
    text.len() <= DOMAIN_BYTES_MAX
        && text.split('.').all(|label| label.parse::<units::Name>().is_ok())
}
