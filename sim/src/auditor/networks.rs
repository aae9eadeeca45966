//! What the auditor believes of private networks: who may do what in a project, what of each rental can be visited,
//! what may pass, which machines can give nodes a network; and that every command about them comes to exactly that.

use std::collections::{BTreeMap, BTreeSet};

use control::{
    Actor, Body, Command, Control, MEMBERS_MAX, MachineRecord, NETWORK_POLICY_BYTES_MAX, Needs,
    NetworkPolicy, NetworkWanted, NodeStage, Noun, Refusal, Rental, Role, SERVICE_LABEL_BYTES_MAX,
    SERVICES_MAX, Service, ServiceProto, ServiceRecord, Trial,
};
use market::Stage;
use units::{AccountId, MeshId, Name, ProjectId, RentalId, Timestamp, WorkerId};

use super::Belief;
use super::rentals::View;
use crate::broken::{Broken, Invariant, Step, must};

/// Networks as they should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks {
    people: BTreeSet<AccountId>,
    projects: BTreeMap<ProjectId, Members>,
    policies: BTreeMap<ProjectId, NetworkPolicy>,
    /// What may pass in the network of the operator's machines.
    operators: NetworkPolicy,
    /// Machines that can give nodes a network of their own.
    able: BTreeSet<WorkerId>,
    /// Whether there was ever one.
    pub(super) are_any: bool,
    /// What was taken, rentals and trials.
    taken: BTreeMap<RentalId, Taken>,
}

pub(super) type Members = BTreeMap<AccountId, Role>;

/// A rental or a trial from the moment on in which its machines were taken.
#[derive(Clone, Debug, Default)]
struct Taken {
    has_mesh: bool,
    opened: BTreeMap<Name, ServiceRecord>,
}

/// Why a command must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Unknown(Noun),
    Forbidden(Needs),
    Field(&'static str),
    TooMany,
    Stage(&'static str),
}

impl Why {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other refusal is none of these")]
    fn is(self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::NotFound(noun) => self == Self::Unknown(*noun),
            Refusal::Forbidden(needs) => self == Self::Forbidden(*needs),
            Refusal::Invalid { field, .. } => self == Self::Field(field),
            Refusal::TooMany { .. } => self == Self::TooMany,
            Refusal::Stage(stage) => self == Self::Stage(stage.stage),
            _ => false,
        }
    }
}

impl Belief {
    /// What one entry does to networks.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    pub(super) fn see_networks(&mut self, control: &Control, body: &Body) -> Step {
        if let Some(Err(why)) = self.may_be_told(body) {
            let seen = format!("{:?} by {:?} was accepted: {why:?}", body.command, body.by);
            return Err(Broken { invariant: Invariant::Networks, seen });
        }
        self.take_network(control, &body.command)?;
        self.note_network(&body.command);
        for rental in self.touched.iter().filter_map(|id| control.rental(*id)) {
            self.network_agrees(control, rental)?;
        }
        match &body.command {
            Command::OpenService { rental, .. } | Command::CloseService { rental, .. } => control
                .rental(*rental)
                .map_or(Ok(()), |rental| self.network_agrees(control, rental)),
            Command::SetNetworkPolicy { project, .. } | Command::SetMember { project, .. } => {
                self.project_agrees(control, *project)
            }
            _ => Ok(()),
        }
    }

    /// The machines of a rental or a trial are taken: whether it has a network is settled for good.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn take_network(&mut self, control: &Control, command: &Command) -> Step {
        let (id, machines): (RentalId, Vec<WorkerId>) = match command {
            Command::Rent { rental, .. } => {
                let nodes = self.rentals.get(rental).into_iter().flat_map(View::nodes);
                (*rental, nodes.map(|node| node.worker).collect())
            }
            Command::BeginTrial { trial, workers } => (*trial, workers.clone()),
            _ => return Ok(()),
        };
        self.network_is_taken(control, id, &machines)
    }

    /// Whether it has a network is settled for good by these machines.
    pub(super) fn network_is_taken(
        &mut self,
        control: &Control,
        id: RentalId,
        machines: &[WorkerId],
    ) -> Step {
        let has_mesh = machines.iter().all(|worker| self.networks.able.contains(worker));
        let taken = Taken { has_mesh, opened: BTreeMap::new() };
        let again = self.networks.taken.insert(id, taken);
        must(again.is_none(), Invariant::Networks, || format!("{id} was taken twice"))?;
        self.tale.meshes += u64::from(has_mesh);
        control.rental(id).map_or(Ok(()), |rental| self.network_agrees(control, rental))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn note_network(&mut self, command: &Command) {
        let (networks, at) = (&mut self.networks, self.at);
        match command {
            Command::OpenAccount { account, .. } => {
                networks.people.insert(*account);
            }
            Command::OpenProject { project, owner, .. } => {
                networks.projects.insert(*project, [(*owner, Role::Owner)].into());
                networks.policies.insert(*project, NetworkPolicy::default());
            }
            Command::SetMember { project, account, role } => {
                let members = networks.projects.entry(*project).or_default();
                *members = with(members, *account, *role);
            }
            Command::Join { worker, machine, .. }
            | Command::ChangeMachine { worker, machine, .. } => {
                networks.describe(*worker, machine);
            }
            Command::Retire { worker } => {
                networks.able.remove(worker);
            }
            Command::OpenService { rental, label, service } => {
                let taken = networks.taken.entry(*rental).or_default();
                self.tale.reopened +=
                    u64::from(taken.opened.insert(label.clone(), *service).is_some());
                self.tale.opened += 1;
            }
            Command::CloseService { rental, label } => {
                let taken = networks.taken.get_mut(rental);
                let closed = taken.and_then(|taken| taken.opened.remove(label));
                self.tale.closed += u64::from(closed.is_some());
            }
            Command::SetNetworkPolicy { project, file } => {
                let policy = networks.policies.entry(*project).or_default();
                *policy = after(policy, file.as_deref(), at);
                self.tale.policies += 1;
            }
            Command::SetOperatorPolicy { file } => {
                networks.operators = after(&networks.operators, file.as_deref(), at);
            }
            _ => {}
        }
    }

    /// What a command about networks must come to; nothing of any other.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "commands that are not looked at here are looked at elsewhere, or move nothing"
    )]
    fn may_be_told(&self, body: &Body) -> Option<Result<(), Why>> {
        match &body.command {
            Command::OpenService { rental, label, service } => {
                Some(self.may_open(body.by, *rental, label, *service))
            }
            Command::CloseService { rental, label } => {
                let may = self.has_a_say(body.by, *rental);
                Some(
                    may.and_then(|_| if is_own(label) { Err(Why::Field("label")) } else { Ok(()) }),
                )
            }
            Command::SetNetworkPolicy { project, file } => Some(
                self.networks.may(body.by, *project, true).and_then(|()| fits(file.as_deref())),
            ),
            Command::SetOperatorPolicy { file } => Some(match body.by {
                Actor::Operator => fits(file.as_deref()),
                Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
                    Err(Why::Forbidden(Needs::Operator))
                }
            }),
            Command::SetMember { project, account, role } => {
                Some(self.networks.may_let_in(body.by, *project, *account, *role))
            }
            _ => None,
        }
    }

    /// The rental, for who may rent and run in its project.
    fn has_a_say(&self, by: Actor, id: RentalId) -> Result<&View, Why> {
        let unknown = Why::Unknown(Noun::Rental);
        let view = self.rentals.get(&id).ok_or(unknown)?;
        let may = self.networks.may(by, view.project, false);
        let hidden = |why| if why == Why::Unknown(Noun::Project) { unknown } else { why };
        may.map(|()| view).map_err(hidden)
    }

    fn may_open(
        &self,
        by: Actor,
        id: RentalId,
        label: &Name,
        it: ServiceRecord,
    ) -> Result<(), Why> {
        let view = self.has_a_say(by, id)?;
        if is_own(label) || label.text().len() > SERVICE_LABEL_BYTES_MAX {
            return Err(Why::Field("label"));
        }
        if usize::try_from(it.node).map_or(true, |node| node >= view.nodes().len()) {
            return Err(Why::Field("node"));
        }
        if it.port < 1 {
            return Err(Why::Field("port"));
        }
        let taken = self.networks.taken.get(&id);
        let is_new = |taken: &&Taken| !taken.opened.contains_key(label);
        if taken.filter(is_new).is_some_and(|taken| taken.opened.len() == SERVICES_MAX) {
            return Err(Why::TooMany);
        }
        if !wants_nodes(view.stage) {
            return Err(Why::Stage(view.stage_text()));
        }
        if taken.is_some_and(|taken| taken.has_mesh) {
            Ok(())
        } else {
            Err(Why::Stage("without a private network"))
        }
    }

    /// A command about networks is refused for the reason that the rules give.
    pub(super) fn refused_for_its_network(&mut self, body: &Body, refusal: &Refusal) -> Step {
        let told_before = matches!(refusal, Refusal::IdReused | Refusal::Braked { .. });
        let Some(may) = self.may_be_told(body).filter(|_| !told_before) else { return Ok(()) };
        // What is over is forgotten some time later.
        let forgotten =
            *refusal == Refusal::NotFound(Noun::Rental) && self.is_of_one_over(&body.command);
        let has_no_say = matches!(may, Err(Why::Unknown(_) | Why::Forbidden(_)));
        self.tale.kept_out += u64::from(has_no_say && !self.is_unknown(&body.command));
        let right = forgotten || may.is_err_and(|why| why.is(refusal));
        must(right, Invariant::Networks, || {
            format!(
                "{:?} by {:?} comes to {may:?}, and is refused: {refusal}",
                body.command, body.by
            )
        })
    }

    fn is_of_one_over(&self, command: &Command) -> bool {
        rental_of(command).and_then(|id| self.rentals.get(&id)).is_some_and(View::is_over)
    }

    fn is_unknown(&self, command: &Command) -> bool {
        rental_of(command).is_some_and(|id| !self.rentals.contains_key(&id))
    }

    /// Every network is what was taken, opened and written down, and nothing else is there.
    pub(super) fn networks_agree(&mut self, control: &Control) -> Step {
        if !self.networks.are_any {
            return Ok(());
        }
        let (known, ours) = (control.operator_policy(), &self.networks.operators);
        must(known == ours, Invariant::Networks, || {
            format!("the operator wrote {ours:?}, and {known:?} holds")
        })?;
        for (project, _) in control.projects() {
            self.project_agrees(control, project)?;
        }
        for rental in control.rentals() {
            self.network_agrees(control, rental)?;
        }
        for trial in control.trials() {
            self.trial_network_agrees(control, trial)?;
        }
        let is_there =
            |id: &RentalId| control.rental(*id).is_some() || control.trial(*id).is_some();
        let gone: Vec<RentalId> =
            self.networks.taken.keys().filter(|id| !is_there(id)).copied().collect();
        for id in gone {
            let wanted = control.network_wanted(id);
            must(wanted.is_none(), Invariant::Networks, || format!("{id} is over: {wanted:?}"))?;
            self.networks.taken.remove(&id);
        }
        Ok(())
    }

    fn project_agrees(&self, control: &Control, id: ProjectId) -> Step {
        let known = control.project(id);
        let members = known.map(|project| &project.members);
        let policy = known.map(|project| &project.policy);
        let right =
            members == self.networks.projects.get(&id) && policy == self.networks.policies.get(&id);
        must(right, Invariant::Networks, || {
            let believed = (self.networks.projects.get(&id), self.networks.policies.get(&id));
            format!("{id} is {members:?} {policy:?}, and not {believed:?}")
        })
    }

    fn network_agrees(&self, control: &Control, rental: &Rental) -> Step {
        let (id, taken) = (rental.id, self.networks.taken.get(&rental.id));
        let right = match taken {
            Some(taken) => {
                let opened = taken.opened.iter().map(|(label, it)| (label, *it));
                let known = rental.services.iter().map(|(label, it)| (label, it.record));
                taken.has_mesh == rental.has_mesh && opened.eq(known)
            }
            None => !rental.has_mesh && rental.services.is_empty(),
        };
        must(right && rental.services.len() <= SERVICES_MAX, Invariant::Networks, || {
            format!("{id} has {}: {:?}, and not {taken:?}", rental.has_mesh, rental.services)
        })?;
        let (wanted, known) = (self.network_of(id), control.network_wanted(id));
        must(wanted == known, Invariant::Networks, || {
            format!("{id} is wanted as {known:?}, and not as {wanted:?}")
        })
    }

    /// The network of a rental, as it should be wanted now.
    fn network_of(&self, id: RentalId) -> Option<NetworkWanted> {
        let view = self.rentals.get(&id)?;
        let taken = self.networks.taken.get(&id).filter(|taken| taken.has_mesh)?;
        if !wants_nodes(view.stage) {
            return None;
        }
        let nodes = (0_u32..).zip(view.nodes());
        let there = nodes.filter(|(_, node)| node.stage != NodeStage::Lost);
        let opened = taken.opened.iter().map(|(label, record)| {
            (label.clone(), Service { record: *record, is_standing: false })
        });
        Some(NetworkWanted {
            mesh: MeshId::from_bits(id.bits()),
            project: Some(view.project),
            seats: there.map(|(at, node)| (at, (node.worker, node.supplier))).collect(),
            services: own_services(view.nodes().len()).into_iter().chain(opened).collect(),
            policy: self.networks.policies.get(&view.project).cloned().unwrap_or_default(),
        })
    }

    /// A trial's network is that of a rental that nobody visits.
    fn trial_network_agrees(&self, control: &Control, trial: &Trial) -> Step {
        let taken = self.networks.taken.get(&trial.id).is_some_and(|taken| taken.has_mesh);
        let nodes = (0_u32..).zip(&trial.nodes).filter(|(_, node)| node.stage != NodeStage::Lost);
        let owner = |worker| control.worker(worker).map(|known| (worker, known.owner));
        let wanted = (taken && trial.ended.is_none()).then(|| NetworkWanted {
            mesh: MeshId::from_bits(trial.id.bits()),
            project: None,
            seats: nodes.filter_map(|(at, node)| Some((at, owner(node.worker)?))).collect(),
            services: own_services(trial.nodes.len()),
            policy: NetworkPolicy::default(),
        });
        let known = control.network_wanted(trial.id);
        must(taken == trial.has_mesh && wanted == known, Invariant::Networks, || {
            format!("{} is wanted as {known:?}, and not as {wanted:?}", trial.id)
        })
    }
}

impl Networks {
    fn describe(&mut self, worker: WorkerId, machine: &MachineRecord) {
        if machine.host.as_ref().is_some_and(|host| host.mesh) {
            self.able.insert(worker);
            self.are_any = true;
        } else {
            self.able.remove(&worker);
        }
    }

    /// Whether somebody may rent and run in a project, or decide about it.
    fn may(&self, by: Actor, project: ProjectId, decides: bool) -> Result<(), Why> {
        let unknown = Why::Unknown(Noun::Project);
        let members = self.projects.get(&project).ok_or(unknown)?;
        let account = match by {
            Actor::Operator => return Ok(()),
            Actor::Account(account) => account,
            Actor::Worker(_) | Actor::Clock => return Err(unknown),
        };
        match (members.get(&account).ok_or(unknown)?, decides) {
            (Role::Owner, _) | (Role::Member, false) => Ok(()),
            (Role::Member | Role::Viewer | Role::Billing, true) => {
                Err(Why::Forbidden(Needs::ProjectOwner))
            }
            (Role::Viewer | Role::Billing, false) => Err(Why::Forbidden(Needs::ProjectMember)),
        }
    }

    fn may_let_in(
        &self,
        by: Actor,
        project: ProjectId,
        account: AccountId,
        role: Option<Role>,
    ) -> Result<(), Why> {
        self.may(by, project, true)?;
        if !self.people.contains(&account) {
            return Err(Why::Unknown(Noun::Account));
        }
        let members = self.projects.get(&project).map(|members| with(members, account, role));
        let members = members.unwrap_or_default();
        if members.len() > MEMBERS_MAX {
            return Err(Why::TooMany);
        }
        let owners = members.values().filter(|role| **role == Role::Owner).count();
        if owners == 0 { Err(Why::Field("role")) } else { Ok(()) }
    }
}

fn fits(file: Option<&str>) -> Result<(), Why> {
    let bytes = file.map_or(0, str::len);
    if bytes > NETWORK_POLICY_BYTES_MAX { Err(Why::Field("policy")) } else { Ok(()) }
}

/// The version after this one.
fn after(policy: &NetworkPolicy, file: Option<&str>, changed: Timestamp) -> NetworkPolicy {
    NetworkPolicy { version: policy.version + 1, file: file.map(Into::into), changed }
}

fn with(members: &Members, account: AccountId, role: Option<Role>) -> Members {
    let others = members.iter().filter(|(other, _)| **other != account);
    let others = others.map(|(other, role)| (*other, *role));
    others.chain(role.map(|role| (account, role))).collect()
}

/// The rental whose services a command is about.
const fn rental_of(command: &Command) -> Option<RentalId> {
    if let Command::OpenService { rental, .. } | Command::CloseService { rental, .. } = command {
        Some(*rental)
    } else {
        None
    }
}

const fn wants_nodes(stage: Stage) -> bool {
    matches!(stage, Stage::Deploying { .. } | Stage::Running { .. })
}

/// Whether it is the label of something that is there always.
fn is_own(label: &Name) -> bool {
    matches!(label.text(), "dashboard" | "ssh") || label.text().starts_with("ssh-")
}

/// The dashboard of the head, and SSH of every node.
fn own_services(nodes: usize) -> BTreeMap<Name, Service> {
    let service = |node: usize, port: u16, proto: ServiceProto| {
        let node = u32::try_from(node).expect("an order is small here");
        let record =
            ServiceRecord { node, port, proto, is_public: false, wants_proxy_header: false };
        Service { record, is_standing: true }
    };
    let name = |text: &str| text.parse::<Name>().expect("a short word");
    let ssh = |node: usize| match node {
        0 => name("ssh"),
        _ => name(&format!("ssh-{node}")),
    };
    let mut all: BTreeMap<Name, Service> =
        (0..nodes).map(|node| (ssh(node), service(node, 22, ServiceProto::Ssh))).collect();
    if nodes > 0 {
        all.insert(name("dashboard"), service(0, 8265, ServiceProto::Http));
    }
    all
}
