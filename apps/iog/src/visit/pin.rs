//! The key of a network, as this user knows it: from the first visit on, papers that another key signs are refused.
//!
//! A server on this machine is not held to its key: whoever answers there is this machine, and one that is tried out is
//! made anew every other hour.

use std::net::IpAddr;
use std::path::Path;

use agent::presence::Pinned;
use anyhow::Context;
use wire::paper::NodeKey;

use crate::client::escaped;
use crate::config::{give_to_owner_of_place, make_folder};
use crate::failure::Failure;

/// In the folder of the configuration: a file for each server.
const FOLDER: &str = "known-networks";

/// What a server's network is known by.
#[derive(Debug)]
pub(crate) struct Pin(Option<Pinned>);

impl Pin {
    /// Of the network of this server, for the user with this folder.
    pub(crate) fn of(server: &str, folder: &Path) -> Result<Self, Failure> {
        if is_here(server) {
            return Ok(Self(None));
        }
        let folder = folder.join(FOLDER);
        make_folder(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Self(Some(Pinned::at(folder.join(format!("{}.key", escaped(server)))))))
    }

    /// The key that the network is known by. Nothing if it is not known, or not held to one.
    ///
    /// # Errors
    /// If the file that holds it cannot be used.
    pub(crate) fn known(&self) -> Result<Option<NodeKey>, Failure> {
        Ok(self.0.as_ref().map(Pinned::known).transpose()?.flatten())
    }

    /// The key that papers must be signed with, where a server says that this one signs them.
    ///
    /// # Errors
    /// If it is known by another, or the file that holds the key cannot be used.
    pub(crate) fn check(&self, told: NodeKey) -> Result<NodeKey, Failure> {
        let Some(pinned) = &self.0 else { return Ok(told) };
        let known = pinned.learn(told)?;
        // Where that cannot be done, its owner notices when it is read.
        let _ = give_to_owner_of_place(pinned.path());
        if known == told {
            return Ok(known);
        }
        let what = format!("the network signs with {told}, and you know it by {known}");
        let file = pinned.path().display();
        let hint = format!("is it the right server? If its operator changed the key: rm {file}");
        Err(Failure::refused(what, hint))
    }
}

/// Whether a server is on this machine.
fn is_here(server: &str) -> bool {
    let authority = server.split("://").nth(1).unwrap_or(server);
    let authority = authority.split('/').next().unwrap_or(authority);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_this_machine_are_told_from_others() {
        for here in ["http://127.0.0.1:4870", "http://[::1]:4870", "https://localhost/x"] {
            assert!(is_here(here), "{here}");
        }
        for there in ["https://iog.example", "http://10.0.0.1:4870", "http://127.0.0.1.example:1"] {
            assert!(!is_here(there), "{there}");
        }
    }

    #[test]
    fn a_network_that_signs_with_another_key_than_at_the_first_visit_is_refused() {
        let folder = std::env::temp_dir().join(format!("iog-pin-{}", std::process::id()));
        let (first, second) = (NodeKey([1; 32]), NodeKey([2; 32]));
        let at = |server: &str| Pin::of(server, &folder).unwrap();
        assert_eq!(at("https://one.example").check(first).unwrap(), first);
        let Err(Failure::Refused { what, hint }) = at("https://one.example").check(second) else {
            panic!("another key is believed")
        };
        assert!(what.contains(&second.to_string()), "{what}");
        assert!(hint.unwrap().contains("rm "), "it says what to do");
        assert_eq!(at("https://two.example").check(second).unwrap(), second, "another network");
        assert_eq!(at("http://127.0.0.1:1").check(first).unwrap(), first);
        assert_eq!(at("http://127.0.0.1:1").check(second).unwrap(), second);
        std::fs::write(folder.join(FOLDER).join("https%3A%2F%2Fone.example.key"), "").unwrap();
        assert!(
            at("https://one.example").check(first).is_err(),
            "a damaged file is no first visit"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
