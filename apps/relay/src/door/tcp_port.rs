//! A leased TCP port: every connection to it is one stream to its service.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tunnel::ServiceName;

use super::alive::keep_alive;
use super::carried::Activity;
use super::house::{Ends, House};
use super::limits::ACCEPT_PAUSE;
use crate::opener::{Entry, Opener};

/// Accepts connections until it is aborted.
pub(crate) async fn serve<O: Opener>(
    house: Arc<House<O>>,
    listener: TcpListener,
    service: ServiceName,
) {
    let service = Arc::new(service);
    loop {
        let Ok((connection, visitor)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let places = match house.enter(visitor) {
            Ok(places) => places,
            Err(why) => {
                house.metrics.turned(why);
                continue;
            }
        };
        let (house, service) = (Arc::clone(&house), Arc::clone(&service));
        tokio::spawn(async move {
            connect(&house, connection, &service).await;
            drop(places);
        });
    }
}

async fn connect<O: Opener>(house: &House<O>, connection: TcpStream, service: &ServiceName) {
    let (Ok(visitor), Ok(local)) = (connection.peer_addr(), connection.local_addr()) else {
        return;
    };
    keep_alive(&connection);
    let activity = Activity::new();
    let visitor = Ends { visitor, local }.anybody(Entry::Tcp);
    // A refusal has no words on a raw port: the connection is closed.
    if let Ok(stream) = house.open(service, &visitor, &activity).await {
        stream.carry_tcp(connection).await;
    }
}
