//! A node of a running network: where closures and programs run.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, Command};
use std::thread::JoinHandle;

use anyhow::Context;

use crate::kernel;
use crate::layout::Laid;
use crate::peer::Peer;
use crate::rig::Rig;

/// A node of a running network.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub(crate) rig: &'a Rig,
    pub(crate) laid: &'a Laid,
}

impl Place<'_> {
    /// Does something there, and waits for it. Sockets opened inside stay there and may be used anywhere; so do threads
    /// and runtimes started inside.
    ///
    /// # Panics
    /// When what it does panics, or the namespace is gone.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        kernel::inside(self.netns(), || Ok(act())).expect("the namespace lives as long as its rig")
    }

    /// A thread there, that may live longer than this line. End it before the rig ends.
    pub fn thread<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let netns = self.netns().to_owned();
        std::thread::spawn(move || {
            kernel::enter(&netns).expect("the namespace lives as long as its rig");
            act()
        })
    }

    /// Starts a program there as it is; see [`Place::start`] for one whose words are kept.
    pub fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        kernel::inside(self.netns(), || {
            command.spawn().with_context(|| format!("start {}", command.get_program().display()))
        })
    }

    /// Starts a program there. What it says goes to a file, which is printed when the test fails.
    pub fn start(&self, name: &str, command: Command) -> anyhow::Result<Peer> {
        Peer::start(self, name, command)
    }

    /// [`Place::start`] in few words. The program's own name is the log's.
    pub fn peer<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: &[S],
    ) -> anyhow::Result<Peer> {
        let mut command = Command::new(program);
        command.args(arguments);
        let name = std::path::Path::new(command.get_program()).file_name();
        let name = name.unwrap_or_default().to_string_lossy().into_owned();
        self.start(&name, command)
    }

    /// A command for a program that shall see the place's own `/sys` and names' server as well, to be given to
    /// [`Place::start`], [`Place::spawn`] or anybody else. It becomes the program: its process is the program's.
    pub fn exec(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.netns()]).arg(program);
        command
    }

    pub fn name(&self) -> &str {
        &self.laid.name
    }

    /// The namespace, as `ip netns exec` would name it.
    pub fn netns(&self) -> &str {
        &self.laid.netns
    }

    /// Its address on its first link.
    ///
    /// # Panics
    /// When it has none of IPv4.
    pub fn v4(&self) -> Ipv4Addr {
        let first = self.laid.uplinks.first().and_then(|wire| wire.v4);
        first.unwrap_or_else(|| panic!("{} has no IPv4 address", self.name()))
    }

    /// Its address on its first link.
    ///
    /// # Panics
    /// When it has none of IPv6.
    pub fn v6(&self) -> Ipv6Addr {
        let first = self.laid.uplinks.first().and_then(|wire| wire.v6);
        first.unwrap_or_else(|| panic!("{} has no IPv6 address", self.name()))
    }

    /// All its addresses, link by link.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let of_wire = self.laid.uplinks.iter().flat_map(|wire| {
            [wire.v4.map(IpAddr::V4), wire.v6.map(IpAddr::V6)].into_iter().flatten()
        });
        of_wire.collect()
    }

    /// The names of its interfaces towards the internet.
    pub fn interfaces(&self) -> Vec<&str> {
        self.laid.uplinks.iter().map(|wire| wire.child_end.as_str()).collect()
    }
}
