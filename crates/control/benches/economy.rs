//! How long the brain takes for an hour of the economy: prices moved, a block closed and the next one's machines
//! judged, with machines that joined and were staked as they would be.
//!
//! `cargo bench -p control --bench economy [-- sizes]`; a thousand, a hundred thousand and a million unless named. Then
//! what a network's journal takes to be read again, how many claims a second are paid out, and the book alone.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use control::{Actor, Body, Command, Control, Digest, Entry, MachineRecord, Purse};
use ledger::{AccountKey, Book, Holder, Kind, Transfer};
use rewards::accruals::Wanted;
use units::{
    AccountId, Asset, Coins, CommandId, HOUR, Hour, InviteId, MINUTE, Money, Resources, Tier,
    Timestamp, TransferId, WorkerId,
};

/// Machines of one account.
const MACHINES_EACH: u32 = 50;
/// What each account has: enough for what is staked here.
const COINS_EACH: Coins = Coins::from_units(100_000_000);
/// Hours until machines are nominated.
const HOURS_BEFORE: u32 = 7;
/// Hours that are measured; the least counts.
const ROUNDS: u32 = 3;
/// Machines of the network whose journal is read again, how many of them come and go in a day, and for how many days.
const READ_MACHINES: u32 = 1_000;
const GO_A_DAY: u32 = 20;
const READ_DAYS: u32 = 365;
/// Transfers of one batch in the book, and how many batches.
const BATCH: u64 = 1_000;
const BATCHES: u64 = 500;
/// Models: what drivers call them, cards of a machine, and memory of each.
const MODELS: [(&str, u32, u64); 5] = [
    ("NVIDIA H100 80GB HBM3", 8, 81_559),
    ("NVIDIA A100-SXM4-80GB", 8, 81_920),
    ("NVIDIA GeForce RTX 4090", 4, 24_564),
    ("NVIDIA GeForce RTX 3090", 2, 24_576),
    ("NVIDIA GeForce RTX 3060", 1, 12_288),
];

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.replace('_', "").parse().ok());
    let mut sizes: Vec<u32> = named.collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    println!(
        "| machines | joined and staked | prices moved | block closed, next judged | a machine and hour |"
    );
    println!("|---:|---:|---:|---:|---:|");
    sizes.iter().for_each(|size| hour(*size));
    read_again();
    book_alone();
}

struct Bench {
    control: Control,
    now: Timestamp,
    told: u128,
    journal: Option<Vec<Entry>>,
}

impl Bench {
    /// The coin is born, and little of it is staked for a machine, so that a million can be.
    fn new() -> Self {
        let start: Hour = "2025-03-01T00".parse().expect("an hour");
        let control = Control::new();
        let mut bench = Self { control, now: start.start(), told: 0, journal: Some(Vec::new()) };
        bench.tell(Actor::Operator, Command::Genesis { first_month: start.month() });
        let open = control::DESK_PATCH.to_owned();
        bench.tell(Actor::Operator, Command::SetParameters { patch: open, from: None });
        let patch = r#"{"stakes":{"stake_per_unit":"0.00001"}}"#.to_owned();
        bench.tell(Actor::Operator, Command::SetParameters { patch, from: None });
        bench
    }

    fn tell(&mut self, by: Actor, command: Command) {
        self.told += 1;
        let id = CommandId::from_bits(self.told);
        let body = Body { id, asked: Digest::from_sha256([1; 32]), by, command };
        let outcome = self.control.tell(body, self.now).expect("nothing stands against it");
        if let (Some(journal), Some(entry)) = (&mut self.journal, outcome.entry) {
            journal.push(entry);
        }
        while self.control.next_effect().is_some() {}
    }

    /// Wakes the brain until `end`, and says how long it took.
    fn until(&mut self, end: Timestamp) -> Duration {
        let begun = Instant::now();
        while let Some(due) = self.control.wake_at().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.tell(Actor::Clock, Command::Wake {});
        }
        self.now = end;
        begun.elapsed()
    }

    fn join_all(&mut self, count: u32) {
        for number in 0..count {
            if number.is_multiple_of(MACHINES_EACH) {
                self.open(number);
            }
            self.join(number);
        }
    }

    fn open(&mut self, number: u32) {
        let account = owner(number);
        let name = format!("a{number}").parse().expect("a short name");
        self.tell(Actor::Operator, Command::OpenAccount { account, name, email: None });
        let (from, to) = (Purse::Treasury, Purse::Account(account));
        let money = Money::from(COINS_EACH);
        self.tell(Actor::Operator, Command::Transfer { from, to, money });
    }

    fn join(&mut self, number: u32) {
        let (account, worker) = (owner(number), worker(number));
        let invite = InviteId::from_bits(u128::from(number) + 1);
        let secret_sha256 = Digest::from_sha256([7; 32]);
        let expires_millis = self.now.after(MINUTE).millis();
        let invited =
            Command::Invite { invite, account, secret_sha256, expires_millis, replaces: None };
        self.tell(Actor::Account(account), invited);
        let mut fingerprint = [0; 32];
        fingerprint[..4].copy_from_slice(&number.to_be_bytes());
        let joining = Command::Join {
            invite,
            worker,
            name: format!("m{number}").parse().expect("a short name"),
            public_key: Digest::from_sha256([9; 32]),
            fingerprint: Digest::from_sha256(fingerprint),
            machine: machine(number),
        };
        self.tell(Actor::Worker(worker), joining);
        self.tell(Actor::Clock, Command::WorkerUp { worker });
        let coins = self.control.worker(worker).expect("it joined").listing.stake_needed;
        self.tell(Actor::Account(account), Command::Stake { worker, coins });
    }
}

fn owner(number: u32) -> AccountId {
    AccountId::from_bits(u128::from(number / MACHINES_EACH) + 1)
}

/// Ids are spread as hashes are.
fn worker(number: u32) -> WorkerId {
    let mixed = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    WorkerId::from_bits(mixed)
}

fn machine(number: u32) -> MachineRecord {
    let at = usize::try_from(number).expect("32 bits") % MODELS.len();
    let (model, gpus, vram_mib) = MODELS[at];
    MachineRecord {
        offers: Resources { gpus, vcpus: 8 * gpus, memory_mib: 65_536, disk_mib: 1_000_000 },
        gpu_model: Some(model.parse().expect("a short name")),
        vram_mib,
        cpu_model: String::new(),
        os: String::new(),
        country: Some("DE".parse().expect("two letters")),
        tier: Tier::High,
        certifications: BTreeSet::new(),
        host: None,
    }
}

/// Prices move at an hour's end; its block closes three quarters of a minute later.
fn hour(size: u32) {
    let mut bench = Bench::new();
    bench.journal = None;
    let start = bench.now;
    let begun = Instant::now();
    bench.join_all(size);
    let joined = begun.elapsed();
    bench.until(start.after(HOUR * HOURS_BEFORE + MINUTE * 30));
    let (mut prices, mut block) = (Duration::MAX, Duration::MAX);
    for round in 1..=ROUNDS {
        let end = Hour::of(start).later(HOURS_BEFORE + round).start();
        prices = prices.min(bench.until(end));
        block = block.min(bench.until(end.after(MINUTE)));
    }
    let last = bench.control.economy().blocks.closed.back().expect("hours have passed");
    assert_eq!(last.counts.succeeded, size, "all are paid");
    let each = (prices + block) / size;
    println!("| {size} | {joined:.2?} | {prices:.2?} | {block:.2?} | {each:.2?} |");
}

/// A network's journal, read again; then everybody claims.
fn read_again() {
    let mut bench = Bench::new();
    bench.join_all(READ_MACHINES);
    for day in 0..READ_DAYS {
        for index in 0..GO_A_DAY {
            let number = (day * 37 + index * 49) % READ_MACHINES;
            let (worker, heard_millis) = (worker(number), bench.now.millis());
            bench.tell(Actor::Clock, Command::WorkerSilent { worker, heard_millis });
            bench.tell(Actor::Clock, Command::WorkerUp { worker });
        }
        bench.until(bench.now.after(HOUR * 24));
    }
    let journal = bench.journal.take().unwrap_or_default();
    let mut again = Control::new();
    let begun = Instant::now();
    for entry in &journal {
        again.replay(entry).expect("it was told before");
    }
    let took = begun.elapsed();
    assert!(again.head() == bench.control.head(), "the journal is the state");
    let (count, year) = (journal.len(), took * 365 / READ_DAYS);
    println!(
        "\n{READ_DAYS} days of {READ_MACHINES} machines, {count} entries, read again in {took:.2?}; a year: {year:.0?}"
    );
    let begun = Instant::now();
    let accounts = READ_MACHINES / MACHINES_EACH;
    for index in 0..accounts {
        let account = owner(index * MACHINES_EACH);
        let wanted = Wanted::All;
        bench.tell(Actor::Account(account), Command::ClaimRewards { account, wanted });
    }
    let each = begun.elapsed() / accounts;
    println!("a claim of what {MACHINES_EACH} machines earned: {each:.2?}");
}

/// Rewards paid out to accounts, without anything around the book.
fn book_alone() {
    let key = |holder| AccountKey { holder, asset: Asset::Io };
    let named = |id: u64, kind| Transfer { id: TransferId::from_bits(u128::from(id)), kind };
    let rewards = key(Holder::Rewards);
    let mut book = Book::default();
    let minted = Kind::Move { from: key(Holder::Outside), to: rewards, units: 1 << 60 };
    book.apply(&[named(0, minted)]).expect("it is minted");
    let begun = Instant::now();
    for batch in 0..BATCHES {
        let claim = |index: u64| {
            let number = batch * BATCH + index;
            let account = AccountId::from_bits(u128::from(number * 31 % 20_000));
            let to = key(Holder::Account(account));
            named(number + 1, Kind::Move { from: rewards, to, units: 1_000 })
        };
        let claims: Vec<Transfer> = (0..BATCH).map(claim).collect();
        book.apply(&claims).expect("there is enough");
    }
    let each = begun.elapsed() / u32::try_from(BATCH * BATCHES).expect("half a million");
    println!("a transfer of the book alone, in batches of {BATCH}: {each:.0?}");
}
