//! How many coins there are, and how many of them anybody could spend.

use serde::{Deserialize, Serialize};
use units::Coins;

/// What the supply is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The most coins there can ever be.
    pub cap: Coins,
    /// Coins that existed before the first block.
    pub genesis: Coins,
    /// Coins that blocks have emitted.
    pub emitted: Coins,
    /// Coins taken out for good.
    pub burned: Coins,
    /// Coins set aside in grants and not released yet.
    pub unvested: Coins,
    /// Coins of the treasury.
    pub treasury: Coins,
    /// Coins staked on machines or in the safety module, those that cool down included.
    pub staked: Coins,
}

/// The supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Supply {
    /// The most coins there can ever be.
    pub cap: Coins,
    /// Coins that exist: genesis and what was emitted, less what was burned.
    pub total: Coins,
    /// Coins in anybody's hands: the total less what is not released yet and what the treasury has.
    pub circulating: Coins,
    /// Coins taken out for good.
    pub burned: Coins,
    /// Coins that nobody can move at present: those not released yet and those staked.
    pub locked: Coins,
    /// Circulating coins that are not staked.
    pub liquid: Coins,
}

/// Why parts make no supply: a book that was misread. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASupply {
    /// More exists than may.
    #[error("genesis and what was emitted are more than the cap of {cap} coins")]
    OverCap {
        /// The cap.
        cap: Coins,
    },
    /// More is burned than ever was.
    #[error("{burned} coins are burned, more than there ever were")]
    Burned {
        /// What is burned.
        burned: Coins,
    },
    /// More is set aside, kept and staked than exists.
    #[error("more coins are set aside, kept and staked than the {total} that exist")]
    OverTotal {
        /// What exists.
        total: Coins,
    },
}

impl Supply {
    /// The supply that the parts make.
    pub fn of(parts: &Parts) -> Result<Self, NotASupply> {
        let Parts { cap, burned, unvested, treasury, staked, .. } = *parts;
        let made = parts.genesis.checked_add(parts.emitted).filter(|made| *made <= cap);
        let made = made.ok_or(NotASupply::OverCap { cap })?;
        let total = made.checked_sub(burned).ok_or(NotASupply::Burned { burned })?;
        let circulating = total.checked_sub(unvested).and_then(|left| left.checked_sub(treasury));
        let circulating = circulating.ok_or(NotASupply::OverTotal { total })?;
        let liquid = circulating.checked_sub(staked).ok_or(NotASupply::OverTotal { total })?;
        let locked = unvested.checked_add(staked).expect("parts of the total");
        Ok(Self { cap, total, circulating, burned, locked, liquid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supply_is_what_its_parts_leave() {
        let coins = |millions: u64| Coins::from_units(millions * 100_000_000_000_000);
        let parts = Parts {
            cap: coins(800),
            genesis: coins(500),
            emitted: coins(30),
            burned: coins(2),
            unvested: coins(300),
            treasury: coins(100),
            staked: coins(20),
        };
        let supply = Supply::of(&parts).unwrap();
        assert_eq!(supply.total, coins(528));
        assert_eq!(supply.circulating, coins(128));
        assert_eq!(supply.locked, coins(320));
        assert_eq!(supply.liquid, coins(108));
        let cap = coins(800);
        let wrong = Parts { emitted: coins(301), ..parts };
        assert_eq!(Supply::of(&wrong), Err(NotASupply::OverCap { cap }));
        let wrong = Parts { burned: coins(531), ..parts };
        assert_eq!(Supply::of(&wrong), Err(NotASupply::Burned { burned: coins(531) }));
        let wrong = Parts { staked: coins(129), ..parts };
        assert_eq!(Supply::of(&wrong), Err(NotASupply::OverTotal { total: coins(528) }));
    }
}
