//! Visits to rentals from the renter's own machine, over lines to relays.
//!
//! ```text
//!   program here ─► listener or pipe ─► Lines ═ relay ═ line of the node ─► service
//! ```
//!
//! # Invariants
//! - The key that is shown to relays is this client's own; it stays in a file that only its owner reads.
//! - Papers are opened before they are used: what the network did not sign, with the key that this user first knew it
//!   by, or signed for another, is refused.
//! - Lines go to two relays: when one dies, what comes next uses the other at once.

mod door;
mod key;
mod lines;
pub(crate) mod openssh;
mod papers;
mod pin;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ed25519_dalek::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tunnel::{Proto, ServiceName};
use units::RentalId;
use wire::{ServiceState, ServiceView};

pub(crate) use self::door::Door;
pub(crate) use self::lines::Lines;
pub(crate) use self::papers::{Papers, now};
pub(crate) use self::pin::Pin;
use crate::client::Client;
use crate::failure::Failure;
use crate::show::tame;

/// Threads that carry bytes: a person's machine has other things to do.
const THREADS: usize = 2;

/// A rental that is visited.
#[derive(Debug)]
pub(crate) struct Visit {
    rental: RentalId,
    key: SigningKey,
    client: Client,
    pin: Arc<Pin>,
}

impl Visit {
    /// Of this rental, with the key in this folder, which is made if there is none.
    pub(crate) fn to(client: &Client, rental: RentalId, folder: &Path) -> Result<Self, Failure> {
        let pin = Arc::new(Pin::of(client.server(), folder)?);
        Ok(Self { rental, key: key::of(folder)?, client: client.clone(), pin })
    }

    /// The rental.
    pub(crate) const fn rental(&self) -> RentalId {
        self.rental
    }

    /// This client's key.
    pub(crate) const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Papers for now, with a certificate for this SSH key if one is named.
    pub(crate) fn papers(&self, ssh_key: Option<String>) -> Result<Papers, Failure> {
        papers::ask(&self.client, (self.rental, &self.key), &self.pin, ssh_key)
    }

    /// Lines to the relays of these papers, kept up and with a good pass for as long as they are held.
    pub(crate) fn lines(&self, papers: &Papers) -> Result<Arc<Lines>, Failure> {
        let lines = Arc::new(Lines::start(self.key.clone(), papers)?);
        let (client, rental, key) = (self.client.clone(), self.rental, self.key.clone());
        let pin = Arc::clone(&self.pin);
        lines::keep_good(&lines, papers.renew, move || {
            papers::ask(&client, (rental, &key), &pin, None)
        })?;
        Ok(lines)
    }
}

/// This user's own key, in this folder; it is made if there is none.
pub(crate) fn user_key(folder: &Path) -> Result<SigningKey, Failure> {
    key::of(folder)
}

/// This user's own key, if there is one in this folder.
pub(crate) fn existing_user_key(folder: &Path) -> Option<SigningKey> {
    key::known(folder)
}

/// How long a program behind a service may take to answer a short question.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The beginning of an answer of HTTP in which its status stands.
const STATUS_BYTES_MAX: u64 = 64;

/// Asks a service that speaks HTTP for something, with this token, and says by which status it answers.
pub(crate) async fn answer(
    lines: &Lines,
    service: &ServiceName,
    (path, token): (&str, &str),
) -> Result<u16, Failure> {
    let unanswered = |why: String| {
        let what = format!("{service} was not visited: {why}");
        Failure::ended(what, "`iog tunnel list` shows how services stand")
    };
    let asked = async {
        let (_, mut stream) =
            lines.open(service, Proto::Http, None).await.map_err(|why| why.to_string())?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {service}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let mut head = Vec::new();
        let talk = async {
            stream.write_all(request.as_bytes()).await?;
            stream.take(STATUS_BYTES_MAX).read_to_end(&mut head).await
        };
        talk.await.map_err(|fault| fault.to_string())?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| format!("it answers {head:?}"))
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, asked).await;
    answer.unwrap_or_else(|_| Err("it does not answer".to_owned())).map_err(unanswered)
}

/// What carries bytes for visits.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(THREADS).thread_name("visit").enable_all().build();
    Ok(runtime.context("start the threads that carry bytes")?)
}

/// The service with this label, if it is to be had.
pub(crate) fn service<'a>(papers: &'a Papers, label: &str) -> Result<&'a ServiceView, Failure> {
    let found = papers.services.iter().find(|service| service.label.text() == label);
    let Some(found) = found else {
        let known: Vec<&str> = papers.services.iter().map(|known| known.label.text()).collect();
        let what = format!("the rental has no service `{label}`");
        let hint = match known.is_empty() {
            true => "it has none at all yet; `iog tunnel open` makes one".to_owned(),
            false => format!("it has {}; `iog tunnel open` makes another", known.join(", ")),
        };
        return Err(Failure::refused(what, hint));
    };
    if found.state == ServiceState::Refused {
        let why = found.why.as_deref().map(tame);
        let why = why.unwrap_or_else(|| "its node does not say why".to_owned());
        let what = format!("the service `{label}` is not open: {why}");
        return Err(Failure::refused(what, "`iog tunnel list` shows how services stand"));
    }
    Ok(found)
}

/// The whole name of a service, as relays know it.
pub(crate) fn name_of(service: &ServiceView) -> Result<ServiceName, Failure> {
    let name = service.name.parse::<ServiceName>();
    Ok(name.with_context(|| format!("read the name of the service {}", service.label))?)
}
