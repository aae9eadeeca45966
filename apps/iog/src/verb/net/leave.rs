//! `iog net leave`: this user's places in a private network, given up: as a visitor, and as a member.

use units::RentalId;
use wire::paper::NodeKey;

use crate::failure::Failure;
use crate::join::{Keys, Network};
use crate::session::{Named, Session};
use crate::visit::Visit;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let visit = Visit::to(&client, rental, session.folder()?)?;
        let network = Network::Rental(rental);
        let visitor = NodeKey(visit.key().verifying_key().to_bytes());
        let member = Keys::of(visit.key(), &network.label()).public();
        for key in [visitor, member] {
            client.remove(&format!("{}/{key}", network.path()))?;
        }
        Ok(())
    }
}
