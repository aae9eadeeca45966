//! Services of rentals, and what may pass in their private networks.

use market::StageRefusal;
use units::{Name, ProjectId, RentalId, Timestamp, WorkerId};

use super::Standing;
use super::job::hide;
use crate::effect::Subject;
use crate::limits::{NETWORK_POLICY_BYTES_MAX, SERVICE_LABEL_BYTES_MAX, SERVICES_MAX};
use crate::record::{Actor, ServiceRecord};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Rental, Reply, Service, is_standing};

impl Control {
    pub(crate) fn open_service(
        &mut self,
        by: Actor,
        id: RentalId,
        label: Name,
        record: ServiceRecord,
    ) -> Result<Reply, Refusal> {
        let rental = self.known_rental(id)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Rental))?;
        check(rental, &label, record)?;
        if rental.services.len() >= SERVICES_MAX && !rental.services.contains_key(&label) {
            return Err(Refusal::TooMany { what: "services of a rental", max: SERVICES_MAX });
        }
        if !rental.stage.wants_nodes() {
            return Err(StageRefusal { stage: rental.stage.text() }.into());
        }
        if !rental.has_mesh {
            return Err(StageRefusal { stage: "without a private network" }.into());
        }
        if let Some(rental) = self.rentals.get_mut(&id) {
            rental.services.insert(label, Service { record, is_standing: false });
        }
        self.changed(Subject::Rental(id));
        Ok(Reply::Done)
    }

    pub(crate) fn close_service(
        &mut self,
        by: Actor,
        id: RentalId,
        label: &Name,
    ) -> Result<Reply, Refusal> {
        let rental = self.known_rental(id)?;
        self.only_in_project(by, rental.project, Standing::Member)
            .map_err(|refusal| hide(refusal, Noun::Rental))?;
        not_standing(label)?;
        let rental = self.rentals.get_mut(&id).ok_or(Refusal::NotFound(Noun::Rental))?;
        // Closing what is closed is what was asked for.
        if rental.services.remove(label).is_some() {
            self.changed(Subject::Rental(id));
        }
        Ok(Reply::Done)
    }

    pub(crate) fn set_network_policy(
        &mut self,
        by: Actor,
        id: ProjectId,
        file: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        self.only_in_project(by, id, Standing::Owner)?;
        check_policy(file.as_deref())?;
        let project = self.projects.get_mut(&id).ok_or(Refusal::NotFound(Noun::Project))?;
        project.policy = project.policy.followed_by(file, now);
        self.changed(Subject::Project(id));
        Ok(Reply::Done)
    }

    pub(crate) fn set_operator_policy(
        &mut self,
        by: Actor,
        file: Option<String>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        check_policy(file.as_deref())?;
        self.operator_policy = self.operator_policy.followed_by(file, now);
        self.changed(Subject::OperatorNetwork);
        Ok(Reply::Done)
    }

    /// Whether every one of these machines can give nodes a network of their own.
    pub(crate) fn can_mesh(&self, machines: &[WorkerId]) -> bool {
        machines.iter().all(|id| {
            let host = self.workers.get(id).and_then(|worker| worker.machine.host.as_ref());
            host.is_some_and(|host| host.mesh)
        })
    }
}

fn check_policy(file: Option<&str>) -> Result<(), Refusal> {
    if file.is_some_and(|file| file.len() > NETWORK_POLICY_BYTES_MAX) {
        let why = format!("at most {NETWORK_POLICY_BYTES_MAX} bytes");
        return Err(Refusal::Invalid { field: "policy", why });
    }
    Ok(())
}

fn check(rental: &Rental, label: &Name, record: ServiceRecord) -> Result<(), Refusal> {
    let invalid = |field, why: String| Err(Refusal::Invalid { field, why });
    not_standing(label)?;
    if label.text().len() > SERVICE_LABEL_BYTES_MAX {
        return invalid("label", format!("at most {SERVICE_LABEL_BYTES_MAX} characters"));
    }
    let is_node = usize::try_from(record.node).is_ok_and(|node| node < rental.nodes.len());
    if !is_node {
        return invalid("node", format!("from 0 to {}", rental.nodes.len().saturating_sub(1)));
    }
    if record.port == 0 {
        return invalid("port", "from 1 to 65535".to_owned());
    }
    Ok(())
}

/// Refuses labels of services that every rental has.
fn not_standing(label: &Name) -> Result<(), Refusal> {
    if !is_standing(label) {
        return Ok(());
    }
    let why = "`dashboard`, `ssh` and `ssh-…` are there always, as they are".to_owned();
    Err(Refusal::Invalid { field: "label", why })
}
