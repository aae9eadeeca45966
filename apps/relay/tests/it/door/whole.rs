//! All of it: visitors with their own tools, doors, a relay, a line, a machine, and programs on the machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use agent::tunnel::{Exposed, RelayAt, Tunnels};
use prometheus_client::registry::Registry as Figures;
use relay::door::{Asked, CertificateSource, DoorConfig, DoorLimits, DoorMetrics, Doors, Papers};
use relay::{Gate, Nodes, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tunnel::{Proto, Visibility};
use units::{MINUTE, RentalId};
use wire::paper::{SealedPaper, Visit};

use super::rig::{DOMAIN, Folder, Rig, Said, echo, port_ranges, run, web};
use super::ssh::{has_openssh, make_key, me, sshd};
use crate::scene::{
    Kept, RENTAL, bytes, echoed, eventually, key, name, network, pass, public, service,
};

/// A relay with doors, and the folder that it keeps.
struct Whole {
    doors: Arc<Doors<Registry>>,
    at: RelayAt,
    folder: Folder,
    figures: Figures,
}

impl Whole {
    async fn start() -> Self {
        let folder = Folder::new();
        let registry = Arc::new(Registry::new(Arc::<Kept>::default()));
        let nodes = Nodes::new(registry.clone(), Gate::new(public(&network())), &key(10)).unwrap();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = DoorConfig {
            domain: DOMAIN.to_owned(),
            listen: SocketAddr::new(loopback, 0),
            ssh_listen: None,
            certificate: CertificateSource::Made { folder: folder.path().join("tls") },
            host_key: folder.path().join("relay_host_key"),
            ports: port_ranges(loopback),
            cookie_key: [7; 32],
            limits: DoorLimits::default(),
        };
        let asked = Asked {
            opener: registry.clone(),
            directory: registry,
            admission: Arc::new(Papers::new(public(&network()))),
            nodes: Arc::new(nodes.clone()),
        };
        let mut figures = Figures::default();
        let metrics = DoorMetrics::registered(&mut figures);
        let doors = Arc::new(Doors::open(config, asked, metrics).await.unwrap());
        nodes.place_at(doors.clone());
        let at = RelayAt { key: public(&key(10)), address: doors.address() };
        Self { doors, at, folder, figures }
    }

    async fn curl(&self, arguments: &[&str]) -> Said {
        let authority = self.folder.path().join("tls/authority.pem");
        let connect = format!("::127.0.0.1:{}", self.doors.address().port());
        let mut all = vec!["-sS", "--max-time", "20", "--connect-to", &connect];
        all.extend(["--cacert", authority.to_str().unwrap()]);
        all.extend(arguments);
        run("curl", &all).await
    }
}

fn exposed(label: &str, proto: Proto, visibility: Visibility, target: SocketAddr) -> Exposed {
    let service = tunnel::Service { proto, visibility, ..service(label) };
    Exposed { service, target: target.into(), wants_proxy_header: proto == Proto::Tcp }
}

/// A machine whose services all have their places.
fn machine(whole: &Whole, all: Vec<Exposed>) -> Tunnels {
    let tunnels = Tunnels::start(key(20)).unwrap();
    let count = all.len();
    tunnels.set_exposed(all);
    tunnels.set_relays(vec![whole.at]);
    tunnels.set_pass(pass(&key(20), |_| {}));
    eventually("all services are served", || {
        let lines = tunnels.lines();
        lines
            .iter()
            .any(|line| line.services.values().filter(|place| place.is_ok()).count() == count)
    });
    tunnels
}

/// Where a service of the machine is found: its host names, and its ports.
fn place(tunnels: &Tunnels, label: &str) -> (Vec<String>, Vec<u16>) {
    let served = tunnels.lines()[0].services[&name(label)].clone().unwrap();
    (served.hosts, served.ports)
}

async fn udp_echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = vec![0; 2_000];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], from).await;
        }
    });
    address
}

#[test]
fn visitors_come_all_the_way_to_programs_of_a_machine() {
    let runtime = Runtime::new().unwrap();
    let whole = runtime.block_on(Whole::start());
    let exposed = runtime.block_on(async {
        vec![
            exposed("app", Proto::Http, Visibility::Public, web().await),
            exposed("lab", Proto::Http, Visibility::Members, web().await),
            exposed("db", Proto::Tcp, Visibility::Public, echo().await),
            exposed("game", Proto::Udp, Visibility::Public, udp_echo().await),
        ]
    });
    let tunnels = machine(&whole, exposed);
    runtime.block_on(async {
        let (hosts, _) = place(&tunnels, "app");
        let said = whole.curl(&[&format!("https://{}/all/the/way", hosts[0])]).await;
        assert!(said.out.starts_with("GET /all/the/way HTTP/1.1"), "{said:?}");

        let pass = pass(&key(30), |pass| pass.may.forward = [RENTAL].into());
        let pass = SealedPaper::read(&pass).unwrap();
        let until = trunk::now().after(MINUTE);
        let token = Visit::sign(pass, name("lab").as_str(), until, &key(30)).unwrap().to_text();
        let url = format!("https://{}/lab", place(&tunnels, "lab").0[0]);
        let said = whole.curl(&["-H", &format!("Authorization: Bearer {token}"), &url]).await;
        assert!(said.out.starts_with("GET /lab HTTP/1.1"), "{said:?}");
        assert!(whole.curl(&[&url]).await.out.contains("relay/unauthorized"));

        let mut db = TcpStream::connect(("127.0.0.1", place(&tunnels, "db").1[0])).await.unwrap();
        let from = db.local_addr().unwrap().port();
        db.write_all(b"select").await.unwrap();
        db.shutdown().await.unwrap();
        let mut heard = Vec::new();
        db.read_to_end(&mut heard).await.unwrap();
        // The program said back what it heard, with who came before it (PROXY protocol, version 2).
        assert_eq!((heard.len(), &heard[28..]), (34, &b"select"[..]));
        assert_eq!(
            (&heard[16..20], &heard[24..26]),
            (&[127, 0, 0, 1][..], &from.to_be_bytes()[..])
        );

        let game = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        game.connect(("127.0.0.1", place(&tunnels, "game").1[0])).await.unwrap();
        game.send(b"ping").await.unwrap();
        let mut datagram = [0; 100];
        let length = game.recv(&mut datagram).await.unwrap();
        assert_eq!(&datagram[..length], b"ping");
    });
    drop(tunnels);
    eventually("nothing is served", || {
        let said = runtime.block_on(whole.curl(&[&format!("https://{}.{DOMAIN}/", name("app"))]));
        said.out.contains("relay/no-such-service")
    });
}

#[test]
fn bulk_that_may_be_plain_is_carried_by_the_kernel_all_the_way() {
    let runtime = Runtime::new().unwrap();
    let whole = runtime.block_on(Whole::start());
    let target = runtime.block_on(echo());
    let mut db = exposed("db", Proto::Tcp, Visibility::Public, target);
    db.service.is_plain_allowed = true;
    db.wants_proxy_header = false;
    let tunnels = machine(&whole, vec![db]);
    let said = bytes(32 << 20);
    let is_heard = runtime.block_on(async {
        let port = place(&tunnels, "db").1[0];
        echoed(TcpStream::connect(("127.0.0.1", port)).await.unwrap(), said).await
    });
    assert!(is_heard);
    let carried = "iog_relay_visitor_carried_total{door=\"tcp\",by=\"kernel\"} 1";
    eventually("it is counted", || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &whole.figures).unwrap();
        text.lines().any(|line| line == carried)
    });
}

#[test]
fn openssh_comes_all_the_way_to_the_ssh_of_a_machine() {
    if !has_openssh() {
        return;
    }
    let runtime = Runtime::new().unwrap();
    let whole = runtime.block_on(Whole::start());
    // The doors of this rig only give the visitor's ssh its folder: what it dials is the whole.
    let (rig, shell) = runtime.block_on(async {
        let rig = Rig::new().await;
        let shell = sshd(rig.folder.path()).await;
        (rig, shell)
    });
    let tunnels = machine(&whole, vec![exposed("ssh", Proto::Ssh, Visibility::Members, shell)]);
    runtime.block_on(async {
        let folder = rig.folder.path();
        let alice = make_key(folder, "alice", &["-t", "ed25519"]).await;
        std::fs::write(folder.join("authorized_keys"), &alice.public).unwrap();
        certify(folder, "alice", RENTAL).await;
        let login = format!("{}@{}", me().await, name("ssh"));
        let port = whole.doors.address().port();
        let command = "head -c 3000000 /dev/zero | wc -c";
        let said = super::ssh::ssh(&rig, "alice", port, &["-J", "jump", &login, command]).await;
        assert_eq!(said.out.trim(), "3000000", "{said:?}");
        certify(folder, "alice", RentalId::from_bits(36)).await;
        let said = super::ssh::ssh(&rig, "alice", port, &["-J", "jump", &login, "true"]).await;
        assert!(said.err.contains("administratively prohibited"), "{said:?}");
    });
    drop(tunnels);
}

/// A certificate of the network for this key, as the network would make it.
async fn certify(folder: &std::path::Path, name: &str, rental: RentalId) {
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::ssh_key::{LineEnding, PrivateKey};
    let pair = Ed25519Keypair::from_seed(network().as_bytes());
    let network = PrivateKey::new(pair.into(), "network").unwrap();
    let signer = folder.join("network");
    network.write_openssh_file(&signer, LineEnding::LF).unwrap();
    let (signer, key) = (signer.display().to_string(), folder.join(format!("{name}.pub")));
    let (key, principal) = (key.display().to_string(), rental.to_string());
    let all = ["-q", "-s", &signer, "-I", name, "-n", &principal, "-V", "-5m:+5m", &key];
    let said = run("ssh-keygen", &all).await;
    assert!(said.is_ok, "{said:?}");
}
