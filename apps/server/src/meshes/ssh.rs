//! Certificates of OpenSSH for renters, by the network's key.
//!
//! The form is that of OpenSSH's `PROTOCOL.certkeys`. A certificate names a rental: relays and nodes let its bearer to
//! the SSH of that rental's nodes, and nowhere else.

use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use units::{AccountId, RentalId, Timestamp};
use wire::paper::{CLOCK_SKEW_MAX, NodeKey};

use crate::limits::SSH_KEY_BYTES_MAX;

/// Kinds of keys that are certified, and how many fields each has beside its name. RSA has its own check.
const KINDS: &[(&str, usize)] = &[
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("ssh-ed25519", 1),
    ("ssh-rsa", 2),
];
/// The shortest modulus of RSA that is certified, in bytes.
const RSA_BYTES_MIN: usize = 2_048 / 8;
/// A certificate for a user, and not for a host.
const USER: u32 = 1;
/// What its bearer may do there. Names are in this order, as OpenSSH wants it.
const EXTENSIONS: &[&str] = &["permit-port-forwarding", "permit-pty"];

/// A public key of SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshKey {
    kind: &'static str,
    /// Its fields, each with its length before it.
    fields: Vec<u8>,
}

impl SshKey {
    /// Reads a key as OpenSSH writes it: kind, base 64, and perhaps a comment.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (name, blob) = (words.next()?, words.next()?);
        let (kind, count) = KINDS.iter().find(|(kind, _)| *kind == name)?;
        let blob = BASE64.decode(blob.as_bytes()).ok()?;
        if text.len() > SSH_KEY_BYTES_MAX {
            return None;
        }
        let (first, fields) = field(&blob)?;
        let mut rest = fields;
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (one, after) = field(rest)?;
            sizes.push(one.len());
            rest = after;
        }
        let is_sound = match *kind {
            "ssh-ed25519" => sizes == [32],
            "sk-ssh-ed25519@openssh.com" => sizes.first() == Some(&32),
            "ssh-rsa" => sizes.get(1).is_some_and(|modulus| *modulus >= RSA_BYTES_MIN),
            _ => true,
        };
        let is_one = first == kind.as_bytes() && sizes.len() == *count && is_sound;
        is_one.then(|| Self { kind, fields: fields.to_vec() })
    }
}

/// A field and what follows it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).expect("what is written here is short");
    out.extend(length.to_be_bytes());
    out.extend(field);
}

/// One field of several.
fn list<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    fields.into_iter().for_each(|field| put(&mut out, field));
    out
}

/// A node's or the network's key as OpenSSH writes it.
pub(crate) fn openssh(key: &NodeKey) -> String {
    format!("ssh-ed25519 {}", BASE64.encode(&blob(key)))
}

fn blob(key: &NodeKey) -> Vec<u8> {
    list([b"ssh-ed25519".as_slice(), &key.0])
}

/// For whom, for what, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certified {
    pub(crate) account: AccountId,
    pub(crate) rental: RentalId,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    /// Bytes nobody can guess.
    pub(crate) nonce: [u8; 32],
}

/// A certificate for a key, as OpenSSH keeps it beside the key.
pub(crate) fn certificate(key: &SshKey, of: &Certified, network: &SigningKey) -> String {
    let name = match key.kind.strip_suffix("@openssh.com") {
        Some(kind) => format!("{kind}-cert-v01@openssh.com"),
        None => format!("{}-cert-v01@openssh.com", key.kind),
    };
    let seconds = |at: u64| (at / 1_000).to_be_bytes();
    let skew = u64::try_from(CLOCK_SKEW_MAX.as_millis()).unwrap_or_default();
    let mut body = list([name.as_bytes(), &of.nonce]);
    body.extend(&key.fields);
    body.extend(of.issued.millis().to_be_bytes());
    body.extend(USER.to_be_bytes());
    put(&mut body, of.account.to_string().as_bytes());
    put(&mut body, &list([of.rental.to_string().as_bytes()]));
    body.extend(seconds(of.issued.millis().saturating_sub(skew)));
    body.extend(seconds(of.expires.millis()));
    put(&mut body, b"");
    put(&mut body, &list(EXTENSIONS.iter().flat_map(|name| [name.as_bytes(), b"".as_slice()])));
    put(&mut body, b"");
    put(&mut body, &blob(&NodeKey(network.verifying_key().to_bytes())));
    let signature = network.sign(&body).to_bytes();
    put(&mut body, &list([b"ssh-ed25519".as_slice(), &signature]));
    format!("{name} {} {}", BASE64.encode(&body), of.rental)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFexWVkvXSdvl1hBKTBZfdsKg5oEmD13UySRTXMxfEPd ada";

    fn text(kind: &str, fields: &[&[u8]]) -> String {
        let all = std::iter::once(kind.as_bytes()).chain(fields.iter().copied());
        format!("{kind} {}", BASE64.encode(&list(all)))
    }

    #[test]
    fn keys_are_read_to_their_last_byte() {
        assert!(SshKey::read(ED25519).is_some());
        assert!(SshKey::read(&text("ssh-rsa", &[&[1, 0, 1], &[7; 256]])).is_some());
        assert!(SshKey::read(&text("sk-ssh-ed25519@openssh.com", &[&[7; 32], b"ssh:"])).is_some());
        let long = "A".repeat(SSH_KEY_BYTES_MAX);
        let wrong = [
            String::new(),
            "ssh-ed25519".to_owned(),
            text("ssh-ed25519", &[&[7; 31]]),
            text("ssh-ed25519", &[&[7; 32], b"x"]),
            text("ssh-rsa", &[&[1, 0, 1], &[7; 128]]),
            text("ssh-dss", &[&[7; 32]]),
            text("ssh-ed25519-cert-v01@openssh.com", &[&[7; 32]]),
            ED25519.replacen("ssh-ed25519", "ssh-rsa", 1),
            format!("{ED25519} {long}"),
        ];
        for wrong in wrong {
            assert_eq!(SshKey::read(&wrong), None, "{wrong}");
        }
    }

    /// As `ssh-keygen -L` reads it: a promise to every OpenSSH.
    #[test]
    fn a_certificate_is_what_openssh_expects() {
        let of = Certified {
            account: AccountId::from_bits(1),
            rental: RentalId::from_bits(2),
            issued: Timestamp::from_millis(1_800_000_000_000),
            expires: Timestamp::from_millis(1_800_003_600_000),
            nonce: [9; 32],
        };
        let key = SshKey::read(ED25519).unwrap();
        insta::assert_snapshot!(certificate(&key, &of, &SigningKey::from_bytes(&[7; 32])));
    }
}
