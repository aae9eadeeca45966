//! A machine takes up an invitation.

use anyhow::{Context, Result, anyhow, bail, ensure};
use units::WorkerId;
use wire::JoinRequest;

use crate::config::Config;
use crate::identity::{Identity, key_to_join};
use crate::link::{Http, Trouble, is_in_the_open};
use crate::machine::{Described, host_name, note_told};
use crate::measure::schedule;
use crate::{lock, probe};

/// The code of a refusal: hardware like this has joined before, with another key.
const SAME_MACHINE: &str = "same-machine";

/// Joins the network with an invitation's token, and writes down who this machine is in the data folder.
///
/// # Errors
/// If the folder's machine has joined already, the machine cannot be offered, or the control plane refuses.
pub fn join(config: &Config, token: &str) -> Result<WorkerId> {
    let server = config.server.trim_end_matches('/');
    ensure!(
        server.starts_with("http://") || server.starts_with("https://"),
        "use the server `{server}`: it is no http(s) address (hint: --server https://…)"
    );
    config.checked()?;
    let _lock = lock::take(&config.data)?;
    if let Some(known) = Identity::read(&config.data)? {
        bail!(
            "join: the machine of {} is {} at {} already \
             (hint: name another folder with --data, or remove {} to give that machine up)",
            config.data.display(),
            known.worker,
            known.server,
            config.data.join("identity.json").display()
        );
    }
    if is_in_the_open(server) {
        tracing::warn!(server, "what is said to this server can be read on the way; use https");
    }
    let name = config.name.clone().map_or_else(host_name, Ok)?;
    let hardware = probe::look(&config.data, config.driver.as_deref());
    let said = Described::of(&hardware, config)?;
    let key = key_to_join(&config.data)?;
    let fingerprint = said.fingerprint;
    let request = JoinRequest {
        token: token.to_owned(),
        name: name.clone(),
        public_key: key.public(),
        fingerprint,
        machine: said.machine.clone(),
        signature: key.sign(&format!("iog join 1\n{token}\n{fingerprint}\n{name}")),
    };
    let answer = Http::new(server).join(&request).map_err(|trouble| refused(config, &trouble))?;
    let worker = answer.worker;
    let identity = Identity { worker, server: server.to_owned(), name, key };
    identity.write(&config.data).with_context(|| format!("remember joining as {worker}"))?;
    // Of another network nothing that was measured counts.
    schedule::forget(&config.data);
    note_told(&config.data, &said);
    tracing::info!(%worker, "this machine has joined");
    Ok(worker)
}

/// What the control plane said no to, with what to type where that helps.
fn refused(config: &Config, trouble: &Trouble) -> anyhow::Error {
    let is_known = match trouble {
        Trouble::Refused(refusal) => refusal.code == SAME_MACHINE,
        Trouble::Weather(_) => false,
    };
    if !is_known {
        return anyhow!("join: {trouble}");
    }
    let data = config.data.display();
    anyhow!(
        "join: this machine is in the network already, with a key that {data} does not have\n\
         If its old data folder is there, run it from that one: iog worker run --data FOLDER\n\
         If the folder is lost, have its owner ask for a token with which it comes again:\n    \
         iog worker list                       shows which one it is\n    \
         iog worker invite --replace wkr_…     prints the token\n    \
         iog worker join TOKEN --server {} --data {data}\n\
         If two agents are to share the machine, tell them apart with --part 1 and --part 2",
        config.server
    )
}
