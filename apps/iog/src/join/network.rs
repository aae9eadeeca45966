//! Which private network a machine joins, and how it asks for its papers there.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent::presence::{Bearer, Clock, Listed, Papers, Told, prove};
use anyhow::Context;
use units::{MeshId, Name, RentalId, Timestamp};
use wire::paper::{
    NodeKey, SealedPaper, SuiteName, client_statement, operator_mesh, operator_statement,
    sign_statement,
};
use wire::{ClientNetwork, ClientNetworkRequest, NetworkKey, OperatorNetworkRequest};

use super::desk::Said;
use super::keys::Keys;
use super::ssh::Ssh;
use crate::client::Client;
use crate::failure::Failure;
use crate::visit::Pin;

/// What the operator's network is called.
pub(crate) const OPERATOR: &str = "operator";
/// Relays that are told: as many as a membership names.
const RELAYS_MAX: usize = 8;
/// How packets may be sealed, best first.
const SUITES: [SuiteName; 2] = [SuiteName::Aes256gcm, SuiteName::Wireguard];

/// A private network that this machine may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// A rental's.
    Rental(RentalId),
    /// That of the operator's own machines, where this one is called and is this.
    Operator {
        /// `NAME.mesh`.
        name: Name,
        /// What it is to policies.
        tags: BTreeSet<Name>,
    },
}

impl Network {
    /// What it is called on command lines, and what keys in it follow from.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Rental(rental) => rental.to_string(),
            Self::Operator { .. } => OPERATOR.to_owned(),
        }
    }

    /// What command lines say to name it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Rental(rental) => rental.to_string(),
            Self::Operator { .. } => format!("--network {OPERATOR}"),
        }
    }

    /// Where the server has it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Rental(rental) => format!("/v1/rentals/{rental}/network"),
            Self::Operator { .. } => format!("/v1/network/{OPERATOR}"),
        }
    }

    /// Which network papers must be of, where this key signs them. A rental says which its own is; the operator's
    /// follows from the key.
    fn mesh(&self, told: Option<MeshId>, network: &NodeKey) -> Option<MeshId> {
        match self {
            Self::Rental(_) => told,
            Self::Operator { .. } => Some(operator_mesh(network)),
        }
    }
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) network: Network,
    /// The rental's network, as the server named it first.
    pub(super) mesh: Option<MeshId>,
    pub(super) keys: Keys,
    pub(super) pin: Pin,
    /// By which key the network says that it signs, where it is not held to one.
    pub(super) signer: Mutex<Option<NodeKey>>,
    /// The ssh of this machine, where it is to reach members.
    pub(super) ssh: Option<Ssh>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
struct Question {
    known: Option<u64>,
    /// Of the revision that is known, if all its members are.
    epoch: Option<u64>,
    wait: Duration,
    tells_only: bool,
}

/// What came, and when to ask at the latest.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) papers: Papers,
    /// Sealed, as it came.
    pub(super) membership: SealedPaper,
    pub(super) revision: u64,
    pub(super) renew: Duration,
    /// For the ssh of this machine.
    pub(super) ssh_certificate: Option<String>,
}

impl Asker {
    /// Asks for papers, and tells how this machine does; nothing comes if there is nothing other than `known`. What is
    /// older than what is held is refused.
    pub(super) fn ask(
        &self,
        said: Said,
        (known, wait): (Option<u64>, Duration),
        (held, clock): (Option<&Papers>, Clock),
    ) -> Result<Option<Came>, Failure> {
        let complete = held.filter(|held| held.hold(clock.now())).and_then(|held| held.complete);
        let epoch = complete.filter(|(revision, _)| Some(*revision) == known).map(|it| it.1);
        let told = self.say(said, Question { known, epoch, wait, tells_only: false })?;
        told.map(|told| self.read(told, held, clock.now())).transpose()
    }

    /// Tells how this machine does, and asks nothing.
    pub(super) fn tell(&self, said: Said, known: Option<u64>) -> Result<(), Failure> {
        let (epoch, wait) = (None, Duration::ZERO);
        self.say(said, Question { known, epoch, wait, tells_only: true }).map(drop)
    }

    fn say(&self, said: Said, question: Question) -> Result<Option<ClientNetwork>, Failure> {
        let network = self.network_key()?;
        let told = self.say_to(&network, said, question);
        if told.is_err() {
            // A server of this machine that was made anew has another.
            *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        told
    }

    /// By which key the network is known, or says that it is.
    fn network_key(&self) -> Result<NodeKey, Failure> {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.pin.known()?.or(*signer) {
            return Ok(known);
        }
        let told = self.client.get::<NetworkKey>("/v1/network/key")?.public_key;
        let told = told.parse().context("read the network's key")?;
        Ok(*signer.insert(told))
    }

    fn say_to(
        &self,
        network: &NodeKey,
        Said { mut relays, ways, shows: membership }: Said,
        Question { known, epoch, wait, tells_only }: Question,
    ) -> Result<Option<ClientNetwork>, Failure> {
        relays.truncate(RELAYS_MAX);
        let (key, x25519, suites) = (self.keys.public(), self.keys.x25519(), SUITES.to_vec());
        let wait_secs = wait.as_secs();
        let path = self.network.path();
        let prove = |statement: &str| prove(&self.keys.packets, network, &key, statement);
        match &self.network {
            Network::Rental(rental) => {
                let statement = client_statement(*rental, Some(&x25519));
                let proof = prove(&statement);
                let statement = sign_statement(&self.keys.node, &statement);
                let ssh_key = self.ssh.as_ref().map(|ssh| ssh.public.clone());
                let x25519 = Some(x25519);
                self.client.post_for_news(
                    &path,
                    &ClientNetworkRequest {
                        key,
                        statement,
                        x25519,
                        proof,
                        suites,
                        relays,
                        ssh_key,
                        ways,
                        membership,
                        known,
                        epoch,
                        tells_only,
                        wait_secs,
                    },
                )
            }
            Network::Operator { name, tags } => {
                let statement = operator_statement(&x25519);
                let proof = prove(&statement);
                let statement = sign_statement(&self.keys.node, &statement);
                let (name, tags) = (name.clone(), tags.clone());
                self.client.post_for_news(
                    &path,
                    &OperatorNetworkRequest {
                        key,
                        statement,
                        x25519,
                        proof,
                        name,
                        tags,
                        suites,
                        relays,
                        ways,
                        membership,
                        known,
                        epoch,
                        tells_only,
                        wait_secs,
                    },
                )
            }
        }
    }

    fn read(
        &self,
        told: ClientNetwork,
        held: Option<&Papers>,
        now: Timestamp,
    ) -> Result<Came, Failure> {
        // No last word: this machine may have slept, and its clock, or the server, may be about to be set right.
        let unfit = |why: String| Failure::ended(why, "is the clock of this machine right?");
        let network = self.pin.check(told.network_key)?;
        let (revision, renew) = (told.revision, Duration::from_secs(told.renew_secs));
        let ssh_certificate = told.ssh_certificate;
        let ClientNetwork { pass, membership, policy, members, relays, network_key, .. } = told;
        let ClientNetwork { epoch, since, gone, .. } = told;
        let listed = Listed { revision, epoch, since, gone };
        let Some(membership) = membership else {
            return Err(unfit("the server made this machine no member".to_owned()));
        };
        let Some(mesh) = self.network.mesh(self.mesh, &network) else {
            let hint = "`iog forward` and `iog ssh` lead to what runs there";
            return Err(Failure::refused("the rental has no private network", hint));
        };
        let bearer = self.bearer(mesh);
        let told = Told { listed, membership, policy, pass, members, relays, network_key };
        let papers = Papers::read(&told, network, (&bearer, held), now);
        let papers = papers.and_then(|papers| match held {
            Some(held) => papers.after(held, now),
            None => Ok(papers),
        });
        let papers =
            papers.map_err(|why| unfit(format!("what the server gave does not do: {why}")))?;
        Ok(Came { papers, membership: told.membership, revision, renew, ssh_certificate })
    }

    /// Lets the ssh of this machine know who is there. Returns what it includes, if it can.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(super) fn tell_ssh(&self, came: &Came) -> Result<Option<&Path>, Failure> {
        let Some(ssh) = &self.ssh else { return Ok(None) };
        ssh.keep(&came.papers, came.ssh_certificate.as_deref())?;
        Ok(Some(ssh.config()))
    }

    /// For whom papers are.
    pub(super) fn bearer(&self, mesh: MeshId) -> Bearer {
        Bearer { mesh, node: self.keys.public(), x25519: self.keys.x25519() }
    }

    /// Gives the place up.
    pub(super) fn leave(&self) -> Result<(), Failure> {
        self.client.remove(&format!("{}/{}", self.network.path(), self.keys.public()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_own_place_and_words() {
        let rental = Network::Rental(RentalId::from_bits(7));
        let operator =
            Network::Operator { name: "relay-1".parse().unwrap(), tags: BTreeSet::new() };
        assert_eq!(rental.path(), format!("/v1/rentals/{}/network", RentalId::from_bits(7)));
        assert_eq!(operator.path(), "/v1/network/operator");
        assert_eq!(
            (operator.label(), operator.words()),
            ("operator".into(), "--network operator".into())
        );
        let key = NodeKey([1; 32]);
        let told = Some(MeshId::from_bits(1));
        assert_eq!(rental.mesh(told, &key), told);
        assert_eq!(operator.mesh(None, &key), Some(operator_mesh(&key)));
        assert_eq!(operator.mesh(told, &key), Some(operator_mesh(&key)), "whatever is told");
    }
}
