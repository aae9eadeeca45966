//! Visitors by papers: tokens that the bearer of a pass made, and certificates of OpenSSH that the network signed.
//!
//! Both are checked without asking anybody. They say who somebody is; the service's visibility and policy say whether
//! that is enough.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};
use russh::keys::ssh_key::{Certificate, Fingerprint, HashAlg};
use tunnel::{ServiceName, Who};
use units::Timestamp;
use wire::paper::{NodeKey, PaperRefused, Visit, VisitRefused};

use super::admission::{Admission, Admitted, Denied, Offered};
use crate::gate::who_of;

/// Lets in whom papers of one network name.
#[derive(Clone, Debug)]
pub struct Papers {
    network: NodeKey,
    fingerprint: Fingerprint,
}

impl Papers {
    /// For papers that this network signs.
    pub fn new(network: NodeKey) -> Self {
        let fingerprint =
            KeyData::Ed25519(Ed25519PublicKey(network.0)).fingerprint(HashAlg::Sha256);
        Self { network, fingerprint }
    }
}

impl Admission for Papers {
    fn by_token(
        &self,
        token: &str,
        service: &ServiceName,
        offered: &Offered,
        now: Timestamp,
    ) -> Result<Admitted, Denied> {
        let visit = Visit::read(token).map_err(|_| Denied::NotGood)?;
        let (pass, until) = visit.open(&self.network, now).map_err(|why| denied(&why))?;
        let who = who_of(&pass);
        match visit.service() == service.as_str() && offered.access.admits(&who) {
            true => Ok(Admitted { subject: pass.account.to_string(), who, until }),
            false => Err(Denied::Elsewhere),
        }
    }

    fn by_ssh_key(&self, _: &str, _: Timestamp) -> Option<Admitted> {
        None
    }

    fn by_ssh_certificate(&self, certificate: &Certificate, now: Timestamp) -> Option<Admitted> {
        let seconds = now.millis() / 1_000;
        certificate.validate_at(seconds, [&self.fingerprint]).ok()?;
        // One that names nobody would be everybody's, and what an option demands would have to be done.
        let is_plain =
            certificate.cert_type() == CertType::User && certificate.critical_options().is_empty();
        let principals = certificate.valid_principals();
        let until = Timestamp::from_millis(certificate.valid_before().saturating_mul(1_000));
        let subject = principals.first()?.clone();
        is_plain.then(|| Admitted { subject, who: who_named(principals), until })
    }

    fn may_visit(
        &self,
        who: &Admitted,
        _: &ServiceName,
        offered: &Offered,
        now: Timestamp,
    ) -> bool {
        now < who.until && offered.access.admits(&who.who)
    }
}

fn denied(why: &VisitRefused) -> Denied {
    match why {
        VisitRefused::Expired | VisitRefused::Pass(PaperRefused::Expired { .. }) => Denied::Expired,
        VisitRefused::NotAVisit | VisitRefused::Pass(_) | VisitRefused::Signature => {
            Denied::NotGood
        }
    }
}

/// Whom principals of a certificate name: accounts and rentals. What is neither names nobody.
fn who_named(principals: &[String]) -> Who {
    Who {
        accounts: principals.iter().filter_map(|id| id.parse().ok()).collect(),
        rentals: principals.iter().filter_map(|id| id.parse().ok()).collect(),
        key: None,
    }
}
