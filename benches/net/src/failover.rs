//! How long nothing arrives when a relay is killed or a way is cut.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mesh::WayKind;
use namespaces::{Nat, Rig, matrix};

use crate::crowd::relay;
use crate::goals::{Goal, Row};
use crate::lab::Lab;
use crate::load;
use crate::role::Role;
use crate::tunnel_tool::served_at;
use crate::wire_tool;

/// They talk for so long, and something happens in the middle.
const SPAN: Duration = Duration::from_secs(6);
/// What a customer's program waits for a relay before it tries the other.
const TRY_FOR: Duration = Duration::from_millis(250);
const GOAL: Goal = Goal::AtMost(1.0);

/// All of them, in seconds.
///
/// # Errors
/// If a network cannot be built.
pub fn failover(tell: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut add = |name: &str, found: Result<Duration>| {
        let row = match found {
            Ok(silence) => Row::alone(name, silence.as_secs_f64(), GOAL),
            Err(why) => Row::failed(name, &format!("{why:#}"), GOAL),
        };
        tell(&row.to_string());
        rows.push(row);
    };
    add("mesh s without an answer when the direct way is cut", direct_way_cut());
    add("mesh s without an answer when the relay in use dies", relay_dies());
    add("tunnel s until a new connection after a relay is killed", relay_gone(false));
    add("tunnel s until a new connection after a relay falls silent", relay_gone(true));
    Ok(rows)
}

fn pair(nat: Nat) -> Result<Lab> {
    let rig = Rig::build(&matrix::plan(nat, nat))?;
    let names = matrix::ENDS.map(str::to_owned);
    let lab = Lab::start(rig, &names, &matrix::RELAYS, &[])?;
    ensure!(lab.reaches(0, 1, Duration::from_secs(30))?.is_some(), "the two meet");
    Ok(lab)
}

fn direct_way_cut() -> Result<Duration> {
    let lab = pair(Nat::Easy)?;
    ensure!(lab.goes(0, 1, WayKind::Direct)?, "they meet directly");
    let silence = lab.silence_around((0, 1), SPAN, |lab| lab.rig.partition("a", "b"))?;
    lab.stop()?;
    Ok(silence)
}

fn relay_dies() -> Result<Duration> {
    let lab = pair(Nat::Symmetric)?;
    ensure!(lab.goes(0, 1, WayKind::Relayed)?, "they meet over a relay");
    let silence = lab.silence_around((0, 1), SPAN, |lab| {
        let way = lab.nodes[0].peers()?.first().and_then(|peer| peer.way);
        let used = way.and_then(|way| way.socket()).map(|at| at.ip());
        let is_first = used == Some(lab.rig.at(matrix::RELAYS[0]).v4().into());
        lab.rig.link(matrix::RELAYS[usize::from(!is_first)]).cut()
    })?;
    lab.stop()?;
    Ok(silence)
}

/// A customer who tries both relays in turn, as `iog forward` and a name with two addresses do. A killed relay's system
/// says at once that nobody listens; one that is cut off says nothing.
fn relay_gone(silently: bool) -> Result<Duration> {
    let rig = wire_tool::two_relays()?;
    let (mut first, second) = (relay(&rig, "relay-1")?, relay(&rig, "relay-2")?);
    let worker = rig.at("worker");
    let server = load::Server::start(&worker, std::net::Ipv4Addr::LOCALHOST, 7_000)?;
    let role = Role::Node {
        relays: vec![first.1, second.1],
        target: server.address(),
        is_plain: false,
        mesh: None,
    };
    let mut node = worker.start("node", role.command()?)?;
    let mut doors = served_at(&mut node)?;
    doors.sort_by_key(|door| door.ip() != first.1.address.ip());
    let customer = rig.at("customer");
    load::ask(&customer, doors[0], 10)?;
    match silently {
        true => rig.link("relay-1").cut()?,
        false => drop(first.0.kill()?),
    }
    let killed = Instant::now();
    let served = customer.run(|| {
        doors.iter().cycle().take(40).find(|door| answers(**door)).map(|_| killed.elapsed())
    });
    drop(node);
    server.stop(&worker);
    served.ok_or_else(|| anyhow::anyhow!("no relay served"))
}

fn answers(door: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};
    let visit = || -> std::io::Result<()> {
        let mut connection = TcpStream::connect_timeout(&door, TRY_FOR)?;
        connection.set_read_timeout(Some(TRY_FOR))?;
        connection.write_all(b"x")?;
        connection.read_exact(&mut [0])
    };
    visit().is_ok()
}
