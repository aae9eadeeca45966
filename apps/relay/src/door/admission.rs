//! Who may visit what. The doors ask; what tokens and keys mean is known elsewhere.

use russh::keys::ssh_key::Certificate;
use tunnel::{Access, Proto, ServiceName, Who};
use units::Timestamp;

use crate::opener::Visitor;

/// What is known of a service before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What its visitors speak: by which door they come.
    pub proto: Proto,
    /// Who may visit.
    pub access: Access,
}

/// What is served at this relay.
pub trait Directory: Send + Sync + 'static {
    /// The service, when a connected node serves it.
    fn offered(&self, service: &ServiceName) -> Option<Offered>;

    /// A door did not let this visitor to the service, because it is not for them.
    fn refused(&self, _service: &ServiceName, _visitor: &Visitor) {}
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Who they proved to be, as records call them: an account, a rental, a key.
    pub subject: String,
    /// The same, as policies name them.
    pub who: Who,
    /// Until when this holds.
    pub until: Timestamp,
}

/// Why a token does not let its bearer in. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is no token of this network, or was changed.
    #[error("the token is not good")]
    NotGood,
    /// It was good.
    #[error("the token has expired")]
    Expired,
    /// It is good for something else.
    #[error("the token is not for this service")]
    Elsewhere,
}

/// Checks what visitors show. Asked offline: no answer waits for anybody.
pub trait Admission: Send + Sync + 'static {
    /// Who may visit this service with this token, which may be any text.
    ///
    /// # Errors
    /// Why it lets nobody in.
    fn by_token(
        &self,
        token: &str,
        service: &ServiceName,
        offered: &Offered,
        now: Timestamp,
    ) -> Result<Admitted, Denied>;

    /// Whose SSH key this is: `ssh-ed25519 AAAA…`, without a comment. That its bearer has the private key is proven.
    fn by_ssh_key(&self, key: &str, now: Timestamp) -> Option<Admitted>;

    /// Whom this certificate of OpenSSH names. That its bearer has the private key is proven; who signed the
    /// certificate, for whom, and until when, is to be checked here.
    fn by_ssh_certificate(&self, _certificate: &Certificate, _now: Timestamp) -> Option<Admitted> {
        None
    }

    /// Whether who was let in by an SSH key or certificate may visit this service, which is not public.
    fn may_visit(
        &self,
        who: &Admitted,
        service: &ServiceName,
        offered: &Offered,
        now: Timestamp,
    ) -> bool;
}

/// Lets nobody in: private services are then reached by nodes of their own only, and there is no jump host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Admission for Nobody {
    fn by_token(
        &self,
        _: &str,
        _: &ServiceName,
        _: &Offered,
        _: Timestamp,
    ) -> Result<Admitted, Denied> {
        Err(Denied::NotGood)
    }

    fn by_ssh_key(&self, _: &str, _: Timestamp) -> Option<Admitted> {
        None
    }

    fn may_visit(&self, _: &Admitted, _: &ServiceName, _: &Offered, _: Timestamp) -> bool {
        false
    }
}
