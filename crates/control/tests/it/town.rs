//! A small town: Ann and Bob rent from projects `ann` and `bob`, Sue supplies machines, and names are one word each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::{
    Actor, Body, Command, ConnectionRecord, Control, Digest, Effect, Entry, JobSaid, MachineRecord,
    NodeSaid, OrderRecord, PhaseSaid, Refusal, Reply, SlashRecord,
};
use ledger::{AccountKey, Holder};
use stakes::{Evidence, EvidenceKind, Offence};
use units::{
    AccountId, Asset, Coins, CommandId, Credits, InviteId, JobId, Name, ProjectId, RentalId,
    Resources, SlashId, Tier, Timestamp, WorkerId,
};

/// The bits of a name: at most sixteen letters.
pub(crate) fn bits(name: &str) -> u128 {
    name.bytes().fold(0, |bits, letter| (bits << 8) | u128::from(letter))
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::from_bits(bits(name))
}

pub(crate) fn project(name: &str) -> ProjectId {
    ProjectId::from_bits(bits(name))
}

pub(crate) fn worker(name: &str) -> WorkerId {
    WorkerId::from_bits(bits(name))
}

pub(crate) fn rental(name: &str) -> RentalId {
    RentalId::from_bits(bits(name))
}

pub(crate) fn job(name: &str) -> JobId {
    JobId::from_bits(bits(name))
}

pub(crate) fn by(name: &str) -> Actor {
    match name {
        "operator" => Actor::Operator,
        "clock" => Actor::Clock,
        machine if machine.starts_with('m') => Actor::Worker(worker(machine)),
        person => Actor::Account(account(person)),
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_sha256([byte; 32])
}

/// A machine with so many cards, at a dollar an hour each, and eight threads at a cent each.
pub(crate) fn machine(gpus: u32) -> MachineRecord {
    MachineRecord {
        offers: Resources { gpus, vcpus: 8, memory_mib: 32_768, disk_mib: 100_000 },
        gpu_model: (gpus > 0).then(|| "Dollar 1".parse().unwrap()),
        vram_mib: 16_384,
        cpu_model: String::new(),
        os: String::new(),
        country: None,
        tier: Tier::High,
        certifications: BTreeSet::new(),
        host: None,
    }
}

/// So many nodes of one card each, on a machine each.
pub(crate) fn order(nodes: u32, gpus: u32) -> OrderRecord {
    let each = Resources { gpus, vcpus: 1, memory_mib: 1_024, disk_mib: 1_000 };
    OrderRecord { nodes, each, ..OrderRecord::default() }
}

pub(crate) struct Town {
    pub(crate) control: Control,
    pub(crate) now: Timestamp,
    pub(crate) journal: Vec<Entry>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) told: u128,
    /// Whether every step is read back from a snapshot.
    pub(crate) careful: bool,
}

impl Town {
    /// Ann and Bob with a hundred dollars each; no fees, no minimum and no rebates, so that stories can be reckoned.
    pub(crate) fn new() -> Self {
        let mut town = Self {
            control: Control::new(),
            now: Timestamp::from_millis(1_750_000_000_000),
            journal: Vec::new(),
            effects: Vec::new(),
            told: 0,
            careful: true,
        };
        // In one version: each is as long as a registry, and every snapshot holds them all.
        let desk = control::DESK_PATCH.trim().trim_start_matches('{').trim_end_matches('}');
        let desk = desk.replace(r#""none": 10000"#, r#""none": 10000, "high": 10000"#);
        let durations = r#""durations":{"daily_bp":10000,"weekly_bp":10000,"monthly_bp":10000}"#;
        let (prices, fees) = (prices_patch("1", "0.01"), fees_patch(0, 0, 0));
        // Nobody here proves anything.
        let checklist = r#""checklist":{"proof_of_work_required":false}"#;
        town.patch(&format!("{{{prices},{desk},{fees},{durations},{checklist}}}"));
        for person in ["ann", "bob", "sue"] {
            let command =
                Command::OpenAccount { account: account(person), name: name(person), email: None };
            town.ok("operator", command);
        }
        for person in ["ann", "bob"] {
            let (project, owner) = (project(person), account(person));
            town.ok(person, Command::OpenProject { project, owner, name: name(person) });
            town.top_up(person, "100");
        }
        town
    }

    /// The town with machines of so many cards: `m0`, `m1` and so on, all up.
    pub(crate) fn with(machines: &[u32]) -> Self {
        let mut town = Self::new();
        for (index, gpus) in machines.iter().enumerate() {
            town.join(&format!("m{index}"), *gpus).unwrap();
        }
        town
    }

    pub(crate) fn tell(&mut self, who: &str, command: Command) -> Result<Reply, Refusal> {
        self.told += 1;
        let id = CommandId::from_bits(self.told);
        self.tell_body(Body { id, asked: digest(1), by: by(who), command })
    }

    /// Tells a command and checks what always holds: a refusal leaves no trace, and a snapshot is the state.
    pub(crate) fn tell_body(&mut self, body: Body) -> Result<Reply, Refusal> {
        let before = self.careful.then(|| self.control.clone());
        let told = self.control.tell(body, self.now);
        while let Some(effect) = self.control.next_effect() {
            self.effects.push(effect);
        }
        match &told {
            Ok(outcome) => self.journal.extend(outcome.entry.clone()),
            Err(refusal) => {
                assert!(
                    before.is_none_or(|before| before == self.control),
                    "{refusal} left a trace"
                );
            }
        }
        // A snapshot is long: every third is enough for a town's few steps to meet it in all places.
        if self.careful && self.told.is_multiple_of(3) {
            let back = Control::from_snapshot(&self.control.snapshot()).unwrap();
            assert!(back == self.control, "a snapshot is the state");
            assert_eq!(self.control.book().audit(), Ok(()));
        }
        told.map(|outcome| outcome.reply)
    }

    pub(crate) fn ok(&mut self, who: &str, command: Command) {
        self.tell(who, command).unwrap();
    }

    pub(crate) fn fees(&mut self, renter_fee_bp: u16, supplier_fee_bp: u16, minimum_minutes: u32) {
        let fees = fees_patch(renter_fee_bp, supplier_fee_bp, minimum_minutes);
        self.patch(&format!("{{{fees}}}"));
    }

    /// The parameters are other than they were, from now on.
    pub(crate) fn patch(&mut self, patch: &str) {
        let patch = patch.to_owned();
        self.ok("operator", Command::SetParameters { patch, from: None });
    }

    /// An hour of a card, and of one of a machine's eight threads, costs so much.
    pub(crate) fn prices(&mut self, card: &str, thread: &str) {
        let prices = prices_patch(card, thread);
        self.patch(&format!("{{{prices}}}"));
    }

    pub(crate) fn top_up(&mut self, whose: &str, amount: &str) {
        let amount = dollars(amount);
        let note = String::new();
        self.ok("operator", Command::TopUp { project: project(whose), amount, note });
    }

    /// Sue's machine joins, well connected, speaks, and has nothing to do.
    pub(crate) fn join(&mut self, machine: &str, gpus: u32) -> Result<Reply, Refusal> {
        self.come_in(machine, gpus)?;
        let (at, worker) = (self.now, worker(machine));
        let connection = ConnectionRecord { at, down_mbps: 800, up_mbps: 600, ping_ms: 20 };
        self.ok("clock", Command::MeasureConnection { worker, connection });
        Ok(Reply::Done)
    }

    /// Sue's machine joins and speaks, and nothing is known of it.
    pub(crate) fn come_in(&mut self, machine: &str, gpus: u32) -> Result<Reply, Refusal> {
        let invite = InviteId::from_bits(bits(machine));
        self.ok("sue", invite_of(machine, self.now.after(Duration::from_secs(60))));
        let joining = joining(machine, invite, gpus);
        self.tell(machine, joining)?;
        self.ok("clock", Command::WorkerUp { worker: worker(machine) });
        Ok(Reply::Done)
    }

    /// A quote of an hour for so many nodes with a card each, named after its rental.
    pub(crate) fn quote(&mut self, who: &str, quote: &str, nodes: u32) -> Result<Reply, Refusal> {
        let (rental, project, order) = (rental(quote), project(who), order(nodes, 1));
        self.tell(who, Command::Quote { rental, project, order, hours: 1, pay: None })
    }

    pub(crate) fn rent(
        &mut self,
        who: &str,
        quote: &str,
        may_wait: bool,
    ) -> Result<Reply, Refusal> {
        self.tell(who, Command::Rent { rental: rental(quote), name: name(quote), may_wait })
    }

    /// Quotes and rents.
    pub(crate) fn take(&mut self, who: &str, rental: &str, nodes: u32) {
        self.quote(who, rental, nodes).unwrap();
        self.rent(who, rental, false).unwrap();
    }

    /// Quotes, rents, and lets all nodes come up.
    pub(crate) fn running(&mut self, who: &str, rented: &str, nodes: u32) {
        self.take(who, rented, nodes);
        for node in 0..nodes {
            let machine = self.machine_of(rented, node);
            self.says(&machine, &format!("{rented}{node} ready"));
        }
        assert_eq!(self.stage(rented), "running");
    }

    pub(crate) fn end(&mut self, who: &str, ended: &str) -> Result<Reply, Refusal> {
        self.tell(who, Command::EndRental { rental: rental(ended) })
    }

    /// A machine says that it has acted on all that is wanted, and what it sees: `a0 ready, a1 starting, j1 running`.
    pub(crate) fn says(&mut self, machine: &str, seen: &str) {
        let revision = self.control.worker(worker(machine)).unwrap().revision;
        self.says_at(machine, Some(revision), seen);
    }

    pub(crate) fn says_at(&mut self, machine: &str, revision: Option<u64>, seen: &str) {
        let (mut nodes, mut jobs) = (Vec::new(), Vec::new());
        for said in seen.split(", ").filter(|said| !said.is_empty()) {
            let (what, phase) = said.split_once(' ').unwrap();
            let (of, number) = what.split_at(1);
            let phase = phase_of(phase);
            if of == "j" {
                jobs.push(JobSaid { job: job(what), phase });
            } else {
                let node = number.parse().unwrap();
                let head = (node == 0).then_some(([10, 0, 0, 1], 6379).into());
                let disturbed = None;
                nodes.push(NodeSaid { rental: rental(of), node, phase, head, disturbed });
            }
        }
        self.ok(machine, Command::Observe { worker: worker(machine), revision, nodes, jobs });
    }

    pub(crate) fn silent(&mut self, machine: &str) {
        let heard_millis = self.now.millis();
        self.ok("clock", Command::WorkerSilent { worker: worker(machine), heard_millis });
    }

    pub(crate) fn up(&mut self, machine: &str) {
        self.ok("clock", Command::WorkerUp { worker: worker(machine) });
    }

    /// Minutes pass; the clock is told whenever something is due.
    pub(crate) fn minutes(&mut self, minutes: u64) {
        let end = self.now.after(Duration::from_secs(60 * minutes));
        while let Some(due) = self.control.wake_at().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.ok("clock", Command::Wake {});
        }
        self.now = end;
    }

    pub(crate) fn stage(&self, of: &str) -> String {
        let Some(rental) = self.control.rental(rental(of)) else { return "forgotten".to_owned() };
        let why = rental.stage.ending().map_or(String::new(), |why| format!(" {}", why.text()));
        format!("{}{why}", rental.stage.text())
    }

    /// What a project or a supplier has to spend, in dollars.
    pub(crate) fn purse(&self, whose: &str) -> String {
        let holder = match whose {
            "sue" => Holder::Account(account(whose)),
            "fees" => Holder::Fees,
            _ => Holder::Project(project(whose)),
        };
        Credits::from_units(self.control.purse(holder).available()).to_string()
    }

    /// How many cards of a machine nobody has.
    pub(crate) fn free(&self, machine: &str) -> u32 {
        self.control.inventory().free(worker(machine)).unwrap().gpus
    }

    pub(crate) fn machine_of(&self, rented: &str, node: u32) -> String {
        let seats = &self.control.rental(rental(rented)).unwrap().nodes;
        let id = seats[usize::try_from(node).unwrap()].seat.worker;
        (0..10).map(|n| format!("m{n}")).find(|name| worker(name) == id).unwrap()
    }

    pub(crate) fn job(&self, of: &str) -> &'static str {
        self.control.job(job(of)).map_or("forgotten", |job| job.stage.text())
    }

    pub(crate) fn submit(&mut self, who: &str, named: &str, to: &str) -> Result<Reply, Refusal> {
        let (job, rental, env) = (job(named), rental(to), BTreeMap::new());
        let entrypoint = "true".to_owned();
        self.tell(who, Command::SubmitJob { job, rental, entrypoint, package: None, env })
    }
}

impl Drop for Town {
    /// However a story ends, its journal tells it again.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut again = Control::new();
        for entry in &self.journal {
            again.replay(entry).unwrap();
        }
        assert!(again == self.control, "the journal is the state");
    }
}

/// The part of a patch that is about fees.
fn fees_patch(renter_fee_bp: u16, supplier_fee_bp: u16, minimum_minutes: u32) -> String {
    format!(
        r#""fees":{{"renter_reservation_bp":{renter_fee_bp},
            "supplier_reservation_bp":{supplier_fee_bp},"facilitation_usd_bp":0,
            "nonrefundable_minutes":{minimum_minutes}}}"#
    )
}

/// The part of a patch that is about the prices of cards and threads.
fn prices_patch(card: &str, thread: &str) -> String {
    let cpu = Credits::from_units(dollars(thread).units() * 8);
    format!(
        r#""registry":{{"class_hours":{{"cpu-8":"{cpu}"}},"models":{{"dollar-1":{{
            "name":"Dollar 1","kind":"gpu","vram_mib":16384,"class":"gpu-16gb",
            "multiplier":"1","pool":"community","hour":"{card}","cpu_max_pct":30,
            "gpu_max_pct":20,"listed":true}}}}}}"#
    )
}

pub(crate) fn dollars(text: &str) -> Credits {
    text.parse().unwrap()
}

pub(crate) fn coins(text: &str) -> Coins {
    text.parse().unwrap()
}

/// What a purse has in coins.
pub(crate) fn coin_purse(town: &Town, holder: Holder) -> String {
    let key = AccountKey { holder, asset: Asset::Io };
    Coins::from_units(town.control.book().account(key).available()).to_string()
}

/// Charges `m0` with having forged a proof, now, with so many cards.
pub(crate) fn slash(town: &Town, id: u128, cards: u32) -> Command {
    let evidence = vec![Evidence {
        kind: EvidenceKind::ProofTranscript,
        blob: digest(3),
        summary: "two identities answered one challenge from one card".to_owned(),
    }];
    Command::Slash {
        slash: SlashRecord {
            slash: SlashId::from_bits(id),
            worker: worker("m0"),
            offence: Offence::ForgedProof,
            offended_at: town.now,
            cards,
            evidence,
        },
    }
}

pub(crate) fn invite_of(name: &str, expires: Timestamp) -> Command {
    let (invite, account) = (InviteId::from_bits(bits(name)), account("sue"));
    let expires_millis = expires.millis();
    let replaces = None;
    Command::Invite { invite, account, secret_sha256: digest(7), expires_millis, replaces }
}

pub(crate) fn joining(named: &str, invite: InviteId, gpus: u32) -> Command {
    let mut fingerprint = [0; 32];
    fingerprint[..16].copy_from_slice(&bits(named).to_be_bytes());
    Command::Join {
        invite,
        worker: worker(named),
        name: name(named),
        public_key: digest(9),
        fingerprint: Digest::from_sha256(fingerprint),
        machine: machine(gpus),
    }
}

fn phase_of(word: &str) -> PhaseSaid {
    match word {
        "starting" => PhaseSaid::Starting,
        "ready" => PhaseSaid::Ready,
        "running" => PhaseSaid::Running,
        "succeeded" => PhaseSaid::Succeeded,
        "stopped" => PhaseSaid::Stopped,
        "failed" => PhaseSaid::Failed { message: "exit code 1".to_owned() },
        reason => PhaseSaid::Gone { reason: reason.to_owned() },
    }
}
