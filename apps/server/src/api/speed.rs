//! What a machine must have, and how fast it is connected: asked by agents, also before they join.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use units::Tier;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::{Problem, RequirementsView, SpeedTest, SpeedView, Time};

use super::door::{Machine, Stranger, address};
use super::extract::{Path, Query};
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::now;
use crate::limits::{SPEED_BYTES, SPEED_SECS};
use crate::onboarding;
use crate::speed::{Asker, Measured, NotMeasured};

/// How long an upload may take in all: its sender ends it after its time, and what is on the way then comes after.
const UPLOAD_MAX: Duration = Duration::from_secs(3 * SPEED_SECS.as_secs());
/// When to ask again while others are measured.
const BUSY_SECS: u64 = 5;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(requirements))
        .routes(routes!(begin))
        .routes(routes!(download, upload))
        .routes(routes!(end))
}

impl From<NotMeasured> for Refused {
    fn from(why: NotMeasured) -> Self {
        let text = why.to_string();
        match why {
            NotMeasured::TooOften { wait } => {
                Self::new("rate-limited", StatusCode::TOO_MANY_REQUESTS, text)
                    .retry(wait.as_secs() + 1)
            }
            NotMeasured::Busy => {
                Self::new("busy", StatusCode::SERVICE_UNAVAILABLE, text).retry(BUSY_SECS)
            }
            NotMeasured::Over => Self::not_found("speed test").hint("begin another"),
            NotMeasured::TooMuch => {
                Self::new("too-many", StatusCode::CONFLICT, text).hint("begin another test")
            }
            NotMeasured::Unfinished => Self::new("wrong-state", StatusCode::CONFLICT, text)
                .hint("send pings, download and upload, then end the test"),
        }
    }
}

/// A machine in its session, or anybody, held to the rate of their address.
struct Anybody(Asker);

impl FromRequestParts<Shared> for Anybody {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let Machine(worker) = Machine::from_request_parts(parts, app).await?;
            return Ok(Self(Asker::Machine(worker)));
        }
        Stranger::from_request_parts(parts, app).await?;
        Ok(Self(Asker::Address(address(parts))))
    }
}

/// What a machine must have to serve
///
/// And what time it is here, so that a machine can compare its clock.
#[utoipa::path(get, path = "/v1/io-worker/requirements", tag = "machines", responses(
    (status = 200, body = RequirementsView),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn requirements(
    _stranger: Stranger,
    State(app): State<Shared>,
) -> Result<axum::Json<RequirementsView>, Refused> {
    let look = |state: &control::Control| onboarding::requirements(state);
    let requirements = app.writer.look(look).await?;
    Ok(axum::Json(RequirementsView { requirements, now: Time(now()) }))
}

/// Begin a speed test
///
/// In a machine's session what comes of it counts; without, it is for who asks to know. A machine that nodes run on
/// is not measured.
#[utoipa::path(post, path = "/v1/io-worker/speed-tests", tag = "machines", security((), ("key" = [])), responses(
    (status = 201, body = SpeedTest),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn begin(
    Anybody(asker): Anybody,
    State(app): State<Shared>,
) -> Result<(StatusCode, axum::Json<SpeedTest>), Refused> {
    must_be_idle(&app, &asker).await?;
    let test = app.speeds.begin(asker, Instant::now())?;
    Ok((StatusCode::CREATED, axum::Json(test)))
}

/// A line that renters use says nothing of how fast it is, and they pay for it.
async fn must_be_idle(app: &Shared, asker: &Asker) -> Result<(), Refused> {
    let Asker::Machine(worker) = *asker else { return Ok(()) };
    let serves = move |state: &control::Control| {
        // What a trial puts on it is load, too.
        let is_busy =
            |known: &control::Worker| !known.nodes.is_empty() || known.onboarding.trial.is_some();
        state.worker(worker).is_some_and(is_busy)
    };
    if app.writer.look(serves).await? {
        return Err(Refused::new("in-use", StatusCode::CONFLICT, "nodes run on the machine")
            .hint("it is measured when it is idle"));
    }
    Ok(())
}

/// A transfer of a speed test.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Download {
    /// The test.
    test: String,
    /// How many bytes; none for a ping.
    bytes: u64,
    /// What an answer before this ended with: it has arrived.
    seen: Option<String>,
}

/// Receive bytes of a speed test
///
/// Chance, and at the end 64 hexadecimal digits: sent back as `seen`, they say that all of it has arrived. It ends
/// after some seconds, whether all was sent or not.
#[utoipa::path(get, path = "/v1/io-worker/speed-test", tag = "machines", params(Download), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn download(
    State(app): State<Shared>,
    Query(asked): Query<Download>,
) -> Result<Response, Refused> {
    let at = Instant::now();
    let Download { test, bytes, seen } = asked;
    if let Some(token) = seen {
        app.speeds.seen(&test, &token, at)?;
    }
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    if bytes == 0 {
        let token = app.speeds.ping(&test, Instant::now())?;
        return Ok((kind, token).into_response());
    }
    let download = app.speeds.download(&test, bytes, at)?;
    let pieces = stream::unfold(download, |mut download| async move {
        let piece = download.next(Instant::now())?;
        // Others are answered in between, however fast the line is.
        tokio::task::yield_now().await;
        Some((Ok::<Bytes, std::convert::Infallible>(piece), download))
    });
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// A transfer of a speed test, by name.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Upload {
    /// The test.
    test: String,
}

/// Send bytes of a speed test
///
/// What has arrived counts; the sender ends after the seconds that the test names.
#[utoipa::path(post, path = "/v1/io-worker/speed-test", tag = "machines", params(Upload),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
        (status = 204, description = "It has arrived"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn upload(
    State(app): State<Shared>,
    Query(Upload { test }): Query<Upload>,
    body: Body,
) -> Result<StatusCode, Refused> {
    app.speeds.upload(&test, Instant::now())?;
    let receive = async {
        let (mut received, mut pieces) = (0_u64, body.into_data_stream());
        while let Some(piece) = pieces.next().await {
            let broken =
                |_| Refused::new("bad-request", StatusCode::BAD_REQUEST, "the body broke off");
            let bytes = piece.map_err(broken)?.len() as u64;
            received += bytes;
            if received > SPEED_BYTES {
                return Err(NotMeasured::TooMuch.into());
            }
            app.speeds.arrived(&test, bytes, Instant::now())?;
        }
        Ok(StatusCode::NO_CONTENT)
    };
    let late =
        |_| Refused::new("bad-request", StatusCode::BAD_REQUEST, "the body did not end in time");
    tokio::time::timeout(UPLOAD_MAX, receive).await.map_err(late)?
}

/// End a speed test
///
/// What came of it, by the clock of this server.
#[utoipa::path(post, path = "/v1/io-worker/speed-tests/{test}/end", tag = "machines", params(("test" = String, Path)),
    security((), ("key" = [])), responses(
        (status = 200, body = SpeedView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ))]
async fn end(
    Anybody(asker): Anybody,
    State(app): State<Shared>,
    Path(test): Path<String>,
) -> Result<axum::Json<SpeedView>, Refused> {
    let measured = app.speeds.end(&asker, &test, Instant::now())?;
    // Rented in between, it was not measured alone.
    must_be_idle(&app, &asker).await?;
    let Measured { down_mbps, up_mbps, ping_ms } = measured;
    let tier = Tier::of_mbps(down_mbps, up_mbps);
    let view = SpeedView { at: Time(now()), down_mbps, up_mbps, ping_ms, tier };
    if let Asker::Machine(worker) = asker {
        onboarding::note_speed(&app, worker, view).await?;
    }
    Ok(axum::Json(view))
}
