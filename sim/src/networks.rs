//! Renters and the private networks of their rentals: services that are opened and closed, most of all around the
//! beginning and the end of a rental; policies; people who come into a project and go; machines that can give nodes
//! a network and then cannot; and those who may do none of that.

use control::{
    Actor, Command, HostRecord, MachineRecord, NETWORK_POLICY_BYTES_MAX, NetworkWanted, Role,
    SERVICE_LABEL_BYTES_MAX, SERVICES_MAX, ServiceProto, ServiceRecord,
};
use units::{AccountId, Name, RentalId};

use crate::broken::Step;
use crate::habits::{name, record};
use crate::people::Purpose;
use crate::world::{Due, World};

/// What people call services; one of them has them all, another is always there, and one is too long.
const LABELS: [&str; 7] = ["web", "jupyter", "api-1", "tb", "dashboard", "ssh", "ssh-1"];

/// Files of policies. Whether one makes sense is checked before the brain is told.
const POLICIES: [&str; 3] = [
    "{}",
    r#"{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}"#,
    r#"{"grants":[{"src":["group:clients"],"dst":["tag:head"],"ip":["tcp:22"]}]}"#,
];

impl World {
    /// Everybody who rents knows somebody, whom they let in and do not.
    pub(crate) fn found_networks(&mut self) -> Step {
        for renter in 0..self.plan.renters {
            let guest = AccountId::from_bits(self.fresh_bits());
            self.open_account(guest)?;
            self.people.guests.push(guest);
            let first = self.dice.seconds(20, 60);
            self.agenda.at(self.now.after(first), Due::Network(renter));
        }
        Ok(())
    }

    /// A machine as it describes itself.
    pub(crate) fn some_record(&mut self) -> MachineRecord {
        let mut machine = record(&mut self.dice);
        if self.plan.novelties.networks {
            let mesh = self.dice.chance(850);
            machine.host = Some(HostRecord { mesh, ..HostRecord::default() });
        }
        machine
    }

    /// Somebody does something about a renter's networks, and will again.
    pub(crate) fn network(&mut self, renter: usize) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(2, 25);
        self.agenda.at(self.now.after(later), Due::Network(renter));
        match self.dice.between(0, 19) {
            0..=7 => {
                let by = self.somebody(renter);
                self.open_some(renter, by, Purpose::Other);
            }
            8..=9 => {
                let by = self.somebody(renter);
                self.close_some(renter, by);
            }
            10..=11 => self.write_policy(renter),
            12..=14 => self.let_in(renter),
            15..=16 => self.end_amid(renter),
            17 => self.open_many(renter),
            18 => self.intrude(renter),
            _ => self.replug(),
        }
    }

    /// Mostly the renter, else somebody who may have been let in, or the operator.
    fn somebody(&mut self, renter: usize) -> Actor {
        match self.dice.between(0, 9) {
            0..=5 => Actor::Account(self.people.renters[renter].account),
            6..=8 => Actor::Account(self.people.guests[renter]),
            _ => Actor::Operator,
        }
    }

    /// One that has a network now, or one of the last that were asked for, whether or not it was ever taken.
    fn recent(&mut self, renter: usize) -> Option<RentalId> {
        let live = self.live(renter);
        let known = &self.people.renters[renter].quotes;
        let recent = &known[known.len().saturating_sub(4)..];
        match live {
            Some(live) if self.dice.chance(800) => Some(live),
            Some(_) => self.dice.pick(recent).copied(),
            // For the most part nobody asks for anything that is long over.
            None => self.dice.pick(recent).copied().filter(|_| self.dice.chance(300)),
        }
    }

    /// One of a renter's that has a network now.
    fn live(&mut self, renter: usize) -> Option<RentalId> {
        let known = self.people.renters[renter].quotes.iter();
        let live: Vec<RentalId> =
            known.filter(|id| self.network_of(**id).is_some()).copied().collect();
        self.dice.pick(&live).copied()
    }

    fn network_of(&self, rental: RentalId) -> Option<NetworkWanted> {
        self.server.control.as_ref()?.network_wanted(rental)
    }

    fn label(&mut self) -> Name {
        if self.dice.once_in(60) {
            let bytes = SERVICE_LABEL_BYTES_MAX + self.dice.index(2);
            return name(&"x".repeat(bytes));
        }
        name(self.dice.pick(&LABELS).expect("seven"))
    }

    fn service(&mut self) -> ServiceRecord {
        use ServiceProto as P;
        let proto = *self.dice.pick(&[P::Http, P::Tls, P::Ssh, P::Tcp, P::Udp]).expect("five");
        let node = u32::try_from(self.dice.between(0, 3) / 2).expect("a small number");
        let node = if self.dice.once_in(20) { u32::MAX - node } else { node };
        let port = if self.dice.once_in(20) { 0 } else { self.dice.between(1, 65_535) };
        let port = u16::try_from(port).expect("a port");
        let (is_public, wants_proxy_header) = (self.dice.chance(500), self.dice.chance(200));
        ServiceRecord { node, port, proto, is_public, wants_proxy_header }
    }

    fn open_some(&mut self, renter: usize, by: Actor, purpose: Purpose) {
        let Some(rental) = self.recent(renter) else { return };
        self.open_one(rental, by, purpose);
    }

    pub(crate) fn open_one(&mut self, rental: RentalId, by: Actor, purpose: Purpose) {
        let (label, service) = (self.label(), self.service());
        self.ask(by, Command::OpenService { rental, label, service }, purpose);
    }

    /// Mostly something that is there.
    fn close_some(&mut self, renter: usize, by: Actor) {
        let Some(rental) = self.recent(renter) else { return };
        let there = self.network_of(rental).map(|network| network.services).unwrap_or_default();
        let opened = there.into_iter().filter(|(_, service)| !service.is_standing);
        let opened: Vec<Name> = opened.map(|(label, _)| label).collect();
        let label = self.dice.pick(&opened).cloned().unwrap_or_else(|| self.label());
        self.ask(by, Command::CloseService { rental, label }, Purpose::Other);
    }

    /// Services are opened and closed while their rental ends: which of these comes first is the weather's to say.
    fn end_amid(&mut self, renter: usize) {
        let (Some(rental), by) = (self.recent(renter), self.somebody(renter)) else { return };
        self.open_one(rental, by, Purpose::Other);
        self.ask(by, Command::EndRental { rental }, Purpose::Other);
        self.close_some(renter, by);
        self.open_one(rental, by, Purpose::Other);
    }

    /// More than there may be.
    fn open_many(&mut self, renter: usize) {
        let Some(rental) = self.live(renter) else { return };
        let by = Actor::Account(self.people.renters[renter].account);
        for number in 0..SERVICES_MAX + 2 {
            let label = name(&format!("many-{number}"));
            let service = ServiceRecord { node: 0, ..self.service() };
            self.ask(by, Command::OpenService { rental, label, service }, Purpose::Other);
        }
    }

    fn write_policy(&mut self, renter: usize) {
        let (project, by) = (self.people.renters[renter].project, self.somebody(renter));
        let file = match self.dice.between(0, 79) {
            0 => Some(" ".repeat(NETWORK_POLICY_BYTES_MAX)),
            1 => Some(" ".repeat(NETWORK_POLICY_BYTES_MAX + 1)),
            2..=20 => None,
            _ => self.dice.pick(&POLICIES).map(|file| (*file).to_owned()),
        };
        let is_operators = self.dice.chance(150);
        let (command, purpose) = match by {
            Actor::Operator if is_operators => {
                (Command::SetOperatorPolicy { file }, Purpose::Other)
            }
            Actor::Account(_) if is_operators => {
                (Command::SetOperatorPolicy { file }, Purpose::Theft)
            }
            Actor::Operator | Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
                (Command::SetNetworkPolicy { project, file }, Purpose::Other)
            }
        };
        self.ask(by, command, purpose);
    }

    /// A guest gets another role, or none; now and then somebody would leave a project without an owner.
    fn let_in(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let (owner, project) = (known.account, known.project);
        let roles =
            [Some(Role::Owner), Some(Role::Member), Some(Role::Viewer), Some(Role::Billing), None];
        let role = *self.dice.pick(&roles).expect("five");
        let (by, account) = match self.dice.between(0, 19) {
            // The next one's project is its own: whoever has no owner left is refused.
            0 if role == Some(Role::Owner) => (owner, owner),
            1 => (self.people.guests[renter], self.people.guests[renter]),
            2 => (owner, AccountId::from_bits(self.fresh_bits())),
            _ => (owner, self.people.guests[renter]),
        };
        self.ask(Actor::Account(by), Command::SetMember { project, account, role }, Purpose::Other);
    }

    /// The next renter, a machine and the clock have no say here.
    fn intrude(&mut self, renter: usize) {
        let other = (renter + 1) % self.people.renters.len();
        let worker = self.machines[self.dice.index(self.machines.len())].id;
        let actors = [
            Actor::Account(self.people.renters[other].account),
            Actor::Worker(worker),
            Actor::Clock,
        ];
        let by = *self.dice.pick(&actors).expect("three");
        if self.dice.chance(500) {
            return self.open_some(renter, by, Purpose::Theft);
        }
        let project = self.people.renters[renter].project;
        let command = match self.dice.between(0, 2) {
            0 => Command::SetNetworkPolicy { project, file: None },
            1 => Command::SetMember {
                project,
                account: self.people.renters[other].account,
                role: Some(Role::Owner),
            },
            _ => match self.recent(renter) {
                Some(rental) => Command::CloseService { rental, label: name("web") },
                None => return,
            },
        };
        self.ask(by, command, Purpose::Theft);
    }

    /// A machine can give nodes a network of their own from now on, or cannot any more.
    fn replug(&mut self) {
        let index = self.dice.index(self.machines.len());
        let worker = self.machines[index].id;
        let Some(control) = self.server.control.as_ref() else { return };
        let Some(known) = control.worker(worker) else { return };
        let mut machine = known.machine.clone();
        let host = machine.host.unwrap_or_default();
        machine.host = Some(HostRecord { mesh: !host.mesh, ..host });
        let command = Command::ChangeMachine { worker, machine, fingerprint: None };
        self.ask(Actor::Worker(worker), command, Purpose::Other);
    }
}
