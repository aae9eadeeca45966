//! What a visitor shows at a relay's door: a pass, and the word of its bearer that it is shown for one service.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use units::Timestamp;

use super::limits::PASS_BYTES_MAX;
use super::node_key::NodeKey;
use super::pass::Pass;
use super::seal::{PaperRefused, SealedPaper};

/// The form of the bytes of a token.
const FORM: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
/// The longest name of a service.
const SERVICE_BYTES_MAX: usize = 63;
/// The longest token, as text: the body of a pass, what stands around it, and base 64.
const TEXT_MAX: usize = (PASS_BYTES_MAX + 512) * 4 / 3;

/// A token that nobody has checked yet. Unlike a pass it may be shown by whoever has it: the bearer of the pass made
/// it, for one service and for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    service: String,
    until: Timestamp,
    pass: SealedPaper,
    signature: [u8; SIGNATURE_BYTES],
}

/// Why a token lets nobody in. Checks run in the order of these variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisitRefused {
    /// The text is no token.
    #[error("the text is not a token")]
    NotAVisit,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// The pass in it is not good.
    #[error(transparent)]
    Pass(#[from] PaperRefused),
    /// It was not made by the bearer of the pass, or was changed.
    #[error("the token is not signed by the bearer of its pass")]
    Signature,
}

impl Visit {
    /// A token for one service, made by the bearer of a pass. It holds no longer than the pass does.
    ///
    /// # Errors
    /// If the name is no name of a service.
    pub fn sign(
        pass: SealedPaper,
        service: &str,
        until: Timestamp,
        bearer: &SigningKey,
    ) -> Result<Self, VisitRefused> {
        if service.is_empty() || service.len() > SERVICE_BYTES_MAX {
            return Err(VisitRefused::NotAVisit);
        }
        let signature = bearer.sign(&signed_bytes(service, until, &pass)).to_bytes();
        Ok(Self { service: service.to_owned(), until, pass, signature })
    }

    /// The service that it is for.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The pass in it, if the network signed it and its bearer signed the token, and both hold at `now`; and until when
    /// they do.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn open(
        &self,
        network: &NodeKey,
        now: Timestamp,
    ) -> Result<(Pass, Timestamp), VisitRefused> {
        if now >= self.until {
            return Err(VisitRefused::Expired);
        }
        let pass: Pass = self.pass.open(network, now)?;
        let signed = signed_bytes(&self.service, self.until, &self.pass);
        let key = VerifyingKey::from_bytes(&pass.holder.0).map_err(|_| VisitRefused::Signature)?;
        key.verify_strict(&signed, &Signature::from_bytes(&self.signature))
            .map_err(|_| VisitRefused::Signature)?;
        let until = self.until.min(pass.expires.0);
        Ok((pass, until))
    }

    /// As text that may stand in an address.
    pub fn to_text(&self) -> String {
        let mut bytes = vec![FORM];
        bytes.extend(told(&self.service, self.until));
        bytes.extend(self.signature);
        bytes.extend(self.pass.to_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads what [`Visit::to_text`] wrote, and nothing else.
    ///
    /// # Errors
    /// If the text is not exactly that.
    pub fn read(text: &str) -> Result<Self, VisitRefused> {
        let take = || {
            let is_short = text.len() <= TEXT_MAX;
            let bytes = is_short.then(|| BASE64URL_NOPAD.decode(text.as_bytes()).ok())??;
            let (form, rest) = bytes.split_first()?;
            let (until, rest) = rest.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first()?;
            let (service, rest) = rest.split_at_checked(usize::from(*length))?;
            let (signature, pass) = rest.split_first_chunk::<SIGNATURE_BYTES>()?;
            let service = String::from_utf8(service.to_vec()).ok()?;
            let is_name = !service.is_empty() && service.len() <= SERVICE_BYTES_MAX;
            let until = Timestamp::from_millis(u64::from_le_bytes(*until));
            let pass = SealedPaper::read(pass).ok()?;
            (*form == FORM && is_name).then_some(Self {
                service,
                until,
                pass,
                signature: *signature,
            })
        };
        take().ok_or(VisitRefused::NotAVisit)
    }
}

/// Until when, in milliseconds since 1970, and for what.
fn told(service: &str, until: Timestamp) -> Vec<u8> {
    let mut bytes = until.millis().to_le_bytes().to_vec();
    bytes.push(u8::try_from(service.len()).expect("a name has at most 63 bytes"));
    bytes.extend(service.as_bytes());
    bytes
}

fn signed_bytes(service: &str, until: Timestamp, pass: &SealedPaper) -> Vec<u8> {
    let mut bytes = b"iog visit 1\n".to_vec();
    bytes.extend(told(service, until));
    bytes.extend(pass.to_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{May, PassLimits};
    use super::*;
    use crate::Time;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes(&[number; 32])
    }

    fn public(number: u8) -> NodeKey {
        NodeKey(key(number).verifying_key().to_bytes())
    }

    /// A pass of network 1 for bearer 2, for half an hour.
    fn pass() -> SealedPaper {
        let pass = Pass {
            holder: public(2),
            worker: None,
            account: units::AccountId::from_bits(7),
            may: May::default(),
            limits: PassLimits::default(),
            issued: Time(NOW),
            expires: Time(NOW.after(30 * MINUTE)),
        };
        SealedPaper::seal(&pass, &key(1)).unwrap()
    }

    fn visit(until: Timestamp, bearer: u8) -> Visit {
        Visit::sign(pass(), "jupyter-7", until, &key(bearer)).unwrap()
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_holds_for_its_service_and_its_time() {
        let visit = visit(NOW.after(10 * MINUTE), 2);
        let read = Visit::read(&visit.to_text()).unwrap();
        assert_eq!((&read, read.service()), (&visit, "jupyter-7"));
        let (pass, until) = read.open(&public(1), NOW).unwrap();
        assert_eq!((pass.holder, until), (public(2), NOW.after(10 * MINUTE)));
    }

    #[test]
    fn a_token_holds_no_longer_than_its_pass() {
        let visit = visit(NOW.after(90 * MINUTE), 2);
        let (_, until) = visit.open(&public(1), NOW).unwrap();
        assert_eq!(until, NOW.after(30 * MINUTE));
        let late = visit.open(&public(1), NOW.after(31 * MINUTE));
        assert!(matches!(late, Err(VisitRefused::Pass(PaperRefused::Expired { .. }))), "{late:?}");
    }

    #[test]
    fn a_token_is_worth_nothing_when_it_is_old_or_of_another_or_changed() {
        let good = visit(NOW.after(MINUTE), 2);
        assert_eq!(good.open(&public(1), NOW.after(MINUTE)), Err(VisitRefused::Expired));
        assert!(matches!(good.open(&public(3), NOW), Err(VisitRefused::Pass(_))));
        let theirs = visit(NOW.after(MINUTE), 3);
        assert_eq!(theirs.open(&public(1), NOW), Err(VisitRefused::Signature));
        let longer = Visit { until: NOW.after(2 * MINUTE), ..good.clone() };
        assert_eq!(longer.open(&public(1), NOW), Err(VisitRefused::Signature));
        let other = Visit { service: "jupyter-8".to_owned(), ..good };
        assert_eq!(other.open(&public(1), NOW), Err(VisitRefused::Signature));
    }

    #[test]
    fn a_name_is_as_long_as_a_label_can_be() {
        let sign = |name: &str| Visit::sign(pass(), name, NOW, &key(2)).map(drop);
        assert_eq!(sign(&"x".repeat(63)), Ok(()));
        assert_eq!(sign(&"x".repeat(64)), Err(VisitRefused::NotAVisit));
        assert_eq!(sign(""), Err(VisitRefused::NotAVisit));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,200}", at in 0..300_usize, to in "[A-Za-z0-9_-]") {
            let _ = Visit::read(&text);
            let mut good = visit(NOW.after(MINUTE), 2).to_text();
            let at = at % good.len();
            good.replace_range(at..=at, &to);
            if let Ok(read) = Visit::read(&good) {
                let _ = read.open(&public(1), NOW);
            }
        }
    }
}
