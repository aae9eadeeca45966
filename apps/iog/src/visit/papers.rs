//! Papers of a client: what the control plane lets it visit, and through which relays.

use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;
use units::{RentalId, Timestamp};
use wire::paper::{NodeKey, Pass, RelayRecord, SealedPaper, client_statement, sign_statement};
use wire::{ClientNetwork, ClientNetworkRequest, ServiceView};

use agent::tunnel::RelayAt;

use super::pin::Pin;
use crate::client::Client;
use crate::failure::Failure;

/// Papers are asked for again no more often than this, whatever the server says.
const RENEW_MIN: Duration = Duration::from_secs(5);

/// What a client needs to visit a rental.
#[derive(Clone)]
pub(crate) struct Papers {
    /// What is shown to relays.
    pub(crate) pass: SealedPaper,
    /// Relays, best first.
    pub(crate) relays: Vec<RelayRecord>,
    /// What can be visited.
    pub(crate) services: Vec<ServiceView>,
    /// A certificate of OpenSSH for the key that was named.
    pub(crate) ssh_certificate: Option<String>,
    /// What Ray's dashboard asks visitors for. Secret.
    pub(crate) cluster_token: String,
    /// After how long they are to be renewed.
    pub(crate) renew: Duration,
    /// Until when the pass holds.
    pub(crate) until: Timestamp,
}

/// Without the secret.
impl std::fmt::Debug for Papers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Papers")
            .field("relays", &self.relays)
            .field("services", &self.services)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Papers {
    /// What Ray's dashboard asks visitors for, in words.
    pub(crate) fn asks_once(&self) -> String {
        format!("Ray's dashboard asks for a token once: {}", self.cluster_token)
    }

    /// Where relays are, best first.
    pub(crate) fn relays_at(&self) -> Vec<RelayAt> {
        agent::presence::relays_at(&self.relays)
    }
}

/// The clock, as papers tell time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Asks for papers, and opens them.
pub(super) fn ask(
    client: &Client,
    (rental, key): (RentalId, &SigningKey),
    pin: &Pin,
    ssh_key: Option<String>,
) -> Result<Papers, Failure> {
    let mine = NodeKey(key.verifying_key().to_bytes());
    let request = ClientNetworkRequest {
        key: mine,
        statement: sign_statement(key, &client_statement(rental, None)),
        x25519: None,
        proof: String::new(),
        suites: Vec::new(),
        relays: Vec::new(),
        ssh_key,
        ways: Vec::new(),
        membership: None,
        known: None,
        epoch: None,
        tells_only: false,
        wait_secs: 0,
    };
    let told: ClientNetwork = client.post(&format!("/v1/rentals/{rental}/network"), &request)?;
    pin.check(told.network_key)?;
    read(told, mine, now())
}

fn read(told: ClientNetwork, mine: NodeKey, now: Timestamp) -> Result<Papers, Failure> {
    let renew = Duration::from_secs(told.renew_secs).max(RENEW_MIN);
    let ClientNetwork { pass: sealed, relays, services, network_key, .. } = told;
    let worthless = |why: String| {
        let what = format!("the pass that the server gave is worth nothing: {why}");
        Failure::refused(what, "is the clock of this machine right?")
    };
    let pass: Pass = sealed.open(&network_key, now).map_err(|why| worthless(why.to_string()))?;
    if pass.holder != mine {
        return Err(worthless("it is for another client".to_owned()));
    }
    let relays: Vec<RelayRecord> =
        relays.iter().filter_map(|relay| relay.open(&network_key, now).ok()).collect();
    if relays.is_empty() {
        let what = "the network has no relay at the moment";
        return Err(Failure::refused(what, "its operator starts one with `iog relay`"));
    }
    let cluster_token = told.cluster_token.unwrap_or_default();
    let ssh_certificate = told.ssh_certificate;
    let until = pass.expires.0;
    Ok(Papers { pass: sealed, relays, services, ssh_certificate, cluster_token, renew, until })
}

#[cfg(test)]
mod tests {
    use units::AccountId;
    use wire::Time;
    use wire::paper::{May, PassLimits};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn public(number: u8) -> NodeKey {
        NodeKey(key(number).verifying_key().to_bytes())
    }

    /// Papers of network 1 for this client, with a relay that this network vouches for.
    fn told(client: u8, vouches: u8) -> ClientNetwork {
        let later = Time(NOW.after(Duration::from_secs(600)));
        let pass = Pass {
            holder: public(client),
            worker: None,
            account: AccountId::from_bits(1),
            may: May::default(),
            limits: PassLimits::default(),
            issued: Time(NOW),
            expires: later,
        };
        let relay = RelayRecord {
            relay: public(9),
            owner: None,
            tcp: vec!["127.0.0.1:7".parse().unwrap()],
            udp: Vec::new(),
            domain: None,
            score: 1,
            issued: Time(NOW),
            expires: later,
        };
        ClientNetwork {
            revision: 1,
            epoch: 1,
            since: None,
            gone: Vec::new(),
            pass: SealedPaper::seal(&pass, &key(1)).unwrap(),
            membership: None,
            policy: None,
            members: Vec::new(),
            relays: vec![SealedPaper::seal(&relay, &key(vouches)).unwrap()],
            services: Vec::new(),
            ssh_certificate: None,
            cluster_token: None,
            network_key: public(1),
            renew_secs: 1,
        }
    }

    #[test]
    fn papers_are_for_this_client_and_of_this_network() {
        let good = read(told(2, 1), public(2), NOW).unwrap();
        assert_eq!(good.relays_at().len(), 1);
        assert_eq!((good.renew, good.until), (RENEW_MIN, NOW.after(Duration::from_secs(600))));
        check(read(told(3, 1), public(2), NOW), "another client");
        check(read(told(2, 1), public(2), NOW.after(Duration::from_secs(601))), "expired");
        check(read(told(2, 4), public(2), NOW), "no relay");
    }

    fn check(answer: Result<Papers, Failure>, why: &str) {
        let Err(Failure::Refused { what, .. }) = answer else { panic!("{why}: {answer:?}") };
        assert!(what.contains(why), "{what}");
    }
}
