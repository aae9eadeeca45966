//! A node from inside, as its keeper uses it: its device, its ports, its programs.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::ssh::{Asked, Control, Program};
use crate::runtime::net::{Ended, NodeNet, Run, Running, SocketKind};

/// What shells say of a program that a signal ended: this, and the signal's number.
const BY_SIGNAL: i32 = 128;
/// What they say of one that cannot be told of.
const UNKNOWN: u32 = 255;

/// One start of a node that has a network of its own. Calls may wait, but not for long, and come from any thread.
pub(crate) trait InNode: fmt::Debug + Send + Sync {
    /// Its address in the private network.
    fn v4(&self) -> Ipv4Addr;
    /// Its longer one.
    fn v6(&self) -> Ipv6Addr;
    /// The device whose packets the private network carries.
    fn device(&self) -> io::Result<OwnedFd>;
    /// Connects as a program in the node would.
    fn dial(&self, to: SocketAddr, patience: Duration) -> io::Result<TcpStream>;
    /// A socket that is connected as a program's in the node would be.
    fn dial_udp(&self, to: SocketAddr) -> io::Result<UdpSocket>;
    /// Listens in the node.
    fn listen(&self, at: SocketAddr) -> io::Result<TcpListener>;
    /// Starts a program in the node, as the node's user.
    fn run(&self, asked: &Asked) -> Result<Program>;
}

impl InNode for NodeNet {
    fn v4(&self) -> Ipv4Addr {
        self.addresses().v4
    }

    fn v6(&self) -> Ipv6Addr {
        self.addresses().v6
    }

    fn device(&self) -> io::Result<OwnedFd> {
        self.tun()
    }

    fn dial(&self, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
        Self::dial(self, to, patience)
    }

    fn dial_udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        let kind = if to.is_ipv4() { SocketKind::Udp4 } else { SocketKind::Udp6 };
        let socket = UdpSocket::from(self.socket(kind)?);
        socket.connect(to)?;
        Ok(socket)
    }

    fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        Self::listen(self, at)
    }

    fn run(&self, asked: &Asked) -> Result<Program> {
        let kind = asked.terminal.as_ref().map(|(kind, _, _)| ("TERM".to_owned(), kind.clone()));
        let env = kind.into_iter().chain(asked.variables.iter().cloned()).collect();
        let terminal = asked.terminal.as_ref().map(|(_, columns, rows)| (*columns, *rows));
        let (command, files) = (asked.command.clone(), asked.files);
        let running = Self::run(self, &Run { command, files, terminal, env })?;
        program(running)
    }
}

/// A program that runs, as sessions use it.
fn program(mut running: Running) -> Result<Program> {
    let (input, output, errors) = match &running.terminal {
        Some(terminal) => {
            let copy = || terminal.try_clone().context("share a terminal");
            (copy()?, copy()?, None)
        }
        None => {
            let taken = |file: Option<File>| file.context("find a program's pipes");
            let input = taken(running.stdin.take())?;
            (input, taken(running.stdout.take())?, Some(taken(running.stderr.take())?.into()))
        }
    };
    let control: Arc<dyn Control> = Arc::new(running);
    Ok(Program { input: input.into(), output: output.into(), errors, control })
}

impl Control for Running {
    fn wait(&self) -> u32 {
        match Self::wait(self) {
            Ok(Ended::Code(code)) => u32::try_from(code).unwrap_or(UNKNOWN),
            Ok(Ended::Signal(signal)) => u32::try_from(BY_SIGNAL + signal).unwrap_or(UNKNOWN),
            Err(_) => UNKNOWN,
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        // One without a terminal has no size.
        let _ = Self::resize(self, columns, rows);
    }

    fn end(&self) {
        Self::end(self);
    }
}
