//! Doors on loopback, with services that need no node: the opener dials them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use relay::door::{
    Admission, Admitted, Asked, CertificateSource, Denied, Directory, DoorConfig, DoorLimits,
    DoorMetrics, Doors, NodeDoor, Offered, PortRanges,
};
use relay::{Opener, Refused, Stream, Visitor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trunk::Peeked;
use tunnel::{Access, Policy, Proto, ServiceName, Visibility, Who};
use units::{AccountId, RentalId, Timestamp};

pub(crate) const DOMAIN: &str = "relay.test";
/// The token that lets its bearer into every private service but `elsewhere`.
pub(crate) const TOKEN: &str = "sesame";
/// No tool of a test waits longer.
const PATIENCE: &str = "20";

/// What serves, who came, and whose keys are known.
#[derive(Debug, Default)]
pub(crate) struct World {
    services: Mutex<BTreeMap<ServiceName, (Offered, SocketAddr)>>,
    visitors: Mutex<Vec<Visitor>>,
    keys: Mutex<Vec<String>>,
    nodes: Mutex<Vec<Vec<u8>>>,
}

impl World {
    pub(crate) fn serve(&self, name: &str, proto: Proto, visibility: Visibility, at: SocketAddr) {
        let offered = offered(proto, visibility);
        self.services.lock().unwrap().insert(name.parse().unwrap(), (offered, at));
    }

    /// A service for members, of this account or of a rental on its machine.
    pub(crate) fn serve_for(
        &self,
        name: &str,
        proto: Proto,
        (account, rental): (AccountId, Option<RentalId>),
        at: SocketAddr,
    ) {
        let mut offered = offered(proto, Visibility::Members);
        (offered.access.account, offered.access.rental) = (account, rental);
        self.services.lock().unwrap().insert(name.parse().unwrap(), (offered, at));
    }

    pub(crate) fn know_key(&self, key: &str) {
        self.keys.lock().unwrap().push(key.to_owned());
    }

    pub(crate) fn visitors(&self) -> Vec<Visitor> {
        self.visitors.lock().unwrap().clone()
    }

    /// What the connections began with that were handed to the nodes' side.
    pub(crate) fn nodes(&self) -> Vec<Vec<u8>> {
        self.nodes.lock().unwrap().clone()
    }
}

/// Whose all services are.
fn owner() -> Who {
    Who { accounts: [AccountId::from_bits(1)].into(), ..Who::default() }
}

pub(crate) fn offered(proto: Proto, visibility: Visibility) -> Offered {
    let policy = Policy::default();
    let access = Access { visibility, policy, account: AccountId::from_bits(1), rental: None };
    Offered { proto, access }
}

impl Directory for World {
    fn offered(&self, service: &ServiceName) -> Option<Offered> {
        Some(self.services.lock().unwrap().get(service)?.0.clone())
    }
}

impl Opener for World {
    async fn open(&self, service: &ServiceName, visitor: &Visitor) -> Result<Stream, Refused> {
        let found = self.services.lock().unwrap().get(service).map(|(_, at)| *at);
        let at = found.ok_or_else(|| Refused::NoSuchService(service.clone()))?;
        self.visitors.lock().unwrap().push(visitor.clone());
        match TcpStream::connect(at).await {
            Ok(connection) => Ok(Stream::over(connection)),
            Err(_) => Err(Refused::NotListening(service.clone())),
        }
    }
}

impl Admission for World {
    fn by_token(
        &self,
        token: &str,
        service: &ServiceName,
        _: &Offered,
        now: Timestamp,
    ) -> Result<Admitted, Denied> {
        match (token, service.as_str()) {
            (TOKEN, "elsewhere") => Err(Denied::Elsewhere),
            (TOKEN, _) => Ok(Admitted {
                subject: "alice".to_owned(),
                who: owner(),
                until: now.after(units::HOUR),
            }),
            (_, _) => Err(Denied::NotGood),
        }
    }

    fn by_ssh_key(&self, key: &str, now: Timestamp) -> Option<Admitted> {
        let is_known = self.keys.lock().unwrap().iter().any(|known| known == key);
        is_known.then(|| Admitted {
            subject: "alice".to_owned(),
            who: owner(),
            until: now.after(units::HOUR),
        })
    }

    fn may_visit(&self, who: &Admitted, service: &ServiceName, _: &Offered, _: Timestamp) -> bool {
        who.subject == "alice" && service.as_str() != "elsewhere"
    }
}

impl NodeDoor for World {
    fn connected(&self, connection: Peeked, _: SocketAddr) {
        self.nodes.lock().unwrap().push(connection.held().to_vec());
    }
}

/// Open doors, in a folder of their own.
pub(crate) struct Rig {
    pub(crate) world: Arc<World>,
    pub(crate) doors: Doors<World>,
    pub(crate) folder: Folder,
    figures: Registry,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(DoorLimits::default()).await
    }

    pub(crate) async fn with(limits: DoorLimits) -> Self {
        let folder = Folder::new();
        let certificate = CertificateSource::Made { folder: folder.path().join("tls") };
        Self::in_folder(folder, limits, certificate).await
    }

    /// Doors that let in whom something else than the world admits.
    pub(crate) async fn admitting(admission: impl Admission) -> Self {
        let folder = Folder::new();
        let certificate = CertificateSource::Made { folder: folder.path().join("tls") };
        Self::built(folder, DoorLimits::default(), certificate, Some(Arc::new(admission))).await
    }

    pub(crate) async fn in_folder(
        folder: Folder,
        limits: DoorLimits,
        certificate: CertificateSource,
    ) -> Self {
        Self::built(folder, limits, certificate, None).await
    }

    async fn built(
        folder: Folder,
        limits: DoorLimits,
        certificate: CertificateSource,
        admission: Option<Arc<dyn Admission>>,
    ) -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = DoorConfig {
            domain: DOMAIN.to_owned(),
            listen: SocketAddr::new(loopback, 0),
            ssh_listen: Some(SocketAddr::new(loopback, 0)),
            certificate,
            host_key: folder.path().join("relay_host_key"),
            ports: port_ranges(loopback),
            cookie_key: [7; 32],
            limits,
        };
        let world = Arc::new(World::default());
        let mut figures = Registry::default();
        let metrics = DoorMetrics::registered(&mut figures);
        let asked = Asked {
            opener: Arc::clone(&world),
            directory: Arc::<World>::clone(&world),
            admission: admission.unwrap_or_else(|| Arc::<World>::clone(&world)),
            nodes: Arc::<World>::clone(&world),
        };
        let doors = Doors::open(config, asked, metrics).await.unwrap();
        Self { world, doors, folder, figures }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("tls/authority.pem")
    }

    /// What the doors counted.
    pub(crate) fn figures(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.figures).unwrap();
        text
    }

    /// Waits until a figure is shown as this.
    pub(crate) async fn shows(&self, line: &str) {
        eventually(|| self.figures().lines().any(|shown| shown == line), line).await;
    }

    pub(crate) fn url(&self, service: &str, path: &str) -> String {
        format!("https://{service}.{DOMAIN}:{}{path}", self.doors.address().port())
    }

    /// curl, which finds every name of the relay here and trusts its authority.
    pub(crate) async fn curl(&self, arguments: &[&str]) -> Said {
        let port = self.doors.address().port();
        let authority = self.authority();
        let connect = format!("::127.0.0.1:{port}");
        let mut all = vec!["-sS", "--max-time", PATIENCE, "--connect-to", &connect];
        all.extend(["--cacert", authority.to_str().unwrap()]);
        all.extend(arguments);
        run("curl", &all).await
    }
}

/// Ports for one run of the tests: far from those that the system gives out by itself, and by process, since several
/// run at once.
pub(crate) fn port_ranges(address: IpAddr) -> PortRanges {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed) * 977;
    let first = u16::try_from(12_000 + number % 900 * 20).unwrap();
    PortRanges { address, tcp: first..=first + 9, udp: first..=first + 9 }
}

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) is_ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a tool to its end.
pub(crate) async fn run(tool: &str, arguments: &[&str]) -> Said {
    let mut command = Command::new(tool);
    command.args(arguments).stdin(Stdio::null());
    let shown = format!("{command:?}");
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let Output { status, stdout, stderr } = ran.unwrap_or_else(|error| panic!("{shown}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { is_ok: status.success(), out: text(stdout), err: text(stderr) }
}

/// Waits until something is so; what, is said when it never is.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool, what: &str) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("iog-door-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A web server that answers each request with what it read of it: head and body.
pub(crate) async fn web() -> SocketAddr {
    each(|mut connection| async move {
        while let Some(request) = read_request(&mut connection).await {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                request.len()
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.write_all(&request).await.unwrap();
        }
    })
    .await
}

/// Reads a head, and a body by its length or to its last chunk.
async fn read_request(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let ends = |read: &[u8], end: &[u8]| read.windows(end.len()).position(|found| found == end);
    let head = loop {
        if let Some(at) = ends(&read, b"\r\n\r\n") {
            break at + 4;
        }
        if connection.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let is_chunked = text.contains("transfer-encoding: chunked");
    while read.len() < head + length || (is_chunked && ends(&read[head..], b"0\r\n\r\n").is_none())
    {
        assert!(connection.read_buf(&mut read).await.unwrap() > 0, "a body comes to its end");
    }
    Some(read)
}

/// A server that gives back what it hears, until the other side has said all.
pub(crate) async fn echo() -> SocketAddr {
    each(|mut connection| async move {
        let (mut read, mut write) = connection.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

/// A server that does this with each connection.
pub(crate) async fn each<F, D>(done: F) -> SocketAddr
where
    F: Fn(TcpStream) -> D + Send + 'static,
    D: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(done(connection));
        }
    });
    address
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    // The listener is closed again at once; the system gives the port to nobody else soon.
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
