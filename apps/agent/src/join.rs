//! A machine takes up an invitation.

use anyhow::{Context, anyhow};
use units::{InviteId, WorkerId};
use wire::JoinRequest;

use crate::config::Config;
use crate::identity::{Identity, key_to_join};
use crate::link::{Http, Refusal, Trouble, is_in_the_open};
use crate::machine::{Described, host_name, note_told};
use crate::measure::schedule;
use crate::{lock, probe};

/// The code of a refusal: hardware like this has joined before, with another key.
const SAME_MACHINE: &str = "same-machine";
/// Hexadecimal digits of a token's secret.
const SECRET_DIGITS: usize = 64;

/// Why a machine has not joined.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// What it was told is wrong: the folder, the token, the server, what is on offer.
    #[error("{0:#}")]
    Told(anyhow::Error),
    /// Nobody answered as a control plane does.
    #[error("reach {server}: {why}")]
    Unreachable {
        /// Where.
        server: String,
        /// Why, as far as it is known.
        why: String,
    },
    /// The control plane said no.
    #[error("{what}{}", hint.as_ref().map(|it| format!(" (hint: {it})")).unwrap_or_default())]
    Refused {
        /// What was wrong, and its code.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Something broke.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

impl NotJoined {
    /// What came of a question to this server.
    pub(crate) fn of(server: &str, trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) if refusal.code.is_empty() => {
                let Refusal { status, .. } = refusal;
                let why = format!("what is there answers {status}, and not like a control plane");
                Self::Unreachable { server: server.to_owned(), why }
            }
            Trouble::Refused(refusal) => {
                let what = format!("{} ({})", refusal.detail, refusal.code);
                Self::Refused { what, hint: refusal.hint }
            }
            Trouble::Weather(why) => {
                let why = why.strip_prefix(server.trim_end_matches('/')).unwrap_or(&why);
                let why = why.trim_start_matches([':', ' ']).to_owned();
                Self::Unreachable { server: server.to_owned(), why }
            }
        }
    }
}

/// Whether a machine told this can join. Asks nobody, and changes nothing.
///
/// # Errors
/// If what it was told is wrong, or the folder's machine has joined already.
pub fn may_join(config: &Config, token: &str) -> Result<(), NotJoined> {
    config.checked().map_err(NotJoined::Told)?;
    if config.server.is_empty() {
        return Err(NotJoined::Told(anyhow!("join: no network is named (hint: say --server URL)")));
    }
    if !is_token(token) {
        let hint = "give all of what `iog worker invite` printed: inv_, and 91 characters more";
        return Err(NotJoined::Told(anyhow!("use this token: it is not whole (hint: {hint})")));
    }
    match Identity::read(&config.data).map_err(NotJoined::Told)? {
        None => Ok(()),
        Some(known) => {
            let (data, worker) = (config.data.display(), known.worker);
            Err(NotJoined::Told(anyhow!(
                "join from {data}: it is the folder of {worker}, which has joined {} already (hint: serve with \
                 `iog worker run --data {data}`, or name another folder with --data; `iog worker retire {worker}` \
                 gives it up)",
                known.server
            )))
        }
    }
}

/// Whether this looks like an invitation's token: its id, and its secret.
fn is_token(text: &str) -> bool {
    let Some((id, secret)) = text.rsplit_once('_') else { return false };
    let is_secret =
        secret.len() == SECRET_DIGITS && secret.bytes().all(|it| it.is_ascii_hexdigit());
    is_secret && id.parse::<InviteId>().is_ok()
}

/// Joins the network with an invitation's token, and writes down who this machine is in the data folder.
///
/// # Errors
/// If the folder's machine has joined already, the machine cannot be offered, or the control plane refuses.
pub fn join(config: &Config, token: &str) -> Result<WorkerId, NotJoined> {
    may_join(config, token)?;
    let server = config.server.trim_end_matches('/');
    let _lock = lock::take(&config.data).map_err(NotJoined::Told)?;
    // Another may have joined from this folder meanwhile.
    may_join(config, token)?;
    if is_in_the_open(server) {
        tracing::warn!(server, "what is said to this server can be read on the way; use https");
    }
    let name = config.name.clone().map_or_else(host_name, Ok).map_err(NotJoined::Told)?;
    let hardware = probe::look(&config.data, config.driver.as_deref());
    // Whether nodes can have a network of their own is tried when the agent starts, and told then.
    let config = &Config { own_network: false, ..config.clone() };
    let said = Described::of(&hardware, config).map_err(NotJoined::Told)?;
    let key = key_to_join(&config.data).map_err(NotJoined::Broken)?;
    let fingerprint = said.fingerprint;
    let request = JoinRequest {
        token: token.to_owned(),
        name: name.clone(),
        public_key: key.public(),
        fingerprint,
        machine: said.machine.clone(),
        signature: key.sign(&format!("iog join 1\n{token}\n{fingerprint}\n{name}")),
    };
    let answer = Http::new(server).join(&request).map_err(|trouble| refused(config, trouble))?;
    let worker = answer.worker;
    let identity = Identity { worker, server: server.to_owned(), name, key };
    let written = identity.write(&config.data);
    written.with_context(|| format!("remember joining as {worker}")).map_err(NotJoined::Broken)?;
    // Of another network nothing that was measured counts.
    schedule::forget(&config.data);
    note_told(&config.data, &said);
    Ok(worker)
}

/// What the control plane said no to, with what to type where that helps.
fn refused(config: &Config, trouble: Trouble) -> NotJoined {
    let is_known = match &trouble {
        Trouble::Refused(refusal) => refusal.code == SAME_MACHINE,
        Trouble::Weather(_) => false,
    };
    if !is_known {
        return NotJoined::of(&config.server, trouble);
    }
    let data = config.data.display();
    let what = format!(
        "this machine is in the network already, with a key that {data} does not have ({SAME_MACHINE})\n\
         If its old data folder is there, run it from that one: iog worker run --data FOLDER\n\
         If the folder is lost, have its owner ask for a token with which it comes again:\n    \
         iog worker list                       shows which one it is\n    \
         iog worker invite --replace wkr_…     prints the token\n    \
         iog worker join TOKEN --server {} --data {data}\n\
         If two agents are to share the machine, tell them apart with --part 1 and --part 2",
        config.server
    );
    NotJoined::Refused { what, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_copied_in_part_is_none() {
        let (id, secret) = (InviteId::from_bits(7).to_string(), "5e".repeat(32));
        let whole = format!("{id}_{secret}");
        assert_eq!(whole.len(), "inv_".len() + 91);
        assert!(is_token(&whole));
        for part in ["", "inv_", &id, &secret, &whole[..94], &whole[1..], "nonsense"] {
            assert!(!is_token(part), "{part}");
        }
    }

    #[test]
    fn nobody_is_told_from_a_no() {
        let refusal = |code: &str| {
            let (code, detail) = (code.to_owned(), "no".to_owned());
            Trouble::Refused(Refusal { status: 404, code, detail, hint: None })
        };
        let said = |trouble| NotJoined::of("http://a/", trouble);
        assert!(
            matches!(said(refusal("expired")), NotJoined::Refused { what, .. } if what == "no (expired)")
        );
        assert!(matches!(said(refusal("")), NotJoined::Unreachable { .. }));
        let weather = Trouble::Weather("http://a: io: refused".to_owned());
        assert!(
            matches!(said(weather), NotJoined::Unreachable { why, .. } if why == "io: refused")
        );
    }
}
