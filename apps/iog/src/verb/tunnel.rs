//! `iog tunnel`: services of rentals, and who may visit them.

use std::thread;
use std::time::{Duration, Instant};

use units::{Name, RentalId};
use wire::paper::Visit as Token;
use wire::{ServiceProto, ServiceRequest, ServiceState, ServiceView, ServiceVisibility};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::{Named, Session};
use crate::show::tame;
use crate::table::Table;
use crate::verb::forward::{DASHBOARD, proto_of};
use crate::visit::{self, Visit};

/// How often a service that is to be published is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long publishing may take: a node hears of it within seconds.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Services of rentals: what of a cluster can be visited through relays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Publish a port of a node, for your project or for everybody.
    #[command(after_help = "\
Examples:
  iog tunnel open training jupyter --port 8888
  iog tunnel open training api --port 8000 --public
  iog tunnel open training db --port 5432 --proto tcp --node 1 --public")]
    Open(OpenArgs),
    /// List the services of a rental, and where they are visited.
    #[command(
        after_help = "Examples:\n  iog tunnel list training\n  iog tunnel list training --json"
    )]
    List(ListArgs),
    /// Print an address that lets whoever has it visit a service of HTTP, for a while.
    #[command(
        after_help = "Examples:\n  iog tunnel link training jupyter\n  iog tunnel link training dashboard --minutes 30"
    )]
    Link(LinkArgs),
    /// Publish a port no longer.
    #[command(after_help = "Example:\n  iog tunnel close training jupyter")]
    Close(NamedArgs),
    /// Join standard input and output to a service, for the `ProxyCommand` of ssh.
    #[command(
        after_help = "Example:\n  ssh -o 'ProxyCommand iog tunnel pipe training ssh' node@training"
    )]
    Pipe(NamedArgs),
}

#[derive(Debug, clap::Args)]
struct OpenArgs {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// What to call the service: a part of its host name.
    label: Name,
    /// The port that the program listens on, in the node.
    #[arg(long, value_name = "N")]
    port: u16,
    /// The node; 0 is the head.
    #[arg(long, value_name = "N", default_value_t = 0)]
    node: u32,
    /// What its visitors speak.
    #[arg(long, value_name = "PROTO", default_value = "http", value_parser = proto)]
    proto: ServiceProto,
    /// Let everybody visit who knows where it is; else only your project.
    #[arg(long)]
    public: bool,
    /// Tell the program who visits, by the PROXY protocol, version 2.
    #[arg(long)]
    proxy_header: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
}

#[derive(Debug, clap::Args)]
struct NamedArgs {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// The service's label.
    label: Name,
}

#[derive(Debug, clap::Args)]
struct LinkArgs {
    #[command(flatten)]
    named: NamedArgs,
    /// For how many minutes; never longer than your pass holds, which is an hour at most.
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
}

fn proto(text: &str) -> Result<ServiceProto, String> {
    let known = ServiceProto::ALL.into_iter().find(|proto| proto.text() == text);
    known.ok_or_else(|| {
        let words = ServiceProto::ALL.map(ServiceProto::text).join(", ");
        format!("one of {words}")
    })
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match &self.verb {
            Verb::Open(args) => args.run(session),
            Verb::List(args) => {
                let client = session.client()?;
                let rental = session.rental(&client, &args.rental)?;
                let services = services(&client, rental)?;
                let screen = session.screen;
                session.list(&services, "It has no services.", |services| table(services, screen))
            }
            Verb::Link(args) => args.run(session),
            Verb::Close(args) => {
                let client = session.client()?;
                let rental = session.rental(&client, &args.rental)?;
                client.remove(&address(rental, &args.label))
            }
            Verb::Pipe(args) => args.pipe(session),
        }
    }
}

fn address(rental: RentalId, label: &Name) -> String {
    format!("/v1/rentals/{rental}/services/{label}")
}

fn services(client: &Client, rental: RentalId) -> Result<Vec<ServiceView>, Failure> {
    client.pages(&format!("/v1/rentals/{rental}/services"))
}

impl OpenArgs {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let visibility = match self.public {
            true => ServiceVisibility::Public,
            false => ServiceVisibility::Private,
        };
        let request = ServiceRequest {
            node: self.node,
            port: self.port,
            proto: self.proto,
            visibility,
            wants_proxy_header: self.proxy_header,
        };
        let mut service: ServiceView = client.put(&address(rental, &self.label), &request)?;
        let until = Instant::now() + OPEN_WITHIN;
        while service.state == ServiceState::Waiting && Instant::now() < until {
            thread::sleep(LOOK_EVERY);
            let all = services(&client, rental)?;
            let found = all.into_iter().find(|found| found.label == self.label);
            service = found.ok_or_else(|| {
                Failure::ended("it was closed again", "somebody else, or the rental's end")
            })?;
        }
        let screen = session.screen;
        session.show(&service, |service| table(std::slice::from_ref(service), screen))?;
        match (service.state, service.why.as_deref()) {
            (ServiceState::Open, _) => {}
            (ServiceState::Waiting, _) => {
                screen.note(
                    "Its node has not published it yet; `iog tunnel list` shows when it has.",
                );
            }
            (ServiceState::Refused, why) => {
                let why = why.map_or_else(|| "its node does not say why".to_owned(), tame);
                return Err(Failure::ended(
                    format!("the service is not open: {why}"),
                    "is the program running there, on that port?",
                ));
            }
        }
        if service.visibility == ServiceVisibility::Private {
            let way = match service.proto {
                ServiceProto::Http => {
                    format!("`iog tunnel link {rental} {}` opens it in a browser", self.label)
                }
                ServiceProto::Tls | ServiceProto::Ssh | ServiceProto::Tcp => {
                    format!("`iog forward {rental} {}` leads to it", self.label)
                }
                ServiceProto::Udp => {
                    "nothing leads to it from outside: open it with --public".to_owned()
                }
            };
            screen.note(&screen.paint(Ink::Faint, &way));
        }
        Ok(())
    }
}

impl LinkArgs {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.named.rental)?;
        let visit = Visit::to(&client, rental, session.folder()?)?;
        let papers = visit.papers(None)?;
        let label = self.named.label.text();
        let service = visit::service(&papers, label)?;
        let Some(host) = service.hosts.first().filter(|_| service.proto == ServiceProto::Http)
        else {
            let what = match service.proto == ServiceProto::Http {
                true => format!("the service `{label}` has no host name yet"),
                false => format!("the service `{label}` does not speak HTTP"),
            };
            let hint = format!("`iog forward {} {label}` leads to it", visit.rental());
            return Err(Failure::refused(what, hint));
        };
        let span = Duration::from_secs(self.minutes.saturating_mul(60));
        let until = visit::now().after(span).min(papers.until);
        let token = Token::sign(papers.pass.clone(), &service.name, until, visit.key())
            .map_err(|why| Failure::Fault(anyhow::Error::new(why).context("sign a token")))?;
        let link = format!("{}/?iog-token={}", host.trim_end_matches('/'), token.to_text());
        session.show(&link, |link| format!("{link}\n"))?;
        if label == DASHBOARD {
            session.screen.note(&papers.asks_once());
        }
        Ok(())
    }
}

impl NamedArgs {
    /// Carries standard input and output.
    fn pipe(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let visit = Visit::to(&client, rental, session.folder()?)?;
        let papers = visit.papers(None)?;
        let service = visit::service(&papers, self.label.text())?;
        let (name, proto) = (visit::name_of(service)?, proto_of(service.proto));
        let lines = visit.lines(&papers)?;
        let runtime = visit::runtime()?;
        let carried = runtime.block_on(async {
            let opened = lines.open(&name, proto, None).await;
            let (_, stream) = opened.map_err(|why| {
                let what = format!("{name} was not reached: {why}");
                Failure::ended(what, "`iog tunnel list` shows how services stand")
            })?;
            let here = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
            trunk::carry(here, stream).await;
            Ok(())
        });
        // Standard input may still be read, by a thread that nothing can wake.
        runtime.shutdown_background();
        carried
    }
}

fn table(services: &[ServiceView], screen: Screen) -> String {
    let mut table =
        Table::new(&["SERVICE", ">NODE", ">PORT", "SPEAKS", "FOR", "STATE", "VISITED AT"]);
    for service in services {
        table.row([
            service.label.to_string(),
            service.node.to_string(),
            service.port.to_string(),
            service.proto.text().to_owned(),
            visitors(service.visibility).to_owned(),
            state(service),
            places(service),
        ]);
    }
    table.text(screen)
}

const fn visitors(visibility: ServiceVisibility) -> &'static str {
    match visibility {
        ServiceVisibility::Private => "the project",
        ServiceVisibility::Public => "everybody",
    }
}

fn state(service: &ServiceView) -> String {
    let state = match service.state {
        ServiceState::Open => "open",
        ServiceState::Waiting => "waiting",
        ServiceState::Refused => "refused",
    };
    match &service.why {
        Some(why) => format!("{state}: {why}"),
        None => state.to_owned(),
    }
}

/// Where visitors come; what is not for everybody has no port of its own.
/// How it is visited. Each node's own SSH needs a certificate, which `iog ssh` gets; what leads there is its matter.
fn places(service: &ServiceView) -> String {
    if service.standing && service.proto == ServiceProto::Ssh {
        return if service.node == 0 {
            "iog ssh".to_owned()
        } else {
            format!("iog ssh … {}", service.node)
        };
    }
    let ports = service.ports.iter().map(ToString::to_string);
    let places: Vec<String> = service.hosts.iter().cloned().chain(ports).collect();
    if places.is_empty() { "iog forward".to_owned() } else { places.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_named_by_its_word() {
        assert_eq!(proto("tcp"), Ok(ServiceProto::Tcp));
        assert_eq!(proto("smtp"), Err("one of http, tls, ssh, tcp, udp".to_owned()));
    }
}
