//! Machines that join and speak as real agents do.

use anyhow::Context;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use units::{BlobId, Resources, Tier, WorkerId};
use wire::{
    Challenge, ChallengeRequest, InviteIssued, InviteRequest, JoinAnswer, JoinRequest, Machine,
    Session, SessionRequest,
};

use crate::http::Connection;

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("roll dice")?;
    Ok(bytes)
}

/// A machine joins and opens a session: its id, the session's token, and where its beats count from.
///
/// # Errors
/// What the server answered instead.
pub fn join(
    to: &mut Connection,
    operator: &str,
    number: usize,
) -> anyhow::Result<(WorkerId, Session)> {
    join_as(&SigningKey::from_bytes(&random()?), to, operator, number)
}

/// The same, of a machine with this key.
///
/// # Errors
/// What the server answered instead.
pub fn join_as(
    key: &SigningKey,
    to: &mut Connection,
    operator: &str,
    number: usize,
) -> anyhow::Result<(WorkerId, Session)> {
    let issued: InviteIssued =
        to.ask(("POST", "/v1/invites"), operator, &InviteRequest::default())?;
    let request = machine_request(key, &issued.token, number)?;
    let JoinAnswer { worker } = to.ask(("POST", "/v1/worker/join"), "", &request)?;
    let Challenge { challenge } =
        to.ask(("POST", "/v1/worker/challenge"), "", &ChallengeRequest { worker })?;
    let text = format!("iog session 1\n{worker}\n{challenge}");
    let signature = HEXLOWER.encode(&key.sign(text.as_bytes()).to_bytes());
    let asked = SessionRequest { worker, challenge, signature };
    Ok((worker, to.ask(("POST", "/v1/worker/session"), "", &asked)?))
}

/// A signed request to join.
///
/// # Errors
/// When the operating system has no dice.
pub fn machine_request(
    key: &SigningKey,
    token: &str,
    number: usize,
) -> anyhow::Result<JoinRequest> {
    let name: units::Name = format!("bench-{number}").parse()?;
    let fingerprint = BlobId::from_sha256(random()?);
    let text = format!("iog join 1\n{token}\n{fingerprint}\n{name}");
    Ok(JoinRequest {
        token: token.to_owned(),
        name,
        public_key: BlobId::from_sha256(key.verifying_key().to_bytes()),
        fingerprint,
        machine: Machine {
            offers: Resources { gpus: 0, vcpus: 8, memory_mib: 16_384, disk_mib: 100_000 },
            gpu_model: None,
            vram_mib: 0,
            cpu_model: "Bench 8".to_owned(),
            os: "Debian 12".to_owned(),
            country: None,
            tier: Tier::High,
            certifications: std::collections::BTreeSet::new(),
            host: None,
        },
        signature: HEXLOWER.encode(&key.sign(text.as_bytes()).to_bytes()),
    })
}
