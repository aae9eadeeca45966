//! From the brain's nouns to what clients see.

mod money;
mod nouns;

use control::{Control, Subject};
use serde::Serialize;
use units::{ProjectId, WorkerId};

pub(crate) use money::{book, transfer_row};
pub(crate) use nouns::{
    account, invite, key, machine_record, offer, order_record, prices, prices_record, project,
    role_of, scope_of, worker,
};

use crate::journal::{Event, Row};

/// The row of what changed, for the nouns whose history is read from tables.
pub(crate) fn row(state: &Control, subject: Subject) -> Option<Row> {
    match subject {
        Subject::Rental(id) => {
            let rental = state.rental(id)?;
            let body = json(&nouns::rental(state, rental));
            Some(Row {
                kind: "rental",
                id: id.to_string(),
                owner: rental.project.to_string(),
                body: Some(body),
            })
        }
        Subject::Job(id) => {
            let job = state.job(id)?;
            let body = json(&nouns::job(job));
            Some(Row {
                kind: "job",
                id: id.to_string(),
                owner: job.rental.to_string(),
                body: Some(body),
            })
        }
        Subject::Account(_)
        | Subject::Invite(_)
        | Subject::Key(_)
        | Subject::Project(_)
        | Subject::Worker(_) => None,
    }
}

/// What is told of a change: what kind of thing it is, its id, and how it is now.
#[derive(Serialize)]
struct Told<T> {
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<T>,
}

/// The event of what changed. Keys, invitations and accounts are nobody's news.
pub(crate) fn event(state: &Control, subject: Subject, (seq, part): (u64, u32)) -> Option<Event> {
    let (owner, body) = match subject {
        Subject::Rental(id) => {
            let rental = state.rental(id)?;
            (rental.project.to_string(), told("rental", &id, Some(nouns::rental(state, rental))))
        }
        Subject::Job(id) => {
            let job = state.job(id)?;
            (state.rental(job.rental)?.project.to_string(), told("job", &id, Some(nouns::job(job))))
        }
        Subject::Project(id) => (
            id.to_string(),
            told("project", &id, state.project(id).map(|it| nouns::project(state, id, it))),
        ),
        Subject::Worker(id) => worker_event(state, id),
        Subject::Account(_) | Subject::Invite(_) | Subject::Key(_) => return None,
    };
    Some(Event { seq, part, owner, body })
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

/// Whose rows a project's are.
pub(crate) fn owner_of(project: ProjectId) -> String {
    project.to_string()
}
