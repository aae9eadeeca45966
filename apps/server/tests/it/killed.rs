//! A server that is killed again and again while people and machines use it. What it acknowledged is there afterwards,
//! once; what was sent again with the same idempotency key was done once.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use control::Control;
use serde_json::{Value, json};
use server::journal::{Journal, Options, open};
use units::Timestamp;

use crate::cluster::Cluster;
use crate::town::{Answer, Ask, Client, Folder, Machine, Operator, Person};
use crate::town::{a_machine, config, eventually, open_doors, operator_of};

/// How often the server is killed.
const KILLS: u64 = 24;

#[test]
fn a_server_killed_under_heavy_load_loses_nothing_on_sqlite() {
    kill_again_and_again(None);
}

#[test]
fn a_server_killed_under_heavy_load_loses_nothing_on_postgres() {
    kill_again_and_again(Some(&Cluster::shared().fresh_address()));
}

fn kill_again_and_again(store: Option<&str>) {
    let folder = Folder::new();
    let mut server = Server::start(&folder, store);
    let wire = Wire::new(server.address);
    let cast = Cast::new(&wire, &folder);
    let made = std::thread::scope(|scope| {
        let tellers = [1, 2].map(|n| {
            scope.spawn({
                let c = (&wire, &cast);
                move || top_up(c, n)
            })
        });
        let renters = [1, 2].map(|n| {
            scope.spawn({
                let c = (&wire, &cast);
                move || rent(c, n)
            })
        });
        let starters = scope.spawn(|| start_projects(&wire, &cast));
        let machines = [1, 2].map(|n| {
            scope.spawn({
                let c = (&wire, &cast);
                move || serve(c, n)
            })
        });
        for kill in 0..KILLS {
            // After more or less work, so that it dies in other places each time.
            wire.wait_for_answers(3 + kill * 7 % 40);
            server.kill();
            server = Server::start(&folder, store);
            wire.is_at(server.address);
        }
        wire.stop.store(true, Ordering::SeqCst);
        machines.into_iter().for_each(|machine| machine.join().unwrap());
        Made {
            topped_up: tellers.into_iter().map(|teller| teller.join().unwrap()).sum(),
            rentals: renters.into_iter().flat_map(|renter| renter.join().unwrap()).collect(),
            projects: starters.join().unwrap(),
        }
    });
    check_what_is_there(&wire, &cast, &made);
    server.end();
    check_the_journal(&folder, store);
}

/// What was acknowledged.
struct Made {
    topped_up: u64,
    /// Each quote that was given, and whether it was taken.
    rentals: Vec<(String, bool)>,
    projects: u64,
}

/// Who uses the network meanwhile.
struct Cast {
    operator: Operator,
    renter: Person,
    /// Where money only comes in.
    bank: String,
    /// Where it is spent.
    project: String,
}

/// What the renting project begins with.
const PURSE: u64 = 1_000_000;

impl Cast {
    fn new(wire: &Wire, folder: &Folder) -> Self {
        let client = wire.client();
        let operator = operator_of(folder.path());
        open_doors(&client, &operator);
        let renter = operator.open_account(&client, "ada");
        let [bank, project] = ["bank", "research"].map(|name| renter.project(&client, name));
        let cast = Self { operator, renter, bank, project };
        let path = format!("/v1/projects/{}/top-ups", cast.project);
        let body = json!({ "amount": PURSE.to_string() });
        client.send(Ask::post(&path).json(&body).by(&cast.operator)).expect(200);
        cast
    }
}

fn top_up((wire, cast): (&Wire, &Cast), teller: u64) -> u64 {
    let path = format!("/v1/projects/{}/top-ups", cast.bank);
    let mut sum = 0;
    for number in 1.. {
        if wire.is_over() {
            break;
        }
        let ask = Ask::post(&path).json(&json!({ "amount": number.to_string() }));
        wire.insist(&ask.by(&cast.operator).once(&format!("{teller}-{number}"))).expect(200);
        sum += number;
    }
    sum
}

fn rent((wire, cast): (&Wire, &Cast), renter: u64) -> Vec<(String, bool)> {
    let mut made = Vec::new();
    let order = json!({
        "project": cast.project,
        "order": { "nodes": 1, "each": { "gpus": 0, "vcpus": 2, "memory_mib": 1024, "disk_mib": 0 } },
        "hours": 1,
    });
    for number in 1.. {
        if wire.is_over() {
            break;
        }
        let tell = |what: &str, path: &str, body: &Value| {
            let ask = Ask::post(path).json(body).by(&cast.renter);
            wire.insist(&ask.once(&format!("{what}-{renter}-{number}")))
        };
        let quote = tell("quote", "/v1/quotes", &order);
        if quote.status == 409 {
            quote.expect_problem(409, "no-offer");
            continue;
        }
        let quote = quote.expect(201).json();
        let (quote, rental) = (quote["quote"].as_str().unwrap(), quote["id"].as_str().unwrap());
        let taken = tell("rent", "/v1/rentals", &json!({ "quote": quote, "name": "run" }));
        made.push((rental.to_owned(), taken.status == 201));
        if taken.status == 201 {
            tell("end", &format!("/v1/rentals/{rental}/end"), &Value::Null).expect(200);
        } else {
            // Somebody else took the seats. Never: it was taken by the request that got no answer.
            taken.expect_problem(409, "no-offer");
        }
    }
    made
}

fn start_projects(wire: &Wire, cast: &Cast) -> u64 {
    for number in 1.. {
        if wire.is_over() {
            return number - 1;
        }
        let ask = Ask::post("/v1/projects").json(&json!({ "name": format!("p-{number}") }));
        wire.insist(&ask.by(&cast.renter).once(&format!("start-{number}"))).expect(201);
    }
    0
}

/// A machine that does what it is told, and proves who it is each time the server has forgotten.
fn serve((wire, cast): (&Wire, &Cast), number: u8) {
    let ask =
        Ask::post("/v1/invites").json(&json!({})).by(&cast.renter).once(&format!("m{number}"));
    let invite = wire.insist(&ask).expect(201).json();
    let token = invite["token"].as_str().unwrap().to_owned();
    let request = crate::town::join_request(&token, number, &a_machine(16));
    // Joining once more is having joined.
    let joined = wire.insist(&Ask::post("/v1/worker/join").json(&request)).expect(201).json();
    let mut machine = Machine::new(number, joined["worker"].as_str().unwrap());
    while !wire.is_over() {
        let answer = wire.insist(&Ask::get("/v1/worker/wanted").by(&machine));
        if answer.status == 401 {
            answer.expect_problem(401, "session-unknown");
            prove(wire, &mut machine);
            continue;
        }
        machine.follow(&answer.expect(200).json());
        let beat = machine.next_beat();
        let said = wire.insist(&Ask::post("/v1/worker/beat").json(&beat).by(&machine));
        assert!(said.status == 200 || said.status == 401, "{}", said.text());
    }
}

/// A new session, unless the server goes away between the challenge and the answer to it.
fn prove(wire: &Wire, machine: &mut Machine) {
    let asked = json!({ "worker": machine.worker });
    let given = wire.insist(&Ask::post("/v1/worker/challenge").json(&asked)).expect(200).json();
    let asked = machine.session_request(given["challenge"].as_str().unwrap());
    let answer = wire.insist(&Ask::post("/v1/worker/session").json(&asked));
    if answer.status == 200 {
        machine.take_session(&answer.json());
    }
}

fn check_what_is_there(wire: &Wire, cast: &Cast, made: &Made) {
    let client = wire.client();
    let get = |path: &str| client.send(Ask::get(path).by(&cast.operator)).expect(200).json();
    let bank = get(&format!("/v1/projects/{}", cast.bank));
    assert_eq!(bank["available"], usd(made.topped_up), "each top-up counts once");
    let book = get("/v1/network/book");
    assert_eq!(book["balanced"], true, "{book}");
    let entered = format!("{} USD", usd(made.topped_up + PURSE));
    assert_eq!(book["assets"][0]["entered"], entered);
    let projects = all(&get, "/v1/projects?");
    assert_eq!(projects.len() as u64, made.projects + 2, "each project was started once");
    let rentals = all(&get, &format!("/v1/rentals?project={}&", cast.project));
    assert_eq!(rentals.len(), made.rentals.len(), "each quote was given once");
    let mut taken = 0;
    for (id, was_taken) in &made.rentals {
        let rental = rentals.iter().find(|rental| rental["id"] == **id).unwrap();
        let is_ended = matches!(rental["state"].as_str().unwrap(), "ending" | "ended");
        assert_eq!(is_ended, *was_taken, "{rental}");
        taken += u32::from(*was_taken);
    }
    assert!(taken > 0 && made.projects > 0 && made.topped_up > 0, "there was some load");
}

fn usd(whole: u64) -> String {
    format!("{whole}.000000")
}

fn all(get: &impl Fn(&str) -> Value, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("{path}limit=200{cursor}"));
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// The chain holds, and all of it played again is what the last snapshot says.
fn check_the_journal(folder: &Folder, store: Option<&str>) {
    let path = folder.path().join("iog.db");
    let address = store.map_or_else(|| path.display().to_string(), str::to_owned);
    let mut journal = eventually("the journal", || open(&address, &Options::default()).ok());
    let replayed = replay(&mut *journal);
    let snapshot = journal.snapshot().unwrap().expect("a server that was told to stop keeps one");
    assert_eq!(snapshot.seq, replayed.head().seq);
    let kept = Control::from_snapshot(&snapshot.body).unwrap();
    assert!(kept.snapshot() == replayed.snapshot(), "replay gives another state");
    replayed.book().audit().unwrap();
    // What people read is what the state says.
    let rows = journal.reader().unwrap().rows("rental", None, None, false, 1_000).unwrap();
    assert_eq!(rows.len(), replayed.rentals().count());
    for (id, body) in rows {
        let row: Value = serde_json::from_slice(&body).unwrap();
        let rental = replayed.rental(id.parse().unwrap()).unwrap();
        assert_eq!(row["state"], rental.stage.text(), "{row}");
    }
}

fn replay(journal: &mut dyn Journal) -> Control {
    let mut state = Control::new();
    loop {
        let page = journal.read(state.head().seq, 1_000).unwrap();
        if page.is_empty() {
            return state;
        }
        for entry in page {
            let server::journal::Entry { seq, at_millis, previous, hash, body } = entry;
            state.replay(&control::Entry { seq, at_millis, previous, hash, body }).unwrap();
        }
    }
}

/// Where the server is at present, and what it has answered.
struct Wire {
    client: Mutex<(u64, Client)>,
    moved: Condvar,
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Wire {
    fn new(address: SocketAddr) -> Self {
        let client = Mutex::new((0, Client::new(address)));
        let (answers, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { client, moved: Condvar::new(), answers, stop }
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap().1.clone()
    }

    fn is_at(&self, address: SocketAddr) {
        let mut client = self.client.lock().unwrap();
        *client = (client.0 + 1, Client::new(address));
        self.moved.notify_all();
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Sends this until there is an answer, to whichever server there is.
    fn insist(&self, ask: &Ask) -> Answer {
        for _ in 0..1_000 {
            let (turn, client) = self.client.lock().unwrap().clone();
            match client.try_send(ask.clone()) {
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => {
                    self.answers.fetch_add(1, Ordering::SeqCst);
                    return answer;
                }
                Err(_) => {
                    let client = self.client.lock().unwrap();
                    let brief = Duration::from_millis(200);
                    let still = |client: &mut (u64, Client)| client.0 == turn;
                    drop(self.moved.wait_timeout_while(client, brief, still).unwrap());
                }
            }
        }
        panic!("no answer: {ask:?}")
    }

    fn wait_for_answers(&self, more: u64) {
        let until = self.answers.load(Ordering::SeqCst) + more;
        eventually("more answers", || (self.answers.load(Ordering::SeqCst) >= until).then_some(()));
    }
}

/// A server in a process of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(folder: &Folder, store: Option<&str>) -> Self {
        // The database may take a moment to see that the one before is gone.
        eventually("a server", || Self::try_start(folder, store))
    }

    fn try_start(folder: &Folder, store: Option<&str>) -> Option<Self> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child_that_serves", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.as_mut().unwrap();
        writeln!(orders, "{}\n{}", folder.path().display(), store.unwrap_or_default()).unwrap();
        for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
            if let Some(address) = line.unwrap().strip_prefix("ready ") {
                let address = address.parse().unwrap();
                return Some(Self { child, address });
            }
        }
        child.wait().unwrap();
        None
    }

    /// Sets its clock ahead; when this returns, it is.
    pub(crate) fn leap(&mut self, client: &Client, by: Duration) {
        let until = shown(client).after(by);
        writeln!(self.child.stdin.as_mut().unwrap(), "{}", by.as_millis()).unwrap();
        eventually("a clock that was set", || (shown(client) >= until).then_some(()));
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The end of its input tells it to stop, as a signal would.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success(), "it stops well");
    }
}

/// What a server's clock shows.
pub(crate) fn shown(client: &Client) -> Timestamp {
    let asked = client.send(Ask::get("/v1/io-worker/requirements")).expect(200).json();
    serde_json::from_value::<wire::Time>(asked["now"].clone()).unwrap().0
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_that_serves() {
    let mut orders = stdin().lines().map(Result::unwrap);
    let mut config = config(orders.next().unwrap().as_ref());
    config.store = orders.next().filter(|store| !store.is_empty());
    let running = server::start(&config).unwrap();
    let mut out = stdout();
    writeln!(out, "\nready {}", running.address()).unwrap();
    out.flush().unwrap();
    // More that is said is how far to set the clock ahead, in milliseconds.
    for millis in orders {
        server::leap(Duration::from_millis(millis.parse().unwrap()));
    }
    running.stop().unwrap();
}
