//! A port of this machine that leads to a service.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tunnel::{Proto, ServiceName};

use super::lines::Lines;
use crate::failure::Failure;

/// Connections that are carried at once; more wait to be taken.
const AT_ONCE_MAX: usize = 1024;

/// A port of this machine's loopback interface that leads to a service.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    service: ServiceName,
    proto: Proto,
}

impl Door {
    /// Opens it. Port 0 takes a free one; a port that was not asked for but would be nice gives way to a free one.
    pub(crate) async fn open(
        port: Option<u16>,
        nice: u16,
        service: ServiceName,
        proto: Proto,
    ) -> Result<Self, Failure> {
        let at = |port: u16| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listener = match port {
            Some(port) => at(port).await.map_err(|fault| {
                let what = format!("listen at port {port}: {fault}");
                Failure::usage(what, "name another as in 8080:LABEL, or 0:LABEL for a free one")
            })?,
            None => match at(nice).await {
                Ok(listener) => listener,
                Err(_) => at(0).await.context("listen at a free port")?,
            },
        };
        Ok(Self { listener, service, proto })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.listener.local_addr().context("find the port")?)
    }

    /// Carries what comes, until it is dropped. What cannot be carried is told.
    pub(crate) async fn serve(
        self,
        lines: Arc<Lines>,
        tell: impl Fn(String) + Clone + Send + 'static,
    ) {
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (party, from) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(fault) => {
                    tell(format!("no connection could be taken: {fault}"));
                    // Too many files are open, say; some are closed soon.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (lines, service, proto, tell) =
                (Arc::clone(&lines), self.service.clone(), self.proto, tell.clone());
            tokio::spawn(async move {
                carry(&lines, (party, from), &service, proto, tell).await;
                drop(place);
            });
        }
    }
}

async fn carry(
    lines: &Lines,
    (party, from): (TcpStream, SocketAddr),
    service: &ServiceName,
    proto: Proto,
    tell: impl Fn(String),
) {
    // Small writes of a terminal or a request should not wait for each other.
    let _ = party.set_nodelay(true);
    match lines.open(service, proto, Some(from)).await {
        Ok((_, stream)) => drop(trunk::carry_tcp(party, stream).await),
        Err(why) => tell(format!("{service} was not reached: {why}")),
    }
}
