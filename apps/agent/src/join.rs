//! A machine takes up an invitation.

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use units::{BlobId, WorkerId};
use wire::JoinRequest;

use crate::config::Config;
use crate::identity::{Identity, key_to_join};
use crate::link::{Http, is_in_the_open};
use crate::machine::{host_name, note_told, offered};
use crate::{lock, probe};

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
    let hardware = probe::look(&config.data);
    let machine = offered(&hardware, config)?;
    let key = key_to_join(&config.data)?;
    let fingerprint = fingerprint_of_part(hardware.fingerprint, config.part);
    let request = JoinRequest {
        token: token.to_owned(),
        name: name.clone(),
        public_key: key.public(),
        fingerprint,
        machine: machine.clone(),
        signature: key.sign(&format!("iog join 1\n{token}\n{fingerprint}\n{name}")),
    };
    let answer = Http::new(server).join(&request).map_err(|trouble| anyhow!("join: {trouble}"))?;
    let worker = answer.worker;
    let identity = Identity { worker, server: server.to_owned(), name, key };
    identity.write(&config.data).with_context(|| format!("remember joining as {worker}"))?;
    note_told(&config.data, &machine);
    tracing::info!(%worker, "this machine has joined");
    Ok(worker)
}

/// A machine's fingerprint, or that of one of its parts: SHA-256 of the machine's and the part's number.
fn fingerprint_of_part(machine: [u8; 32], part: u32) -> BlobId {
    if part == 0 {
        return BlobId::from_sha256(machine);
    }
    BlobId::from_sha256(
        Sha256::new().chain_update(machine).chain_update(part.to_be_bytes()).finalize().into(),
    )
}
