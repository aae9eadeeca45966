//! The processes of a network on this machine: started in order, watched, and stopped in order.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use agent::probe;
use agent::runtime::environment::{Environment, Found};
use anyhow::{Context, anyhow};
use wire::{InviteIssued, InviteRequest, WorkerView};

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::show::{count, mib};
use crate::up::Interrupt;
use crate::up::child::{LogLines, Role, step_of};
use crate::up::place::Place;
use crate::up::share::{Share, divide};

/// How often something that is awaited is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the server is looked at until it answers: a minute, for a long journal.
const READY_LOOKS_MAX: u32 = 300;
/// How often machines are looked at until all are on offer: two minutes.
const OPEN_LOOKS_MAX: u32 = 600;
/// How often the runtime is looked at while it is made: half an hour, for a slow line.
const RUNTIME_LOOKS_MAX: u32 = 9_000;

/// Where the relay listens, unless somebody else does.
const RELAY_PORT: u16 = 4443;
/// Names under it are this machine, for browsers and for curl, without anybody asking a name server.
const RELAY_DOMAIN: &str = "iog.localhost";

/// A network that runs.
#[derive(Debug)]
pub(super) struct Network {
    place: Place,
    screen: Screen,
    shares: Vec<Share>,
    logs: Vec<(String, LogLines)>,
    roles: Vec<Role>,
    url: String,
    sandbox: &'static str,
}

impl Network {
    /// Starts the control plane.
    pub(super) fn start(
        place: Place,
        listen: SocketAddr,
        workers: u16,
        screen: Screen,
    ) -> Result<Self, Failure> {
        place.wait_for_silence(|| {
            screen.note("Waiting for what is left of a network that was cut short …");
        })?;
        must_be_free(listen)?;
        let shares = divide(&probe::look(&place.path(""), None), workers);
        let sandbox = sandbox(&place, screen);
        let (logs, roles, url) = (Vec::new(), Vec::new(), String::new());
        let mut network = Self { place, screen, shares, logs, roles, url, sandbox };
        let ready = network.place.path("server/ready");
        if ready.exists() {
            fs::remove_file(&ready).context("remove the old address")?;
        }
        let arguments = words(&[
            "server",
            "--data",
            &network.text("server"),
            "--listen",
            &listen.to_string(),
            "--ready-file",
            &ready.display().to_string(),
        ]);
        let mut server = network.role("server", &arguments)?;
        let answered = network.await_server(&mut server, &ready);
        network.roles.push(server);
        network.url = format!("http://{}", answered?);
        let log = Place::short(&network.place.log("server"));
        network.done("control plane", &network.url.clone(), &format!("log in {log}"));
        Ok(network)
    }

    fn await_server(&self, server: &mut Role, ready: &PathBuf) -> Result<SocketAddr, Failure> {
        for _ in 0..READY_LOOKS_MAX {
            server.must_run()?;
            let told = fs::read_to_string(ready).ok();
            if let Some(address) = told.and_then(|text| text.trim().parse().ok()) {
                return Ok(address);
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(server.failure("does not answer"))
    }

    /// Starts a relay, in the operator's name: what runs on machines is visited through it.
    pub(super) fn start_relay(&mut self) -> Result<(), Failure> {
        let at = SocketAddr::from(([127, 0, 0, 1], relay_port()?)).to_string();
        let ready = self.place.path("relay/ready");
        if ready.exists() {
            fs::remove_file(&ready).context("remove the old address")?;
        }
        let arguments = words(&[
            "relay",
            "--server",
            &self.url,
            "--key-file",
            &self.place.operator_key().display().to_string(),
            "--data",
            &self.text("relay"),
            "--listen",
            &at,
            "--advertise",
            &at,
            "--domain",
            RELAY_DOMAIN,
            "--audit",
            &self.text("relay/audit.jsonl"),
            "--ready-file",
            &ready.display().to_string(),
        ]);
        let mut relay = self.role("relay", &arguments)?;
        let answered = await_relay(&mut relay, &ready);
        self.roles.push(relay);
        answered?;
        self.done("relay", &at, &format!("for *.{RELAY_DOMAIN}"));
        Ok(())
    }

    /// Starts the machines; those that have not joined are invited by their supplier first.
    pub(super) fn start_workers(
        &mut self,
        supplier: &Client,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        for share in self.shares.clone() {
            if !self.place.path(&share.name).join("identity.json").exists() {
                self.join(supplier, &share)?;
            }
            let mut arguments = words(&["worker", "run", "--stop-nodes"]);
            arguments.extend(self.machine(&share));
            let role = self.role(&share.name, &arguments)?;
            self.roles.push(role);
        }
        self.await_runtime(interrupt)?;
        self.await_offers(supplier, interrupt)?;
        for share in &self.shares {
            let what = format!(
                "{}, {} memory{}",
                count(u64::from(share.vcpus), "vCPU"),
                mib(share.memory_mib),
                if share.gpus { ", GPUs" } else { "" }
            );
            self.done(&share.name, &what, &format!("at {}", share.address));
        }
        Ok(())
    }

    fn join(&mut self, supplier: &Client, share: &Share) -> Result<(), Failure> {
        let invite = InviteRequest { account: None, valid_hours: Some(1), replace: None };
        let issued: InviteIssued = supplier.post("/v1/invites", &invite)?;
        let mut arguments = words(&["worker", "join", "--quick", &issued.token]);
        arguments.extend(self.machine(share));
        self.role(&share.name, &arguments)?.must_end()
    }

    fn machine(&self, share: &Share) -> Vec<String> {
        let mut arguments = words(&[
            "--server",
            &self.url,
            "--data",
            &self.text(&share.name),
            "--name",
            &share.name,
            "--part",
            &share.part.to_string(),
            "--runtimes",
            &self.text("runtimes"),
            "--address",
            &share.address,
            "--ports",
            &share.ports,
            "--vcpus",
            &share.vcpus.to_string(),
            "--memory",
            &format!("{}MiB", share.memory_mib),
            "--disk",
            &format!("{}MiB", share.disk_mib),
            "--sandbox",
            self.sandbox,
        ]);
        if !share.gpus {
            arguments.push("--no-gpus".to_owned());
        }
        arguments
    }

    fn await_runtime(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        let environment = Environment::under(&self.place.path("runtimes"));
        let was_there = environment.found() == Found::Whole;
        if !was_there {
            self.screen.note("  … Ray is installed once for all machines here; that takes minutes");
        }
        for _ in 0..RUNTIME_LOOKS_MAX {
            if environment.found() == Found::Whole {
                let how = if was_there { "as made before" } else { "made for all machines here" };
                let folder = Place::short(environment.folder());
                self.done("Ray", how, &format!("in {folder}"));
                return Ok(());
            }
            self.check(interrupt)?;
            for line in self.fresh_lines() {
                self.screen.note(&self.screen.paint(Ink::Faint, &format!("    {line}")));
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(Failure::ended("Ray could not be installed in half an hour", "is there a network?"))
    }

    fn await_offers(&mut self, supplier: &Client, interrupt: &Interrupt) -> Result<(), Failure> {
        let mut closed = Vec::new();
        for _ in 0..OPEN_LOOKS_MAX {
            self.check(interrupt)?;
            let workers: Vec<WorkerView> = supplier.pages("/v1/workers")?;
            let is_open = |share: &&Share| {
                let named = |worker: &&WorkerView| worker.name.text() == share.name;
                !workers.iter().any(|worker| named(&worker) && worker.state == "open")
            };
            closed = self.shares.iter().filter(is_open).map(|share| share.name.clone()).collect();
            if closed.is_empty() {
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
        let what = format!("{} did not come on offer", closed.join(", "));
        let log = Place::short(&self.place.log(closed.first().map_or("server", String::as_str)));
        Err(Failure::ended(what, format!("see {log}")))
    }

    /// A failure if a process has ended, or if somebody wants the end.
    pub(super) fn check(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        interrupt.check()?;
        self.roles.iter_mut().try_for_each(Role::must_run)
    }

    /// What machines said since the last call about steps that take time, and about trouble.
    pub(super) fn fresh_lines(&mut self) -> Vec<String> {
        let told = |(name, lines): &mut (String, LogLines)| {
            let said: Vec<String> = lines
                .fresh()
                .iter()
                .filter_map(|line| step_of(line).map(|step| format!("{name}: {step}")))
                .collect();
            said
        };
        self.logs.iter_mut().flat_map(told).collect()
    }

    /// Warnings and errors in all logs since the start, the last few of each.
    pub(super) fn trouble(&self) -> Vec<String> {
        self.roles.iter().flat_map(Role::trouble).collect()
    }

    /// The address of the API.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The folder.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// The least memory that a machine offers.
    pub(super) fn memory_mib_min(&self) -> u64 {
        self.shares.iter().map(|share| share.memory_mib).min().unwrap_or_default()
    }

    /// Stops everything: machines with their nodes first, then the relay, the control plane last.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        let roles = std::mem::take(&mut self.roles);
        if roles.is_empty() {
            return Ok(());
        }
        self.screen.note("Stopping the machines and what runs on them …");
        let mut left = Vec::new();
        let serves = |role: &Role| matches!(role.name(), "server" | "relay");
        let (mut servers, mut workers): (Vec<Role>, Vec<Role>) =
            roles.into_iter().partition(serves);
        // Started first, stopped last.
        servers.reverse();
        for worker in &mut workers {
            worker.tell_to_stop();
        }
        for worker in &mut workers {
            if !worker.wait() {
                self.end_nodes(worker.name(), &mut left);
            }
        }
        for server in &mut servers {
            server.tell_to_stop();
            if !server.wait() {
                left.push(format!("{} had to be killed", server.name()));
            }
        }
        self.place.wait_for_silence(|| {})?;
        if left.is_empty() {
            self.screen.note("Everything is stopped.");
            return Ok(());
        }
        Err(Failure::ended(
            format!("not all of it stopped well: {}", left.join("; ")),
            "see the logs",
        ))
    }

    /// What a machine would do itself before it ends.
    fn end_nodes(&self, name: &str, left: &mut Vec<String>) {
        let Some(share) = self.shares.iter().find(|share| share.name == name) else { return };
        let config = agent::Config {
            data: self.place.path(name),
            server: self.url.clone(),
            name: None,
            part: 0,
            offers: agent::Offers::default(),
            country: None,
            address: share.address.parse().unwrap_or(IpAddr::from([127, 0, 0, 1])),
            ports: crate::role::worker::ports(&share.ports).unwrap_or(20_000..=20_999),
            runtimes: self.place.path("runtimes"),
            sandbox: agent::Sandbox::Auto,
            // They end as they are, whatever their network.
            own_network: false,
            egress: agent::Egress::Internet,
            stop_foreign: false,
            driver: None,
            reports: None,
        };
        if let Err(fault) = agent::stop_nodes(&config) {
            left.push(format!("{name}: {fault:#}"));
        }
    }

    fn role(&mut self, name: &str, arguments: &[String]) -> Result<Role, Failure> {
        let role = Role::start(&self.place, name, arguments)?;
        if !self.logs.iter().any(|(known, _)| known == name) {
            self.logs.push((name.to_owned(), role.lines()));
        }
        Ok(role)
    }

    fn text(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }

    fn done(&self, what: &str, how: &str, aside: &str) {
        let mark = self.screen.paint(Ink::Good, "✓");
        let aside = self.screen.paint(Ink::Faint, aside);
        self.screen.note(&format!("  {mark} {what:<14} {how:<28} {aside}"));
    }
}

fn await_relay(relay: &mut Role, ready: &Path) -> Result<(), Failure> {
    for _ in 0..READY_LOOKS_MAX {
        relay.must_run()?;
        if ready.exists() {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(relay.failure("does not answer"))
}

/// The usual port, or a free one.
fn relay_port() -> Result<u16, Failure> {
    let free = |port: u16| {
        TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
            .and_then(|listener| listener.local_addr())
    };
    let address = free(RELAY_PORT).or_else(|_| free(0)).context("find a port for the relay")?;
    Ok(address.port())
}

impl Drop for Network {
    /// Whatever went wrong, nothing is left running.
    fn drop(&mut self) {
        if let Err(failure) = self.stop() {
            self.screen.note(&failure.text(self.screen));
        }
    }
}

/// What nodes run in: a sandbox if one works here. Without one they are plain processes of whoever runs this network,
/// who is also the only renter.
fn sandbox(place: &Place, screen: Screen) -> &'static str {
    if rustix::process::getuid().is_root() {
        return "auto";
    }
    match agent::runtime::sandbox::probe(&place.path(""), None) {
        Ok(()) => "auto",
        Err(why) => {
            screen
                .note(&format!("  … no sandbox here ({why}): nodes are plain processes of yours"));
            "plain"
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn must_be_free(listen: SocketAddr) -> Result<(), Failure> {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::AddrInUse => Err(Failure::usage(
            format!("port {} of {} is in use", listen.port(), listen.ip()),
            "stop what uses it, or take another: --listen 127.0.0.1:0 finds a free one",
        )),
        Err(why) => Err(Failure::Fault(anyhow!(why).context(format!("listen on {listen}")))),
    }
}
