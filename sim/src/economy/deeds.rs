//! What people do once a month: suppliers come and go, holders claim and sell, co-stakers share, and some are slashed.

use control::{Actor, Command, OfferRecord, SlashRecord};
use ledger::Holder as Purse;
use stakes::{Evidence, EvidenceKind, Offence, OfferState};
use units::{AccountId, Asset, Coins, OfferId, SlashId, WorkerId};

use super::network::Network;
use super::supplier::{Class, Month, Supplier, Wish};
use super::town::Town;
use crate::dice::Dice;

impl Town {
    /// Everybody acts on what the month brought.
    pub(super) fn act(&mut self, months: &[Month]) {
        let usual = Class::ALL.map(|class| self.usual(class, months));
        for (index, month) in months.iter().enumerate() {
            self.collect(index, month);
            let class = self.suppliers[index].class;
            let stake = self.stake_needed(class);
            let worth = u128::from(stake.units()) * u128::from(self.bourse.micros) / 100_000_000;
            match self.suppliers[index].decide(month, usual[class.index()], worth) {
                // Whoever would come thinks about it for some months.
                Wish::Grow if self.dice.chance(250) => self.grow(index),
                Wish::Grow | Wish::Stay => {}
                Wish::Shrink => self.shrink(index),
            }
            self.leave(index);
        }
        let yield_bp = self.network.safety_yield_bp();
        for holder in self.holders.clone() {
            holder.month(&mut self.network, &mut self.bourse, yield_bp);
        }
        self.co_stake();
        self.justice();
    }

    /// What a machine of a class brought and cost in the month, at usual costs.
    fn usual(&self, class: Class, months: &[Month]) -> (u128, u128) {
        let of = |(supplier, _): &(&Supplier, &Month)| supplier.class == class;
        let of_class = self.suppliers.iter().zip(months).filter(of);
        let brought = of_class.map(|(_, month)| month.rewards + month.rentals).sum::<u128>();
        let count =
            self.suppliers.iter().filter(|it| it.class == class).map(|it| it.machines.len());
        let count = u128::try_from(count.sum::<usize>().max(1)).expect("a few");
        (brought / count, u128::from(class.cost_hour()) * 730)
    }

    /// A supplier claims, takes dollars out, and sells coins for what dollars did not pay, and a third of the rest.
    fn collect(&mut self, index: usize, month: &Month) {
        let account = self.suppliers[index].account;
        let by = Actor::Account(account);
        let wanted = rewards::accruals::Wanted::All;
        let before = self.network.coins(account);
        let _ = self.network.tell(by, Command::ClaimRewards { account, wanted });
        let money = self.network.control.available(Purse::Account(account), Asset::Usd);
        if money.units > 0 {
            let to = "bank".to_owned();
            self.network.must(by, Command::Withdraw { account, money, to });
        }
        let coins = self.network.coins(account);
        let claimed = u128::from(coins.checked_sub(before).unwrap_or(Coins::ZERO).units());
        let short = month.cost.saturating_sub(u128::from(money.units));
        let short = short * 100_000_000 / u128::from(self.bourse.micros);
        let spare = u128::from(coins.units()).saturating_sub(short);
        let sold =
            (short + claimed.saturating_sub(short) / 2 + spare / 10).min(u128::from(coins.units()));
        self.bourse.sold += sold;
        self.network.sell(account, Coins::from_units(u64::try_from(sold).expect("at most all")));
    }

    /// What a machine of a class must have at stake.
    fn stake_needed(&self, class: Class) -> Coins {
        let machine = class.machine("DE".parse().expect("two letters"));
        let parameters = self.network.control.parameters();
        let registry = &parameters.registry;
        let (multiplier, count) = match &machine.gpu_model {
            Some(model) => {
                (registry.classify(model.text(), machine.vram_mib).multiplier(), class.parts())
            }
            None => {
                (registry.classify_cpu(&machine.cpu_model, machine.offers.vcpus).multiplier(), 1)
            }
        };
        parameters.stakes.need(multiplier, count)
    }

    /// One machine more: staked with what there is, and with coins bought outside.
    pub(super) fn grow(&mut self, index: usize) {
        let (account, class) = (self.suppliers[index].account, self.suppliers[index].class);
        let need = self.stake_needed(class);
        let missing = need.checked_sub(self.network.coins(account)).unwrap_or(Coins::ZERO);
        if !missing.is_zero() && !self.network.buy(account, missing) {
            return;
        }
        self.bourse.bought += u128::from(missing.units());
        let machine = class.machine(self.suppliers[index].country);
        let worker = self.network.join(account, machine);
        self.network.must(Actor::Account(account), Command::Stake { worker, coins: need });
        self.suppliers[index].machines.push(worker);
        // Every other one shares its stake.
        if self.dice.chance(500) {
            let offer = OfferId::from_bits(self.network.id());
            let record = OfferRecord { offer, worker, portion_bp: 5_000, share_bp: 4_000 };
            self.network.must(Actor::Account(account), Command::OfferCoStake { offer: record });
            self.offers.insert(offer);
        }
    }

    /// The newest machine takes no more rentals.
    fn shrink(&mut self, index: usize) {
        let Some(worker) = self.suppliers[index].machines.pop() else { return };
        let by = Actor::Account(self.suppliers[index].account);
        self.network.must(by, Command::SetPaused { worker, paused: true });
        self.suppliers[index].leaving.push(worker);
    }

    /// Machines on their way out go on: offers back, unstaked, withdrawn, gone.
    fn leave(&mut self, index: usize) {
        let account = self.suppliers[index].account;
        let by = Actor::Account(account);
        for worker in self.suppliers[index].leaving.clone() {
            if self.network.control.worker(worker).is_some_and(|it| !it.nodes.is_empty()) {
                continue;
            }
            for offer in self.open_offers(worker) {
                self.network.must(by, Command::RetractOffer { offer });
            }
            let _ = self.network.tell(by, Command::Unstake { account, worker });
            if self.network.tell(by, Command::WithdrawStake { account, worker }).is_ok() {
                self.network.must(by, Command::Retire { worker });
                self.suppliers[index].leaving.retain(|it| *it != worker);
            }
        }
    }

    fn open_offers(&self, worker: WorkerId) -> Vec<OfferId> {
        let stakes = &self.network.control.economy().stakes;
        let is_open = |id: &&OfferId| {
            let known = stakes.offer(**id).filter(|offer| offer.worker == worker);
            known.is_some_and(|offer| offer.state == OfferState::Open)
        };
        self.offers.iter().filter(is_open).copied().collect()
    }

    /// Co-stakers take what is offered, and one in thirty leaves.
    fn co_stake(&mut self) {
        let machines = self.machines();
        let open: Vec<OfferId> =
            machines.iter().flat_map(|worker| self.open_offers(*worker)).collect();
        for staker in self.co_stakers.clone() {
            staker.month(&mut self.network, &mut self.bourse, &machines);
            for offer in &open {
                staker.accept(&mut self.network, &mut self.bourse, *offer);
            }
        }
        let stakes = &self.network.control.economy().stakes;
        self.offers.retain(|id| stakes.offer(*id).is_some_and(|offer| !offer.state.is_over()));
        let known = self.offers.iter().filter_map(|id| Some((*id, stakes.offer(*id)?)));
        let taken: Vec<(OfferId, AccountId)> = known
            .filter(|(_, offer)| offer.state.is_claimed())
            .filter_map(|(id, offer)| Some((id, offer.claim.as_ref()?.account)))
            .collect();
        if self.dice.chance(300)
            && let Some((offer, account)) = self.dice.pick(&taken).copied()
        {
            // One that leaves already is refused.
            let _ =
                self.network.tell(Actor::Account(account), Command::LeaveOffer { account, offer });
        }
    }

    /// Once in eight months somebody forges a proof; nobody appeals.
    fn justice(&mut self) {
        let machines = self.machines();
        if !self.dice.once_in(8) {
            return;
        }
        let Some(worker) = self.dice.pick(&machines).copied() else { return };
        let evidence = vec![Evidence {
            kind: EvidenceKind::ProofTranscript,
            blob: control::Digest::from_sha256([3; 32]),
            summary: "two machines answered one challenge with one card".to_owned(),
        }];
        let slash = SlashRecord {
            slash: SlashId::from_bits(self.network.id()),
            worker,
            offence: Offence::ForgedProof,
            offended_at: self.network.now,
            cards: 1,
            evidence,
        };
        let _ = self.network.tell(Actor::Operator, Command::Slash { slash });
    }
}

/// Suppliers of every class, each with costs of its own.
pub(super) fn open_suppliers(network: &mut Network, dice: &mut Dice) -> Vec<Supplier> {
    let mut suppliers = Vec::new();
    for class in Class::ALL {
        for index in 0..class.many().0 {
            let account = network.open_account(&format!("{}-{index}", class.text()));
            let country = ["DE", "FI", "FR", "NL"][index % 4].parse().expect("two letters");
            let cost = dice.between(600, 1_500);
            let (machines, leaving) = (Vec::new(), Vec::new());
            suppliers.push(Supplier {
                account,
                class,
                country,
                cost,
                machines,
                leaving,
                losing: 0,
            });
        }
    }
    suppliers
}
