//! Relays: they tell where they are, and everybody reads the list.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use control::Scope;
use units::{AccountId, WorkerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::paper::{is_signed, relay_statement};
use wire::{Problem, RelayRegistered, RelayRequest, RelaysView};

use super::door::{Caller, Holder, Stranger};
use super::extract::Json;
use super::problem::Refused;
use super::worker_networks::{network_key, unsigned};
use crate::app::Shared;
use crate::clock::now;
use crate::meshes::{NoPlace, NotListed, RELAY_TELLS_SECS, Teller, Unreachable, backing};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(tell)).routes(routes!(list))
}

/// Who keeps a relay in the list: an account by one of its keys.
#[derive(Clone, Debug)]
pub(super) struct Offers(Caller);

impl FromRequestParts<Shared> for Offers {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let Holder(caller) = Holder::from_request_parts(parts, app).await?;
        if !caller.key.scopes.contains(&Scope::Relay) {
            caller.may_write()?;
        }
        Ok(Self(caller))
    }
}

impl Offers {
    pub(super) const fn account(&self) -> AccountId {
        self.0.account
    }

    /// In whose name the relay is there, and on whose stake: the operator's needs none.
    async fn teller(&self, app: &Shared, worker: Option<WorkerId>) -> Result<Teller, Refused> {
        let account = self.account();
        let Some(worker) = worker else {
            return match self.0.is_operator() {
                true => Ok(Teller { account, backed_by: None }),
                false => Err(Refused::field("worker", "a machine whose stake backs the relay")
                    .hint("name one of your machines: `iog relay --machine wkr_…`")),
            };
        };
        let look = move |state: &control::Control| backing(state, worker, account);
        let stake = app.writer.look(look).await?.ok_or_else(|| Refused::not_found("worker"))?;
        if !stake.sufficient {
            let detail = format!(
                "not with this stake: the machine of a relay has {:#} IO at stake, and this one {:#}",
                stake.need, stake.have
            );
            let hint = format!("stake what is missing: `iog stake add {worker} COINS`");
            return Err(Refused::new("stake-refused", StatusCode::CONFLICT, detail).hint(hint));
        }
        Ok(Teller { account, backed_by: Some(worker) })
    }
}

impl From<NotListed> for Refused {
    fn from(why: NotListed) -> Self {
        match why {
            NotListed::Foreign | NotListed::Backs(_) => {
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

impl From<Unreachable> for Refused {
    fn from(why: Unreachable) -> Self {
        let (ip, port) = (why.at.ip(), why.at.port());
        let hint = format!(
            "let TCP to port {port} of {ip} through to the relay, at its firewall, its provider's and its router, and \
             UDP to the same port; or name another address with `--advertise`"
        );
        Self::field("tcp", why.to_string()).hint(hint)
    }
}

/// Say where a relay is
///
/// For who has a machine at whose stake nothing is missing, and which backs no other relay; the operator needs none.
/// Takes a key with the scope `relay` or `write`. The server dials it, and lists those of its addresses at which its
/// key answers; where none does, it is refused. Said again every `again_secs`; who does not is gone from the list
/// after a minute, and whose stake is taken away within seconds. Members hear of either within a minute.
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
    let statement = relay_statement(&offers.account().to_string());
    if !is_signed(&told.key, &statement, &told.statement) {
        return Err(unsigned());
    }
    let teller = offers.teller(&app, told.worker).await?;
    app.meshes.relays.may_tell(teller, &told)?;
    let told = app.meshes.knocks.found(told, now()).await?;
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
