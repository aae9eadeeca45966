//! Holders: five classes of genesis that claim, keep, sell and stake in the safety module; and co-stakers.

use control::{Actor, Command, GrantRecord};
use units::{AccountId, Coins, GrantId, OfferId, WorkerId};

use super::bourse::Bourse;
use super::network::Network;

/// The classes of genesis, and what each sells of what it claims at once, in ten-thousandths.
const CLASSES: [(&str, u16); 5] = [
    ("community", 6_000),
    ("ecosystem", 3_000),
    ("seed", 5_500),
    ("series-a", 5_500),
    ("core", 3_500),
];
/// What they sell each month of what they have kept, in ten-thousandths.
const DRIP_BP: u16 = 100;
/// The class of which the treasury keeps half: out of that it adds to what the safety module earns.
const KEPT: &str = "ecosystem";
/// Below this yearly yield of the safety module, in ten-thousandths, holders leave it; above the other they come. Three
/// percent look like a little less: the last of the seven days that are looked at lacks the hour that is not closed.
const YIELD_BP: (u128, u128) = (297, 500);
/// What they move in a month, in ten-thousandths of what they have.
const MOVED_BP: u16 = 600;

/// One class of genesis, as one holder.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    account: AccountId,
    grant: GrantId,
    sells_bp: u16,
}

/// Genesis is granted, class by class.
pub(super) fn grant_all(network: &mut Network) -> Vec<Holder> {
    let rules = network.control.parameters().genesis.clone();
    let grant = |(class, sells_bp): (&str, u16)| {
        let classes = rules.classes();
        let known = classes.iter().find(|(name, _)| *name == class);
        let coins = known.expect("a class of genesis").1.amount;
        let coins = if class == KEPT { coins.share_floor(5_000) } else { coins };
        let account = network.open_account(class);
        let grant = GrantId::from_bits(network.id());
        let record = GrantRecord { grant, account, class: class.to_owned(), coins };
        network.must(Actor::Operator, Command::OpenGrant { grant: record });
        Holder { account, grant, sells_bp }
    };
    CLASSES.into_iter().map(grant).collect()
}

impl Holder {
    /// What of its grant is released, in units.
    pub(super) fn released(&self, network: &Network) -> u128 {
        let grant = network.control.economy().grants.get(&self.grant);
        grant.map_or(0, |grant| u128::from(grant.released(network.now).units()))
    }

    /// What a holder does in a month. `yield_bp` is what the safety module brings in a year.
    pub(super) fn month(&self, network: &mut Network, bourse: &mut Bourse, yield_bp: u128) {
        let (account, by) = (self.account, Actor::Account(self.account));
        let before = network.coins(account);
        // Nothing is released every month: a refusal is no news.
        let _ = network.tell(by, Command::ClaimGrant { grant: self.grant });
        let claimed = network.coins(account).checked_sub(before).unwrap_or(Coins::ZERO);
        let _ = network.tell(by, Command::SafetyWithdraw { account });
        let _ = network.tell(by, Command::SafetyClaim { account });
        let kept = network.coins(account).checked_sub(claimed).unwrap_or(Coins::ZERO);
        let sold = claimed.share_floor(self.sells_bp).checked_add(kept.share_floor(DRIP_BP));
        let sold = sold.expect("parts of what it has");
        bourse.sold += u128::from(sold.units());
        network.sell(account, sold);
        self.seek_yield(network, yield_bp);
    }

    fn seek_yield(&self, network: &mut Network, yield_bp: u128) {
        let (account, by) = (self.account, Actor::Account(self.account));
        if yield_bp > YIELD_BP.1 {
            let coins = network.coins(account).share_floor(MOVED_BP);
            if !coins.is_zero() {
                network.must(by, Command::SafetyStake { account, coins });
            }
        } else if yield_bp < YIELD_BP.0 {
            let view = network.control.economy().stakes.safety.view(account);
            let coins = view.map_or(Coins::ZERO, |view| view.staked.share_floor(MOVED_BP));
            if !coins.is_zero() {
                // Refused while too much cools down already.
                let _ = network.tell(by, Command::SafetyUnstake { account, coins });
            }
        }
    }
}

/// Somebody who shares in machines of others.
#[derive(Clone, Debug)]
pub(super) struct CoStaker {
    pub(super) account: AccountId,
}

impl CoStaker {
    /// Takes an offer, with coins bought outside. Two at a time is all the rules allow.
    pub(super) fn accept(
        &self,
        network: &mut Network,
        bourse: &mut Bourse,
        offer: OfferId,
    ) -> bool {
        let stakes = &network.control.economy().stakes;
        let Some(amount) = stakes.offer(offer).map(|known| known.amount) else { return false };
        if stakes.claimed_offers(self.account) >= 2 {
            return false;
        }
        let missing = amount.checked_sub(network.coins(self.account)).unwrap_or(Coins::ZERO);
        if !missing.is_zero() && !network.buy(self.account, missing) {
            return false;
        }
        bourse.bought += u128::from(missing.units());
        let account = self.account;
        network.tell(Actor::Account(account), Command::AcceptOffer { account, offer }).is_ok()
    }

    /// Claims, takes out what has cooled down, and sells all of it.
    pub(super) fn month(&self, network: &mut Network, bourse: &mut Bourse, machines: &[WorkerId]) {
        let (account, by) = (self.account, Actor::Account(self.account));
        let wanted = rewards::accruals::Wanted::All;
        let _ = network.tell(by, Command::ClaimRewards { account, wanted });
        for worker in machines {
            let command = Command::WithdrawStake { account, worker: *worker };
            let _ = network.tell(by, command);
        }
        let sold = network.coins(account);
        bourse.sold += u128::from(sold.units());
        network.sell(account, sold);
    }
}
