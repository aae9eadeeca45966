//! What all doors share: who is asked, what is counted, and how a stream is opened for a visitor.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tunnel::{ServiceName, Who};

use super::access::Cookies;
use super::admission::{Admission, Directory};
use super::carried::{Activity, Meter, Opened};
use super::limits::DoorLimits;
use super::metrics::{Direction, DoorMetrics, Turned};
use super::seats::{Seat, Seats, neighborhood};
use crate::opener::{Entry, Opener, Refused, Visitor};

/// Everything that the doors of one relay share.
pub(crate) struct House<O> {
    pub(crate) opener: Arc<O>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) domain: String,
    pub(crate) limits: DoorLimits,
    pub(crate) metrics: DoorMetrics,
    pub(crate) cookies: Cookies,
    pub(crate) addresses: Seats<IpAddr>,
    pub(crate) all: Seats<()>,
    /// Visitors by UDP have places of their own: where they come from may be a lie.
    pub(crate) udp_addresses: Seats<IpAddr>,
    pub(crate) udp_all: Seats<()>,
}

/// A visitor's place in the house.
#[derive(Debug)]
pub(crate) struct Places {
    _address: Seat<IpAddr>,
    _all: Seat<()>,
}

/// The two ends of a visitor's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) visitor: SocketAddr,
    pub(crate) local: SocketAddr,
}

impl Ends {
    /// Somebody who proved nothing.
    pub(crate) fn anybody(self, entry: Entry) -> Visitor {
        let (address, local) = (self.visitor, self.local);
        Visitor { address, local, entry, subject: String::new(), who: Who::default() }
    }
}

impl<O: Opener> House<O> {
    /// A place for a visitor, or why there is none.
    pub(crate) fn enter(&self, visitor: SocketAddr) -> Result<Places, Turned> {
        let all = self.all.take(&()).ok_or(Turned::Full)?;
        let address = self.addresses.take(&neighborhood(visitor.ip())).ok_or(Turned::Address)?;
        Ok(Places { _address: address, _all: all })
    }

    /// As [`House::enter`], for a visitor by UDP.
    pub(crate) fn enter_by_udp(&self, visitor: SocketAddr) -> Result<Places, Turned> {
        let all = self.udp_all.take(&()).ok_or(Turned::Full)?;
        let address = self.udp_addresses.take(&neighborhood(visitor.ip()));
        Ok(Places { _address: address.ok_or(Turned::Address)?, _all: all })
    }

    /// Opens a stream that is counted.
    pub(crate) async fn open(
        &self,
        service: &ServiceName,
        visitor: &Visitor,
        activity: &Activity,
    ) -> Result<Opened, Refused> {
        let entry = visitor.entry;
        let stream = self.opener.open(service, visitor).await?;
        let meter = Meter {
            activity: activity.clone(),
            to_service: self.metrics.bytes(entry, Direction::ToService),
            to_visitor: self.metrics.bytes(entry, Direction::ToVisitor),
            open: self.metrics.opened(entry),
            entry,
            metrics: self.metrics.clone(),
        };
        activity.touch();
        Ok(Opened { stream, meter })
    }
}
