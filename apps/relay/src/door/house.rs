//! What all doors share: who is asked, what is counted, and how a stream is opened for a visitor.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tunnel::ServiceName;

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

impl<O: Opener> House<O> {
    /// A place for a visitor, or why there is none.
    pub(crate) fn enter(&self, visitor: SocketAddr) -> Result<Places, Turned> {
        let all = self.all.take(&()).ok_or(Turned::Full)?;
        let address = self.addresses.take(&neighborhood(visitor.ip())).ok_or(Turned::Address)?;
        Ok(Places { _address: address, _all: all })
    }

    /// Opens a stream that is counted.
    pub(crate) async fn open(
        &self,
        service: &ServiceName,
        (ends, entry): (Ends, Entry),
        subject: &str,
        activity: &Activity,
    ) -> Result<Opened, Refused> {
        let visitor = Visitor {
            address: ends.visitor,
            local: ends.local,
            entry,
            subject: subject.to_owned(),
        };
        let stream = self.opener.open(service, &visitor).await?;
        let meter = Meter {
            activity: activity.clone(),
            to_service: self.metrics.bytes(entry, Direction::ToService),
            to_visitor: self.metrics.bytes(entry, Direction::ToVisitor),
            open: self.metrics.opened(entry),
        };
        activity.touch();
        Ok(Opened { stream, meter })
    }
}
