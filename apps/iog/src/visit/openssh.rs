//! What OpenSSH of this machine is told so that it reaches nodes: a key, certificates for it, keys of hosts, and
//! configuration.
//!
//! # Invariants
//! - What a server says stands in no file before it is known to be a word of a key, and nothing else.
//! - A node's host key is the node's own key; no other is asked for or kept.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::config::{give_to_owner_of_place, write_secret};
use crate::failure::Failure;

/// Who visitors are on a node; whoever they name, they land as the node's user.
const USER: &str = "node";

pub(crate) fn not_started(program: &str, fault: std::io::Error) -> Failure {
    if fault.kind() != ErrorKind::NotFound {
        return Failure::Fault(anyhow::Error::new(fault).context(format!("start {program}")));
    }
    let what = format!("there is no `{program}` on this machine");
    Failure::usage(what, "install OpenSSH's client: apt-get install openssh-client")
}

/// The private key for the SSH of all rentals, in the folder of the configuration.
pub(crate) fn key_of(folder: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(folder.join("ssh/id_ed25519")).context("find the folder of keys")?)
}

/// What a program of OpenSSH writes.
fn told_by(mut program: Command) -> Result<String, Failure> {
    let output = program.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|fault| not_started("ssh-keygen", fault))?;
    if !output.status.success() {
        let what = format!("ssh-keygen ended ({})", output.status);
        return Err(Failure::ended(what, "what it says above tells why"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The public key, as OpenSSH writes it; the pair is made if there is none.
pub(crate) fn public_key(key: &Path) -> Result<String, Failure> {
    if !key.exists() {
        let beside = key.with_extension(std::process::id().to_string());
        // Written and removed, so that the folder is there, and for its owner only.
        let made = write_secret(&beside, b"").and_then(|()| fs::remove_file(&beside));
        made.with_context(|| format!("write {}", beside.display()))?;
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "iog", "-f"]).arg(&beside);
        told_by(make)?;
        give_to_owner_of_place(&beside)
            .with_context(|| format!("give {} away", beside.display()))?;
        // Of two at once, the first one's stays.
        let placed = fs::hard_link(&beside, key);
        let _ = fs::remove_file(&beside);
        let _ = fs::remove_file(beside.with_added_extension("pub"));
        match placed {
            Err(fault) if fault.kind() != ErrorKind::AlreadyExists => {
                let what = format!("write {}", key.display());
                return Err(Failure::Fault(anyhow::Error::new(fault).context(what)));
            }
            _ => {}
        }
    }
    let mut read = Command::new("ssh-keygen");
    read.arg("-y").arg("-f").arg(key);
    told_by(read)
}

/// What ssh reads of one host, or of some.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The private key.
    pub(crate) key: PathBuf,
    /// Where its certificate is.
    pub(crate) certificate: PathBuf,
    /// Where keys of hosts are.
    pub(crate) hosts: PathBuf,
}

impl Files {
    /// Writes the certificate.
    pub(crate) fn certify(&self, certificate: &str) -> Result<(), Failure> {
        write(&self.certificate, &format!("{}\n", one_line(certificate)?))
    }

    /// Writes down the keys of hosts, each with what it is known by.
    pub(crate) fn know<'a>(
        &self,
        hosts: impl IntoIterator<Item = (String, &'a str)>,
    ) -> Result<(), Failure> {
        let mut text = String::new();
        for (host, key) in hosts {
            text.push_str(&format!("{host} {}\n", one_line(key)?));
        }
        write(&self.hosts, &text)
    }

    /// What ssh is told of a host that is known by this, as names and values of its configuration.
    pub(crate) fn options(&self, host: &str) -> Vec<(&'static str, String)> {
        let off = |name| (name, "no".to_owned());
        vec![
            ("User", USER.to_owned()),
            ("IdentityFile", quoted(&self.key)),
            ("CertificateFile", quoted(&self.certificate)),
            ("IdentitiesOnly", "yes".to_owned()),
            ("HostKeyAlias", host.to_owned()),
            ("UserKnownHostsFile", quoted(&self.hosts)),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("PreferredAuthentications", "publickey".to_owned()),
            // Whatever this user's own configuration says: the machine is somebody else's.
            off("ForwardAgent"),
            off("ForwardX11"),
            off("PermitLocalCommand"),
            off("UpdateHostKeys"),
            off("AddKeysToAgent"),
        ]
    }
}

/// A block of ssh's configuration, for hosts that are called this.
pub(crate) fn block(called: &str, options: &[(&str, String)]) -> String {
    let lines = options.iter().map(|(name, value)| format!("  {name} {value}\n"));
    format!("Host {called}\n{}", lines.collect::<String>())
}

/// Replaces a file of this user's.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = write_secret(path, text.as_bytes());
    Ok(written.with_context(|| format!("write {}", path.display()))?)
}

/// A key or a certificate as OpenSSH writes it: words of letters and base 64 on one line.
fn one_line(text: &str) -> Result<&str, Failure> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-@._ ".contains(&byte);
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(is_known) {
        let what = "the server gave a key that is not as OpenSSH writes it";
        return Err(Failure::refused(what, "is it the right server?"));
    }
    Ok(text)
}

/// A path as ssh reads it: it takes `%` for the beginning of something, and spaces for ends.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reaches_ssh_as_it_is() {
        assert_eq!(quoted(Path::new("/a/b")), "/a/b");
        assert_eq!(quoted(Path::new("/a b/50%")), "\"/a b/50%%\"");
    }

    #[test]
    fn a_key_of_more_than_one_line_is_none() {
        assert_eq!(one_line(" ssh-ed25519 AAAA+/= \n").unwrap(), "ssh-ed25519 AAAA+/=");
        for wrong in ["", "\n", "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB", "a\tb", "`x`"] {
            assert!(one_line(wrong).is_err(), "{wrong:?}");
        }
    }
}
