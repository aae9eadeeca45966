//! Whom the relay lets in: nodes that show a pass of the network, checked without asking anybody.

use std::collections::BTreeSet;
use std::fmt;

use trunk::system_time;
use tunnel::{Code, Service, ServiceName, Who};
use units::{Name, RentalId, Timestamp};
use wire::paper::{NodeKey, Pass, SealedPaper};

/// Why a node, or something of it, is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// As the node's code understands it.
    pub code: Code,
    /// As its owner does.
    pub why: String,
}

impl Turned {
    pub(crate) fn new(code: Code, why: impl fmt::Display) -> Self {
        // A refusal on the line is short; what is longer is cut where a character ends.
        let why = why.to_string();
        let end = (0..=tunnel::limits::TEXT_MAX.min(why.len()))
            .rev()
            .find(|at| why.is_char_boundary(*at));
        Self { code, why: why[..end.unwrap_or(0)].replace(char::is_control, " ") }
    }
}

/// Knows passes of one network.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    network: NodeKey,
}

impl Gate {
    /// For passes that this network signs.
    pub const fn new(network: NodeKey) -> Self {
        Self { network }
    }

    /// The pass of a node that proved its key.
    ///
    /// # Errors
    /// If the pass is not good, not the node's, or not for relays.
    pub fn admit(&self, node: NodeKey, pass: &[u8], now: Timestamp) -> Result<Pass, Turned> {
        let not_permitted = |why: &dyn fmt::Display| Turned::new(Code::NotPermitted, why);
        let sealed = SealedPaper::read(pass).map_err(|why| not_permitted(&why))?;
        let pass: Pass = sealed.open(&self.network, now).map_err(|why| not_permitted(&why))?;
        if pass.holder != node {
            return Err(not_permitted(&"the pass is another node's"));
        }
        if !pass.may.dial {
            return Err(not_permitted(&"the pass is not for relays"));
        }
        Ok(pass)
    }
}

/// Whether the bearer of a pass may serve this, under this name.
pub(crate) fn may_serve(pass: &Pass, service: &Service) -> Result<(), Turned> {
    let (may, is_named) = match service.rental {
        Some(rental) => {
            let may = pass.may.serve.contains(&rental) && may_serve_label(pass, rental, service);
            (may, service.name.is_of_rental(rental))
        }
        None => (pass.may.publish, service.name.is_of_account(pass.account)),
    };
    match (may, is_named) {
        (true, true) => Ok(()),
        (false, _) => Err(Turned::new(Code::NotPermitted, "the pass does not allow to serve this")),
        (true, false) => {
            Err(Turned::new(Code::NotPermitted, "the name does not end in the id of its owner"))
        }
    }
}

/// Whether the pass is for this service among those of the rental: nodes of one rental do not serve each other's.
fn may_serve_label(pass: &Pass, rental: RentalId, service: &Service) -> bool {
    let is_it = |label: &Name| {
        ServiceName::of_rental(label.text(), rental).is_ok_and(|name| name == service.name)
    };
    pass.may.labels.as_ref().is_none_or(|labels| labels.iter().any(is_it))
}

/// Who the bearer of a pass is to services.
pub(crate) fn who_of(pass: &Pass) -> Who {
    Who {
        accounts: BTreeSet::from([pass.account]),
        rentals: pass.may.forward.clone(),
        key: Some(pass.holder.0),
    }
}

/// Whether it still holds.
pub(crate) fn holds(pass: &Pass) -> bool {
    system_time() < pass.expires.0
}
