//! Who asks, and whether they may ask at all.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use control::{Actor, Key, Role, Scope};
use std::net::SocketAddr;
use units::{AccountId, KeyId, ProjectId, WorkerId};

use super::problem::Refused;
use crate::app::{App, Shared};
use crate::clock::now;
use crate::meshes::Whose;
use crate::secrets::{agree, sha256};
use crate::sessions::SESSION_PREFIX;

/// A caller with a valid key.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    id: KeyId,
    pub(crate) account: AccountId,
    pub(crate) key: Key,
}

impl Caller {
    /// As whom they tell commands: a key with the operator's scope speaks for the operator.
    pub(crate) fn actor(&self) -> Actor {
        if self.is_operator() { Actor::Operator } else { Actor::Account(self.account) }
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.key.scopes.contains(&Scope::Operator)
    }

    /// As whom they are in private networks.
    pub(crate) const fn whose(&self) -> Whose {
        Whose::Person { account: self.account, key: self.id, until: self.key.expires }
    }

    /// Whether the key is still good: what goes on for long asks again and again.
    pub(crate) fn is_still_known(&self, app: &App) -> bool {
        app.news.key(self.id, now()).is_some()
    }

    /// Refuses a key that is only for looking.
    pub(crate) fn may_write(&self) -> Result<(), Refused> {
        if self.key.scopes.contains(&Scope::Write) || self.is_operator() {
            return Ok(());
        }
        let detail = "not allowed: this key is for reading only";
        Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail)
            .hint("use a key with the scope `write`"))
    }

    /// Refuses who has no role in a project; to them it does not exist.
    pub(crate) fn may_see(&self, app: &App, project: ProjectId) -> Result<(), Refused> {
        let role = app.news.role(project, self.account);
        let seen = |role| matches!(role, Role::Owner | Role::Member | Role::Viewer | Role::Billing);
        if self.is_operator() || role.is_some_and(seen) {
            Ok(())
        } else {
            Err(Refused::not_found("project"))
        }
    }

    /// Refuses whose account it is not; to them it does not exist.
    pub(crate) fn may_see_account(&self, account: AccountId) -> Result<(), Refused> {
        if account == self.account || self.is_operator() {
            Ok(())
        } else {
            Err(Refused::not_found("account"))
        }
    }

    pub(crate) fn only_operator(&self) -> Result<(), Refused> {
        if self.is_operator() {
            return Ok(());
        }
        let detail = "not allowed: it takes the operator";
        Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail).hint("use the operator's key"))
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let Holder(caller) = Holder::from_request_parts(parts, app).await?;
        if caller.key.scopes.iter().all(|scope| *scope == Scope::Relay) {
            let detail =
                "not allowed: this key is for keeping a relay in the list, and for nothing else";
            return Err(Refused::new("forbidden", StatusCode::FORBIDDEN, detail)
                .hint("use a key with the scope `read` or `write`"));
        }
        Ok(caller)
    }
}

/// A caller with a valid key, whatever it is for.
#[derive(Clone, Debug)]
pub(crate) struct Holder(pub(crate) Caller);

impl FromRequestParts<Shared> for Holder {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let token = bearer(&parts.headers).ok_or_else(unauthenticated)?;
        let now = now();
        let key = key_id(token).and_then(|id| Some((id, app.news.key(id, now)?)));
        let key = key.filter(|(_, key)| agree(&key.secret_sha256, &sha256(token)));
        // Wrong keys are counted by address, so that guessing is slow.
        let Some((id, key)) = key else {
            slow_down(app, &format!("door {}", address(parts)))?;
            return Err(unauthenticated());
        };
        slow_down(app, &key.account.to_string())?;
        Ok(Self(Caller { id, account: key.account, key }))
    }
}

/// A caller without a key, held to the rate of its address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger;

impl FromRequestParts<Shared> for Stranger {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        slow_down(app, &format!("door {}", address(parts)))?;
        Ok(Self)
    }
}

/// A machine with a valid session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine(pub(crate) WorkerId);

impl FromRequestParts<Shared> for Machine {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let token = bearer(&parts.headers).filter(|token| token.starts_with(SESSION_PREFIX));
        let worker = token.and_then(|token| app.sessions.worker(token, now()));
        // A machine that was retired has no session any more.
        let worker = worker.filter(|worker| app.news.worker(*worker).is_some());
        let worker = worker.ok_or_else(|| {
            let detail = "this session is unknown or over";
            Refused::new("session-unknown", StatusCode::UNAUTHORIZED, detail)
                .hint("make a new one: /v1/worker/challenge, then /v1/worker/session")
        })?;
        slow_down(app, &worker.to_string())?;
        Ok(Self(worker))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn key_id(token: &str) -> Option<KeyId> {
    let (id, _) = token.strip_prefix("iog_")?.split_once('_')?;
    format!("key_{id}").parse().ok()
}

/// Where a caller speaks from.
pub(super) fn address(parts: &Parts) -> String {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or_else(|| "unknown".to_owned(), |ConnectInfo(peer)| peer.ip().to_string())
}

fn slow_down(app: &Arc<App>, caller: &str) -> Result<(), Refused> {
    app.rates.take(caller, now()).map_err(|wait| {
        let secs = wait.as_secs() + 1;
        let detail = format!("too many requests; wait {secs} s");
        Refused::new("rate-limited", StatusCode::TOO_MANY_REQUESTS, detail).retry(secs)
    })
}

fn unauthenticated() -> Refused {
    let detail = "no valid key was sent";
    Refused::new("unauthenticated", StatusCode::UNAUTHORIZED, detail)
        .hint("send `Authorization: Bearer iog_…`; `iog login` keeps a key for you")
}
