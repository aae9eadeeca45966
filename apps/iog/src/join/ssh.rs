//! What the ssh of this machine needs to reach the nodes of a private network by their names: configuration, their
//! keys, and a certificate. It lies in this user's own folder, for `Include` in `~/.ssh/config`, and is kept good while
//! this machine is a member.
//!
//! # Invariants
//! - Names and keys are those of memberships, which the network signed: ssh neither asks a name server nor the user.
//! - It goes when the membership ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent::presence::Papers;
use data_encoding::BASE64;
use units::{Name, RentalId};
use wire::paper::{Membership, NodeKey};

use crate::failure::Failure;
use crate::visit::openssh::{self, Files, block, key_of, public_key};

/// In the folder of SSH keys.
const FOLDER: &str = "networks";
/// What nodes are to policies.
const NODES: &str = "group:nodes";

/// The files of one network.
#[derive(Debug)]
pub(super) struct Ssh {
    rental: RentalId,
    /// What the network is called, where it has a name.
    called: Option<Name>,
    /// The key that certificates are asked for, as OpenSSH writes it.
    pub(super) public: String,
    files: Files,
    config: PathBuf,
    /// Whether the membership has ended; held while files are written.
    is_over: Mutex<bool>,
}

impl Ssh {
    /// For this rental's network.
    ///
    /// # Errors
    /// If this machine has no OpenSSH, or the folder cannot be written.
    pub(super) fn of(
        folder: &Path,
        rental: RentalId,
        called: Option<Name>,
    ) -> Result<Self, Failure> {
        let key = key_of(folder)?;
        let public = public_key(&key)?;
        let place = key.with_file_name(FOLDER);
        let file = |end: &str| place.join(format!("{rental}{end}"));
        let (certificate, hosts, config) = (file("-cert.pub"), file(".hosts"), file(".config"));
        let files = Files { key, certificate, hosts };
        Ok(Self { rental, called, public, files, config, is_over: Mutex::new(false) })
    }

    /// What ssh is to include.
    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    fn is_over(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what came, unless it is over: who is there, and a certificate.
    pub(super) fn keep(&self, papers: &Papers, certificate: Option<&str>) -> Result<(), Failure> {
        let is_over = self.is_over();
        if *is_over {
            return Ok(());
        }
        certificate.map_or(Ok(()), |certificate| self.files.certify(certificate))?;
        let nodes = papers.members.iter().filter(|member| member.groups.contains(NODES));
        let nodes: Vec<&Membership> = nodes.collect();
        let keys: Vec<String> = nodes.iter().map(|node| openssh_key(&node.node)).collect();
        let known = nodes.iter().zip(&keys).map(|(node, key)| (self.alias(node), key.as_str()));
        self.files.know(known)?;
        let blocks = nodes.iter().map(|node| self.block(node));
        openssh::write(&self.config, &blocks.collect::<Vec<_>>().join("\n"))
    }

    /// Removes what was written, and writes no more.
    pub(super) fn end(&self) {
        let mut is_over = self.is_over();
        *is_over = true;
        for path in [&self.config, &self.files.hosts, &self.files.certificate] {
            let _ = fs::remove_file(path);
        }
    }

    /// What a node is known by, whatever rental's network it is called the same in.
    fn alias(&self, node: &Membership) -> String {
        format!("{}.{}.mesh", node.name, self.rental)
    }

    fn block(&self, node: &Membership) -> String {
        let Membership { name, v4, v6, .. } = node;
        let full = self.called.iter().map(|called| format!("{name}.{called}.mesh"));
        let names = full.chain([format!("{name}.mesh"), v4.to_string(), v6.to_string()]);
        let names: Vec<String> = names.collect();
        let leads = [("HostName", v4.to_string())];
        let options = leads.into_iter().chain(self.files.options(&self.alias(node)));
        block(&names.join(" "), &options.collect::<Vec<_>>())
    }
}

/// A node's key as OpenSSH writes it (RFC 4253, 6.6; RFC 8709, 4).
fn openssh_key(key: &NodeKey) -> String {
    let kind = "ssh-ed25519";
    let mut blob = Vec::new();
    for field in [kind.as_bytes(), &key.0] {
        let bytes = u32::try_from(field.len()).expect("both are short");
        blob.extend(bytes.to_be_bytes());
        blob.extend(field);
    }
    format!("{kind} {}", BASE64.encode(&blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_openssh_writes_it() {
        // What `ssh-keygen -y` says of a key of 32 bytes of 7.
        let expected =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
        assert_eq!(openssh_key(&NodeKey([7; 32])), expected);
    }
}
