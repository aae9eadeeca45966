//! Names of members for the programs of this machine.
//!
//! # Invariants
//! - No file of the system is written: what is set goes with the device.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// What the names end in.
const ZONE: &str = "~mesh";

/// Has the system's resolver ask the network's own for names of members. Returns whether there is such a resolver.
pub(super) fn set(device: &str, resolver: Ipv4Addr) -> bool {
    let resolver = resolver.to_string();
    // The first fails where there is no such program, or no service behind it.
    let steps = [["dns", device, &resolver], ["domain", device, ZONE]];
    steps.iter().all(|words| is_done(words))
        // Other names are asked elsewhere even where nobody else answers.
        && is_done(&["default-route", device, "no"])
}

fn is_done(words: &[&str]) -> bool {
    let mut command = Command::new("resolvectl");
    let command = command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
