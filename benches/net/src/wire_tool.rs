//! The wires that tools are measured on: namespaces joined by a bare veth each, without any packet filter.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use namespaces::{Nat, Node, Plan, Rig};

/// Two machines on one wire, `a` and `b`.
pub(crate) fn pair() -> Result<Rig> {
    // As a router it may have somebody behind it, on a wire that nothing else is on.
    Rig::build(&Plan::v4([Node::router("b", Nat::None), Node::host("a").behind("b")]))
}

/// A customer and a worker, each on a wire of its own to a relay, which routes between them as well.
pub(crate) fn triple() -> Result<Rig> {
    Rig::build(&Plan::v4([
        Node::router("relay", Nat::None),
        Node::host("customer").behind("relay"),
        Node::host("worker").behind("relay"),
    ]))
}

/// A customer, a worker, and two relays that they reach through one router.
pub(crate) fn two_relays() -> Result<Rig> {
    Rig::build(&Plan::v4([
        Node::host("relay-1"),
        Node::host("relay-2"),
        Node::host("customer"),
        Node::router("home", Nat::Easy),
        Node::host("worker").behind("home"),
    ]))
}

/// Runs a command to its end.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let done =
        Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    if !done.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(())
}
