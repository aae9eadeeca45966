//! Whom a node lets in by SSH: bearers of certificates that the network signed for its rental.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData};
use russh::keys::ssh_key::{Certificate, Fingerprint, HashAlg};
use units::{RentalId, Timestamp};
use wire::paper::NodeKey;

/// Who signs certificates, and for whom they must be.
#[derive(Debug)]
pub(super) struct Authority {
    network: Fingerprint,
    principal: String,
}

/// What a visitor may do beside running commands: what its certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// Whether it gets terminals.
    pub(super) has_terminals: bool,
    /// Whether it connects to ports.
    pub(super) forwards: bool,
}

impl Authority {
    /// Certificates of this network that name this rental.
    pub(super) fn new(network: NodeKey, rental: RentalId) -> Self {
        let key = KeyData::Ed25519(Ed25519PublicKey(network.0));
        Self { network: key.fingerprint(HashAlg::Sha256), principal: rental.to_string() }
    }

    /// What its bearer may do now; nothing if it does not let in. That the bearer has its private key is proven.
    pub(super) fn rights(&self, certificate: &Certificate, now: Timestamp) -> Option<Rights> {
        let permits = |what: &str| certificate.extensions().get(what).is_some();
        self.lets_in(certificate, now).then(|| Rights {
            has_terminals: permits("permit-pty"),
            forwards: permits("permit-port-forwarding"),
        })
    }

    fn lets_in(&self, certificate: &Certificate, now: Timestamp) -> bool {
        let seconds = now.millis() / 1_000;
        let is_good = certificate.validate_at(seconds, [&self.network]).is_ok();
        // What an option demands would have to be done; and one that names nobody would be everybody's.
        let is_plain =
            certificate.cert_type() == CertType::User && certificate.critical_options().is_empty();
        let names_rental = certificate.valid_principals().contains(&self.principal);
        is_good && is_plain && names_rental
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::certificate::Builder;
    use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};

    use super::*;

    const FROM: u64 = 1_000_000;

    fn key(number: u8) -> PrivateKey {
        PrivateKey::new(Ed25519Keypair::from_seed(&[number; 32]).into(), "").unwrap()
    }

    fn rental() -> RentalId {
        RentalId::from_bits(7)
    }

    fn certificate(signer: u8, change: impl FnOnce(&mut Builder)) -> Certificate {
        let public = key(9).public_key().key_data().clone();
        let mut builder = Builder::new([1; 16], public, FROM, FROM + 600).unwrap();
        change(&mut builder);
        builder.sign(&key(signer)).unwrap()
    }

    fn names(principal: &str) -> impl FnOnce(&mut Builder) {
        move |builder| {
            builder.valid_principal(principal).unwrap();
        }
    }

    #[test]
    fn only_a_certificate_of_the_network_for_this_rental_that_holds_now_lets_in() {
        let Ok(network) = key(1).public_key().key_data().ed25519().map(|key| key.0).ok_or(())
        else {
            panic!("an ed25519 key")
        };
        let authority = Authority::new(NodeKey(network), rental());
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        let mine = rental().to_string();
        let good = certificate(1, names(&mine));
        assert!(authority.lets_in(&good, at(FROM + 1)));
        assert!(!authority.lets_in(&good, at(FROM - 1)), "not yet");
        assert!(!authority.lets_in(&good, at(FROM + 601)), "no more");
        let others = RentalId::from_bits(8).to_string();
        let refused = [
            ("by another key", certificate(2, names(&mine))),
            ("for another rental", certificate(1, names(&others))),
            (
                "for a host",
                certificate(1, |builder| {
                    builder.cert_type(CertType::Host).unwrap();
                    builder.valid_principal(&mine).unwrap();
                }),
            ),
            (
                "for everybody",
                certificate(1, |builder| {
                    builder.all_principals_valid().unwrap();
                }),
            ),
            (
                "with an option",
                certificate(1, |builder| {
                    builder.valid_principal(&mine).unwrap();
                    builder.critical_option("force-command", "true").unwrap();
                }),
            ),
        ];
        for (why, certificate) in refused {
            assert_eq!(authority.rights(&certificate, at(FROM + 1)), None, "{why}");
        }
        let terminals = certificate(1, |builder| {
            builder.valid_principal(&mine).unwrap();
            builder.extension("permit-pty", "").unwrap();
        });
        let rights = |has_terminals| Some(Rights { has_terminals, forwards: false });
        assert_eq!(authority.rights(&terminals, at(FROM + 1)), rights(true));
        assert_eq!(authority.rights(&good, at(FROM + 1)), rights(false));
    }
}
