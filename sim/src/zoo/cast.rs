//! The cast: whoever computes something else, on something else, or over something else; and the honest.

use super::animal::Animal;
use super::card::{Card, Missing};
use super::rig::Bytes;
use super::stand::Bound::{
    Found, HonestLate, HonestPaid, HonestTried, NeverPaid, Paid, PaidLess, Printed, Reported, Slow,
};
use super::stand::{Bound, Stand};
use super::wire::Net;

const H100: &str = "h100-80gb-hbm3";
const A100: &str = "a100-80gb-pcie";
const HONEST: Animal = Animal::honest(H100);
/// Seven tenths of an H100's memory, in mebibytes.
const SEVENTY: u64 = 57_091;

const fn bent(name: &'static str, bytes: Bytes, bound: Bound, gain: &'static str) -> Stand {
    Stand::new(name, HONEST.computes(bytes), bound, gain)
}

const fn liar(claim: &'static str, model: &'static str) -> Animal {
    Animal::honest(model).claims(claim)
}

/// An H100 with so much memory that claims to have all.
const fn short_of(memory_mib: u64, missing: Missing) -> Animal {
    HONEST.with(Card { memory_mib: Some(memory_mib), missing, ..Card::new(H100) })
}

const fn at_permille(model: &'static str, permille: u64) -> Animal {
    Animal::honest(model).with(Card { permille, ..Card::new(model) })
}

const NOTHING: &str = "nothing: no hour counts";
const TIME: &str = "the time that it leaves out";

/// What is computed is something else.
pub(super) const PRODUCTS: &[Stand] = &[
    bent(
        "the product of the sums of rows and columns (rank one)",
        Bytes::RankOne,
        Found(1),
        NOTHING,
    ),
    bent("results with the 8 bits of a bf16", Bytes::Rounded(8), Found(1), NOTHING),
    bent("results with the 11 bits of an fp16", Bytes::Rounded(11), Found(1), NOTHING),
    bent("entries of 4 bits in place of 8", Bytes::Nibbles, Found(1), NOTHING),
    bent(
        "leaves out 1 row in 100",
        Bytes::SkipsRows(2),
        Found(12),
        "1 % of the time, until it is found",
    ),
    bent("leaves out 5 rows in 100", Bytes::SkipsRows(12), Found(2), NOTHING),
    bent("leaves out half of the rows", Bytes::SkipsRows(128), Found(1), NOTHING),
    Stand::new(
        "leaves out half of the products",
        HONEST.computes(Bytes::SkipsRounds(500)).of_rounds(8),
        Found(1),
        NOTHING,
    ),
    bent("the recurrence of Hankel matrices, in n² steps", Bytes::Hankel, Found(1), NOTHING),
    bent("yesterday's matrices, multiplied beforehand", Bytes::Stale, Found(1), NOTHING),
    bent(
        "commits to anything, and computes the rows it is asked for",
        Bytes::Late,
        Found(1),
        NOTHING,
    ),
    bent("opens one row again and again", Bytes::OpensOne, Found(1), NOTHING),
    bent("opens the right rows in another order", Bytes::OpensAround, Found(1), NOTHING),
    bent("opens nothing", Bytes::OpensNothing, NeverPaid, NOTHING),
    bent("walks half of the legs", Bytes::SkipsLegs(500), Found(1), NOTHING),
    bent(
        "leaves out 5 legs in 100",
        Bytes::SkipsLegs(50),
        Found(12),
        "5 % of a second, until it is found",
    ),
];

/// The same, by those who see what they are asked for and rather say that their driver failed.
pub(super) const SHY: &[Stand] = &[
    Stand::new(
        "leaves out 1 row in 100",
        HONEST.computes(Bytes::SkipsRows(2)).shy(),
        Reported(12),
        "1 % of the time",
    ),
    Stand::new(
        "leaves out 5 rows in 100",
        HONEST.computes(Bytes::SkipsRows(12)).shy(),
        PaidLess(500),
        TIME,
    ),
    Stand::new(
        "leaves out half of the products",
        HONEST.computes(Bytes::SkipsRounds(500)).of_rounds(8).shy(),
        PaidLess(100),
        NOTHING,
    ),
    Stand::new(
        "leaves out half of the rows",
        HONEST.computes(Bytes::SkipsRows(128)).shy(),
        NeverPaid,
        NOTHING,
    ),
    Stand::new("an L4 says it is an L40S", liar("l40s", "l4").shy(), NeverPaid, NOTHING),
];

/// What computes is another card.
pub(super) const CARDS: &[Stand] = &[
    Stand::new(
        "an A100 says it is an H100",
        liar(H100, "a100-sxm4-80gb"),
        Printed(1),
        "an H100's pay, until it is relisted",
    ),
    Stand::new("an RTX 4090 says it is an H100", liar(H100, "rtx-4090"), Slow(1), NOTHING),
    Stand::new(
        "an RTX 5090 says it is an A100 with 80 GB",
        liar(A100, "rtx-5090"),
        Slow(1),
        NOTHING,
    ),
    Stand::new(
        "an RTX 3060 says it is an RTX 3090",
        liar("rtx-3090", "rtx-3060"),
        Slow(1),
        NOTHING,
    ),
    Stand::new("an L4 says it is an L40S", liar("l40s", "l4"), Slow(1), NOTHING),
    Stand::new(
        "an RTX 3090 says it is an RTX 4090",
        liar("rtx-4090", "rtx-3090"),
        Printed(1),
        "an RTX 4090's pay, until it is relisted",
    ),
    Stand::new(
        "an RTX 4090 D says it is an RTX 4090",
        liar("rtx-4090", "rtx-4090-d"),
        Paid,
        "one part in nine: the two are one chip",
    ),
    Stand::new(
        "a processor says it is an RTX 3060",
        liar("rtx-3060", "processor"),
        Slow(1),
        NOTHING,
    ),
    Stand::new("no memory at all, blocks made anew", short_of(0, Missing::Made), Slow(1), NOTHING),
    Stand::new(
        "70 % of the memory, blocks made anew",
        short_of(SEVENTY, Missing::Made),
        Slow(1),
        NOTHING,
    ),
    Stand::new(
        "70 %, the rest in the host over PCIe 4",
        short_of(SEVENTY, Missing::Behind(2.5e10)),
        Slow(1),
        NOTHING,
    ),
    Stand::new(
        "70 %, the rest in the host over PCIe 5",
        short_of(SEVENTY, Missing::Behind(5.0e10)),
        Slow(1),
        NOTHING,
    ),
    Stand::new(
        "70 %, the rest in an idle neighbor over NVLink",
        short_of(SEVENTY, Missing::Behind(4.5e11)),
        Paid,
        "the neighbor's memory: none once both are asked at one time",
    ),
    Stand::new(
        "an RTX 4090 with 18 of its 24 GB, blocks made anew",
        Animal::honest("rtx-4090").with(Card { memory_mib: Some(18_432), ..Card::new("rtx-4090") }),
        Printed(1),
        "a quarter of the memory, until it is relisted",
    ),
];

/// What is told over the network is told by somebody else, or late on purpose.
pub(super) const LINES: &[Stand] = &[
    Stand::new(
        "answers pings three seconds late: a V100 says it is an A100 with 40 GB",
        liar("a100-pcie-40gb", "v100-pcie-32gb").over(Net { pong_us: 3_000_000, ..Net::GOOD }),
        Slow(1),
        NOTHING,
    ),
    Stand::new(
        "passes everything on to a real H100, 60 ms away",
        HONEST.over(Net { way_us: 40_000, ..Net::GOOD }),
        Paid,
        "the price of a real H100, which it pays as well",
    ),
];

/// Those who do nothing wrong.
pub(super) const HONEST_ONES: &[Stand] = &[
    Stand::new("an H100", HONEST, HonestPaid, ""),
    Stand::new("an A100 with 80 GB", Animal::honest(A100), HonestPaid, ""),
    Stand::new("an RTX 4090", Animal::honest("rtx-4090"), HonestPaid, ""),
    Stand::new("an RTX 3060", Animal::honest("rtx-3060"), HonestPaid, ""),
    Stand::new("an L4, the slowest of its class", Animal::honest("l4"), HonestPaid, ""),
    Stand::new("an A16, the slowest of its class", Animal::honest("a16"), HonestPaid, ""),
    Stand::new("a processor of two cores", Animal::honest("processor"), HonestPaid, ""),
    Stand::new("a processor at a fiftieth of that", at_permille("processor", 20), HonestPaid, ""),
    Stand::new(
        "sums kept as floats of 24 bits, which hold them",
        HONEST.computes(Bytes::Rounded(24)),
        HonestPaid,
        "",
    ),
    Stand::new("an H100 throttled to 60 %", at_permille(H100, 600), HonestPaid, ""),
    Stand::new(
        "an H100 at the end of the world: 280 ms",
        HONEST.over(Net { way_us: 140_000, jitter_us: 20_000, ..Net::GOOD }),
        HonestPaid,
        "",
    ),
    Stand::new(
        "an H100 behind 8 megabits per second",
        HONEST.over(Net { bytes_per_s: 1_000_000, ..Net::GOOD }),
        HonestPaid,
        "",
    ),
    Stand::new(
        "an H100 with a flaky line: 2 % of messages lost, a break in one session of twelve",
        HONEST.over(Net { loss: 20, cut: 8, ..Net::GOOD }),
        HonestTried,
        "",
    ),
    Stand::new(
        "an L4 at work on something else: 30 % left",
        at_permille("l4", 300),
        HonestLate,
        "",
    ),
];
