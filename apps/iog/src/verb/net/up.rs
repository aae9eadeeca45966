//! `iog net up` and `iog net down`: this machine as a member of a private network.

use std::collections::BTreeSet;

use clap::builder::PossibleValuesParser;
use units::{Name, RentalId};
use wire::RentalView;

use crate::client::Client;
use crate::failure::Failure;
use crate::join::{self, Network, OPERATOR, Wish};
use crate::session::{Named, Session};

/// Which private network: a rental's, or the operator's.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The rental's id, or its name.
    pub(super) rental: Option<Named<RentalId>>,
    /// A network that is no rental's: that of the operator's own machines.
    #[arg(long, value_name = "NETWORK", value_parser = PossibleValuesParser::new([OPERATOR]))]
    pub(super) network: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    which: Which,
    /// What the device is to be called; `iog0`, or the next that is free, without.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// What this machine is to be called in the operator's network; its host name, without.
    #[arg(long, value_name = "NAME", requires = "network")]
    name: Option<Name>,
    /// What this machine is to policies of the operator's network: `relay` for `tag:relay`; may be repeated.
    #[arg(long = "tag", value_name = "TAG", requires = "network")]
    tags: Vec<Name>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DownArgs {
    #[command(flatten)]
    which: Which,
}

impl Which {
    /// What the network is called, and where the server has it.
    pub(super) fn find(
        &self,
        session: &Session,
        client: &Client,
    ) -> Result<(String, String), Failure> {
        match &self.rental {
            Some(rental) => {
                let network = Network::Rental(session.rental(client, rental)?);
                Ok((network.label(), network.path()))
            }
            None => Ok((OPERATOR.to_owned(), format!("/v1/network/{OPERATOR}"))),
        }
    }
}

impl UpArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let wish = match &self.which.rental {
            Some(rental) => {
                let rental = session.rental(&client, rental)?;
                let view: RentalView = client.get(&format!("/v1/rentals/{rental}"))?;
                let Some(mesh) = view.mesh else {
                    let what = "the rental has no private network: its nodes use their hosts'";
                    let hint = "`iog forward` and `iog ssh` lead to what runs there";
                    return Err(Failure::refused(what, hint));
                };
                (Network::Rental(rental), Some(mesh), view.name)
            }
            None => {
                let name = self.name.clone().map_or_else(host_name, Ok)?;
                let tags: BTreeSet<Name> = self.tags.iter().cloned().collect();
                (Network::Operator { name, tags }, None, OPERATOR.parse().ok())
            }
        };
        let ((network, mesh, called), interface) = (wish, self.interface.clone());
        join::join(session, &client, Wish { network, mesh, called, interface })
    }
}

impl DownArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let network = match &self.which.rental {
            // Without asking the server, which may be away.
            Some(Named::Id(rental)) => rental.to_string(),
            Some(name) => session.rental(&session.client()?, name)?.to_string(),
            None => OPERATOR.to_owned(),
        };
        match join::end(session.folder()?, &network)? {
            true => session.screen.note("This machine has left the private network."),
            false => session.screen.note("This machine is not in that private network."),
        }
        Ok(())
    }
}

/// The name of this machine, up to its first dot.
fn host_name() -> Result<Name, Failure> {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().to_lowercase();
    let name = name.split('.').next().unwrap_or_default();
    name.parse().map_err(|why| {
        let what = format!("the host name `{name}` cannot be this machine's name there: {why}");
        Failure::usage(what, "name it with --name")
    })
}
