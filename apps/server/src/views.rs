//! From the brain's nouns to what clients see.

mod blocks;
mod coin;
mod grants;
mod money;
mod nouns;
mod parameters;
mod seasons;
mod slashing;
mod staking;
mod votes;

use control::{Control, Subject};
use serde::Serialize;
use units::WorkerId;

pub(crate) use blocks::{
    BLOCK_ROWS, BlockRow, REWARD_ROWS, RewardRow, block_row, block_rows, block_worker,
    blocks_summary, closed_block, open_blocks, ready, reward_id, reward_row, unclaimed,
};
pub(crate) use coin::{coin_rate, conversion, purse, purse_of, rate, supply};
pub(crate) use grants::grant;
pub(crate) use money::{NETWORK, book, transfer_rows};
pub(crate) use nouns::{
    account, extension_price, invite, key, machine_record, offer, order_record, project, role_of,
    scope_of, worker,
};
pub(crate) use parameters::{
    VERSION_ROWS, newest_version, parameters, prices, registry_answer, version_id, version_row,
    whole_version,
};
pub(crate) use seasons::{rank, season};
pub(crate) use slashing::{of_word, offences, slash};
pub(crate) use staking::{
    MarketFilter, co_stake, device_stake, marketplace, safety, safety_metrics, side,
    staked_devices, staker, staking_metrics,
};
pub(crate) use votes::{ballot, brakes, power, proposal};

use crate::journal::{Event, Row};

/// What is told of a change: what kind of thing it is, its id, and how it is now.
#[derive(Serialize)]
struct Told<T> {
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<T>,
}

/// What a change is to clients: a row for the nouns whose history is read from tables, and an event at this place.
/// One view serves both. Keys, invitations and accounts are nobody's news;
/// versions of the parameters and the coin are looked up.
pub(crate) fn change(
    state: &Control,
    subject: Subject,
    (seq, part): (u64, u32),
) -> Option<(Option<Row>, Event)> {
    let event = |owner, body| Event { seq, part, owner, body };
    match subject {
        Subject::Rental(id) => {
            let rental = state.rental(id)?;
            let (owner, view) = (rental.project.to_string(), nouns::rental(state, rental));
            let row = row("rental", &id, owner.clone(), &view);
            Some((Some(row), event(owner, told("rental", &id, Some(view)))))
        }
        Subject::Job(id) => {
            let job = state.job(id)?;
            let owner = state.rental(job.rental)?.project.to_string();
            let view = nouns::job(job);
            let row = row("job", &id, job.rental.to_string(), &view);
            Some((Some(row), event(owner, told("job", &id, Some(view)))))
        }
        Subject::Project(id) => {
            let view = state.project(id).map(|it| nouns::project(state, id, it));
            Some((None, event(id.to_string(), told("project", &id, view))))
        }
        Subject::Worker(id) => {
            let (owner, body) = worker_event(state, id);
            Some((None, event(owner, body)))
        }
        Subject::Grant(id) => {
            let view = grants::grant(id, state.economy().grants.get(&id)?, state.head().at);
            Some((None, event(view.account.to_string(), told("grant", &id, Some(view)))))
        }
        Subject::Offer(id) => {
            let offer = state.economy().stakes.offer(id)?;
            let side = wire::OfferSide::Owner;
            let view = staking::co_stake(state, (id, offer), side, state.head().at);
            Some((None, event(offer.owner.to_string(), told("offer", &id, Some(view)))))
        }
        Subject::Proposal(id) => {
            let view = votes::proposal(id, state.economy().votes.proposal(id)?);
            Some((None, event(view.proposer.to_string(), told("proposal", &id, Some(view)))))
        }
        Subject::Slash(id) => {
            let slash = state.economy().stakes.slash(id)?;
            let view = slashing::slash(id, slash, Some(slash.owner));
            Some((None, event(slash.owner.to_string(), told("slash", &id, Some(view)))))
        }
        Subject::Account(_)
        | Subject::Brake
        | Subject::Coin
        | Subject::Invite(_)
        | Subject::Key(_)
        | Subject::Parameters(_)
        | Subject::Season(_) => None,
    }
}

/// The row of what may be another thing by the end of a batch: it is written as the entry left it.
pub(crate) fn row_at_once(state: &Control, subject: Subject) -> Option<Row> {
    match subject {
        Subject::Parameters(number) => version_row(state, number),
        Subject::Account(_)
        | Subject::Brake
        | Subject::Coin
        | Subject::Grant(_)
        | Subject::Invite(_)
        | Subject::Job(_)
        | Subject::Key(_)
        | Subject::Offer(_)
        | Subject::Project(_)
        | Subject::Proposal(_)
        | Subject::Rental(_)
        | Subject::Season(_)
        | Subject::Slash(_)
        | Subject::Worker(_) => None,
    }
}

fn row(kind: &'static str, id: &impl ToString, owner: String, view: &impl Serialize) -> Row {
    Row { kind, id: id.to_string(), owner, body: Some(json(view)) }
}

fn worker_event(state: &Control, id: WorkerId) -> (String, Vec<u8>) {
    let owner = state.worker(id).map_or_else(String::new, |worker| worker.owner.to_string());
    (owner, told("worker", &id, state.worker(id).map(|worker| nouns::worker(state, id, worker))))
}

fn told<T: Serialize>(kind: &'static str, id: &impl ToString, view: Option<T>) -> Vec<u8> {
    json(&Told { kind, id: id.to_string(), view })
}

pub(crate) fn json<T: Serialize>(view: &T) -> Vec<u8> {
    serde_json::to_vec(view).expect("views are plain data")
}
