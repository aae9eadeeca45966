//! What people do all day: quote, rent, race, run jobs, end, run out of money, top up, pause, leave, steal.

use std::collections::{BTreeMap, BTreeSet};

use control::{Actor, Command, Digest, FiltersRecord, MachineRecord, OrderRecord, Purse};
use units::{
    AccountId, Asset, Credits, GpuModel, InviteId, JobId, Name, RentalId, Resources, Tier,
    Timestamp, WorkerId,
};

use crate::dice::Dice;
use crate::machine::{Lie, Machine};
use crate::people::Purpose;
use crate::world::{Due, World};

const MODELS: [&str; 3] = ["NVIDIA GeForce RTX 4090", "NVIDIA H100 PCIe", "Tomorrow 1"];

/// Shares that the network takes.
const FEES: [&str; 8] = [
    "renter_reservation_bp",
    "supplier_reservation_bp",
    "facilitation_usd_bp",
    "facilitation_usdc_bp",
    "facilitation_io_bp",
    "payout_usd_bp",
    "payout_usdc_bp",
    "payout_io_bp",
];

/// Patches that make no sense.
const NONSENSE: [&str; 6] = [
    "{",
    "[]",
    r#"{"fees":{"card_bp":3334}}"#,
    r#"{"fees":{"tip_bp":1}}"#,
    r#"{"fees":null}"#,
    r#"{"registry":{"class_hours":{"cpu-8":null}}}"#,
];

impl World {
    /// A renter does one thing, and will do another.
    pub(crate) fn habit(&mut self, renter: usize) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(5, 60);
        self.agenda.at(self.now.after(later), Due::Habit(renter));
        if self.plan.novelties.waits && self.dice.chance(250) {
            return self.wait_in_line(renter);
        }
        match self.dice.between(0, 25) {
            0..=4 => self.quote(renter),
            5..=10 => self.rent(renter),
            11..=13 => self.submit(renter),
            14 => self.stop_job(renter),
            15..=16 => self.end(renter),
            17 => self.reuse_id(),
            18..=19 => self.extend(renter),
            20..=23 => self.spend(renter),
            _ => self.steal(renter),
        }
    }

    fn quote(&mut self, renter: usize) {
        let command = self.some_quote(renter);
        let account = self.people.renters[renter].account;
        self.ask(Actor::Account(account), command, Purpose::Quote(renter));
    }

    /// What a renter might ask a price for.
    pub(crate) fn some_quote(&mut self, renter: usize) -> Command {
        let project = self.people.renters[renter].project;
        let mut order = order(&mut self.dice, &self.people.suppliers);
        if self.plan.novelties.spot && order.each.gpus > 0 {
            match self.dice.between(0, 9) {
                0..=4 => order.spot = self.bid(),
                5..=7 => order.filters.gpu_model = some_model(&mut self.dice),
                _ => {}
            }
        }
        let hours = if self.plan.two_hours && self.dice.chance(300) { 2 } else { 1 };
        let assets = [None, Some(Asset::Usd), Some(Asset::Usdc), Some(Asset::Io)];
        let pay = *self.dice.pick(&assets[..if self.plan.coin { 4 } else { 2 }]).expect("two");
        let rental = RentalId::from_bits(self.fresh_bits());
        Command::Quote { rental, project, order, hours, pay }
    }

    /// What somebody bids for a card's hour: about what it costs on some machine, or less.
    fn bid(&mut self) -> Option<Credits> {
        let control = self.server.control.as_ref()?;
        let prices = control.workers().filter_map(|(_, worker)| control.worker_price(worker));
        let prices: Vec<u64> = prices.map(|quote| quote.spot_price.units()).collect();
        let dearest = prices.iter().copied().max().unwrap_or(0);
        let some = self.dice.pick(&prices).copied().unwrap_or(0);
        let price = if self.dice.chance(600) { dearest } else { some };
        let more = self.dice.between(0, price / 30 + 1);
        Some(Credits::from_units(if self.dice.chance(850) { price + more } else { price / 2 }))
    }

    /// Whoever finds no machine says so, if anybody listens: then spot rentals may have to go.
    pub(crate) fn turned_away(&mut self, command: Command) {
        let Command::Quote { project, order, .. } = command else { return };
        let renter = self.people.renters.iter().find(|renter| renter.project == project);
        let Some(account) = renter.map(|renter| renter.account) else { return };
        if self.plan.novelties.spot {
            let command = Command::TurnedAway { project, order };
            self.ask(Actor::Account(account), command, Purpose::Other);
        }
    }

    /// Takes one of the last quotes: it may be taken already, or no longer valid.
    pub(crate) fn rent(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let recent = &known.quotes[known.quotes.len().saturating_sub(3)..];
        let Some(rental) = self.dice.pick(recent).copied() else { return self.quote(renter) };
        let (account, may_wait) = (known.account, self.dice.chance(500));
        let command = Command::Rent { rental, name: name("cluster"), may_wait };
        self.ask(Actor::Account(account), command, Purpose::Rent(renter));
        if self.plan.novelties.networks && self.dice.chance(300) {
            self.open_one(rental, Actor::Account(account), Purpose::Other);
        }
    }

    fn extend(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let recent = &known.rentals[known.rentals.len().saturating_sub(3)..];
        let Some(rental) = self.dice.pick(recent).copied() else { return };
        let account = known.account;
        let hours = *self.dice.pick(&[0, 1, 1, 1, 2, u32::MAX]).expect("six");
        let purpose = if (1..=2).contains(&hours) { Purpose::Other } else { Purpose::Theft };
        self.ask(Actor::Account(account), Command::Extend { rental, hours }, purpose);
    }

    /// Some think of more hours when the last of them is about to end, or has just ended.
    pub(crate) fn plan_last_moments(&mut self) {
        let Some(control) = &self.server.control else { return };
        let mut ends: Vec<(usize, RentalId, Timestamp)> = Vec::new();
        for (index, renter) in self.people.renters.iter().enumerate() {
            let known = renter.rentals.iter().filter_map(|id| control.rental(*id));
            let until = known.filter_map(|rental| Some((rental.id, rental.stage.expires_at()?)));
            ends.extend(until.map(|(rental, until)| (index, rental, until)));
        }
        for (renter, rental, until) in ends {
            let until = until.millis().saturating_add_signed(-self.server.ahead);
            let early = self.dice.between(0, 2 * self.plan.latency_max);
            let at = Timestamp::from_millis(until.saturating_sub(early)).max(self.now);
            self.agenda.at(at, Due::LastMoment(renter, rental));
        }
    }

    pub(crate) fn extend_once(&mut self, renter: usize, rental: RentalId) {
        let account = self.people.renters[renter].account;
        let command = Command::Extend { rental, hours: 1 };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    fn end(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let Some(rental) = self.dice.pick(&known.rentals).copied() else { return };
        let account = known.account;
        self.ask(Actor::Account(account), Command::EndRental { rental }, Purpose::Other);
    }

    fn submit(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let recent = &known.rentals[known.rentals.len().saturating_sub(3)..];
        let Some(rental) = self.dice.pick(recent).copied().filter(|_| self.plan.jobs) else {
            return;
        };
        let account = known.account;
        let job = JobId::from_bits(self.fresh_bits());
        let entrypoint = "python train.py".to_owned();
        let env = BTreeMap::new();
        let command = Command::SubmitJob { job, rental, entrypoint, package: None, env };
        self.ask(Actor::Account(account), command, Purpose::Job(renter));
    }

    fn stop_job(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let Some(job) = self.dice.pick(&known.jobs).copied() else { return };
        let account = known.account;
        self.ask(Actor::Account(account), Command::StopJob { job }, Purpose::Other);
    }

    /// A renter reaches for what belongs to the next one.
    fn steal(&mut self, renter: usize) {
        let other = (renter + 1) % self.people.renters.len();
        let (account, victim) = (self.people.renters[renter].account, &self.people.renters[other]);
        let Some(rental) = self.dice.pick(&victim.rentals).copied() else { return };
        let worker = self.machines[self.dice.index(self.machines.len())].id;
        let command = match self.dice.between(0, 5) {
            0 => Command::EndRental { rental },
            1 => Command::Rent { rental, name: name("mine"), may_wait: true },
            2 => Command::Wake {},
            3 => Command::Retire { worker },
            4 => Command::WorkerSilent { worker, heard_millis: 0 },
            _ => Command::TopUp {
                project: self.people.renters[renter].project,
                amount: Credits::from_units(1),
                note: String::new(),
            },
        };
        self.ask(Actor::Account(account), command, Purpose::Theft);
    }

    /// The operator credits somebody, and sometimes changes prices.
    pub(crate) fn operate(&mut self) {
        if !self.raining {
            return;
        }
        let later = self.dice.seconds(20, 150);
        self.agenda.at(self.now.after(later), Due::Operator);
        let renter = self.dice.index(self.people.renters.len());
        if self.plan.novelties.cards && self.dice.chance(600) {
            self.card_pays(renter);
        } else {
            self.top_up(renter);
        }
        if self.dice.chance(200) {
            self.set_parameters();
        }
        if self.plan.novelties.second_thoughts {
            self.think_again();
        }
    }

    /// A market so thin that io.net's own prices would rest moves after all.
    pub(crate) fn enliven_prices(&mut self) {
        let mut some = |least, most| self.dice.between(least, most);
        let patch = format!(
            concat!(
                r#"{{"pricing":{{"supplier_share_max_bp":10000,"supplier_swing_max_bp":10000,"#,
                r#""renter_share_max_bp":10000,"thick_cards":1,"gain_bp":{},"rise_max_bp":{},"#,
                r#""fall_max_bp":{},"short_window_hours":1,"long_window_hours":{},"#,
                r#""floor_bp":{},"ceiling_bp":{},"arrival_window_hours":1,"#,
                r#""spot_discount_min_bp":{},"spot_notice_minutes":{}}}}}"#,
            ),
            some(10_000, 60_000),
            some(50, 2_000),
            some(50, 2_000),
            some(1, 3),
            some(5_000, 9_800),
            some(10_200, 30_000),
            some(0, 2_000),
            some(0, 20),
        );
        let command = Command::SetParameters { patch, from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    fn set_parameters(&mut self) {
        let (patch, from) = (patch(&mut self.dice), self.some_hour());
        self.ask(Actor::Operator, Command::SetParameters { patch, from }, Purpose::Other);
        if self.dice.chance(300) {
            let patch = (*self.dice.pick(&NONSENSE).expect("several")).to_owned();
            self.ask(Actor::Operator, Command::SetParameters { patch, from }, Purpose::Theft);
        }
    }

    pub(crate) fn top_up(&mut self, renter: usize) {
        let project = self.people.renters[renter].project;
        let dollars = if self.plan.poor { (0, 3) } else { (50, 500) };
        let amount = Credits::from_units(self.dice.between(dollars.0, dollars.1) * 1_000_000 + 7);
        let note = String::new();
        self.ask(Actor::Operator, Command::TopUp { project, amount, note }, Purpose::Other);
    }

    /// A card has paid, as the operator's adapter was told; sometimes too little, and sometimes somebody else says so.
    fn card_pays(&mut self, renter: usize) {
        let known = &self.people.renters[renter];
        let (account, to) = (known.account, Purse::Project(known.project));
        let most = *self.dice.pick(&[2_000_000, 20_000_000, 600_000_000]).expect("three");
        let paid = Credits::from_units(self.dice.between(0, most));
        let command = Command::CardPaid { to, paid, reference: "pi_5eed".to_owned() };
        let theft = self.dice.chance(150);
        let (by, purpose) = if theft {
            (Actor::Account(account), Purpose::Theft)
        } else {
            (Actor::Operator, Purpose::Other)
        };
        self.ask(by, command, purpose);
    }

    /// A supplier pauses a machine, changes it, takes it away, or brings another.
    pub(crate) fn supply(&mut self, supplier: usize) {
        if !self.raining || !(self.plan.suppliers_change || self.plan.novelties.newcomers) {
            return;
        }
        let later = self.dice.seconds(20, 120);
        self.agenda.at(self.now.after(later), Due::Supply(supplier));
        let account = self.people.suppliers[supplier];
        let own: Vec<usize> = (0..self.machines.len())
            .filter(|index| {
                self.machines[*index].supplier == supplier && !self.machines[*index].gone
            })
            .collect();
        let Some(index) = self.dice.pick(&own).copied() else { return };
        let worker = self.machines[index].id;
        if self.plan.novelties.newcomers && self.dice.chance(400) {
            return self.renew(index);
        }
        match self.dice.between(0, 9) {
            0..=4 => {
                let paused = self.dice.chance(400);
                let command = Command::SetPaused { worker, paused };
                self.ask(Actor::Account(account), command, Purpose::Other);
            }
            5..=6 => {
                let machine = self.some_record();
                let command = Command::ChangeMachine { worker, machine, fingerprint: None };
                self.ask(Actor::Worker(worker), command, Purpose::Other);
            }
            7 => {
                let command = Command::Retire { worker };
                self.ask(Actor::Account(account), command, Purpose::Retire(index));
            }
            _ => {
                let machine = self.new_machine(supplier);
                self.invite_and_join(machine);
            }
        }
    }

    pub(crate) fn new_machine(&mut self, supplier: usize) -> usize {
        let id = WorkerId::from_bits(self.fresh_bits());
        let record = self.some_record();
        let fingerprint = self.fresh();
        let mut machine = Machine::new(id, supplier, record, fingerprint);
        if self.plan.liars && self.dice.chance(250) {
            let lies = [Lie::Replays, Lie::Claims, Lie::SilentWhenPaid];
            machine.lie = self.dice.pick(&lies).copied();
        }
        self.machines.push(machine);
        self.weather.know(self.machines.len() - 1);
        self.machines.len() - 1
    }

    /// The invitation may still be on its way when the machine uses it: then it is refused and stays away.
    fn invite_and_join(&mut self, index: usize) {
        let invite = InviteId::from_bits(self.fresh_bits());
        let account = self.people.suppliers[self.machines[index].supplier];
        let command = self.invitation(invite, account);
        self.ask(Actor::Account(account), command, Purpose::Other);
        let (joins, starts) = (self.dice.seconds(5, 30), self.dice.seconds(5, 30));
        self.agenda.at(self.now.after(joins), Due::Join(index, invite));
        self.agenda.at(self.now.after(starts), Due::MachineStart(index));
    }

    pub(crate) fn invitation(&self, invite: InviteId, account: AccountId) -> Command {
        let secret_sha256 = Digest::from_sha256([7; 32]);
        let expires_millis = self.now.millis() + 24 * 3_600_000;
        Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None }
    }

    pub(crate) fn joining(&self, index: usize, invite: InviteId) -> Command {
        let machine = &self.machines[index];
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&machine.fingerprint.to_be_bytes());
        Command::Join {
            invite,
            worker: machine.id,
            name: name("rack"),
            public_key: Digest::from_sha256([9; 32]),
            fingerprint: Digest::from_sha256(fingerprint),
            machine: machine.record.clone(),
        }
    }

    pub(crate) fn join(&mut self, index: usize, invite: InviteId) {
        let by = Actor::Worker(self.machines[index].id);
        let command = self.joining(index, invite);
        self.ask(by, command, Purpose::Join(index));
    }

    /// The weather has stopped: some end what they have, others let it run out.
    pub(crate) fn end_all(&mut self) {
        self.leave_all();
        let open: Vec<(AccountId, RentalId)> = self
            .people
            .renters
            .iter()
            .flat_map(|renter| renter.rentals.iter().map(|rental| (renter.account, *rental)))
            .collect();
        for (account, rental) in open {
            self.ask(Actor::Account(account), Command::EndRental { rental }, Purpose::Other);
        }
    }
}

/// Where a run begins: an ordinary day.
pub(crate) const fn morning() -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("names here are well formed")
}

pub(crate) fn record(dice: &mut Dice) -> MachineRecord {
    let gpus = *dice.pick(&[0, 1, 1, 2, 4]).expect("five");
    let model = dice.pick(&MODELS).expect("three").parse().expect("a model is well formed");
    let vcpus = u32::try_from(dice.between(4, 16)).expect("a small number");
    MachineRecord {
        offers: Resources { gpus, vcpus, memory_mib: 65_536, disk_mib: 1_000_000 },
        gpu_model: (gpus > 0).then_some(model),
        vram_mib: if gpus > 0 { 24_576 } else { 0 },
        cpu_model: "x86-64".to_owned(),
        os: "linux".to_owned(),
        country: None,
        tier: *dice.pick(Tier::ALL).expect("five"),
        certifications: BTreeSet::new(),
        host: None,
    }
}

fn order(dice: &mut Dice, suppliers: &[AccountId]) -> OrderRecord {
    let mut small = |low, high| u32::try_from(dice.between(low, high)).expect("a small number");
    let (nodes, gpus, vcpus) = (small(1, 3), small(0, 2), small(1, 4));
    let mut filters = FiltersRecord::default();
    if gpus > 0 && dice.chance(300) {
        filters.gpu_model = some_model(dice);
    }
    if dice.chance(100) {
        filters.suppliers.extend(dice.pick(suppliers));
    }
    if dice.chance(100) {
        filters.tier_min = Some(Tier::Medium);
    }
    if dice.chance(100) {
        filters.node_hour_max = Some(Credits::from_units(dice.between(10_000, 900_000)));
    }
    let each = Resources { gpus, vcpus, memory_mib: 2_048, disk_mib: 10_000 };
    OrderRecord { nodes, each, filters, pack: dice.chance(500), ..OrderRecord::default() }
}

fn some_model(dice: &mut Dice) -> Option<GpuModel> {
    dice.pick(&MODELS).and_then(|model| model.parse().ok())
}

/// Other fees, or other prices; some of them nothing.
pub(crate) fn patch(dice: &mut Dice) -> String {
    let mut some = |names: &[&str], most: u64| {
        let mut fields = Vec::new();
        for name in names {
            if dice.chance(400) {
                let value = if dice.chance(200) { most } else { dice.between(0, most / 10) };
                fields.push(format!("\"{name}\":{value}"));
            }
        }
        fields.join(",")
    };
    let fees = some(&FEES, 3_333);
    let minutes = some(&["nonrefundable_minutes"], 600);
    let comma = if fees.is_empty() || minutes.is_empty() { "" } else { "," };
    let mut price =
        || Credits::from_units(if dice.chance(200) { 0 } else { dice.between(1, 2_000_000) });
    let (listed, class, cpu) = (price(), price(), price());
    let strict = [
        r#""checklist":{"up_hours_min":0,"time_lock_minutes_min":10}"#,
        r#""checklist":{"up_hours_min":0,"time_lock_required":false,"proof_of_work_required":false}"#,
        r#""stakes":{"cooldown_days":0,"wait_days":0,"stake_per_unit":"1"}"#,
        r#""stakes":{"cooldown_days":1},"safety":{"cooldown_days":0},"slashing":{"appeal_days":1}"#,
        r#""oracle":{"staleness_max_s":120},"blocks":{"close_delay_secs":5}"#,
        r#""worked":{"record_every_hours":1},"burn":{"interval_hours":1,"minimum":"0.01"}"#,
        r#""worked":{"void_broken_hour":false},"burn":{"share_of_revenue_bp":10000}"#,
    ];
    let other = dice.pick(&strict).expect("seven");
    format!(
        concat!(
            r#"{{"fees":{{{fees}{comma}{minutes}}},"registry":{{"#,
            r#""models":{{"rtx-4090":{{"hour":"{listed}"}}}},"#,
            r#""class_hours":{{"cpu-8":"{cpu}","cpu-16":"{cpu}","gpu-24gb":"{class}"}}}},{other}}}"#,
        ),
        fees = fees,
        comma = comma,
        minutes = minutes,
        listed = listed,
        cpu = cpu,
        class = class,
        other = other,
    )
}
