//! Relays: they tell where they are, and everybody reads the list.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use units::WorkerId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{is_signed, relay_statement};
use wire::{Problem, RelayRegistered, RelayRequest, RelaysView};

use super::door::{Caller, Machine, Stranger};
use super::extract::Json;
use super::problem::Refused;
use super::worker_networks::{network_key, unsigned};
use crate::app::Shared;
use crate::clock::now;
use crate::meshes::{NoPlace, NotListed, RELAY_TELLS_SECS, Teller};
use crate::views;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(tell)).routes(routes!(list))
}

/// Who may offer a relay: a machine, or whoever runs the network.
#[derive(Clone, Debug)]
pub(super) enum Offers {
    Machine(WorkerId),
    Operator(Caller),
}

impl FromRequestParts<Shared> for Offers {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        match Machine::from_request_parts(parts, app).await {
            Ok(Machine(worker)) => Ok(Self::Machine(worker)),
            Err(refused) => match super::door::is_session(parts) {
                true => Err(refused),
                false => {
                    let caller = Caller::from_request_parts(parts, app).await?;
                    caller.only_operator()?;
                    Ok(Self::Operator(caller))
                }
            },
        }
    }
}

impl Offers {
    /// The id that a relay's statement names.
    fn id(&self) -> String {
        match self {
            Self::Machine(worker) => worker.to_string(),
            Self::Operator(caller) => caller.account.to_string(),
        }
    }

    /// In whose name the relay is there.
    pub(super) async fn teller(&self, app: &Shared) -> Result<Teller, Refused> {
        let worker = match self {
            Self::Machine(worker) => *worker,
            Self::Operator(caller) => {
                return Ok(Teller { account: caller.account, is_named: false });
            }
        };
        let look = move |state: &control::Control| {
            let owner = state.worker(worker)?.owner;
            Some((owner, views::device_stake(state, (worker, owner), now())))
        };
        let known = app.writer.look(look).await?;
        let (owner, stake) = known.ok_or_else(|| Refused::not_found("worker"))?;
        if !stake.sufficient {
            let detail = format!(
                "not with this stake: a relay's machine has {:#} IO at stake, and this one {:#}",
                stake.need, stake.have
            );
            return Err(Refused::new("stake-refused", StatusCode::CONFLICT, detail).hint(
                "stake what `iog stake show` says, or have the operator register the relay",
            ));
        }
        Ok(Teller { account: owner, is_named: true })
    }
}

impl From<NotListed> for Refused {
    fn from(why: NotListed) -> Self {
        match why {
            NotListed::Foreign => {
                Self::new("already-exists", StatusCode::CONFLICT, why.to_string())
            }
            NotListed::Owner | NotListed::Full => {
                Self::new("too-many", StatusCode::CONFLICT, why.to_string())
            }
            NotListed::Place(why @ NoPlace::Domain) => Self::field("domain", why.to_string()),
            NotListed::Place(why) => Self::field("tcp", why.to_string()),
            NotListed::Record(why) => Self::field("body", why.to_string()),
        }
    }
}

/// Say where a relay is
///
/// For machines whose stake suffices, and for the operator. Said again every `again_secs`; who does not is gone from
/// the list after a minute.
#[utoipa::path(put, path = "/v1/network/relays/me", tag = "network", request_body = RelayRequest,
    security(("key" = [])), responses(
        (status = 200, body = RelayRegistered),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn tell(
    offers: Offers,
    State(app): State<Shared>,
    Json(told): Json<RelayRequest>,
) -> Result<axum::Json<RelayRegistered>, Refused> {
    if !is_signed(&told.key, &relay_statement(&offers.id()), &told.statement) {
        return Err(unsigned());
    }
    let teller = offers.teller(&app).await?;
    let record = app.meshes.relays.tell(teller, told, &app.signature.signing_key(), now())?;
    let network_key = network_key(&app);
    Ok(axum::Json(RelayRegistered { record, network_key, again_secs: RELAY_TELLS_SECS }))
}

/// Relays, best first
///
/// Open to everyone. What the network says of each is signed: whoever keeps the network's key need not trust this
/// answer.
#[utoipa::path(get, path = "/v1/network/relays", tag = "network", responses(
    (status = 200, body = RelaysView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn list(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<RelaysView>, Refused> {
    let network_key = network_key(&app);
    Ok(axum::Json(RelaysView { network_key, relays: app.meshes.relays.views() }))
}
