//! What the control plane told a node of its network: its papers, and what it is to publish.

use units::Timestamp;
use wire::paper::{NodeKey, SealedPaper};
use wire::{NodeNetwork, ServiceWanted};

use super::limits::SERVICES_MAX;
use crate::presence::{Bearer, Listed, Papers, Told, Unfit};

/// What a node was told.
#[derive(Clone, Debug)]
pub(super) struct NodePapers {
    /// What makes it a member.
    pub(super) papers: Papers,
    /// Its membership, as it was told: a control plane that begins anew knows its node by it.
    pub(super) membership: SealedPaper,
    /// What it is to publish.
    pub(super) services: Vec<ServiceWanted>,
}

impl NodePapers {
    /// Reads an answer.
    ///
    /// # Errors
    /// The first thing that is wrong with what is about the node itself.
    pub(super) fn read(
        told: NodeNetwork,
        network: NodeKey,
        (bearer, held): (&Bearer, Option<&Self>),
        now: Timestamp,
    ) -> Result<Self, Unfit> {
        let NodeNetwork { membership, policy, pass, members, relays, network_key, .. } = told;
        let NodeNetwork { revision, epoch, since, gone, .. } = told;
        let listed = Listed { revision, epoch, since, gone };
        let mut services = told.services;
        services.truncate(SERVICES_MAX);
        let told = Told { listed, membership, policy, pass, members, relays, network_key };
        let papers = Papers::read(&told, network, (bearer, held.map(|held| &held.papers)), now)?;
        Ok(Self { papers, membership: told.membership, services })
    }

    /// These, if nothing in them is older than what is held and holds now.
    ///
    /// # Errors
    /// The first that is.
    pub(super) fn after(self, held: Option<&Self>, now: Timestamp) -> Result<Self, Unfit> {
        let papers = match held {
            Some(held) => self.papers.after(&held.papers, now)?,
            None => self.papers,
        };
        Ok(Self { papers, ..self })
    }
}
