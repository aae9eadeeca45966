//! `iog network`: the network as a whole.

use wire::NetworkView;

use crate::failure::Failure;
use crate::session::Session;

/// Show what the network is now. Needs no key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog network\n  iog network --json | jq .workers_open")]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let network: NetworkView = session.client()?.get("/v1/network")?;
        session.show(&network, text)
    }
}

fn text(network: &NetworkView) -> String {
    format!(
        "iog {}\n  machines joined       {}\n  … heard of lately     {}\n  … take new rentals    {}\n  \
         rentals               {}\n  journal               entry {}, {}\n",
        network.version,
        network.workers_joined,
        network.workers_up,
        network.workers_open,
        network.rentals_live,
        network.journal_seq,
        network.journal_hash,
    )
}
