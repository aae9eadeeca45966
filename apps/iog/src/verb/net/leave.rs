//! `iog net leave`: a client's place in a private network, given up.

use data_encoding::HEXLOWER;
use units::RentalId;

use crate::failure::Failure;
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
        let key = HEXLOWER.encode(visit.key().verifying_key().as_bytes());
        client.remove(&format!("/v1/rentals/{rental}/network/{key}"))
    }
}
