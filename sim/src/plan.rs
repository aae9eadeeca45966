//! What a seed switches on: the swarm. Rare combinations meet because each feature is drawn by itself.

use crate::dice::Dice;

/// How long hours of work go on at least, in seconds: for a dozen of them.
const TOIL_SECONDS: u64 = 1_200;

/// What can go wrong all at once; what messages suffer is the weather's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Cut,
    AgentCrash,
    MachineCrash,
    ServerCrash,
    FullDisk,
    ClockJump,
    NodeDies,
}

/// The faults and features of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) machines: usize,
    pub(crate) renters: usize,
    pub(crate) suppliers: usize,
    /// How long the weather lasts, in seconds.
    pub(crate) weather_seconds: u64,
    /// Messages lost and doubled, in a thousand.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// The slowest message, in milliseconds; each draws its own, so that they overtake each other.
    pub(crate) latency_max: u64,
    pub(crate) clogs: bool,
    pub(crate) cuts: bool,
    pub(crate) server_crashes: bool,
    pub(crate) agent_crashes: bool,
    pub(crate) machine_crashes: bool,
    pub(crate) full_disks: bool,
    pub(crate) clock_jumps: bool,
    pub(crate) nodes_fail: bool,
    pub(crate) slow_stops: bool,
    pub(crate) liars: bool,
    pub(crate) suppliers_change: bool,
    pub(crate) poor: bool,
    pub(crate) jobs: bool,
    pub(crate) two_hours: bool,
    /// Whether the network has a coin, and everything that comes with it.
    pub(crate) coin: bool,
    /// How many hours pass in silence after everything is over, before people come for what is theirs.
    pub(crate) silent_hours: Option<u64>,
    /// Whether deposits are sometimes larger than any economy.
    pub(crate) giants: bool,
    /// Whether renters end what still runs when the weather stops; otherwise bookings run out.
    pub(crate) ends_all: bool,
    /// Whether a second brain follows the journal, entry by entry.
    pub(crate) follower: bool,
    /// Entries between snapshots; none for never.
    pub(crate) snapshot_every: Option<u64>,
    pub(crate) novelties: Novelties,
}

/// Features with dice of their own: a story that has none of them is the one it was before there were any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Novelties {
    /// Whether some rentals are spot rentals, and whoever is turned away says so.
    pub(crate) spot: bool,
    /// Whether many bid for what is left over, and others want it back.
    pub(crate) rush: bool,
    /// Whether some pay by card.
    pub(crate) cards: bool,
    /// Whether holders vote, and the operator brakes.
    pub(crate) votes: bool,
    /// Whether there are reward programs.
    pub(crate) seasons: bool,
    /// Whether the control plane's clock leaps ahead by up to an hour and a half, again and again: then hours close,
    /// votes end and prices move while the weather is bad.
    pub(crate) leaps: bool,
    /// Whether proofs of work are asked for, and a verifier seals what comes of them.
    pub(crate) proofs: bool,
    /// Whether hour after hour passes in which machines are asked to prove themselves, and are paid for it.
    pub(crate) toil: bool,
    /// Whether nodes are disturbed, and records of time-lock handed over.
    pub(crate) locks: bool,
    /// Whether the operator takes versions of the parameters back.
    pub(crate) second_thoughts: bool,
    /// Whether machines are pending at first and are tried, and change their hardware.
    pub(crate) newcomers: bool,
    /// Whether machines can give nodes a network of their own, and renters do something about it.
    pub(crate) networks: bool,
    /// Whether some wait in line for machines.
    pub(crate) waits: bool,
    /// How many hours pass in silence after everything is over, each time before people come for what is theirs.
    pub(crate) silences: Vec<u64>,
}

impl Novelties {
    /// With these dice, and whether there is a coin.
    fn draw(mut dice: Dice, coin: bool) -> Self {
        let (spot, cards) = (dice.chance(450), dice.chance(300));
        let (votes, seasons) = (coin && dice.chance(400), coin && dice.chance(350));
        let often = if votes || seasons { 700 } else { 250 };
        let leaps = dice.chance(often);
        let hours = [1, 1, 2, 3, 7, 26];
        let several = if votes || seasons { dice.index(3) } else { 0 };
        let silences = (0..several).filter_map(|_| dice.pick(&hours).copied()).collect();
        let (proofs, second_thoughts) = (coin && dice.chance(350), dice.chance(300));
        let rush = spot && dice.chance(300);
        let newcomers = dice.chance(400);
        let locks = dice.chance(450);
        let toil = proofs && dice.chance(600);
        let networks = dice.chance(500);
        let waits = dice.chance(500);
        Self {
            spot,
            rush,
            cards,
            votes,
            seasons,
            leaps,
            proofs,
            toil,
            locks,
            second_thoughts,
            newcomers,
            networks,
            waits,
            silences,
        }
    }
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let other = dice.apart();
        let machines = match dice.between(0, 19) {
            0 => dice.between(12, 40),
            1..=4 => dice.between(6, 12),
            _ => dice.between(3, 6),
        };
        // A long life for a few machines, a short one for many: beats are most of the work.
        let mut weather_seconds = (4_800 / machines).clamp(300, 900);
        // Now and then long enough for bookings to run out and blocks to close in the rain.
        if dice.chance(60) {
            weather_seconds = (24_000 / machines).clamp(600, 8_000);
        }
        let calm = dice.chance(150);
        let mut on = |permille| !calm && dice.chance(permille);
        let (cuts, agent_crashes, machine_crashes) = (on(400), on(400), on(300));
        let clock_jumps = on(250);
        let (nodes_fail, slow_stops, liars) = (on(400), on(300), on(300));
        let lossy = on(500);
        // What happens to the control plane alone costs nobody a machine: it happens on calm days too.
        let (server_crashes, full_disks) = (dice.chance(500), dice.chance(250));
        let mut plan = Self {
            machines: usize::try_from(machines).expect("at most forty"),
            renters: dice.index(4) + 2,
            suppliers: dice.index(3) + 1,
            weather_seconds,
            lost: if lossy { dice.between(1, 150) } else { 0 },
            doubled: if dice.chance(500) { dice.between(1, 150) } else { 0 },
            clogs: dice.chance(500),
            latency_max: *dice.pick(&[3, 40, 400, 4_000]).expect("four"),
            cuts,
            server_crashes,
            agent_crashes,
            machine_crashes,
            full_disks,
            clock_jumps,
            nodes_fail,
            slow_stops,
            liars,
            suppliers_change: dice.chance(400),
            poor: dice.chance(300),
            jobs: dice.chance(700),
            two_hours: dice.chance(100),
            coin: dice.chance(700),
            silent_hours: dice
                .pick(&[None, None, None, Some(1), Some(3), Some(26), Some(720)])
                .copied()
                .flatten(),
            giants: dice.chance(50),
            ends_all: dice.chance(900),
            follower: dice.once_in(12),
            snapshot_every: *dice.pick(&[None, Some(100), Some(250)]).expect("three"),
            novelties: Novelties::default(),
        };
        plan.novelties = Novelties::draw(other, plan.coin);
        if plan.novelties.toil {
            plan.weather_seconds = plan.weather_seconds.max(TOIL_SECONDS);
        }
        plan
    }

    /// The faults that are on.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let faults = [
            (self.cuts, Fault::Cut),
            (self.agent_crashes, Fault::AgentCrash),
            (self.machine_crashes, Fault::MachineCrash),
            (self.server_crashes, Fault::ServerCrash),
            (self.full_disks, Fault::FullDisk),
            (self.clock_jumps, Fault::ClockJump),
            (self.nodes_fail, Fault::NodeDies),
        ];
        faults.into_iter().filter(|(on, _)| *on).map(|(_, fault)| fault).collect()
    }

    /// Whether what was told and is not durable may be lost.
    pub(crate) const fn may_lose_entries(&self) -> bool {
        self.server_crashes || self.full_disks
    }

    /// Whether nothing is on that could cost a rental its machines. Crashes and full
    /// disks of the control plane are no excuse.
    pub(crate) const fn is_fair(&self) -> bool {
        self.lost == 0
            && !(self.cuts || self.agent_crashes || self.machine_crashes || self.clock_jumps)
            && !(self.nodes_fail || self.liars || self.novelties.leaps)
            // A supplier who sets a machine up anew starts it from nothing.
            && !self.novelties.toil
            && !self.novelties.newcomers
    }
}
