//! What is told of a change, and to whom.
//!
//! # Invariants
//! - Everyone hears what they could look up, and nothing else: each event is a view made for the one it is told to.
//! - What is open to everyone is told once, to the network.

use control::{Control, Subject};
use serde::{Deserialize, Serialize};
use units::{GrantId, JobId, OfferId, OrderId, ProposalId, RentalId, SlashId, WorkerId};

use super::{
    NETWORK, coin, grants, history, json, nouns, parameters, queue, slashing, staking, votes,
};
use crate::journal::Row;

/// To whom what only the operator sees whole is told.
pub(crate) const OPERATOR: &str = "operator";

/// Kinds of events of which each side is told its own. The operator is told of these once, and whole.
pub(crate) const TOLD_BY_SIDE: [&str; 2] = ["offer", "slash"];

/// What a change is to clients: a row for the nouns whose history is read from tables, and what is told to whom.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) row: Option<Row>,
    /// The one who is told, and JSON.
    pub(crate) events: Vec<(String, Vec<u8>)>,
}

/// What kind of thing it is, its id, and how it is now.
#[derive(Serialize)]
struct Told<T> {
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<T>,
}

fn told<T: Serialize>(kind: &'static str, id: &impl ToString, view: Option<T>) -> Vec<u8> {
    json(&Told { kind, id: id.to_string(), view })
}

/// An event that only says what changed, of one that says how it is now.
pub(crate) fn without_view(event: &[u8]) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Named {
        kind: String,
        id: String,
    }
    let Named { kind, id } = serde_json::from_slice(event).expect("events are made here");
    json(&serde_json::json!({ "kind": kind, "id": id, "look_up": true }))
}

impl Change {
    fn to(owner: &str, event: Vec<u8>) -> Self {
        Self { row: None, events: vec![(owner.to_string(), event)] }
    }

    fn with(self, row: Row) -> Self {
        Self { row: Some(row), ..self }
    }
}

/// What changed, as it is now. Keys, invitations and accounts are nobody's news; supply and seasons are looked up.
pub(crate) fn change(state: &Control, subject: Subject) -> Change {
    let changed = match subject {
        Subject::Brake => brake(state),
        Subject::Grant(id) => grant(state, id),
        Subject::Job(id) => job(state, id),
        Subject::Offer(id) => offer(state, id),
        Subject::Order(id) => order(state, id),
        Subject::Parameters(number) => version(state, number),
        Subject::Project(id) => {
            let view = state.project(id).map(|it| nouns::project(state, id, it));
            Some(Change::to(&id.to_string(), told("project", &id, view)))
        }
        Subject::Proposal(id) => proposal(state, id, false),
        Subject::ProposalStage(id) => proposal(state, id, true),
        Subject::Rate => {
            let view = coin::rate(state, state.head().at);
            Some(Change::to(NETWORK, told("rate", &units::Asset::Io, Some(view))))
        }
        Subject::Rental(id) => rental(state, id),
        Subject::Slash(id) => slash(state, id),
        Subject::Worker(id) => Some(worker(state, id)),
        Subject::Account(_)
        | Subject::Coin
        | Subject::Invite(_)
        | Subject::Key(_)
        | Subject::OperatorNetwork
        | Subject::Season(_) => None,
    };
    changed.unwrap_or_default()
}

fn row(kind: &'static str, id: &impl ToString, owner: String, view: &impl Serialize) -> Row {
    Row { kind, id: id.to_string(), owner, body: Some(json(view)) }
}

fn rental(state: &Control, id: RentalId) -> Option<Change> {
    let rental = state.rental(id)?;
    let (owner, view) = (rental.project.to_string(), nouns::rental(state, rental));
    let row = row("rental", &id, owner.clone(), &view);
    Some(Change::to(&owner, told("rental", &id, Some(view))).with(row))
}

fn order(state: &Control, id: OrderId) -> Option<Change> {
    let order = state.queued(id)?;
    let (owner, view) = (order.project.to_string(), queue::queued(order));
    let row = row("order", &id, owner.clone(), &view);
    Some(Change::to(&owner, told("order", &id, Some(view))).with(row))
}

fn job(state: &Control, id: JobId) -> Option<Change> {
    let job = state.job(id)?;
    let owner = state.rental(job.rental)?.project;
    let view = nouns::job(job);
    let row = row("job", &id, job.rental.to_string(), &view);
    Some(Change::to(&owner.to_string(), told("job", &id, Some(view))).with(row))
}

fn worker(state: &Control, id: WorkerId) -> Change {
    let known = state.worker(id);
    let owner = known.map_or_else(String::new, |worker| worker.owner.to_string());
    let view = known.map(|worker| nouns::worker(state, id, worker));
    Change::to(&owner, told("worker", &id, view))
}

fn grant(state: &Control, id: GrantId) -> Option<Change> {
    let view = grants::grant(id, state.economy().grants.get(&id)?, state.head().at);
    Some(Change::to(&view.account.to_string(), told("grant", &id, Some(view))))
}

/// The owner and whoever took it, each from their side.
fn offer(state: &Control, id: OfferId) -> Option<Change> {
    let offer = state.economy().stakes.offer(id)?;
    let whole = staking::co_stake(state, (id, offer), wire::OfferSide::Owner, state.head().at);
    let event = |side| told("offer", &id, Some(wire::CoStakeView { side, ..whole.clone() }));
    let sides = history::sides(offer).into_iter();
    let sides = sides.map(|(account, side)| (account.to_string(), event(side)));
    let operator = (OPERATOR.to_owned(), event(wire::OfferSide::Owner));
    Some(Change { row: None, events: [operator].into_iter().chain(sides).collect() })
}

/// The operator, who accuses, and everyone whose coins it takes.
fn slash(state: &Control, id: SlashId) -> Option<Change> {
    let slash = state.economy().stakes.slash(id)?;
    let event = |viewer| told("slash", &id, Some(slashing::slash(id, slash, viewer)));
    let sides = history::touched(slash).into_iter();
    let sides = sides.map(|account| (account.to_string(), event(Some(account))));
    let operator = (OPERATOR.to_owned(), event(None));
    Some(Change { row: None, events: [operator].into_iter().chain(sides).collect() })
}

/// A stage is everyone's news; each ballot and objection on the way is the proposer's.
fn proposal(state: &Control, id: ProposalId, is_stage: bool) -> Option<Change> {
    let view = votes::proposal(id, state.economy().votes.proposal(id)?);
    let to = if is_stage { NETWORK.to_owned() } else { view.proposer.to_string() };
    Some(Change::to(&to, told("proposal", &id, Some(view))))
}

/// One that is no more, though it was not in effect yet, was taken back.
fn version(state: &Control, number: u32) -> Option<Change> {
    let view = parameters::version(state, number);
    let is_past = number < state.version().number;
    (!is_past).then(|| Change::to(NETWORK, told("parameters", &number, view)))
}

/// The brake that is on, or was lifted last. It is named by when it was pulled.
fn brake(state: &Control) -> Option<Change> {
    let view = votes::newest_brake(state, state.head().at)?;
    let id = slashing::word(&view.from);
    Some(Change::to(NETWORK, told("brake", &id, Some(view))))
}
