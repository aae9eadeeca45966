//! `iog forward`: ports of this machine that lead to services of a rental.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tunnel::Proto;
use units::{Name, RentalId};
use wire::{ServiceProto, ServiceRequest, ServiceView, ServiceVisibility};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::Ink;
use crate::session::{Named, Session};
use crate::visit::{self, Door, Lines, Papers, Visit};

/// The label of Ray's dashboard.
pub(super) const DASHBOARD: &str = "dashboard";
/// How long taking back services may hold up the end.
const REMOVED_WITHIN: Duration = Duration::from_secs(2);

/// Lead ports of this machine to services of a rental, until Ctrl-C. No port of the rental's machines has to be open to
/// anybody: both ends keep a line to a relay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A service is named by its label, as `iog tunnel list` shows it, or by the port that a program listens
on in a node. Ports of this machine are those of loopback; without one named, the service's own is
taken if it is free.

Examples:
  iog forward training dashboard
  iog forward training 8888
  iog forward training 9000:dashboard 6006 --node 1
  iog forward training 0:dashboard --json | jq -r '.[0].address'")]
pub(crate) struct Args {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// What to lead to: [PORT-HERE:]LABEL or [PORT-HERE:]PORT-THERE.
    #[arg(required = true, value_name = "[PORT:]SERVICE")]
    what: Vec<What>,
    /// The node that ports are of; 0 is the head.
    #[arg(long, value_name = "N", default_value_t = 0)]
    node: u32,
}

/// A service, and the port of this machine that is to lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct What {
    here: Option<u16>,
    there: There,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum There {
    Label(Name),
    Port(u16),
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port"));
        let (here, there) = match text.split_once(':') {
            Some((here, there)) => (Some(port(here)?), there),
            None => (None, text),
        };
        let there = if there.bytes().all(|byte| byte.is_ascii_digit()) {
            match port(there)? {
                0 => return Err("nothing listens at port 0".to_owned()),
                port => There::Port(port),
            }
        } else {
            There::Label(there.parse().map_err(|why| format!("`{there}`: {why}"))?)
        };
        Ok(Self { here, there })
    }
}

/// A port of this machine that leads somewhere.
#[derive(Debug, Serialize)]
struct Led {
    label: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let visit = Visit::to(&client, rental, session.folder()?)?;
        let runtime = visit::runtime()?;
        let led = runtime.block_on(async {
            // Heard from here on, so that what is made below is taken back.
            let end = End::listen()?;
            let made = Made::for_ports(&client, rental, self.node, &self.what)?;
            let papers = visit.papers(None)?;
            let lines = visit.lines(&papers)?;
            self.lead(session, (&lines, &papers), &made, end).await
        });
        // What is under way ends with this program.
        runtime.shutdown_background();
        led
    }

    async fn lead(
        &self,
        session: &Session,
        (lines, papers): (&Arc<Lines>, &Papers),
        made: &Made,
        end: End,
    ) -> Result<(), Failure> {
        let screen = session.screen;
        let mut led = Vec::new();
        for what in &self.what {
            let service = visit::service(papers, made.label(what).text())?;
            if service.proto == ServiceProto::Udp {
                let what =
                    format!("the service `{}` takes UDP, and this carries TCP", service.label);
                let hint = "opened with --public it has a port of a relay: `iog tunnel open`";
                return Err(Failure::refused(what, hint));
            }
            let (name, proto) = (visit::name_of(service)?, proto_of(service.proto));
            let door = Door::open(what.here, service.port, name, proto).await?;
            led.push(Led::of(service, what, door.address()?.to_string()));
            tokio::spawn(door.serve(Arc::clone(lines), move |why| screen.note(&why)));
        }
        let relay = lines.relay().await.map_err(|why| {
            let hint = "is there a way out of this network to the relays of `iog net relays`?";
            Failure::ended(format!("the rental cannot be visited: {why}"), hint)
        })?;
        session.show(&led, |led| led.iter().map(Led::text).collect())?;
        if led.iter().any(|led| led.label == DASHBOARD) {
            screen.note(&papers.asks_once());
        }
        let told = format!("over the relay {relay}; Ctrl-C ends it");
        screen.note(&screen.paint(Ink::Faint, &told));
        tokio::select! {
            () = end.wait() => Ok(()),
            why = lines.refusal() => Err(Failure::ended(
                format!("the rental can be visited no longer: {why}"),
                "`iog rental` shows whether it has ended",
            )),
        }
    }
}

impl Led {
    fn of(service: &ServiceView, what: &What, address: String) -> Self {
        let is_http = service.proto == ServiceProto::Http;
        let url = is_http.then(|| format!("http://{address}/"));
        let label = match &what.there {
            There::Label(label) => label.to_string(),
            There::Port(port) => format!("port {port} of node {}", service.node),
        };
        Self { label, address, url }
    }

    fn text(&self) -> String {
        format!("{} ─► {}\n", self.url.as_ref().unwrap_or(&self.address), self.label)
    }
}

/// What a visitor of such a service speaks.
pub(super) const fn proto_of(proto: ServiceProto) -> Proto {
    match proto {
        ServiceProto::Http => Proto::Http,
        ServiceProto::Tls => Proto::Tls,
        ServiceProto::Ssh => Proto::Ssh,
        ServiceProto::Tcp => Proto::Tcp,
        ServiceProto::Udp => Proto::Udp,
    }
}

/// Ctrl-C, or whatever else tells this program to stop.
struct End([Signal; 3]);

impl End {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|fault| Failure::Fault(fault.into()));
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self([interrupt, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    async fn wait(self) {
        let Self([mut interrupt, mut terminate, mut hang_up]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

/// Services that were made for this call, and go with it.
struct Made {
    client: Client,
    rental: RentalId,
    labels: BTreeMap<u16, Name>,
}

impl Made {
    /// A service for each port that is named, private to the project, under a label that no other call has.
    fn for_ports(
        client: &Client,
        rental: RentalId,
        node: u32,
        what: &[What],
    ) -> Result<Self, Failure> {
        let mut made = Self { client: client.clone(), rental, labels: BTreeMap::new() };
        let mut own = [0; 3];
        getrandom::fill(&mut own).context("draw a label")?;
        for what in what {
            let There::Port(port) = what.there else { continue };
            let label = label_of(node, port, own);
            let request = ServiceRequest {
                node,
                port,
                proto: ServiceProto::Tcp,
                visibility: ServiceVisibility::Private,
                wants_proxy_header: false,
            };
            let path = format!("/v1/rentals/{rental}/services/{label}");
            let _: ServiceView = client.put(&path, &request)?;
            made.labels.insert(port, label);
        }
        Ok(made)
    }

    /// The label of what is to be led to.
    fn label<'a>(&'a self, what: &'a What) -> &'a Name {
        match &what.there {
            There::Label(label) => label,
            There::Port(port) => self.labels.get(port).expect("one was made for each port"),
        }
    }
}

fn label_of(node: u32, port: u16, own: [u8; 3]) -> Name {
    let label = format!("port-{node}-{port}-{}", HEXLOWER.encode(&own));
    label.parse().expect("letters, digits and hyphens are a name")
}

impl Drop for Made {
    fn drop(&mut self) {
        let (client, rental) = (self.client.clone(), self.rental);
        let labels = std::mem::take(&mut self.labels);
        let (done, wait) = mpsc::channel::<()>();
        thread::spawn(move || {
            for label in labels.values() {
                // What cannot be taken back ends with the rental.
                let _ = client.remove(&format!("/v1/rentals/{rental}/services/{label}"));
            }
            drop(done);
        });
        // Nobody waits long for a server that does not answer.
        let _ = wait.recv_timeout(REMOVED_WITHIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_of_a_port_is_always_a_label() {
        let label = label_of(u32::MAX, u16::MAX, [0xff; 3]);
        assert_eq!(label.text(), "port-4294967295-65535-ffffff");
        assert!(label.text().len() <= wire::SERVICE_LABEL_BYTES_MAX);
    }

    #[test]
    fn what_to_lead_to_is_a_label_or_a_port_with_or_without_one_here() {
        let label = |text: &str| There::Label(text.parse().unwrap());
        for (text, here, there) in [
            ("dashboard", None, label("dashboard")),
            ("9000:dashboard", Some(9000), label("dashboard")),
            ("0:ssh-1", Some(0), label("ssh-1")),
            ("8888", None, There::Port(8888)),
            ("80:8888", Some(80), There::Port(8888)),
        ] {
            assert_eq!(text.parse::<What>().unwrap(), What { here, there }, "{text}");
        }
        for wrong in ["", ":", "x:", "70000", "1:70000", "0", "a:b", "9:0", "-1", "a b"] {
            assert!(wrong.parse::<What>().is_err(), "{wrong}");
        }
    }
}
