//! `iog worker`: machines on offer, seen from their owner; and the role of a machine itself.

use units::WorkerId;
use wire::{InviteIssued, InviteRequest, OnboardingView, PauseRequest, WorkerView};

use crate::failure::Failure;
use crate::role;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{count, moment, resources};
use crate::table::Table;
use crate::verb::onboarding;

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
  iog worker invite --hours 1 --json | jq -r .token
  iog worker invite --replace wkr_…")]
    Invite {
        /// Hours in which it can be used, 1 to 720; 24 unless named.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: Option<u32>,
        /// Whose machine it will be; for the operator.
        #[arg(long, value_name = "ID")]
        account: Option<units::AccountId>,
        /// Your machine that comes again, because its folder is lost: it keeps its id, its stake and what it has
        /// earned.
        #[arg(long, value_name = "ID")]
        replace: Option<WorkerId>,
    },
    /// Prove in a rented node. The agent starts it, and nobody else has a use for it.
    #[command(hide = true)]
    ProveInNode {
        /// What it is to be, for a process that is in the node already.
        inside: Option<String>,
    },
    /// Serve the agent in a node. The agent starts it, and nobody else has a use for it.
    #[command(hide = true)]
    InNode {
        /// What it is to be: porter, program.
        role: String,
    },
    /// List your machines, and why any of them takes no rentals.
    #[command(after_help = "Examples:\n  iog worker list\n  iog worker list --json")]
    List,
    /// Show how far a machine has come in, what is asked of it, and what to do.
    #[command(
        after_help = "Examples:\n  iog worker status\n  iog worker status wkr_…\n  iog worker status wkr_… --json"
    )]
    Status {
        /// The machine; your only one unless named.
        worker: Option<WorkerId>,
    },
    /// Ask for another trial of a machine that has failed: it is tried as if it had not failed before.
    #[command(after_help = "Example:\n  iog worker retry wkr_…")]
    Retry {
        /// The machine.
        worker: WorkerId,
    },
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

/// The agent's processes in nodes, but for the one that proves.
fn in_node(role: &str) -> Result<(), Failure> {
    match role {
        "porter" => Ok(agent::porter()?),
        "program" => Ok(agent::program()?),
        other => Err(anyhow::anyhow!("be `{other}` in a node: it is porter or program").into()),
    }
}

impl Args {
    /// Is the agent's process in a node, if this is one: it reads no configuration, because a renter may have written
    /// it.
    pub(crate) fn in_node(&self) -> Option<Result<(), Failure>> {
        if let Verb::ProveInNode { inside } = &self.verb {
            return Some(agent::prove_in_node(inside.as_deref()).map_err(Failure::from));
        }
        if let Verb::InNode { role } = &self.verb { Some(in_node(role)) } else { None }
    }

    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let screen = session.screen;
        match &self.verb {
            Verb::Role(verb) => verb.run(session),
            Verb::ProveInNode { inside } => Ok(agent::prove_in_node(inside.as_deref())?),
            Verb::InNode { role } => in_node(role),
            Verb::Invite { hours, account, replace } => {
                let (account, valid_hours, replace) = (*account, *hours, *replace);
                let request = InviteRequest { account, valid_hours, replace };
                let issued: InviteIssued = session.client()?.post("/v1/invites", &request)?;
                session.show(&issued, |issued| format!("{}\n", issued.token))?;
                screen.note(&format!(
                    "For {}, until {}: iog worker join TOKEN --server {}",
                    replace.map_or_else(|| "one machine".to_owned(), |id| format!("{id} alone")),
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
            Verb::Status { worker } => status(session, *worker),
            Verb::Retry { worker } => {
                let path = format!("/v1/io-worker/devices/{worker}/retry-trial");
                let view: OnboardingView = session.client()?.tell(&path)?;
                session.show(&view, |view| onboarding::text(view, screen))
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

/// One machine in full; all of them in short where there are several and none is named.
fn status(session: &Session, worker: Option<WorkerId>) -> Result<(), Failure> {
    let (client, screen) = (session.client()?, session.screen);
    let only = match worker {
        Some(worker) => worker,
        None => {
            let workers: Vec<WorkerView> = client.pages("/v1/workers")?;
            let [only] = workers.as_slice() else {
                let nothing = "You offer no machine. `iog worker invite` invites one.";
                session.list(&workers, nothing, |workers| table(workers, screen))?;
                if !workers.is_empty() {
                    screen.note("`iog worker status WORKER` shows one of them in full.");
                }
                return Ok(());
            };
            only.id
        }
    };
    let view: OnboardingView = client.get(&format!("/v1/io-worker/devices/{only}/onboarding"))?;
    session.show(&view, |view| onboarding::text(view, screen))
}

fn table(workers: &[WorkerView], screen: Screen) -> String {
    let headings = ["WORKER", "NAME", "STATE", "READINESS", "OFFERS", "FREE", "SERVES"];
    let mut table = Table::new(&headings);
    for worker in workers {
        let is_all_free = worker.free == worker.machine.offers;
        table.row([
            worker.id.to_string(),
            worker.name.to_string(),
            worker.state.clone(),
            worker.readiness.clone(),
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
