//! The walk of a survey over the index: it counts blocks, and reads only machines that could still help.

use units::Tier;

use crate::block::{Block, CERTIFICATION_BITS, Sieve};
use crate::column::places;
use crate::index::{Index, LaneKey};
use crate::lane::Lane;
use crate::survey::{Fails, Levels, Seen, Survey};

/// Which machines of a block pass each single test. Where two others exclude all of them, all pass.
#[derive(Clone, Copy, Debug)]
struct Passes {
    supplier: u64,
    country: u64,
    tier: u64,
    /// For each certification that is wanted; all pass where it is not.
    certifications: [u64; CERTIFICATION_BITS],
    price: u64,
    vcpus: u64,
    memory: u64,
    disk: u64,
}

/// The machines of a block by what they fail at, those of a lane that fails as a whole included.
#[derive(Clone, Copy, Debug)]
struct Sorted {
    all: u64,
    passes: Passes,
    gpus: u64,
    /// Fail at nothing but perhaps the price.
    none: u64,
    /// Fail at one thing, and perhaps the price.
    one: u64,
}

/// A count of failures kept for all machines of a block at once, so that reading stops when it tells no more.
#[derive(Clone, Copy, Debug)]
struct Tally {
    all: u64,
    /// Fail at something, the price aside.
    once: u64,
    /// Fail at two things, the price aside.
    twice: u64,
    /// Not counted as excluded by a test so far.
    left: u64,
}

impl Tally {
    /// What passes a test. `fails_all` are the tests that the block's summary already says nobody passes.
    fn test(&mut self, fails_all: bool, read: impl FnOnce() -> u64) -> u64 {
        if fails_all {
            self.left = 0;
            return 0;
        }
        if self.left == 0 && self.twice == self.all {
            return self.all;
        }
        let passing = read() & self.all;
        let failing = self.all & !passing;
        self.twice |= self.once & failing;
        self.once |= failing;
        self.left &= passing;
        passing
    }
}

impl Sorted {
    fn new(lane: &Lane, at: usize, sieve: &Sieve, (priced, gpus): (bool, bool)) -> Self {
        let (block, summary) = (lane.block(at), lane.summary(at));
        let all = summary.all();
        let none = sieve.fails_all(summary);
        let (once, twice) = match none.count() + u32::from(!gpus) {
            0 => (0, 0),
            1 => (all, 0),
            _ => (all, all),
        };
        let mut tally = Tally { all, once, twice, left: all };
        let supplier = tally.test(none.supplier, || block.supplied(sieve));
        let country = tally.test(none.country, || block.in_country(sieve));
        let tier = tally.test(none.tier, || block.tier_at_least(sieve.tier));
        let certifications =
            std::array::from_fn(|bit| tally.test(false, || block.certified(sieve, bit)));
        let price = if priced { lane.priced(at, sieve.unit_max) } else { all };
        tally.left &= price;
        let gpus = tally.test(!gpus, || all);
        let vcpus = tally.test(none.vcpus, || block.vcpus_at_least(sieve.vcpus));
        let memory = tally.test(none.memory, || block.memory_at_least(sieve.memory_mib));
        let disk = tally.test(none.disk, || block.disk_at_least(sieve.disk_mib));
        let passes = Passes { supplier, country, tier, certifications, price, vcpus, memory, disk };
        Self { all, passes, gpus, none: all & !tally.once, one: tally.once & !tally.twice }
    }

    /// What the machine at a place fails at.
    fn fails(&self, place: usize) -> Fails {
        let passes = &self.passes;
        let [hipaa, iso27001, soc2] = passes.certifications;
        let tests = [
            (Fails::SUPPLIER, passes.supplier),
            (Fails::COUNTRY, passes.country),
            (Fails::TIER, passes.tier),
            (Fails::CERTIFICATION, hipaa),
            (Fails::CERTIFICATION << 1, iso27001),
            (Fails::CERTIFICATION << 2, soc2),
            (Fails::PRICE, passes.price),
            (Fails::GPUS, self.gpus),
            (Fails::VCPUS, passes.vcpus),
            (Fails::MEMORY, passes.memory),
            (Fails::DISK, passes.disk),
        ];
        let failed = tests.into_iter().filter(|(_, passing)| passing >> place & 1 == 0);
        Fails(failed.fold(0, |bits, (bit, _)| bits | bit))
    }
}

impl Survey<'_> {
    /// Counts every open machine, and remembers what would let it serve.
    pub(crate) fn walk(&mut self, index: &Index, sieve: &Sieve, model: Option<u64>) {
        for (key, lane) in index.lanes_of_all(self.need) {
            if model.is_some_and(|model| model != key.model) {
                self.excluded.gpu_model += as_count(lane.len());
                self.walk_other_model(&key, lane, sieve);
            } else {
                self.walk_lane(&key, lane, sieve);
            }
        }
    }

    /// A lane of another model: it matters as long as accepting any model would give more nodes.
    fn walk_other_model(&mut self, key: &LaneKey, lane: &Lane, sieve: &Sieve) {
        if key.free_gpus < self.order.each.gpus {
            return;
        }
        for at in (0..lane.blocks_len()).filter(|at| sieve.may_pass(lane.summary(*at))) {
            if self.any_gpu_model >= self.order.nodes || lane.first(at).0 > sieve.unit_max {
                return;
            }
            let block = lane.block(at);
            for place in places(lane.passing(at, sieve)) {
                self.note_place(key, block, place, Fails(Fails::GPU_MODEL));
            }
        }
    }

    fn walk_lane(&mut self, key: &LaneKey, lane: &Lane, sieve: &Sieve) {
        let gpus = key.free_gpus >= self.order.each.gpus;
        let priced = !self.need.per_gpu() || key.has_gpus;
        if !gpus && !priced && !sieve.filters_kinds() {
            self.excluded.gpus += as_count(lane.len());
            return;
        }
        for at in 0..lane.blocks_len() {
            let sorted = Sorted::new(lane, at, sieve, (priced, gpus));
            self.count(&sorted);
            for place in places(self.near(key, (lane, at), &sorted)) {
                self.note_place(key, lane.block(at), place, sorted.fails(place));
            }
        }
    }

    fn note_place(&mut self, key: &LaneKey, block: &Block, place: usize, fails: Fails) {
        let entry = block.entry(place, key.free_gpus);
        let tier = usize::try_from(entry.tier).expect("three bits");
        self.note(&Seen { unit: entry.unit, tier: Tier::ALL[tier], free: entry.free, fails });
    }

    /// Counts each machine of a block at the first thing that excludes it.
    fn count(&mut self, sorted: &Sorted) {
        let (passes, excluded) = (&sorted.passes, &mut self.excluded);
        let certified = passes.certifications.into_iter().fold(u64::MAX, |all, one| all & one);
        let mut left = sorted.all;
        for (passing, row) in [
            (passes.supplier, &mut excluded.supplier),
            (passes.country, &mut excluded.country),
            (passes.tier, &mut excluded.tier),
            (certified, &mut excluded.certification),
            (passes.price, &mut excluded.price),
            (sorted.gpus, &mut excluded.gpus),
            (passes.vcpus, &mut excluded.vcpus),
            (passes.memory, &mut excluded.memory),
            (passes.disk, &mut excluded.disk),
        ] {
            *row += u64::from((left & !passing).count_ones());
            left &= passing;
        }
        self.fitting += u64::from(left.count_ones());
    }

    /// The machines of a block that serve, or would after one change that is not known to give enough already.
    fn near(&self, key: &LaneKey, (lane, at): (&Lane, usize), sorted: &Sorted) -> u64 {
        if sorted.none | sorted.one == 0 {
            return 0;
        }
        let passes = &sorted.passes;
        let one = sorted.one & passes.price;
        let [hipaa, iso27001, soc2] = passes.certifications;
        let mut near = sorted.none & passes.price;
        for (passing, nodes) in [
            (passes.supplier, self.any_supplier),
            (passes.country, self.any_country),
            (hipaa, self.without[0]),
            (iso27001, self.without[1]),
            (soc2, self.without[2]),
        ] {
            if nodes < self.order.nodes {
                near |= one & !passing;
            }
        }
        near | self.near_by_amount(lane.block(at), sorted)
            | self.near_by_priced_amount(key, (lane, at), sorted)
    }

    /// Those that have too little of something that is not paid for, or too slow a connection.
    fn near_by_amount(&self, block: &Block, sorted: &Sorted) -> u64 {
        let (passes, wanted) = (&sorted.passes, self.order.nodes);
        let one = sorted.one & passes.price;
        let mut near = 0;
        let mut add = |mask: u64, levels: &Levels, at_least: fn(&Block, u64) -> u64| {
            if mask != 0 {
                near |= mask & at_least(block, levels.lowest_useful(wanted));
            }
        };
        add(one & !passes.tier, &self.tier, Block::tier_at_least);
        add(one & !passes.memory, &self.memory, Block::memory_at_least);
        add(one & !passes.disk, &self.disk, Block::disk_at_least);
        if self.need.per_gpu() {
            add(one & !passes.vcpus, &self.vcpus, Block::vcpus_at_least);
        }
        near
    }

    /// Those that cost too much, or have too little of what is paid for: fewer of it cost less, too.
    fn near_by_priced_amount(
        &self,
        key: &LaneKey,
        (lane, at): (&Lane, usize),
        sorted: &Sorted,
    ) -> u64 {
        let (passes, wanted) = (&sorted.passes, self.order.nodes);
        let dear = sorted.none & !passes.price;
        let mut near = 0;
        if dear != 0 && self.order.filters.node_hour_max.is_some() {
            // A level is how far a price lies below the highest there is.
            near |= dear & lane.priced(at, u64::MAX - self.price.lowest_useful(wanted));
        }
        if self.need.per_gpu() {
            let few = sorted.one & !sorted.gpus;
            let least = self.gpus.lowest_useful(wanted).max(1);
            if self.order.each.gpus > 1 && u64::from(key.free_gpus) >= least {
                near |= (dear | few) & lane.priced(at, self.need.node_hour_max / least);
            }
        } else {
            let few = sorted.one & !passes.vcpus;
            let least = self.vcpus.lowest_useful(wanted).max(1);
            if self.order.each.vcpus > 1 && dear | few != 0 {
                let affordable = lane.priced(at, self.need.node_hour_max / least);
                near |= (dear | few) & affordable & lane.block(at).vcpus_at_least(least);
            }
        }
        near
    }
}

fn as_count(machines: usize) -> u64 {
    u64::try_from(machines).expect("a count of machines fits 64 bits")
}
