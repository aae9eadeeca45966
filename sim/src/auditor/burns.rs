//! What the auditor believes of revenue that becomes burned coins.

use control::{Body, Command, Control};
use ledger::Holder;
use units::Asset;

use super::Belief;
use crate::broken::{Broken, Invariant, must};

/// The whole, in ten-thousandths.
const WHOLE_BP: u128 = 10_000;
/// Smallest units in one coin.
const COIN: u128 = 100_000_000;

/// What was set aside, spent and burned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Burns {
    /// In millionths of a dollar.
    set_aside: u64,
    /// Ten-thousandths of a millionth besides.
    remainder: u128,
    spent: u64,
    bought: u64,
    directly: u64,
}

impl Belief {
    /// What the clock made of revenue; whether any money moved. Comes last: an entry may bring revenue and use it.
    pub(super) fn see_burns(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        let burning = &control.economy().burning;
        let mut moved = false;
        let share_bp = u128::from(control.parameters().burn.share_of_revenue_bp);
        let left = [(Asset::Usd, burning.revenue.usd), (Asset::Usdc, burning.revenue.usdc)];
        for (asset, left) in left {
            let share = u128::from(self.money.use_revenue(asset, left)) * share_bp;
            let exact = share + self.burns.remainder;
            let units = u64::try_from(exact / WHOLE_BP).unwrap_or(u64::MAX);
            self.burns.remainder = exact % WHOLE_BP;
            self.burns.set_aside += units;
            self.money.flow(asset, Holder::Fees, Holder::Exchange, units)?;
            moved |= units > 0;
        }
        let of_coins = self.money.use_revenue(Asset::Io, burning.revenue.io);
        let direct = u64::try_from(u128::from(of_coins) * share_bp / WHOLE_BP).unwrap_or(u64::MAX);
        self.burns.directly += direct;
        self.money.flow(Asset::Io, Holder::Fees, Holder::Burned, direct)?;
        let bought = burning.burns.burned.units() - self.burns.bought;
        let spent = burning.burns.spent.units() - self.burns.spent;
        if bought > 0 {
            let rate = u128::from(self.fresh_rate(control)?);
            let most = u128::from(spent) * COIN / rate;
            let fair = u128::from(bought) <= most && spent <= self.burns.set_aside;
            must(fair, Invariant::Burns, || format!("{bought} were bought for {spent} at {rate}"))?;
        }
        self.money.flow(Asset::Io, Holder::Exchange, Holder::Burned, bought)?;
        self.burns.set_aside -= spent;
        (self.burns.bought, self.burns.spent) =
            (self.burns.bought + bought, self.burns.spent + spent);
        moved |= direct > 0 || bought > 0;
        let wakes = matches!(body.command, Command::Wake {});
        let agrees = burning.burns.set_aside.units() == self.burns.set_aside
            && burning.directly.units() == self.burns.directly;
        must(agrees && (wakes || !moved), Invariant::Burns, || {
            format!("{:?} should be {:?} by {:?}", burning.burns, self.burns, body.command)
        })?;
        Ok(moved)
    }
}
