//! What a shell knows of private networks that reads the state once and goes by effects from then on: whatever becomes
//! other without an effect, its nodes would never hear of.

use std::collections::{BTreeMap, BTreeSet};

use control::{Control, NetworkWanted, Rental, Subject};
use units::{ProjectId, RentalId};

use super::networks::Members;
use crate::broken::{Invariant, Step, must};

/// So many batches pass between two looks at all networks.
const LOOK_EVERY: u64 = 4;

/// What somebody believes of networks who was told the state once, and goes by effects from then on.
#[derive(Clone, Debug, Default)]
pub(super) struct Mirror {
    /// `None` until the state was read once.
    known: Option<BTreeMap<RentalId, (NetworkWanted, Members)>>,
    /// Of the policy of the operator's network, the version.
    operators: u64,
    operators_changed: bool,
    projects: BTreeSet<ProjectId>,
    rentals: BTreeSet<RentalId>,
    heard: u64,
}

impl Mirror {
    /// It starts anew, as a server does that keeps no networks.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn changed(&mut self, subject: Subject) {
        if let Subject::Project(project) = subject {
            self.projects.insert(project);
        }
        self.operators_changed |= subject == Subject::OperatorNetwork;
    }

    /// These rentals were said to have changed.
    pub(super) fn hears(&mut self, control: &Control, rentals: BTreeSet<RentalId>) -> Step {
        self.rentals.extend(rentals);
        self.heard += 1;
        if self.known.is_some() && !self.heard.is_multiple_of(LOOK_EVERY) {
            return Ok(());
        }
        self.agrees(control)
    }

    /// Whatever else is other than it was, nobody was told of.
    fn agrees(&mut self, control: &Control) -> Step {
        let (projects, changed) =
            (std::mem::take(&mut self.projects), std::mem::take(&mut self.rentals));
        let now: BTreeMap<RentalId, (NetworkWanted, Members)> = control
            .rentals()
            .filter_map(|rental| Some((rental.id, read(control, rental)?)))
            .collect();
        let version = control.operator_policy().version;
        let is_same = std::mem::replace(&mut self.operators, version) == version;
        let is_said = std::mem::take(&mut self.operators_changed);
        let Some(known) = self.known.replace(now) else { return Ok(()) };
        must(is_same || is_said, Invariant::Networks, || {
            format!("nobody was told of version {version} of the operator's policy")
        })?;
        let now = self.known.as_ref().into_iter().flatten();
        let before = |id| known.get(id);
        let is_told = |id: &RentalId, network: &NetworkWanted| {
            changed.contains(id) || network.project.is_some_and(|it| projects.contains(&it))
        };
        for (id, (network, members)) in now.clone() {
            let same = before(id).is_some_and(|(was, who)| was == network && who == members);
            must(same || is_told(id, network), Invariant::Networks, || {
                format!("nobody was told that {id} went from {:?} to {network:?}", before(id))
            })?;
        }
        let there: BTreeSet<&RentalId> = now.map(|(id, _)| id).collect();
        let silent = known.keys().find(|id| !there.contains(id) && !changed.contains(id));
        must(silent.is_none(), Invariant::Networks, || {
            format!("nobody was told that the network of {silent:?} is over")
        })
    }
}

fn read(control: &Control, rental: &Rental) -> Option<(NetworkWanted, Members)> {
    let members = control.project(rental.project).map(|project| project.members.clone());
    Some((control.network_wanted(rental.id)?, members.unwrap_or_default()))
}
