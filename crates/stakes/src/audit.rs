//! Whether everything adds up: to be asked after reading a snapshot back, and whenever in doubt.
//!
//! It trusts nothing, so that it never panics, whatever it is given.

use std::collections::BTreeSet;

use units::{Coins, OfferId, SlashId, Timestamp, WorkerId};

use crate::chores::Chore;
use crate::device::Holding;
use crate::offer::{Offer, OfferState};
use crate::slash::{Home, Piece, Slash};
use crate::stakes::Stakes;

/// What does not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// A device's stake contradicts itself or its offers.
    #[error("the stake of {0} contradicts itself")]
    Device(WorkerId),
    /// An offer contradicts its device.
    #[error("the offer {0} contradicts its device")]
    Offer(OfferId),
    /// A slash contradicts its device.
    #[error("the slash {0} contradicts its device")]
    Slash(SlashId),
    /// What is due is not what offers and slashes say.
    #[error("the agenda is not what offers and slashes say")]
    Agenda,
    /// The parts are not the whole.
    #[error("{held} IO are held, and the parts make {parts} units")]
    Held {
        /// What is said to be held.
        held: Coins,
        /// What the parts make, in the smallest unit.
        parts: u128,
    },
    /// Totals that are kept are not what a walk over all devices finds.
    #[error("the totals of stakes are not what is staked on devices")]
    Totals,
    /// The safety module does not add up.
    #[error("the safety module does not add up")]
    Safety,
}

fn units(coins: Coins) -> u128 {
    u128::from(coins.units())
}

impl Stakes {
    /// Finds anything that does not add up.
    pub fn audit(&self) -> Result<(), Unsound> {
        let device =
            |(worker, holding): (&WorkerId, &Holding)| self.holding_is_sound(*worker, holding);
        if let Some((worker, _)) = self.devices.iter().find(|one| !device(*one)) {
            return Err(Unsound::Device(*worker));
        }
        let offer = |(id, offer): (&OfferId, &Offer)| self.offer_is_sound(*id, offer);
        if let Some((id, _)) = self.offers.iter().find(|one| !offer(*one)) {
            return Err(Unsound::Offer(*id));
        }
        let slash = |(id, slash): (&SlashId, &Slash)| self.slash_is_sound(*id, slash);
        if let Some((id, _)) = self.slashes.iter().find(|one| !slash(*one)) {
            return Err(Unsound::Slash(*id));
        }
        if self.agenda != self.due() {
            return Err(Unsound::Agenda);
        }
        let locking = self.slashes.values().filter(|slash| slash.stage.holds_coins());
        let locked: u128 = locking.map(Slash::units).sum();
        let parts = self.devices.values().map(Holding::units).sum::<u128>() + locked;
        if parts != units(self.held) {
            return Err(Unsound::Held { held: self.held, parts });
        }
        if !self.devices.sound() {
            return Err(Unsound::Totals);
        }
        if self.safety.sound() { Ok(()) } else { Err(Unsound::Safety) }
    }

    fn holding_is_sound(&self, worker: WorkerId, holding: &Holding) -> bool {
        let known = |id: &OfferId| self.offers.get(id).is_some_and(|offer| offer.worker == worker);
        let slashed =
            |id: &SlashId| self.slashes.get(id).is_some_and(|slash| slash.worker == worker);
        let open =
            |id: &&OfferId| self.offers.get(id).is_some_and(|of| of.state == OfferState::Open);
        let co_is_claimed = holding.co.as_ref().is_none_or(|co| {
            let offer = self.offers.get(&co.offer).filter(|_| holding.offers.contains(&co.offer));
            offer.is_some_and(|offer| {
                let account = offer.claim.map(|claim| claim.account);
                offer.state.is_claimed() && account == Some(co.account) && co.lots.sound()
            })
        });
        holding.own.sound()
            && co_is_claimed
            && holding.cooling.iter().all(|cooling| !cooling.amount.is_zero())
            && holding.offers.iter().all(known)
            && holding.slashes.iter().all(slashed)
            && holding.offers.iter().filter(open).count() <= 1
    }

    fn offer_is_sound(&self, id: OfferId, offer: &Offer) -> bool {
        let Some(holding) = self.devices.get(&offer.worker) else { return false };
        let stakes = holding.co.as_ref().is_some_and(|co| co.offer == id);
        holding.offers.iter().filter(|known| **known == id).count() == 1
            && offer.state.is_claimed() == stakes
            && offer.claim.is_none_or(|claim| claim.account != offer.owner)
            && (offer.state != OfferState::Open || offer.owner == holding.owner)
    }

    fn slash_is_sound(&self, id: SlashId, slash: &Slash) -> bool {
        let Some(holding) = self.devices.get(&slash.worker) else { return false };
        let at_home = |piece: &Piece| match &piece.home {
            Home::Own { lots } => {
                piece.account == holding.owner && lots.units() == units(piece.amount)
            }
            Home::CoStake { offer, lots } => {
                holding
                    .co
                    .as_ref()
                    .is_some_and(|co| co.offer == *offer && co.account == piece.account)
                    && lots.units() == units(piece.amount)
            }
            Home::Cooling { .. } | Home::Rewards => true,
        };
        holding.slashes.iter().filter(|known| **known == id).count() == 1
            && (!slash.stage.holds_coins() || slash.pieces.iter().all(at_home))
    }

    /// What is due by what offers and slashes say.
    fn due(&self) -> BTreeSet<(Timestamp, Chore)> {
        let waits = self.offers.iter().filter_map(|(id, offer)| {
            offer.state.due_at().map(|until| (until, Chore::WaitOver(*id)))
        });
        let slashes = self.slashes.iter().filter_map(|(id, slash)| {
            slash.stage.due_at().map(|until| (until, Chore::SlashDue(*id)))
        });
        waits.chain(slashes).collect()
    }
}

impl Holding {
    fn units(&self) -> u128 {
        let co = self.co.as_ref().map_or(0, |co| co.lots.units());
        let cooling = self.cooling.iter().map(|cooling| units(cooling.amount)).sum::<u128>();
        self.own.units() + co + cooling
    }
}

impl Slash {
    fn units(&self) -> u128 {
        self.pieces.iter().map(|piece| units(piece.amount)).sum()
    }
}
