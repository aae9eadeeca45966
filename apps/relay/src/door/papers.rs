//! Visitors by papers: tokens that the bearer of a pass made, and certificates of OpenSSH that the network signed.
//!
//! Both are checked without asking anybody. A service's name ends in the id of whose it is, so a paper that names an
//! account or a rental opens the services of that account or rental, and no others.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};
use russh::keys::ssh_key::{Certificate, Fingerprint, HashAlg};
use tunnel::ServiceName;
use units::{AccountId, RentalId, Timestamp};
use wire::paper::{NodeKey, PaperRefused, Pass, Visit, VisitRefused};

use super::admission::{Admission, Admitted, Denied, Offered};

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
        _: &Offered,
        now: Timestamp,
    ) -> Result<Admitted, Denied> {
        let visit = Visit::read(token).map_err(|_| Denied::NotGood)?;
        let (pass, until) = visit.open(&self.network, now).map_err(|why| denied(&why))?;
        let owners = owners_of(&pass);
        match visit.service() == service.as_str() && is_of_one(service, &owners) {
            true => Ok(Admitted { subject: pass.account.to_string(), owners, until }),
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
        let owners = certificate.valid_principals().to_vec();
        let until = Timestamp::from_millis(certificate.valid_before().saturating_mul(1_000));
        let subject = owners.first()?.clone();
        is_plain.then_some(Admitted { subject, owners, until })
    }

    fn may_visit(
        &self,
        who: &Admitted,
        service: &ServiceName,
        _: &Offered,
        now: Timestamp,
    ) -> bool {
        now < who.until && is_of_one(service, &who.owners)
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

/// The account of a pass, and the rentals whose services it opens.
fn owners_of(pass: &Pass) -> Vec<String> {
    let rentals = pass.may.forward.iter().map(RentalId::to_string);
    std::iter::once(pass.account.to_string()).chain(rentals).collect()
}

/// Whether the service belongs to one of these accounts and rentals.
fn is_of_one(service: &ServiceName, owners: &[String]) -> bool {
    owners.iter().any(|owner| match (owner.parse::<AccountId>(), owner.parse::<RentalId>()) {
        (Ok(account), _) => service.is_of_account(account),
        (_, Ok(rental)) => service.is_of_rental(rental),
        (Err(_), Err(_)) => false,
    })
}
