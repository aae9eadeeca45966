//! Coins at stake: on machines, beside others, in the safety module.

use std::sync::Mutex;
use std::time::Duration;

use control::{Control, Worker};
use market::Found;
use stakes::{Cooling, Device, Listed, Offer, OfferFilter, OfferRow, OfferState};
use units::{AccountId, Coins, DeviceKind, OfferId, Timestamp, WorkerId};
use wire::{
    CoStakeOffer, CoStakeView, CoolingView, DeviceStakeView, OfferSide, SafetyMetrics, SafetyView,
    StakingMetrics, Time,
};

use super::slashing::word;

/// Who may do something with a machine's stake: its owner, and who staked it last where it has left the network.
pub(crate) fn staker(state: &Control, worker: WorkerId) -> Option<AccountId> {
    let owner = state.worker(worker).map(|worker| worker.owner);
    owner.or_else(|| state.economy().stakes.devices().find(|(id, _)| *id == worker).map(|it| it.1))
}

/// Machines of an account that have joined, and those that left while something was staked on them; of everyone for
/// `None`. By id.
pub(crate) fn staked_devices(
    state: &Control,
    account: Option<AccountId>,
) -> impl Iterator<Item = (WorkerId, AccountId)> {
    let joined = state.workers().map(|(id, worker)| (id, worker.owner));
    let staked = state.economy().stakes.devices().filter(|(id, _)| state.worker(*id).is_none());
    let mut all: Vec<(WorkerId, AccountId)> = joined.chain(staked).collect();
    all.retain(|(_, owner)| account.is_none_or(|account| account == *owner));
    all.sort_unstable();
    all.into_iter()
}

/// A machine as the stakes know it.
fn device(state: &Control, id: WorkerId) -> Device {
    let worker = state.worker(id);
    let need = worker.map_or(Coins::ZERO, |worker| worker.listing.stake_needed);
    let hired = worker.is_some_and(|worker| !worker.nodes.is_empty());
    Device { worker: id, need, hired }
}

/// What people call a machine's hardware: `8x H100 PCIe`, or the model of its processor.
fn device_name(state: &Control, worker: &Worker) -> String {
    let (machine, registry) = (state.counts_as(worker), &state.parameters().registry);
    match &machine.gpu_model {
        Some(model) => {
            let name = match registry.classify(model.text(), machine.vram_mib) {
                Found::Listed(listed) => &listed.name,
                Found::ByClass(_) => model.text(),
            };
            format!("{}x {name}", worker.listing.quantity)
        }
        None => match registry.classify_cpu(&machine.cpu_model, machine.offers.vcpus) {
            Found::Listed(listed) => listed.name.clone(),
            Found::ByClass(_) => machine.cpu_model.clone(),
        },
    }
}

fn cooling(cooling: &Cooling) -> CoolingView {
    CoolingView {
        coins: cooling.amount,
        withdrawable_at: Time(cooling.withdrawable_at),
        offer: cooling.offer,
    }
}

fn sum(coins: impl Iterator<Item = Coins>) -> Coins {
    coins.fold(Coins::ZERO, |sum, one| sum.checked_add(one).expect("all is held by one purse"))
}

/// What is staked on a machine, for its owner.
pub(crate) fn device_stake(
    state: &Control,
    (id, owner): (WorkerId, AccountId),
    now: Timestamp,
) -> DeviceStakeView {
    let Device { need, hired, .. } = device(state, id);
    let worker = state.worker(id);
    let view = state.economy().stakes.view(id, need, now, &state.parameters().stakes);
    let of_owner = |cooling: &&Cooling| cooling.account == owner;
    let ripe = |cooling: &&Cooling| cooling.withdrawable_at <= now;
    let all = view.as_ref().map_or(&[][..], |view| &view.cooling);
    let withdrawable = sum(all.iter().filter(of_owner).filter(ripe).map(|it| it.amount));
    let coins = |of: fn(&stakes::View) -> Coins| view.as_ref().map_or(Coins::ZERO, of);
    DeviceStakeView {
        worker: id,
        name: worker.map(|worker| worker.name.clone()),
        device: worker.map(|worker| device_name(state, worker)),
        need,
        have: coins(|view| view.have),
        sufficient: coins(|view| view.have) >= need,
        own: coins(|view| view.own),
        co_staked: coins(|view| view.co),
        co_staked_until: view.as_ref().and_then(|view| view.co_until).map(Time),
        overflow: coins(|view| view.overflow),
        locked: coins(|view| view.locked),
        cooling: all.iter().map(cooling).collect(),
        withdrawable,
        hired,
    }
}

/// With so many machines or fewer they are counted for each who asks.
const COUNTED_EACH_TIME_MAX: usize = 1_000;
/// How old a count of more machines may be: a walk over a hundred thousand of them takes tens of milliseconds, in which
/// nothing is told.
const COUNT_KEPT: Duration = units::MINUTE;

/// How many machines are staked, as they were counted last.
#[derive(Clone, Copy, Debug)]
struct Counts {
    at: Timestamp,
    staked: u64,
    full: u64,
    co_staked: u64,
}

/// The last count of the machines that are staked.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<Option<Counts>>);

impl Counted {
    fn counts(&self, state: &Control, now: Timestamp) -> Counts {
        let mut last = self.0.lock().expect("nobody panics with a count in hand");
        let is_new = |counts: &Counts| now.since(counts.at) < COUNT_KEPT;
        let many = state.workers().len() > COUNTED_EACH_TIME_MAX;
        match last.filter(|counts| many && is_new(counts)) {
            Some(counts) => counts,
            None => *last.insert(Counts::of(state, now)),
        }
    }
}

impl Counts {
    fn of(state: &Control, now: Timestamp) -> Self {
        let stakes = &state.economy().stakes;
        let mut counts = Self { at: now, staked: 0, full: 0, co_staked: 0 };
        // Both are in the order of machines: nothing is looked up.
        let mut haves = stakes.haves(now).peekable();
        for (id, worker) in state.workers() {
            while haves.next_if(|(of, _)| *of < id).is_some() {}
            let Some((_, have)) = haves.next_if(|(of, _)| *of == id) else { continue };
            let need = worker.listing.stake_needed;
            counts.staked += u64::from(!have.is_zero());
            counts.full += u64::from(!have.is_zero() && have >= need);
        }
        let co_stakes = stakes
            .offers()
            .filter(|(id, offer)| offer.state.counts(now) && !stakes.coins_of_offer(*id).is_zero());
        let here = co_stakes.filter(|(_, offer)| state.worker(offer.worker).is_some());
        counts.co_staked = u64::try_from(here.count()).unwrap_or(u64::MAX);
        counts
    }
}

/// All stakes on machines together.
pub(crate) fn staking_metrics(
    state: &Control,
    counted: &Counted,
    now: Timestamp,
) -> StakingMetrics {
    let stakes = &state.economy().stakes;
    let sums = stakes.sums(now);
    let counts = counted.counts(state, now);
    StakingMetrics {
        staked: sums.counting,
        cooling: sums.cooling,
        locked: sums.locked,
        total: stakes.total(),
        devices_staked: counts.staked,
        devices_full: counts.full,
        devices_co_staked: counts.co_staked,
    }
}

/// What a reader of the marketplace asks for beside what the stakes know.
#[derive(Clone, Debug, Default)]
pub(crate) struct MarketFilter {
    pub(crate) offers: OfferFilter,
    /// Machines with so many cards.
    pub(crate) gpus: Option<u32>,
}

impl MarketFilter {
    /// Whether it takes an offer that is over, of which only what everyone sees is kept.
    pub(crate) fn takes(&self, offer: &CoStakeOffer) -> bool {
        let Self { offers, gpus } = self;
        let device = offer.device.to_lowercase();
        offers.worker.is_none_or(|worker| worker == offer.worker)
            && offers.model.as_ref().is_none_or(|part| device.contains(&part.to_lowercase()))
            && offers.share_min_bp.is_none_or(|min| offer.share_bp >= min)
            && offers.amount_min.is_none_or(|min| offer.coins >= min)
            && offers.amount_max.is_none_or(|max| offer.coins <= max)
            && offers.reliability_min_bp.is_none_or(|min| offer.reliability_bp >= Some(min))
            && gpus.is_none_or(|gpus| gpus == offer.number_of_gpu)
    }
}

/// At most `limit` offers of the marketplace, by id.
pub(crate) fn marketplace(
    state: &Control,
    filter: &MarketFilter,
    limit: usize,
    now: Timestamp,
) -> Vec<CoStakeOffer> {
    let listed = |id: WorkerId| {
        let worker = state.worker(id)?;
        filter.gpus.is_none_or(|gpus| gpus == gpus_of(worker)).then(|| listed(state, id, worker))
    };
    let rows = state.economy().stakes.list_offers(&filter.offers, limit, now, listed);
    rows.iter().map(|row| offer_row(state, row)).collect()
}

/// How many cards a machine offers.
fn gpus_of(worker: &Worker) -> u32 {
    match worker.listing.kind {
        DeviceKind::Gpu => worker.listing.quantity,
        DeviceKind::Cpu => 0,
    }
}

fn listed(state: &Control, id: WorkerId, worker: &Worker) -> Listed {
    Listed {
        model: device_name(state, worker),
        need: worker.listing.stake_needed,
        reliability_bp: state.reliability_bp(id).unwrap_or(0),
        earned_week: worker.week.earned(),
    }
}

fn offer_row(state: &Control, row: &OfferRow) -> CoStakeOffer {
    let OfferRow { id, offer, status, device, simulated_week } = row;
    CoStakeOffer {
        id: *id,
        worker: offer.worker,
        device: device.model.clone(),
        number_of_gpu: state.worker(offer.worker).map_or(0, gpus_of),
        need: device.need,
        portion_bp: offer.portion_bp,
        coins: offer.amount,
        share_bp: offer.share_bp,
        status: word(status),
        status_text: status.text().to_owned(),
        alarm: status.is_alarm(),
        created_at: Time(offer.created_at),
        reliability_bp: state.reliability_bp(offer.worker),
        device_week: device.earned_week,
        co_staker_week: *simulated_week,
        blocks_seen: state.worker(offer.worker).map_or(0, |it| it.week.conduct(0).checks),
    }
}

/// On which side of an offer an account stands; the operator looks on from the owner's.
pub(crate) fn side(offer: &Offer, account: AccountId) -> Option<OfferSide> {
    let took = offer.claim.is_some_and(|claim| claim.account == account);
    match (offer.owner == account, took) {
        (true, _) => Some(OfferSide::Owner),
        (false, true) => Some(OfferSide::CoStaker),
        (false, false) => None,
    }
}

/// An offer for one side of it.
pub(crate) fn co_stake(
    state: &Control,
    (id, offer): (OfferId, &Offer),
    side: OfferSide,
    now: Timestamp,
) -> CoStakeView {
    let stakes = &state.economy().stakes;
    // A machine that has left the network has no model and needs nothing.
    let gone = || Listed {
        model: String::new(),
        need: Coins::ZERO,
        reliability_bp: 0,
        earned_week: Coins::ZERO,
    };
    let worker = state.worker(offer.worker);
    let device = worker.map_or_else(gone, |worker| listed(state, offer.worker, worker));
    let row = OfferRow {
        id,
        offer: offer.clone(),
        status: stakes.offer_status(offer, device.need, now),
        simulated_week: device.earned_week.share_floor(offer.share_bp),
        device,
    };
    let (counts_until, withdrawable_at) = match offer.state {
        OfferState::Leaving { until, withdrawable_at } => (Some(until), Some(withdrawable_at)),
        OfferState::Cooling { withdrawable_at } => (None, Some(withdrawable_at)),
        OfferState::Open
        | OfferState::Active
        | OfferState::Withdrawn { .. }
        | OfferState::Closed { .. } => (None, None),
    };
    CoStakeView {
        offer: offer_row(state, &row),
        side,
        held: stakes.coins_of_offer(id),
        taken_at: offer.claim.map(|claim| Time(claim.since)),
        earned_until: offer.claim.and_then(|claim| claim.until).map(Time),
        counts_until: counts_until.map(Time),
        withdrawable_at: withdrawable_at.map(Time),
    }
}

/// The safety module as a whole.
pub(crate) fn safety_metrics(state: &Control, now: Timestamp) -> SafetyMetrics {
    let safety = &state.economy().stakes.safety;
    let parameters = state.parameters();
    let basis = safety.yield_basis(now);
    SafetyMetrics {
        staked: safety.staked(),
        total: safety.total(),
        given_week: basis.given_week,
        apr_bp: basis.yearly_bp(),
        block_share_bp: parameters.blocks.safety_module_share_bp,
        cooldown_days: parameters.safety.cooldown_days,
        stake_min: parameters.safety.stake_min,
    }
}

/// What an account has in the safety module.
pub(crate) fn safety(state: &Control, account: AccountId, now: Timestamp) -> SafetyView {
    let view = state.economy().stakes.safety.view(account);
    let cooling = view.as_ref().map_or(&[][..], |view| &view.cooling);
    let shown = |lot: &stakes::Lot| CoolingView {
        coins: lot.amount,
        withdrawable_at: Time(lot.since),
        offer: None,
    };
    SafetyView {
        staked: view.as_ref().map_or(Coins::ZERO, |view| view.staked),
        claimable: view.as_ref().map_or(Coins::ZERO, |view| view.owed),
        cooling: cooling.iter().map(shown).collect(),
        withdrawable: sum(cooling.iter().filter(|lot| lot.since <= now).map(|lot| lot.amount)),
    }
}
