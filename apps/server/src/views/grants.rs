//! Coins of genesis set aside for somebody.

use control::Grant;
use units::{GrantId, Timestamp};
use wire::{GrantView, Time};

/// A grant as it stands now.
pub(crate) fn grant(id: GrantId, grant: &Grant, now: Timestamp) -> GrantView {
    let released = grant.released(now);
    let next = grant.schedule.next(grant.from, now);
    let next_coins = next.and_then(|next| grant.released(next).checked_sub(released));
    GrantView {
        id,
        account: grant.account,
        class: grant.class.clone(),
        coins: grant.coins,
        from: Time(grant.from),
        released,
        claimed: grant.claimed,
        claimable: grant.claimable(now),
        next_at: next.map(Time),
        next_coins,
    }
}
