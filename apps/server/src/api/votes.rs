//! What holders of stakes decide: proposals, ballots, delegates, and the brake.
//!
//! A vote is one's own: nobody casts it for another, the operator neither.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use control::{BrakeRecord, Command, Control, ProposalRecord, Refusal, Reply};
use serde_json::Value;
use stakes::votes::{Choice, Kind, Switch};
use units::{AccountId, ProposalId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{
    BallotRequest, BallotView, BrakeRequest, BrakesView, DelegateRequest, Page, PowerView, Problem,
    ProposalRequest, ProposalView,
};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told};
use super::history::{Whose, page, row};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::views::{self, PROPOSAL_ROWS};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(propose, proposals))
        .routes(routes!(proposal, cancel))
        .routes(routes!(vote, ballot))
        .routes(routes!(veto))
        .routes(routes!(delegate))
        .routes(routes!(power))
        .routes(routes!(pull, brakes, lift))
        .routes(routes!(veto_brake))
}

async fn seen(app: &Shared, id: ProposalId) -> Result<ProposalView, Refused> {
    let found = match app.writer.look(move |state| live(state, id)).await? {
        Some(live) => Some(live),
        None => row(app, PROPOSAL_ROWS, id.to_string()).await?,
    };
    found.ok_or_else(|| Refused::not_found("proposal"))
}

/// A proposal as it stands at this moment, while it is remembered: time moves it, too.
fn live(state: &Control, id: ProposalId) -> Option<ProposalView> {
    state.economy().votes.proposal(id).map(|proposal| views::proposal(id, proposal))
}

fn kind(request: &ProposalRequest) -> Result<Kind, Refused> {
    let ProposalRequest { kind, patch, slash, .. } = request;
    let text = patch.clone().map(|patch| Value::Object(patch).to_string());
    match (kind.as_str(), text, *slash) {
        ("parameters", Some(patch), None) => Ok(Kind::Parameters { patch }),
        ("registry", Some(patch), None) => Ok(Kind::Registry { patch }),
        ("appeal-jury", None, Some(slash)) => Ok(Kind::AppealJury { slash }),
        ("text", None, None) => Ok(Kind::Text),
        ("parameters" | "registry", ..) => {
            Err(Refused::field("patch", "it takes one, and no slash"))
        }
        ("appeal-jury", ..) => Err(Refused::field("slash", "it takes one, and no patch")),
        ("text", ..) => Err(Refused::field("kind", "a text takes no patch and no slash")),
        (..) => Err(Refused::field("kind", "one of parameters, registry, appeal-jury, text")),
    }
}

/// Put something to the vote
///
/// It is voted on with the power that holders have at this moment: what they staked before.
#[utoipa::path(post, path = "/v1/governance/proposals", tag = "governance", request_body = ProposalRequest,
    security(("key" = [])), responses(
        (status = 201, body = ProposalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn propose(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<ProposalRequest>,
) -> Result<(StatusCode, axum::Json<ProposalView>), Refused> {
    caller.may_write()?;
    let what = kind(&told.body)?;
    let ProposalRequest { title, body, .. } = told.body.clone();
    let (proposal, account) = (ProposalId::from_bits(fresh_bits()), caller.account);
    let proposal = ProposalRecord { proposal, account, title, body, what };
    let told = told.command(&caller, Command::Propose { proposal });
    let Reply::Proposal(id) = app.writer.tell(told).await? else {
        return Err(Refusal::IdReused.into());
    };
    Ok((StatusCode::CREATED, axum::Json(seen(&app, id).await?)))
}

/// What is and was voted on
///
/// Open to everyone. Newest first, with all that were ever decided.
#[utoipa::path(get, path = "/v1/governance/proposals", tag = "governance", params(PageQuery), responses(
    (status = 200, body = Page<ProposalView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn proposals(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<ProposalView>>, Refused> {
    let Page { items, next } = page(&app, PROPOSAL_ROWS, Whose::Everyones, query).await?;
    let look = move |state: &Control| {
        let today = |view: ProposalView| live(state, view.id).unwrap_or(view);
        Page { items: items.into_iter().map(today).collect(), next }
    };
    Ok(axum::Json(app.writer.look(look).await?))
}

/// One proposal
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/governance/proposals/{id}", tag = "governance", params(("id" = String, Path)),
    responses(
        (status = 200, body = ProposalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn proposal(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<ProposalId>,
) -> Result<axum::Json<ProposalView>, Refused> {
    Ok(axum::Json(seen(&app, id).await?))
}

/// Take a proposal back
///
/// By whoever made it, until its vote has ended.
#[utoipa::path(delete, path = "/v1/governance/proposals/{id}", tag = "governance", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 200, body = ProposalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn cancel(
    caller: Caller,
    State(app): State<Shared>,
    Path(proposal): Path<ProposalId>,
    told: Told<()>,
) -> Result<axum::Json<ProposalView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::CancelProposal { proposal, account })).await?;
    Ok(axum::Json(seen(&app, proposal).await?))
}

async fn own_seat(app: &Shared, id: ProposalId, account: AccountId) -> Result<BallotView, Refused> {
    let look = move |state: &Control| {
        let proposal = state.economy().votes.proposal(id)?;
        proposal.seat(account).map(|seat| views::ballot(id, seat))
    };
    let found = app.writer.look(look).await?;
    found.ok_or_else(|| Refused::not_found("ballot of yours that is kept"))
}

/// Cast or change one's ballot
#[utoipa::path(post, path = "/v1/governance/proposals/{id}/votes", tag = "governance",
    params(("id" = String, Path)), request_body = BallotRequest, security(("key" = [])), responses(
        (status = 200, body = BallotView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn vote(
    caller: Caller,
    State(app): State<Shared>,
    Path(proposal): Path<ProposalId>,
    told: Told<BallotRequest>,
) -> Result<axum::Json<BallotView>, Refused> {
    caller.may_write()?;
    let choice: Option<Choice> = views::of_word(&told.body.choice);
    let choice = choice.ok_or_else(|| Refused::field("choice", "one of yes, no, abstain"))?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::Vote { proposal, account, choice })).await?;
    Ok(axum::Json(own_seat(&app, proposal, account).await?))
}

/// One's own part in a vote
///
/// Kept until the proposal is decided for good.
#[utoipa::path(get, path = "/v1/governance/proposals/{id}/votes", tag = "governance",
    params(("id" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = BallotView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn ballot(
    caller: Caller,
    State(app): State<Shared>,
    Path(id): Path<ProposalId>,
) -> Result<axum::Json<BallotView>, Refused> {
    Ok(axum::Json(own_seat(&app, id, caller.account).await?))
}

/// Object to a proposal
///
/// While it is voted on or queued. Enough power that objects stops it; an objection cannot be taken back.
#[utoipa::path(post, path = "/v1/governance/proposals/{id}/veto", tag = "governance",
    params(("id" = String, Path)), security(("key" = [])), responses(
        (status = 200, body = ProposalView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn veto(
    caller: Caller,
    State(app): State<Shared>,
    Path(proposal): Path<ProposalId>,
    told: Told<()>,
) -> Result<axum::Json<ProposalView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::VetoProposal { proposal, account })).await?;
    Ok(axum::Json(seen(&app, proposal).await?))
}

async fn own_power(app: &Shared, account: AccountId) -> Result<axum::Json<PowerView>, Refused> {
    let look = move |state: &Control| views::power(state, account, now());
    Ok(axum::Json(app.writer.look(look).await?))
}

/// Say who votes with one's power
///
/// From the next proposal on, and until one votes oneself. Without `to`, nobody does.
#[utoipa::path(put, path = "/v1/governance/delegate", tag = "governance", request_body = DelegateRequest,
    security(("key" = [])), responses(
        (status = 200, body = PowerView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn delegate(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<DelegateRequest>,
) -> Result<axum::Json<PowerView>, Refused> {
    caller.may_write()?;
    let (account, to) = (caller.account, told.body.to);
    app.writer.tell(told.command(&caller, Command::Delegate { account, to })).await?;
    own_power(&app, account).await
}

/// What one would vote with now
#[utoipa::path(get, path = "/v1/governance/power", tag = "governance", security(("key" = [])), responses(
    (status = 200, body = PowerView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn power(
    caller: Caller,
    State(app): State<Shared>,
) -> Result<axum::Json<PowerView>, Refused> {
    own_power(&app, caller.account).await
}

async fn all_brakes(app: &Shared) -> Result<axum::Json<BrakesView>, Refused> {
    Ok(axum::Json(app.writer.look(|state| views::brakes(state, now())).await?))
}

/// Pull the brake
///
/// Operator only. Stops what it names at once and for a short time; holders can lift it.
#[utoipa::path(post, path = "/v1/governance/brakes", tag = "governance", request_body = BrakeRequest,
    security(("key" = [])), responses(
        (status = 200, body = BrakesView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn pull(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<BrakeRequest>,
) -> Result<axum::Json<BrakesView>, Refused> {
    caller.only_operator()?;
    let BrakeRequest { what, reason, hours } = told.body.clone();
    let switch = |word: &String| -> Result<Switch, Refused> {
        let known = Switch::ALL.iter().map(|switch| switch.text()).collect::<Vec<_>>().join(", ");
        views::of_word(word)
            .ok_or_else(|| Refused::field("what", format!("one or more of {known}")))
    };
    let what = what.iter().map(switch).collect::<Result<BTreeSet<Switch>, _>>()?;
    let brake = BrakeRecord { what, reason, by: caller.account, hours };
    app.writer.tell(told.command(&caller, Command::PullBrake { brake })).await?;
    all_brakes(&app).await
}

/// The brake
///
/// Open to everyone. The one that is on, and those that were lifted.
#[utoipa::path(get, path = "/v1/governance/brakes", tag = "governance", responses(
    (status = 200, body = BrakesView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn brakes(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<BrakesView>, Refused> {
    all_brakes(&app).await
}

/// Let go of the brake
///
/// Operator only.
#[utoipa::path(delete, path = "/v1/governance/brakes", tag = "governance", security(("key" = [])), responses(
    (status = 200, body = BrakesView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn lift(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<()>,
) -> Result<axum::Json<BrakesView>, Refused> {
    caller.only_operator()?;
    app.writer.tell(told.command(&caller, Command::LiftBrake {})).await?;
    all_brakes(&app).await
}

/// Object to the brake
///
/// With the power one had when it was pulled; enough of that lifts it.
#[utoipa::path(post, path = "/v1/governance/brakes/veto", tag = "governance", security(("key" = [])), responses(
    (status = 200, body = BrakesView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn veto_brake(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<()>,
) -> Result<axum::Json<BrakesView>, Refused> {
    caller.may_write()?;
    let account = caller.account;
    app.writer.tell(told.command(&caller, Command::VetoBrake { account })).await?;
    all_brakes(&app).await
}
