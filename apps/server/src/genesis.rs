//! The first start: a network gets an operator.

use std::path::Path;

use anyhow::Context;
use control::{Actor, Body, Command, Control, Scope};
use units::{AccountId, KeyId, Name};

use crate::clock::fresh_bits;
use crate::secrets::{Secret, sha256, write_private};
use crate::writer::own;

/// Where the operator's key is written.
pub(crate) const OPERATOR_KEY: &str = "operator.key";

/// The commands that make the operator, if there is none yet: an account, and a key that may do everything. The key
/// is in its file before the journal knows it, so that it is never lost.
pub(crate) fn commands(state: &Control, secret: &Secret, data: &Path) -> anyhow::Result<Vec<Body>> {
    if state.keys().any(|(_, key)| key.scopes.contains(&Scope::Operator) && !key.revoked) {
        return Ok(Vec::new());
    }
    let name: Name = "operator".parse().context("name the operator")?;
    let (account, key) = (AccountId::from_bits(fresh_bits()), KeyId::from_bits(fresh_bits()));
    let text = key_text(secret, key);
    write_private(&data.join(OPERATOR_KEY), format!("{text}\n").as_bytes())?;
    let commands = [
        Command::OpenAccount { account, name: name.clone(), email: None },
        Command::IssueKey {
            key,
            account,
            label: name,
            scopes: [Scope::Read, Scope::Write, Scope::Operator].into(),
            secret_sha256: sha256(&text),
            expires_millis: None,
        },
    ];
    Ok(commands.into_iter().map(|command| own(Actor::Operator, command)).collect())
}

/// What a key is sent as: `iog_`, its id, and a secret that follows from the server's own. Only its hash is kept.
pub(crate) fn key_text(secret: &Secret, key: KeyId) -> String {
    let digits = key.to_string();
    let id = digits.strip_prefix("key_").unwrap_or_default();
    format!("iog_{id}_{}", secret.derive("key", &digits))
}
