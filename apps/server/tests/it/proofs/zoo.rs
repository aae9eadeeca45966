//! Cheats of the zoo that can be played over HTTP, against a real server: what it says to each, and what comes of it.
//!
//! The table is printed, and `docs/proofs.md` has the same. After a change: `IOG_WRITE=1 cargo nextest run -p server
//! --test it every_cheat`.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::time::{Duration, Instant};

use proofs::limits::OPENINGS_BYTES_MAX;
use proofs::message::{Body, Chain, Message};
use proofs::session::{Channel, Prover};
use proofs::{Outcome, transcript};
use serde_json::json;

use super::prover::key;
use super::{
    Liar, Lie, Wire, ask, card, pow, processor, prove, say, small_proofs, summary, verifier,
    with_cards, work_rule,
};
use crate::town::{Anonymous, Ask, Machine, Town, a_machine};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/proofs.md");
const BEGIN: &str = "<!-- What follows is printed by the server's tests. -->\n\n";
const END: &str = "<!-- What the server's tests print ends here. -->";
/// Sessions last so long here.
const SESSION: Duration = Duration::from_secs(5);
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a cheat does, and what the server says to it at once.
type Play = fn(&Stage) -> String;

/// One machine before the server.
struct Stage<'a> {
    town: &'a Town,
    machine: Machine,
    number: u8,
    card: String,
    /// A machine that is honest, and what it said in a session that it passed.
    honest: &'a (Machine, Vec<Vec<u8>>),
}

/// Everything that is played: who, whether it has a card, what it does, and what becomes of it.
const ANIMALS: &[(&str, bool, Play, &str)] = &[
    ("numbers that solve nothing", false, |it| it.lies(Lie::Numbers), "fail: puzzle"),
    ("opens other rows than it committed to", false, |it| it.lies(Lie::Rows), "fail: path"),
    ("multiplies other matrices", false, |it| it.lies(Lie::Products), "fail: row"),
    ("opens one row again and again", false, |it| it.lies(Lie::OneRow), "fail: path"),
    ("opens the right rows in another order", false, |it| it.lies(Lie::Around), "fail: path"),
    ("walks elsewhere", true, |it| it.lies(Lie::Walks), "fail: walk"),
    ("takes longer than the limit", true, |it| it.lies(Lie::Sleeps), "slow: late"),
    ("opens nothing", false, |it| it.lies(Lie::OpensNothing), "inconclusive: expired"),
    ("says that it cannot", false, |it| it.lies(Lie::Broken), "inconclusive: unable"),
    ("takes up a challenge, and is silent", false, silent, "inconclusive: expired"),
    ("all that an honest machine said in a session that it passed", false, replays, "pass: none"),
    ("the same, with this session's id", false, renames, "pass: none"),
    ("lets another machine speak in its session", false, anothers, "pass: none"),
    ("signs with another key", false, strangers, "pass: none"),
    ("noise, and a message with a bit turned over", false, noise, "pass: none"),
    ("skips a message", false, skips, "pass: none"),
    ("promises 64 MiB where a short message is due", false, promises, "pass: none"),
    ("sends more than it may without saying so", false, floods, "pass: none"),
    ("breaks off in the middle of a message", false, tears, "pass: none"),
    ("sends a message byte by byte", false, trickles, "pass: none"),
    ("never ends a message, while others prove", false, stalls, "pass: none"),
    ("says each message twice", false, stutters, "pass: none"),
    ("goes on when its session is over", false, |it| it.after_the_end(), "pass: none"),
];

impl Stage<'_> {
    fn challenge(&self) -> Vec<u8> {
        ask(&self.town.client, &self.machine, &self.card, 20).expect(200).body
    }

    fn wire(&self) -> Wire<'_> {
        Wire::new(&self.town.client, &self.machine)
    }

    /// Plays a session to its end.
    fn proves(&self, challenge: &[u8], lie: Lie) -> Result<Outcome, String> {
        let (key, mut wire) = (key(self.number), self.wire());
        let prover = Prover::new(challenge, verifier(&self.town.client), &key, [9; 32]).unwrap();
        let proved = prover.prove(&mut Liar::new(lie), &mut wire);
        proved.map(|verdict| verdict.outcome()).map_err(|fault| fault.to_string())
    }

    fn lies(&self, lie: Lie) -> String {
        match self.proves(&self.challenge(), lie) {
            Ok(outcome) => format!("verdict: {outcome}"),
            Err(fault) if fault.contains("message-refused") => "422 message-refused".to_owned(),
            Err(fault) => fault,
        }
    }

    /// What the server says to these bytes.
    fn says(&self, message: &[u8]) -> String {
        let answer = say(&self.town.client, &self.machine, message);
        match answer.status {
            200 | 204 => answer.status.to_string(),
            status => format!("{status} {}", answer.problem()["code"].as_str().unwrap()),
        }
    }

    /// Afterwards the session is as good as new: it is passed.
    fn passes(&self, challenge: &[u8]) {
        assert_eq!(self.proves(challenge, Lie::Nothing), Ok(Outcome::Pass), "it goes on");
    }

    /// The chain of a session in which only the challenge was heard.
    fn chain(&self, challenge: &[u8]) -> Chain {
        let first = Message::read(challenge).unwrap();
        let mut chain = Chain::new(first.session, first.expires_ms);
        chain.hear(&first, &verifier(&self.town.client)).unwrap();
        chain
    }

    fn ready(&self, challenge: &[u8]) -> Vec<u8> {
        self.chain(challenge).say(&Body::Ready { salt: [9; 32] }, &key(self.number))
    }

    fn head(&self) -> Ask {
        Ask::post("/v1/io-worker/challenge/result").by(&self.machine)
    }

    fn after_the_end(&self) -> String {
        let challenge = self.challenge();
        self.passes(&challenge);
        self.says(&self.ready(&challenge))
    }
}

fn silent(it: &Stage) -> String {
    let challenge = it.challenge();
    it.says(&it.ready(&challenge));
    "nothing".to_owned()
}

/// What the server says to all of these: the same, or it is told.
fn all(it: &Stage, messages: impl Iterator<Item = Vec<u8>>) -> String {
    let mut said: Vec<String> = messages.map(|message| it.says(&message)).collect();
    said.sort();
    said.dedup();
    said.join(", ")
}

fn replays(it: &Stage) -> String {
    let challenge = it.challenge();
    let said = all(it, it.honest.1.iter().cloned());
    it.passes(&challenge);
    said
}

fn renames(it: &Stage) -> String {
    let challenge = it.challenge();
    let renamed = it.honest.1.iter().map(|message| {
        let mut message = message.clone();
        message[8..24].copy_from_slice(&challenge[8..24]);
        message
    });
    let short = renamed.filter(|message| message.len() < 600);
    let said = all(it, short);
    it.passes(&challenge);
    said
}

fn anothers(it: &Stage) -> String {
    let challenge = it.challenge();
    let (town, honest) = (it.town, &it.honest.0);
    let ready = it.ready(&challenge);
    let answer = say(&town.client, honest, &ready);
    let code = answer.problem()["code"].as_str().unwrap().to_owned();
    it.passes(&challenge);
    format!("{} {code}", answer.status)
}

fn strangers(it: &Stage) -> String {
    let challenge = it.challenge();
    let body = Body::Ready { salt: [9; 32] };
    let keys = 200..216;
    let said = all(it, keys.map(|number| it.chain(&challenge).say(&body, &key(number))));
    it.passes(&challenge);
    said
}

fn noise(it: &Stage) -> String {
    let challenge = it.challenge();
    let ready = it.ready(&challenge);
    let turned = (24..ready.len()).map(|at| {
        let mut message = ready.clone();
        message[at] ^= 1 << (at % 8);
        message
    });
    let mut noise = ready[..24].to_vec();
    noise.extend((0..400_u32).map(|number| number.to_le_bytes()[0] ^ 0x5a));
    let said = all(it, turned.chain([noise]));
    it.passes(&challenge);
    said
}

fn skips(it: &Stage) -> String {
    let challenge = it.challenge();
    let mut chain = it.chain(&challenge);
    let _ = chain.say(&Body::Ready { salt: [9; 32] }, &key(it.number));
    let said = it.says(&chain.say(&Body::Pong(0), &key(it.number)));
    it.passes(&challenge);
    said
}

/// What an answer's first line says, and the code of its problem.
fn in_short(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let code = answer.split_once("\"code\":\"").and_then(|(_, rest)| rest.split('"').next());
    format!("{status} {}", code.unwrap_or_default())
}

fn promises(it: &Stage) -> String {
    let challenge = it.challenge();
    let mut stream = it.town.client.begin_head(&it.head(), OPENINGS_BYTES_MAX as u64);
    stream.write_all(&it.ready(&challenge)[..64]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    it.passes(&challenge);
    in_short(&answer)
}

fn floods(it: &Stage) -> String {
    let challenge = it.challenge();
    let mut long = it.ready(&challenge);
    long.resize(1 << 16, 0);
    let said = it.says(&long);
    it.passes(&challenge);
    said
}

fn tears(it: &Stage) -> String {
    let challenge = it.challenge();
    let ready = it.ready(&challenge);
    let mut stream = it.town.client.begin_head(&it.head(), ready.len() as u64);
    stream.write_all(&ready[..ready.len() / 2]).unwrap();
    drop(stream);
    it.passes(&challenge);
    "nothing".to_owned()
}

fn trickles(it: &Stage) -> String {
    let challenge = it.challenge();
    let ready = it.ready(&challenge);
    let mut stream = it.town.client.begin_head(&it.head(), ready.len() as u64);
    stream.set_nodelay(true).unwrap();
    for byte in &ready {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    it.passes(&challenge);
    in_short(&String::from_utf8_lossy(&answer)).trim().to_owned()
}

fn stalls(it: &Stage) -> String {
    let challenge = it.challenge();
    let ready = it.ready(&challenge);
    let held: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = it.town.client.begin_head(&it.head(), ready.len() as u64);
            stream.write_all(&ready[..ready.len() - 1]).unwrap();
            stream
        })
        .collect();
    it.passes(&challenge);
    drop(held);
    "nothing, and nobody waits for it".to_owned()
}

fn stutters(it: &Stage) -> String {
    let challenge = it.challenge();
    let mut wire = it.wire();
    wire.stutters = true;
    let verdict = prove(&mut wire, &challenge, it.number, &mut Liar::new(Lie::Nothing));
    assert_eq!(verdict.outcome(), Outcome::Pass);
    "the same twice".to_owned()
}

/// Keeps what an honest machine says.
struct Ear<'a> {
    wire: Wire<'a>,
    said: Vec<Vec<u8>>,
}

impl Channel for Ear<'_> {
    fn tell(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.said.push(message.to_vec());
        self.wire.tell(message)
    }

    fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.tell(message).map(drop)
    }
}

fn honest(town: &Town) -> (Machine, Vec<Vec<u8>>) {
    let machine = town.machine(250, &a_machine(2));
    let challenge = ask(&town.client, &machine, &processor(), 20).expect(200).body;
    let key = key(250);
    let mut ear = Ear { wire: Wire::new(&town.client, &machine), said: Vec::new() };
    let prover = Prover::new(&challenge, verifier(&town.client), &key, [9; 32]).unwrap();
    prover.prove(&mut Liar::new(Lie::Nothing), &mut ear).unwrap();
    let said = ear.said;
    (machine, said)
}

/// The verdict of a machine's only session, once there is one.
fn verdict(town: &Town, machine: &Machine, begun: Instant) -> String {
    loop {
        if let [proof] = pow(town, machine, "").as_slice() {
            let word = |field: &str| proof[field].as_str().unwrap().to_owned();
            let path = format!("/v1/proofs/{}/transcript", word("session"));
            let kept = town.get(&Anonymous, &path).expect(200).body;
            transcript::recheck(&kept, Some([3; 32])).unwrap();
            return format!("{}: {}", word("status"), word("reason"));
        }
        assert!(begun.elapsed() < PATIENCE, "there is no verdict");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn table() -> String {
    let town = Town::new();
    small_proofs(&town);
    let slow = json!({ "limit_ms": 20, "log_n": 8, "rounds": 3, "checked": 2, "rows": 16, "answer_ms": 60_000 });
    town.patch(&json!({ "proofs": {
        "session_secs": SESSION.as_secs(), "classes": { "gpu-24": null, "gpu-80": null, "slow": {
            "kind": "gpu", "vram_from_mib": 32, "puzzle": null, "memory": null, "matmul": slow, "proof_ms": 10,
        } },
    } }));
    let honest = honest(&town);
    let mut stages = Vec::new();
    for (number, (_, has_card, play, _)) in (2..).zip(ANIMALS) {
        let mut claim = if *has_card { with_cards(1) } else { a_machine(2) };
        let is_slow = ANIMALS[usize::from(number) - 2].3.starts_with("slow");
        if is_slow {
            claim["vram_mib"] = json!(32);
        }
        let machine = town.machine(number, &claim);
        let card = if *has_card { card(number) } else { processor() };
        let stage = Stage { town: &town, machine, number, card, honest: &honest };
        let said = play(&stage);
        stages.push((stage.machine, said));
    }
    let begun = Instant::now();
    let mut text = String::from("| who | the server says | what comes of it |\n|---|---|---|\n");
    for ((name, _, _, expected), (machine, said)) in ANIMALS.iter().zip(&stages) {
        let came = verdict(&town, machine, begun);
        assert_eq!(came, *expected, "{name}: {said}");
        let passed = came.starts_with("pass");
        assert_eq!(work_rule(&town, machine).0, passed, "{name}");
        let is_bad = came.starts_with("fail") || came.starts_with("slow");
        assert_eq!(summary(&town, machine)["pow_jobs_failed"], u64::from(is_bad), "{name}");
        let came = came.replace("pass: none", "nothing: the session goes on, and is passed");
        let _ = writeln!(text, "| {name} | {said} | {came} |");
    }
    text
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is for whoever runs the tests")]
fn what_becomes_of_every_cheat_over_http_is_written_down() {
    let told = table();
    println!("{told}");
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a mark");
    let (written, after) = rest.split_once(END).expect("the page has another");
    if std::env::var_os("IOG_WRITE").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{told}\n{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written.trim_end(), told.trim_end(), "IOG_WRITE=1 writes it anew");
}
