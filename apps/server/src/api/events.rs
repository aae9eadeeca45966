//! Live changes, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Deserialize;
use units::ProjectId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Problem;

use super::door::Caller;
use super::extract::Query;
use super::jobs::open_stream;
use super::problem::Refused;
use crate::app::Shared;
use crate::journal::{self, JournalError, Reader};
use crate::streams::Stream;
use crate::views::{NETWORK, OPERATOR, TOLD_BY_SIDE};

/// Events read at once.
const PAGE: usize = 200;
/// How often a quiet stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Whose changes, and after which.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Changes of this project: its rentals, jobs and balance. Absent for what is one's own, and what is everyone's;
    /// for the operator, for everything.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// The id of the last event seen; `Last-Event-ID` says the same. Absent for what happens from now on.
    after: Option<String>,
}

/// Live changes
///
/// Each event has the kind of thing that changed as its name, and `{"kind", "id", "view"}` as its data. Without `view`
/// the thing is gone, or, with `"look_up": true`, so much changed at once that it has to be looked up. After a break,
/// `Last-Event-ID` goes on where the stream broke off; the newest 100,000 events are kept.
#[utoipa::path(get, path = "/v1/events", tag = "network", params(EventsQuery), security(("key" = [])), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
))]
async fn events(
    caller: Caller,
    State(app): State<Shared>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refused> {
    let heard = match query.project {
        Some(project) => {
            caller.may_see(&app, project)?;
            Heard::Of(vec![project.to_string()])
        }
        None if caller.is_operator() => Heard::Everything,
        None => Heard::Of(vec![caller.account.to_string(), NETWORK.to_owned()]),
    };
    let after =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let after = match after.or(query.after) {
        Some(text) => position(&text)?,
        None => (app.read(|reader| reader.head()).await?.seq, u32::MAX),
    };
    let stream = open_stream(&app, &caller)?;
    let project = query.project;
    let watching =
        Watching { app, caller, project, heard, after, waiting: VecDeque::new(), stream };
    let events = futures_util::stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn position(text: &str) -> Result<(u64, u32), Refused> {
    let parts =
        text.split_once('.').and_then(|(seq, part)| Some((seq.parse().ok()?, part.parse().ok()?)));
    parts.ok_or_else(|| Refused::field("after", "not the id of an event"))
}

/// Whose events a stream has.
#[derive(Clone, Debug)]
enum Heard {
    /// Those told to these.
    Of(Vec<String>),
    /// All, each once: of what sides are told apart, what the operator is told.
    Everything,
}

impl Heard {
    /// The next events after a place, in order. None is missed: what is told to one while another's are read is left
    /// for the next time.
    fn read(
        &self,
        reader: &mut dyn Reader,
        after: (u64, u32),
    ) -> Result<Vec<journal::Event>, JournalError> {
        let owners = match self {
            Self::Everything => return reader.events(None, after, PAGE),
            Self::Of(owners) => owners,
        };
        let head = reader.head()?.seq;
        let mut events = Vec::new();
        for owner in owners {
            events.append(&mut reader.events(Some(owner), after, PAGE)?);
        }
        events.retain(|event| event.seq <= head);
        events.sort_unstable_by_key(|event| (event.seq, event.part));
        events.truncate(PAGE);
        Ok(events)
    }

    fn takes(&self, event: &journal::Event) -> bool {
        match self {
            Self::Of(_) => true,
            Self::Everything => {
                event.owner == OPERATOR || !TOLD_BY_SIDE.contains(&kind(event).as_str())
            }
        }
    }
}

struct Watching {
    app: Shared,
    caller: Caller,
    project: Option<ProjectId>,
    heard: Heard,
    after: (u64, u32),
    waiting: VecDeque<journal::Event>,
    #[expect(dead_code, reason = "it counts as open while it lives")]
    stream: Stream,
}

impl Watching {
    /// A key that was revoked, or a role that was taken away, ends the stream.
    fn may_go_on(&self) -> bool {
        self.caller.is_still_known(&self.app)
            && self.project.is_none_or(|project| self.caller.may_see(&self.app, project).is_ok())
    }

    async fn next(&mut self) -> Option<Event> {
        let mut bell = self.app.news.bell();
        let mut stopping = self.app.stopping.clone();
        loop {
            if !self.may_go_on() {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                self.after = (event.seq, event.part);
                if self.heard.takes(&event) {
                    return Some(shown(&event));
                }
                continue;
            }
            let (heard, after) = (self.heard.clone(), self.after);
            let page = self.app.read(move |reader| heard.read(reader, after)).await.ok()?;
            self.waiting.extend(page);
            if self.waiting.is_empty() {
                if *stopping.borrow() {
                    return None;
                }
                tokio::select! {
                    _ = bell.changed() => {}
                    _ = stopping.changed() => {}
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

fn kind(event: &journal::Event) -> String {
    serde_json::from_slice::<Kind>(&event.body).map_or_else(|_| "change".to_owned(), |it| it.kind)
}

fn shown(event: &journal::Event) -> Event {
    let kind = kind(event);
    let data = String::from_utf8_lossy(&event.body).into_owned();
    Event::default().id(format!("{}.{}", event.seq, event.part)).event(kind).data(data)
}
