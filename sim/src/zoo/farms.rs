//! The cast of those who are called in company: what they are, and what must become of them.

use super::card::Card;

/// Two weeks: whoever is honest is watched for so long.
const LONG: u32 = 336;
/// A gigabit and a fast house, in bytes per second.
const FAST: u64 = 125_000_000;
/// What somebody does who has one card for several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trick {
    /// He does not know of company: all are served at one time.
    Unaware,
    /// He serves one, and says of the others that they cannot.
    InTurn,
    /// The second says that it is ready when the first is done.
    Later,
    /// One of them sends what it opens of products too late, which blames nobody.
    Dawdles,
    /// All take so many times as long as they could, always.
    Padded(u64),
    /// It borrows what it lacks of memory from its neighbor, whose name is the next.
    Borrows,
}

/// A house, or a heap of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farm {
    pub(super) title: &'static str,
    pub(super) claim: &'static str,
    pub(super) card: Card,
    /// Names, and how many of them share each card.
    pub(super) names: u32,
    pub(super) sharing: u32,
    /// Cards that each name says it has.
    pub(super) cards: u32,
    pub(super) trick: Trick,
    /// Whether each name has an owner and a house of its own.
    pub(super) strangers: bool,
    /// Honest machines beside them: of the same owner and house, or strangers as well.
    pub(super) beside: u32,
    /// Bytes per second of the house's line.
    pub(super) line: u64,
    /// How often a session breaks, in thousandths.
    pub(super) breaks: u64,
    pub(super) hours: u32,
    pub(super) bound: Bound,
    pub(super) gain: &'static str,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Late in the first hour, and never paid.
    Slow,
    /// The same, but for the one that lends.
    Lent,
    /// A pair of them is suspected by this hour.
    Suspected(u32),
    /// One of them comes to nothing more often than networks do, and is told so by this hour.
    Silent(u32),
    /// Nothing is found.
    NotCaught,
    /// Nothing is found, and every hour is paid.
    Honest,
}

const H100: &str = "h100-80gb-hbm3";

const PLAIN: Farm = Farm {
    title: "",
    claim: H100,
    card: Card::new(H100),
    names: 2,
    sharing: 2,
    cards: 1,
    trick: Trick::Unaware,
    strangers: false,
    beside: 0,
    line: FAST,
    breaks: 0,
    hours: 24,
    bound: Bound::Slow,
    gain: "nothing: no hour counts",
};

const UNTIL: &str = "the other names' pay, until somebody acts on the suspicion";

/// One card for several names.
pub(super) const CHEATS: &[Farm] = &[
    Farm {
        title: "two machines by name with one H100, which does not know that they are called together",
        hours: 6,
        ..PLAIN
    },
    Farm {
        title: "the same; it serves one, and says of the other that it cannot",
        trick: Trick::InTurn,
        bound: Bound::Suspected(24),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "the same; the second says that it is ready when the first is done",
        trick: Trick::Later,
        bound: Bound::Suspected(24),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "the same; the second sends what it opens of products too late",
        trick: Trick::Dawdles,
        bound: Bound::Silent(24),
        gain: "the second name's pay, until it is told so",
        ..PLAIN
    },
    Farm {
        title: "four machines by name with one H100, served in turn",
        names: 4,
        sharing: 4,
        trick: Trick::InTurn,
        bound: Bound::Suspected(24),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "the same four, among forty honest machines of the same owner",
        names: 4,
        sharing: 4,
        trick: Trick::InTurn,
        beside: 40,
        hours: 168,
        bound: Bound::Suspected(168),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "two relays of two owners, in two houses, to one H100, served in turn, among twenty strangers",
        trick: Trick::InTurn,
        strangers: true,
        beside: 20,
        hours: 168,
        bound: Bound::Suspected(168),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "an RTX 6000 Ada that is two RTX 4090 by name: it has the memory of both",
        claim: "rtx-4090",
        card: Card { memory_mib: Some(49_128), ..Card::new("rtx-6000-ada") },
        bound: Bound::Suspected(24),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "the same, always at half of its speed",
        claim: "rtx-4090",
        card: Card { memory_mib: Some(49_128), ..Card::new("rtx-6000-ada") },
        trick: Trick::Padded(2),
        hours: LONG,
        bound: Bound::NotCaught,
        gain: "a second card's pay, at half of its speed",
        ..PLAIN
    },
    Farm {
        title: "70 % of the memory, the rest in a neighbor over NVLink that is another machine by name",
        card: Card { memory_mib: Some(57_091), ..Card::new(H100) },
        sharing: 1,
        trick: Trick::Borrows,
        hours: 6,
        bound: Bound::Lent,
        gain: "nothing: only the neighbor's hours count",
        ..PLAIN
    },
    Farm {
        title: "two machines by name with one processor",
        claim: "processor",
        card: Card::new("processor"),
        bound: Bound::Suspected(24),
        gain: UNTIL,
        ..PLAIN
    },
    Farm {
        title: "the same, always at half of its speed",
        claim: "processor",
        card: Card::new("processor"),
        trick: Trick::Padded(2),
        hours: LONG,
        bound: Bound::NotCaught,
        gain: "a second processor's pay, at half of its speed",
        ..PLAIN
    },
];

const HONEST: Farm = Farm { sharing: 1, hours: LONG, bound: Bound::Honest, gain: "", ..PLAIN };

/// Those who do nothing wrong.
pub(super) const HOUSES: &[Farm] = &[
    Farm { title: "sixty H100 of one owner behind one address", names: 60, ..HONEST },
    Farm {
        title: "eight machines with eight H100 each behind 100 megabits per second",
        names: 8,
        cards: 8,
        line: 12_500_000,
        ..HONEST
    },
    Farm {
        title: "twenty-four H100 behind 20 megabits per second",
        names: 24,
        line: 2_500_000,
        ..HONEST
    },
    Farm {
        title: "forty H100 of as many owners on lines that break in one session of twelve",
        names: 40,
        strangers: true,
        breaks: 83,
        ..HONEST
    },
    Farm {
        title: "thirty processors of one owner",
        names: 30,
        claim: "processor",
        card: Card::new("processor"),
        ..HONEST
    },
];
