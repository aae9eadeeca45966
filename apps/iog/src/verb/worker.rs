//! `iog worker`: machines on offer, seen from their owner; and the role of a machine itself.

use units::WorkerId;
use wire::{InviteIssued, InviteRequest, PauseRequest, WorkerView};

use crate::failure::Failure;
use crate::role;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{count, moment, resources};
use crate::table::Table;

/// Offer this machine, and look after machines you offer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    #[command(flatten)]
    Role(role::worker::Verb),
    /// Invite one machine: prints the token that `iog worker join` takes, once.
    #[command(after_help = "\
Examples:
  iog worker invite
  iog worker invite --hours 1 --json | jq -r .token")]
    Invite {
        /// Hours in which it can be used.
        #[arg(long, value_name = "N")]
        hours: Option<u32>,
        /// Whose machine it will be; for the operator.
        #[arg(long, value_name = "ID")]
        account: Option<units::AccountId>,
    },
    /// Prove in a rented node. The agent starts it, and nobody else has a use for it.
    #[command(hide = true)]
    ProveInNode,
    /// List your machines, and why any of them takes no rentals.
    #[command(after_help = "Examples:\n  iog worker list\n  iog worker list --json")]
    List,
    /// Take a machine off the market; rentals that run there go on.
    #[command(after_help = "Example:\n  iog worker pause wkr_…")]
    Pause {
        /// The machine.
        worker: WorkerId,
    },
    /// Put a machine back on the market.
    #[command(after_help = "Example:\n  iog worker resume wkr_…")]
    Resume {
        /// The machine.
        worker: WorkerId,
    },
    /// Remove a machine from the network for good.
    #[command(after_help = "Example:\n  iog worker retire wkr_…")]
    Retire {
        /// The machine.
        worker: WorkerId,
    },
}

impl Args {
    /// Whether this is the agent's process in a node: it reads no configuration, because a renter may have written it.
    pub(crate) const fn proves_in_node(&self) -> bool {
        matches!(self.verb, Verb::ProveInNode)
    }

    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let screen = session.screen;
        match &self.verb {
            Verb::Role(verb) => verb.run(session),
            Verb::ProveInNode => Ok(agent::prove_in_node()?),
            Verb::Invite { hours, account } => {
                let request = InviteRequest { account: *account, valid_hours: *hours };
                let issued: InviteIssued = session.client()?.post("/v1/invites", &request)?;
                session.show(&issued, |issued| format!("{}\n", issued.token))?;
                screen.note(&format!(
                    "For one machine, until {}: iog worker join TOKEN --server {}",
                    moment(issued.invite.expires),
                    session.client()?.server(),
                ));
                Ok(())
            }
            Verb::List => {
                let workers: Vec<WorkerView> = session.client()?.pages("/v1/workers")?;
                let nothing = "You offer no machine. `iog worker invite` invites one.";
                session.list(&workers, nothing, |workers| table(workers, screen))
            }
            Verb::Pause { worker } => set_paused(session, *worker, true),
            Verb::Resume { worker } => set_paused(session, *worker, false),
            Verb::Retire { worker } => {
                session.client()?.remove(&format!("/v1/workers/{worker}"))?;
                screen.note(&format!("{worker} has left the network."));
                Ok(())
            }
        }
    }
}

fn set_paused(session: &Session, worker: WorkerId, paused: bool) -> Result<(), Failure> {
    let path = format!("/v1/workers/{worker}/paused");
    let worker: WorkerView = session.client()?.put(&path, &PauseRequest { paused })?;
    session.show(&worker, |worker| table(std::slice::from_ref(worker), session.screen))
}

fn table(workers: &[WorkerView], screen: Screen) -> String {
    let mut table = Table::new(&["WORKER", "NAME", "STATE", "OFFERS", "FREE", "SERVES"]);
    for worker in workers {
        let is_all_free = worker.free == worker.machine.offers;
        table.row([
            worker.id.to_string(),
            worker.name.to_string(),
            worker.state.clone(),
            resources(&worker.machine.offers),
            if is_all_free { "all".to_owned() } else { resources(&worker.free) },
            count(u64::try_from(worker.rentals.len()).unwrap_or(u64::MAX), "rental"),
        ]);
    }
    let why = |worker: &WorkerView| Some(format!("{}: {}\n", worker.name, worker.reason.as_ref()?));
    let reasons: String = workers.iter().filter_map(why).collect();
    if reasons.is_empty() {
        table.text(screen)
    } else {
        format!("{}\n{reasons}", table.text(screen))
    }
}
