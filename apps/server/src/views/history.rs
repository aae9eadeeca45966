//! Offers to co-stake, slashes and proposals in the read tables: all there ever were, also when the brain has forgotten
//! them.
//!
//! What several people may see is a row for each of them, with what each of them sees, so that a list of one's own
//! things is read by its owner alone.

use std::collections::BTreeSet;

use control::{Control, Subject};
use stakes::Offer;
use units::{AccountId, OfferId, ProposalId, SlashId};
use wire::OfferSide;

use super::{NETWORK, json, slashing, staking, votes};
use crate::journal::{JournalError, Reader, Row};

/// Offers as their owners see them, by offer. They belong to where they stand: [`LIVE`], or how they ended.
pub(crate) const OFFER_ROWS: &str = "co-stake-offer";
/// What each side sees of an offer, by offer and account; each row belongs to its account.
pub(crate) const OFFER_SIDE_ROWS: &str = "co-stake-side";
/// Proposals, by id.
pub(crate) const PROPOSAL_ROWS: &str = "proposal";
/// Slashes as the operator sees them, by id.
pub(crate) const SLASH_ROWS: &str = "slash";
/// What each account that a slash takes from sees of it, by slash and account; each row belongs to its account.
pub(crate) const SLASH_SIDE_ROWS: &str = "slash-side";

/// Where offers stand that are not over.
const LIVE: &str = "live";

/// What one side's row is kept under: one's own are in the order of what they are about.
pub(crate) fn side_id(about: &impl ToString, account: AccountId) -> String {
    format!("{}/{account}", about.to_string())
}

/// The rows of an offer as it is now.
fn offer_rows(state: &Control, id: OfferId) -> Vec<Row> {
    let Some(offer) = state.economy().stakes.offer(id) else { return Vec::new() };
    let whole = staking::co_stake(state, (id, offer), OfferSide::Owner, state.head().at);
    let stands = if offer.state.is_over() { offer.state.text() } else { LIVE };
    let sides = sides(offer).into_iter().map(|(account, side)| {
        let view = wire::CoStakeView { side, ..whole.clone() };
        row(OFFER_SIDE_ROWS, side_id(&id, account), account.to_string(), json(&view))
    });
    let own = row(OFFER_ROWS, id.to_string(), stands.to_owned(), json(&whole));
    sides.chain([own]).collect()
}

/// Who has to do with an offer, and on which side.
pub(super) fn sides(offer: &Offer) -> Vec<(AccountId, OfferSide)> {
    let taker = offer.claim.map(|claim| (claim.account, OfferSide::CoStaker));
    [(offer.owner, OfferSide::Owner)].into_iter().chain(taker).collect()
}

/// The rows of a slash as it is now.
fn slash_rows(state: &Control, id: SlashId) -> Vec<Row> {
    let Some(slash) = state.economy().stakes.slash(id) else { return Vec::new() };
    let sides = touched(slash).into_iter().map(|account| {
        let view = slashing::slash(id, slash, Some(account));
        row(SLASH_SIDE_ROWS, side_id(&id, account), account.to_string(), json(&view))
    });
    let whole = json(&slashing::slash(id, slash, None));
    let own = row(SLASH_ROWS, id.to_string(), NETWORK.to_owned(), whole);
    sides.chain([own]).collect()
}

/// Whom a slash takes from, its owner among them.
pub(super) fn touched(slash: &stakes::Slash) -> BTreeSet<AccountId> {
    slash.pieces.iter().map(|piece| piece.account).chain([slash.owner]).collect()
}

fn proposal_rows(state: &Control, id: ProposalId) -> Vec<Row> {
    let Some(proposal) = state.economy().votes.proposal(id) else { return Vec::new() };
    let view = votes::proposal(id, proposal);
    vec![row(PROPOSAL_ROWS, id.to_string(), NETWORK.to_owned(), json(&view))]
}

fn row(kind: &'static str, id: String, owner: String, body: Vec<u8>) -> Row {
    Row { kind, id, owner, body: Some(body) }
}

/// The rows of what may be another thing, or forgotten, by the end of a batch: written as the entry left it.
pub(crate) fn rows_at_once(state: &Control, subject: Subject) -> Vec<Row> {
    match subject {
        Subject::Offer(id) => offer_rows(state, id),
        Subject::Parameters(number) => super::version_row(state, number).into_iter().collect(),
        Subject::Proposal(id) | Subject::ProposalStage(id) => proposal_rows(state, id),
        Subject::Slash(id) => slash_rows(state, id),
        Subject::Account(_)
        | Subject::Brake
        | Subject::Coin
        | Subject::Grant(_)
        | Subject::Invite(_)
        | Subject::Job(_)
        | Subject::Key(_)
        | Subject::OperatorNetwork
        | Subject::Order(_)
        | Subject::Project(_)
        | Subject::Rate
        | Subject::Rental(_)
        | Subject::Season(_)
        | Subject::Worker(_) => Vec::new(),
    }
}

/// The rows of everything that the brain remembers and that a program before this one kept no rows of. Where the newest
/// of a kind has its row, all have theirs.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn missing_rows(
    state: &Control,
    reader: &mut dyn Reader,
) -> Result<Vec<Row>, JournalError> {
    let economy = state.economy();
    let offers: Vec<OfferId> = economy.stakes.offers().map(|(id, _)| id).collect();
    let slashes: Vec<SlashId> = economy.stakes.slashes().map(|(id, _)| id).collect();
    let proposals: Vec<ProposalId> = economy.votes.proposals().map(|(id, _)| id).collect();
    let mut lacks = |kind, newest: Option<String>| {
        newest.map_or(Ok(false), |id| reader.row(kind, &id).map(|row| row.is_none()))
    };
    let mut rows = Vec::new();
    if lacks(OFFER_ROWS, offers.last().map(ToString::to_string))? {
        rows.extend(offers.into_iter().flat_map(|id| offer_rows(state, id)));
    }
    if lacks(SLASH_ROWS, slashes.last().map(ToString::to_string))? {
        rows.extend(slashes.into_iter().flat_map(|id| slash_rows(state, id)));
    }
    if lacks(PROPOSAL_ROWS, proposals.last().map(ToString::to_string))? {
        rows.extend(proposals.into_iter().flat_map(|id| proposal_rows(state, id)));
    }
    Ok(rows)
}
