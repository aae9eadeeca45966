//! From the brain's nouns to what clients see.

mod attestation;
mod blocks;
mod canaries;
mod change;
mod choices;
mod coin;
mod facets;
mod grants;
mod history;
mod locks;
mod money;
mod nouns;
mod onboarding;
mod parameters;
mod proofs;
mod queue;
mod seasons;
mod slashing;
mod staking;
mod votes;

use serde::Serialize;

pub(crate) use attestation::attestation;
pub(crate) use blocks::{
    BLOCK_ROWS, BlockRow, REWARD_ROWS, RewardRow, block_row, block_rows, block_worker,
    blocks_summary, closed_block, open_blocks, ready, reward_id, reward_row, suspect, unclaimed,
};
pub(crate) use canaries::{canary, fingerprint};
pub(crate) use change::{Change, OPERATOR, TOLD_BY_SIDE, change, without_view};
pub(crate) use choices::{alternative, no_offer};
pub(crate) use coin::{coin_rate, conversion, purse, purse_of, rate, supply};
pub(crate) use facets::facets;
pub(crate) use grants::grant;
pub(crate) use history::{
    OFFER_ROWS, OFFER_SIDE_ROWS, PROPOSAL_ROWS, SLASH_ROWS, SLASH_SIDE_ROWS, missing_rows,
    rows_at_once, side_id,
};
pub(crate) use locks::{
    LOCK_HOUR_ROWS, LOCK_RECORD_ROWS, LOCK_RENTAL_ROWS, LOCK_ROWS, LockRow, disturbed_record,
    lock_events, lock_hour, lock_row, lock_rows, lock_view,
};
pub(crate) use money::{NETWORK, book, transfer_rows};
pub(crate) use nouns::{
    account, extension_price, invite, key, offer, order_record, project, role_of, scope_of, worker,
};
pub(crate) use onboarding::{machine_record, onboarding};
pub(crate) use parameters::{
    VERSION_ROWS, newest_version, parameters, prices, registry_answer, version_id, version_row,
    whole_version,
};
pub(crate) use proofs::{
    PROOF_NODE_ROWS, PROOF_OUTCOME_ROWS, PROOF_RENTAL_ROWS, PROOF_ROWS, PROOF_SESSION_ROWS,
    ProofRow, node_hash, node_id, outcome_owner, outcomes, proof, proof_id, proof_index, proof_row,
    proof_rows,
};
pub(crate) use queue::{places, queued_now};
pub(crate) use seasons::{rank, season};
pub(crate) use slashing::{of_word, offences, word};
pub(crate) use staking::{
    Counted, MarketFilter, co_stake, device_stake, marketplace, safety, safety_metrics, side,
    staked_devices, staker, staking_metrics,
};
pub(crate) use votes::{ballot, brakes, power, proposal};

/// A view as JSON.
pub(crate) fn json<T: Serialize>(view: &T) -> Vec<u8> {
    serde_json::to_vec(view).expect("views are plain data")
}
