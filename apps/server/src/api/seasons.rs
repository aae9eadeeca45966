//! Reward programs: what they pay for, who is ahead, and the signed calls that say who has done a quest.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use control::{Actor, Body, Command, Control, Refusal, Reply, SeasonRecord};
use hmac::{Hmac, Mac};
use rewards::season::{Basis, PAGE_MAX, SeasonPlan};
use serde::Deserialize;
use sha2::Sha256;
use std::time::Duration;
use units::{BlobId, CommandId, Name, SeasonId, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{Page, Problem, QuestAnswer, QuestDone, RankView, SeasonIssued, SeasonView};

use super::door::{Caller, Stranger};
use super::extract::{PageQuery, Path, Query, Told, items};
use super::people::listed;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::{fresh_bits, now};
use crate::secrets::{Secret, sha256};
use crate::views;

/// How far the moment in a signature may lie from now: what clocks differ by, and a slow delivery.
const SIGNATURE_VALID: Duration = Duration::from_secs(300);

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(open, seasons))
        .routes(routes!(season, withdraw))
        .routes(routes!(leaderboard))
        .routes(routes!(webhook))
}

/// What signs the calls for one quest of one season. It follows from the server's own secret.
fn quest_secret(secret: &Secret, season: SeasonId, quest: &Name) -> String {
    secret.derive("quest", &format!("{season}/{quest}"))
}

async fn seen(app: &Shared, id: SeasonId) -> Result<SeasonView, Refused> {
    let look = move |state: &Control| {
        state.economy().seasons.season(id).map(|season| views::season(id, season))
    };
    app.writer.look(look).await?.ok_or_else(|| Refused::not_found("season"))
}

/// Plan a season
///
/// Operator only. Its prizes are set aside from the treasury. The secret of each quest is shown this once.
#[utoipa::path(post, path = "/v1/seasons", tag = "seasons", request_body = SeasonPlan, security(("key" = [])),
    responses(
        (status = 201, body = SeasonIssued),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn open(
    caller: Caller,
    State(app): State<Shared>,
    told: Told<SeasonPlan>,
) -> Result<(StatusCode, axum::Json<SeasonIssued>), Refused> {
    caller.only_operator()?;
    let season =
        SeasonRecord { season: SeasonId::from_bits(fresh_bits()), plan: told.body.clone() };
    let command = told.command(&caller, Command::OpenSeason { season });
    let Reply::Season(id) = app.writer.tell(command).await? else {
        return Err(Refusal::IdReused.into());
    };
    let quests = told.body.quests.keys();
    let secrets = quests.map(|quest| (quest.clone(), quest_secret(&app.secret, id, quest)));
    let secrets = secrets.collect();
    let season = seen(&app, id).await?;
    Ok((StatusCode::CREATED, axum::Json(SeasonIssued { season, secrets })))
}

/// Reward programs
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/seasons", tag = "seasons", params(PageQuery), responses(
    (status = 200, body = Page<SeasonView>),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn seasons(
    _stranger: Stranger,
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<SeasonView>>, Refused> {
    let look =
        move |state: &Control| listed(state.economy().seasons.seasons(), &query, views::season);
    Ok(axum::Json(app.writer.look(look).await?))
}

/// One reward program
///
/// Open to everyone.
#[utoipa::path(get, path = "/v1/seasons/{id}", tag = "seasons", params(("id" = String, Path)), responses(
    (status = 200, body = SeasonView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn season(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<SeasonId>,
) -> Result<axum::Json<SeasonView>, Refused> {
    Ok(axum::Json(seen(&app, id).await?))
}

/// Take a season back
///
/// Operator only, before it begins. Its prizes go back to the treasury.
#[utoipa::path(delete, path = "/v1/seasons/{id}", tag = "seasons", params(("id" = String, Path)),
    security(("key" = [])), responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn withdraw(
    caller: Caller,
    State(app): State<Shared>,
    Path(season): Path<SeasonId>,
    told: Told<()>,
) -> Result<StatusCode, Refused> {
    caller.only_operator()?;
    app.writer.tell(told.command(&caller, Command::WithdrawSeason { season })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which points, and which page.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BoardQuery {
    /// By which points: `work`, `quests` or `all`; all if absent.
    basis: Option<Basis>,
    /// `next` of the page before: the place after which to go on; absent for the first.
    cursor: Option<usize>,
    /// How many items, 1 to 200; 50 if absent.
    limit: Option<usize>,
}

/// Who is ahead
///
/// Open to everyone. Accounts without points have no place.
#[utoipa::path(get, path = "/v1/seasons/{id}/leaderboard", tag = "seasons",
    params(("id" = String, Path), BoardQuery), responses(
        (status = 200, body = Page<RankView>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn leaderboard(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path(id): Path<SeasonId>,
    Query(query): Query<BoardQuery>,
) -> Result<axum::Json<Page<RankView>>, Refused> {
    let limit = items(query.limit).min(PAGE_MAX - 1);
    let (basis, skip) = (query.basis.unwrap_or(Basis::All), query.cursor.unwrap_or(0));
    let look = move |state: &Control| {
        let season = state.economy().seasons.season(id)?;
        Some(season.leaderboard(basis, skip, limit + 1))
    };
    let ranks = app.writer.look(look).await?.ok_or_else(|| Refused::not_found("season"))?;
    let last = ranks.get(limit - 1).filter(|_| ranks.len() > limit);
    let next = last.map(|rank| rank.place.to_string());
    let items = ranks.iter().take(limit).map(views::rank).collect();
    Ok(axum::Json(Page { items, next }))
}

/// Why a signature is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsigned {
    /// It is not written as a signature is.
    Unreadable,
    /// It is too old, or of a clock that is wrong.
    Stale,
    /// It is of another secret, another moment or another body.
    Wrong,
}

impl Unsigned {
    const fn text(self) -> &'static str {
        match self {
            Self::Unreadable => {
                "X-Iog-Signature is not written as `t=<seconds since 1970>,v1=<hex>`"
            }
            Self::Stale => "the moment in X-Iog-Signature is more than five minutes from now",
            Self::Wrong => "X-Iog-Signature does not sign this body with this quest's secret",
        }
    }
}

/// Whether `t=…,v1=…` signs this body: `v1` is the HMAC-SHA256 of `t`, a dot and the body, under the secret.
fn signed(header: &str, body: &[u8], secret: &str, now: Timestamp) -> Result<(), Unsigned> {
    let (time, mac) = header.split_once(',').ok_or(Unsigned::Unreadable)?;
    let time = time.trim().strip_prefix("t=").ok_or(Unsigned::Unreadable)?;
    let mac = mac.trim().strip_prefix("v1=").ok_or(Unsigned::Unreadable)?;
    let mac = data_encoding::HEXLOWER.decode(mac.as_bytes()).map_err(|_| Unsigned::Unreadable)?;
    let seconds: u64 = time.parse().map_err(|_| Unsigned::Unreadable)?;
    let at = Timestamp::from_millis(seconds.saturating_mul(1_000));
    if at.since(now).max(now.since(at)) > SIGNATURE_VALID {
        return Err(Unsigned::Stale);
    }
    let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mut expected = key.expect("any length of key will do");
    expected.update(time.as_bytes());
    expected.update(b".");
    expected.update(body);
    expected.verify_slice(&mac).map_err(|_| Unsigned::Wrong)
}

/// Say that an account has done a quest
///
/// For whoever verifies quests, without a key: signed with the quest's secret in `X-Iog-Signature: t=<seconds since
/// 1970>,v1=<hex>`, where `v1` is the HMAC-SHA256 of `<t>.<body>`. The moment may lie five minutes from the server's.
/// The same proof told again is told once.
#[utoipa::path(post, path = "/v1/seasons/{id}/quests/{quest}/webhook", tag = "seasons",
    params(("id" = String, Path), ("quest" = String, Path), ("X-Iog-Signature" = String, Header)),
    request_body = QuestDone, responses(
        (status = 200, body = QuestAnswer),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn webhook(
    _stranger: Stranger,
    State(app): State<Shared>,
    Path((season, quest)): Path<(SeasonId, Name)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<axum::Json<QuestAnswer>, Refused> {
    let header = headers.get("x-iog-signature").and_then(|value| value.to_str().ok());
    let secret = quest_secret(&app.secret, season, &quest);
    let unsigned = |why: Unsigned| {
        Refused::new("unauthenticated", StatusCode::UNAUTHORIZED, why.text())
            .hint("sign each call with the quest's secret, at the moment it is sent")
    };
    let header = header.ok_or_else(|| unsigned(Unsigned::Unreadable))?;
    signed(header, &body, &secret, now()).map_err(unsigned)?;
    let QuestDone { account, proof } =
        serde_json::from_slice(&body).map_err(|why| Refused::field("body", why.to_string()))?;
    let told = sha256(format!("{season}/{quest}/{account}/{proof}"));
    let command = Command::CompleteQuest { season, quest: quest.clone(), account, proof };
    app.writer.tell(once(told, command)).await?;
    let look = move |state: &Control| {
        let standing = state.economy().seasons.season(season)?.standing(account)?;
        Some(standing.quests.to_string())
    };
    let points = app.writer.look(look).await?.ok_or_else(|| Refused::not_found("season"))?;
    Ok(axum::Json(QuestAnswer { quest, account, points }))
}

/// A command under a name that follows from its contents: a call that is delivered twice makes one entry.
fn once(told: BlobId, command: Command) -> Body {
    let mut bits = [0; 16];
    bits.copy_from_slice(&told.sha256()[..16]);
    let id = CommandId::from_bits(u128::from_be_bytes(bits));
    Body { id, asked: told, by: Actor::Operator, command }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature of a body at a moment, in seconds.
    fn sign(seconds: u64, body: &[u8], secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        format!("t={seconds},v1={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
    }

    #[test]
    fn a_signature_is_of_one_body_one_secret_and_one_moment() {
        let (body, secret) = (b"{\"account\":\"acc_1\"}", "a secret");
        let good = sign(1_000_000, body, secret);
        let check = |header: &str, body: &[u8], secret: &str, seconds: u64| {
            signed(header, body, secret, Timestamp::from_millis(seconds * 1_000))
        };
        assert_eq!(check(&good, body, secret, 1_000_000), Ok(()));
        assert_eq!(check(&good, body, secret, 1_000_300), Ok(()), "a slow delivery");
        assert_eq!(check(&good, body, secret, 999_700), Ok(()), "a clock that is ahead");
        assert_eq!(check(&good, body, secret, 1_000_301), Err(Unsigned::Stale));
        assert_eq!(check(&good, body, secret, 999_699), Err(Unsigned::Stale));
        assert_eq!(check(&good, b"{}", secret, 1_000_000), Err(Unsigned::Wrong));
        assert_eq!(check(&good, body, "another", 1_000_000), Err(Unsigned::Wrong));
        let moved = good.replace("t=1000000", "t=1000001");
        assert_eq!(check(&moved, body, secret, 1_000_000), Err(Unsigned::Wrong), "moved on");
    }

    #[test]
    fn what_is_no_signature_is_unreadable() {
        let now = Timestamp::from_millis(0);
        for header in ["", "t=1", "v1=00,t=1", "t=x,v1=00", "t=1,v1=zz", "t=-1,v1=00", "t=1,v2=00"]
        {
            assert_eq!(signed(header, b"", "", now), Err(Unsigned::Unreadable), "{header}");
        }
        assert_eq!(
            signed("t=1,v1=", b"", "", now),
            Err(Unsigned::Wrong),
            "an empty one signs nothing"
        );
        let far = format!("t={},v1=00", u64::MAX);
        assert_eq!(signed(&far, b"", "", now), Err(Unsigned::Stale));
    }

    #[test]
    fn a_call_told_twice_has_one_name() {
        let command = || Command::WithdrawSeason { season: SeasonId::from_bits(1) };
        let name = |text: &str| once(sha256(text), command()).id;
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }
}
