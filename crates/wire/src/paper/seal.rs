//! The seal of a paper: its bytes, who signed them, and the signature.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use units::Timestamp;
use utoipa::ToSchema;

use super::kind::{Paper, Unsound};
use super::limits::{CLOCK_SKEW_MAX, POLICY_BYTES_MAX};
use super::node_key::NodeKey;
use crate::Time;

/// The form of the bytes of [`SealedPaper::to_bytes`].
const FORM: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
/// Form, key, signature, length of the body.
const HEAD_BYTES: usize = 1 + 32 + SIGNATURE_BYTES + 4;
/// The longest body of any kind.
const SEALED_BODY_MAX: usize = POLICY_BYTES_MAX;

/// A paper that nobody has checked yet. In JSON, the body is base 64, key and signature are hexadecimal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "Written")]
pub struct SealedPaper {
    /// The bytes that are signed, in base 64.
    #[schema(value_type = String)]
    body: Vec<u8>,
    /// Who signed them: an ed25519 key, in hexadecimal.
    key: NodeKey,
    /// The signature of `iog paper 1 KIND`, a newline, and the bytes, in hexadecimal.
    #[schema(value_type = String)]
    signature: [u8; SIGNATURE_BYTES],
}

/// Why a paper is worth nothing. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaperRefused {
    /// The bytes are not one sealed paper.
    #[error("the bytes are not one sealed paper")]
    NotSealed,
    /// It is longer than its kind may be.
    #[error("the paper has {bytes} bytes, and a {kind} has at most {max}")]
    TooLong {
        /// What it was taken for.
        kind: &'static str,
        /// How long its body is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// It is signed by somebody else.
    #[error("the paper is signed by {found}, which is not the network's key")]
    Key {
        /// By whom.
        found: NodeKey,
    },
    /// The signature is not one of these bytes, or of another kind of paper.
    #[error("the signature is not one of a {kind} with these bytes")]
    Signature {
        /// What it was taken for.
        kind: &'static str,
    },
    /// The body is not what its kind says.
    #[error("the body is not a {kind}: {why}")]
    Unreadable {
        /// What it was taken for.
        kind: &'static str,
        /// Where it ceases to be one.
        why: String,
    },
    /// A field makes no sense.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// It would hold for longer than its kind may.
    #[error("a {kind} holds for {max_secs} seconds at most")]
    HoldsTooLong {
        /// What it is.
        kind: &'static str,
        /// How long it may hold, in seconds.
        max_secs: u64,
    },
    /// It is of a time to come.
    #[error("the paper was signed at {issued}, which is yet to come")]
    NotYet {
        /// When it was signed, as it says.
        issued: Time,
    },
    /// It no longer holds.
    #[error("the paper expired at {expires}")]
    Expired {
        /// When.
        expires: Time,
    },
}

/// A sealed paper as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    body: String,
    key: NodeKey,
    signature: String,
}

impl SealedPaper {
    /// Signs a paper.
    ///
    /// # Errors
    /// If nobody could open it: a field makes no sense, or it is too long, or would hold for too long.
    pub fn seal<P: Paper>(paper: &P, key: &SigningKey) -> Result<Self, PaperRefused> {
        paper.check()?;
        holds_not_too_long(paper)?;
        let body = serde_json::to_vec(paper)
            .map_err(|why| PaperRefused::Unreadable { kind: P::KIND, why: why.to_string() })?;
        is_short_enough::<P>(&body)?;
        let signature = key.sign(&signed_bytes(P::KIND, &body)).to_bytes();
        Ok(Self { body, key: NodeKey(key.verifying_key().to_bytes()), signature })
    }

    /// The paper inside, if `network` signed it as a paper of this kind, and it holds at `now`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn open<P: Paper>(&self, network: &NodeKey, now: Timestamp) -> Result<P, PaperRefused> {
        let paper: P = self.open_of_any_time(network)?;
        if paper.issued().0 > now.after(CLOCK_SKEW_MAX) {
            return Err(PaperRefused::NotYet { issued: paper.issued() });
        }
        if now >= paper.expires().0 {
            return Err(PaperRefused::Expired { expires: paper.expires() });
        }
        Ok(paper)
    }

    /// The paper inside, if `network` signed it as a paper of this kind, whether or not it holds now: for what it tells
    /// of the past, never for what it allows.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn open_of_any_time<P: Paper>(&self, network: &NodeKey) -> Result<P, PaperRefused> {
        is_short_enough::<P>(&self.body)?;
        if self.key != *network {
            return Err(PaperRefused::Key { found: self.key });
        }
        if !self.is_signed_as(P::KIND) {
            return Err(PaperRefused::Signature { kind: P::KIND });
        }
        let paper: P = serde_json::from_slice(&self.body)
            .map_err(|why| PaperRefused::Unreadable { kind: P::KIND, why: why.to_string() })?;
        paper.check()?;
        holds_not_too_long(&paper)?;
        Ok(paper)
    }

    /// The bytes that are signed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Who signed them, as the paper says.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// As one piece of bytes, for where JSON is not at home.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len()).expect("a sealed paper has at most 4 MiB");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.body.len());
        bytes.push(FORM);
        bytes.extend(self.key.0);
        bytes.extend(self.signature);
        bytes.extend(length.to_le_bytes());
        bytes.extend(&self.body);
        bytes
    }

    /// Reads what [`SealedPaper::to_bytes`] wrote, and nothing else.
    ///
    /// # Errors
    /// If the bytes are not exactly that.
    pub fn read(bytes: &[u8]) -> Result<Self, PaperRefused> {
        let take = || {
            let (form, rest) = bytes.split_first()?;
            let (key, rest) = rest.split_first_chunk::<32>()?;
            let (signature, rest) = rest.split_first_chunk::<SIGNATURE_BYTES>()?;
            let (length, body) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let fits = *form == FORM && length == body.len() && length <= SEALED_BODY_MAX;
            fits.then(|| Self { body: body.to_vec(), key: NodeKey(*key), signature: *signature })
        };
        take().ok_or(PaperRefused::NotSealed)
    }

    fn is_signed_as(&self, kind: &str) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.key.0) else { return false };
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&signed_bytes(kind, &self.body), &signature).is_ok()
    }
}

/// What is signed: the kind, so that no paper is taken for another, and the body as it is.
fn signed_bytes(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("iog paper 1 {kind}\n").into_bytes();
    bytes.extend(body);
    bytes
}

fn is_short_enough<P: Paper>(body: &[u8]) -> Result<(), PaperRefused> {
    let (bytes, max) = (body.len(), P::BYTES_MAX);
    if bytes <= max { Ok(()) } else { Err(PaperRefused::TooLong { kind: P::KIND, bytes, max }) }
}

fn holds_not_too_long<P: Paper>(paper: &P) -> Result<(), PaperRefused> {
    if paper.expires().0 <= paper.issued().0.after(P::VALID_MAX) {
        return Ok(());
    }
    Err(PaperRefused::HoldsTooLong { kind: P::KIND, max_secs: P::VALID_MAX.as_secs() })
}

impl std::fmt::Debug for SealedPaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedPaper({} bytes by {})", self.body.len(), self.key)
    }
}

impl From<SealedPaper> for Written {
    fn from(paper: SealedPaper) -> Self {
        Self {
            body: BASE64.encode(&paper.body),
            key: paper.key,
            signature: HEXLOWER.encode(&paper.signature),
        }
    }
}

impl TryFrom<Written> for SealedPaper {
    type Error = PaperRefused;

    fn try_from(written: Written) -> Result<Self, PaperRefused> {
        let body = BASE64.decode(written.body.as_bytes()).ok();
        let body = body.filter(|body| body.len() <= SEALED_BODY_MAX);
        let signature = HEXLOWER.decode(written.signature.as_bytes()).ok();
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        match (body, signature) {
            (Some(body), Some(signature)) => Ok(Self { body, key: written.key, signature }),
            (_, _) => Err(PaperRefused::NotSealed),
        }
    }
}
