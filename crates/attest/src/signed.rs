//! Two lines: what somebody says as JSON, and their ed25519 signature over it in hexadecimal digits.
//!
//! What is signed is a line that names the kind, a line feed, and the bytes of the first line. The bytes are never
//! written anew, so there is no canonical form to agree on; and what was signed as one kind never reads as another.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::SIGNED_BYTES_MAX;

/// Why signed data is refused. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// More than anybody needs.
    #[error("it has more than {SIGNED_BYTES_MAX} bytes")]
    TooLong,
    /// Not two lines, the second 128 hexadecimal digits.
    #[error("it is not a line of JSON and a line of 128 hexadecimal digits")]
    Shape,
    /// No trusted key signed it.
    #[error("none of the trusted keys signed it as {kind}")]
    Untrusted {
        /// What it was taken for.
        kind: &'static str,
    },
    /// It was signed, but does not say what it should.
    #[error("it is signed but does not read: {why}")]
    Content {
        /// What is wrong.
        why: String,
    },
}

/// Data that somebody signs.
pub(crate) trait Said: Serialize + DeserializeOwned {
    /// What is said, and in which version: what keeps signatures apart.
    const KIND: &'static str;

    /// Whether it can be used.
    fn check(&self) -> Result<(), String>;
}

pub(crate) fn open<T: Said>(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<T, NotSigned> {
    if bytes.len() > SIGNED_BYTES_MAX {
        return Err(NotSigned::TooLong);
    }
    let (said, signature) = split(bytes).ok_or(NotSigned::Shape)?;
    let signed = signed_bytes::<T>(said);
    if !trusted.iter().any(|key| key.verify_strict(&signed, &signature).is_ok()) {
        return Err(NotSigned::Untrusted { kind: T::KIND });
    }
    let value: T = serde_json::from_slice(said)
        .map_err(|error| NotSigned::Content { why: error.to_string() })?;
    value.check().map_err(|why| NotSigned::Content { why })?;
    Ok(value)
}

pub(crate) fn seal<T: Said>(value: &T, key: &SigningKey) -> Vec<u8> {
    let mut said = serde_json::to_vec(value).expect("its maps have text for keys");
    let signature = key.sign(&signed_bytes::<T>(&said));
    said.push(b'\n');
    said.extend(HEXLOWER.encode(&signature.to_bytes()).bytes());
    said.push(b'\n');
    said
}

fn signed_bytes<T: Said>(said: &[u8]) -> Vec<u8> {
    [T::KIND.as_bytes(), b"\n", said].concat()
}

fn split(bytes: &[u8]) -> Option<(&[u8], Signature)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (said, rest) = bytes.split_at(end);
    let digits = rest.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
    let signature = HEXLOWER.decode(digits).ok()?;
    Some((said, Signature::from_slice(&signature).ok()?))
}
