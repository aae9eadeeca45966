//! Where services are found from outside: host names, and leased ports.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tunnel::{Access, Code, Proto, Served, Service};

use crate::door::{Directory, Doors, Offered};
use crate::gate::Turned;
use crate::opener::Opener;

/// A service's place, and what is kept as long as it has it.
pub struct Placed {
    /// What the node is told.
    pub served: Served,
    /// A lease; nothing for host names.
    pub kept: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placed({:?})", self.served)
    }
}

/// What [`Places::place`] gives in time.
pub type Placing<'a> = Pin<Box<dyn Future<Output = Result<Placed, Turned>> + Send + 'a>>;

/// Gives services places.
pub trait Places: Send + Sync + 'static {
    /// A place for this service.
    fn place<'a>(&'a self, service: &'a Service, access: Access) -> Placing<'a>;
}

/// A relay without doors: services are reached by nodes of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDoors;

impl Places for NoDoors {
    fn place<'a>(&'a self, service: &'a Service, _access: Access) -> Placing<'a> {
        let served = Served { name: service.name.clone(), hosts: Vec::new(), ports: Vec::new() };
        Box::pin(std::future::ready(Ok(Placed { served, kept: None })))
    }
}

impl<O: Opener + Directory> Places for Doors<O> {
    fn place<'a>(&'a self, service: &'a Service, access: Access) -> Placing<'a> {
        Box::pin(async move {
            let name = service.name.clone();
            match service.proto {
                Proto::Http | Proto::Tls | Proto::Ssh => {
                    let hosts = self.hosts(&name);
                    Ok(Placed { served: Served { name, hosts, ports: Vec::new() }, kept: None })
                }
                Proto::Tcp | Proto::Udp => self.place_on_port(service, access).await,
            }
        })
    }
}

impl<O: Opener> Doors<O> {
    async fn place_on_port(&self, service: &Service, access: Access) -> Result<Placed, Turned> {
        // What is not public is served, too: to nodes of its own, without a port.
        if !access.is_public() {
            let served =
                Served { name: service.name.clone(), hosts: Vec::new(), ports: Vec::new() };
            return Ok(Placed { served, kept: None });
        }
        let offered = Offered { proto: service.proto, access };
        let lease = self.lease(&service.name, &offered, service.port_wished).await;
        let lease = lease.map_err(|why| Turned::new(Code::Limit, why))?;
        let (name, ports) = (service.name.clone(), vec![lease.port()]);
        Ok(Placed {
            served: Served { name, hosts: Vec::new(), ports },
            kept: Some(Box::new(lease)),
        })
    }
}
