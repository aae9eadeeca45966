//! How long it takes to judge a packet: by the tables alone, and by a warden with connections. `cargo bench -p mesh`.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use mesh::policy::{Member, Policy, Question, Tables, Warden};
use mesh::{Crossing, Direction, Flow, Guard, PublicKey, Transport};
use units::Timestamp;

/// Questions of one round; odd ones are refused.
const QUESTIONS: u32 = 1024;
const ROUNDS: u32 = 200;
/// The fastest of so many tries is told: the machine may be busy.
const TRIES: u32 = 15;

fn main() {
    println!("what, ns");
    for (members, grants) in [(4, 3), (64, 50), (1000, 500), (10_000, 1_900)] {
        let tables = Arc::new(tables(members, grants));
        for (name, address) in [("v4", v4 as fn(u32) -> IpAddr), ("v6", v6)] {
            let questions: Vec<Question> =
                (0..QUESTIONS).map(|n| question(n, members, grants, address)).collect();
            let ns = fastest(|n| tables.judge(&questions[n]).is_some());
            println!("tables {name} of {members} members and {grants} grants, {ns:.1}");
        }
        warden(&tables, members, grants);
    }
    renewal();
}

/// How long a new policy takes to be applied to a warden that is full, and to be compiled.
fn renewal() {
    let begin = Instant::now();
    let tables = Arc::new(tables(10_000, 1_900));
    println!(
        "policy read, compiled, and made tables for one of 10000 members, {}",
        begin.elapsed().as_nanos()
    );
    let warden = Warden::new([7, 9]);
    warden.set_tables(&tables);
    let peer = PublicKey([2; 32]);
    for n in 0..4_000_000 {
        warden.lets_pass(&crossing(&question(n % QUESTIONS * 2, 10_000, 1_900, v4), n, &peer));
    }
    let begin = Instant::now();
    warden.set_tables(&tables);
    let (took, kept) = (begin.elapsed().as_nanos(), warden.counts().connections);
    println!("new policy for {kept} connections, {took}");
}

fn warden(tables: &Arc<Tables>, members: u32, grants: u32) {
    for (what, flows, odd) in
        [("known", 1, 0), ("known", QUESTIONS / 2, 0), ("refused", QUESTIONS / 2, 1)]
    {
        let warden = Warden::new([7, 9]);
        warden.set_tables(tables);
        let peer = PublicKey([2; 32]);
        let crossings: Vec<Crossing<'_>> = (0..QUESTIONS)
            .map(|n| crossing(&question(n % flows * 2 + odd, members, grants, v4), n, &peer))
            .collect();
        let ns = fastest(|n| {
            let passes = warden.lets_pass(&crossings[n]);
            if passes {
                warden.on_carried(&crossings[n], 44, 63_000);
            }
            passes
        });
        println!("warden, {what}, {flows} pairs of addresses, {grants} grants, {ns:.1}");
    }
}

fn crossing<'p>(question: &Question, number: u32, peer: &'p PublicKey) -> Crossing<'p> {
    let port = u16::try_from(number % 60_000 + 1024).expect("a port");
    let transport = Transport::Tcp { source: port, target: question.port };
    Crossing {
        direction: Direction::Out,
        peer,
        flow: Flow { source: question.local, target: question.remote, transport },
        quoted: None,
        tcp_flags: 0x10,
        now: Timestamp::from_millis(1),
    }
}

/// Nanoseconds of one answer.
fn fastest(mut answers: impl FnMut(usize) -> bool) -> f64 {
    let each = f64::from(QUESTIONS * ROUNDS);
    let tries = (0..TRIES).map(|_| {
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            for n in 0..QUESTIONS as usize {
                black_box(answers(n));
            }
        }
        begin.elapsed().as_secs_f64() * 1e9 / each
    });
    tries.fold(f64::INFINITY, f64::min)
}

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x6440_0000 + number * 2).into()
}

fn v6(number: u32) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::try_from(number).expect("members are few")).into()
}

fn question(n: u32, members: u32, grants: u32, address: fn(u32) -> IpAddr) -> Question {
    let grant = n.wrapping_mul(2_654_435_761) % grants;
    let tag = 1 + grant % 39;
    let port = u16::try_from(1000 + grant + n % 2 * 5000).expect("a port");
    let row = n % (members / 40).max(1);
    let remote = address(tag + row * 40);
    Question { heading: Direction::Out, local: address(0), remote, protocol: 6, port }
}

/// Member 0 reaches members with one of forty tags by each grant.
fn tables(members: u32, grants: u32) -> Tables {
    let mut file = String::from("{\"tagOwners\": {\"tag:me\": []");
    for tag in 0..40 {
        write!(file, ", \"tag:t{tag}\": []").expect("a text grows");
    }
    file.push_str("}, \"grants\": [");
    for grant in 0..grants {
        let (tag, port) = (1 + grant % 39, 1000 + grant);
        write!(
            file,
            "{{\"src\": [\"tag:me\"], \"dst\": [\"tag:t{tag}\"], \"ip\": [\"tcp:{port}\"]}},"
        )
        .expect("a text grows");
    }
    file.push_str("]}");
    let members: Vec<Member> = (0..members).map(member).collect();
    let policy = Policy::parse(&file).expect("a policy");
    let compiled = policy.compile(&members).expect("no tests");
    Tables::new(1, &compiled.rules_of(&members[0]))
}

fn member(number: u32) -> Member {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    let tag = if number == 0 { "tag:me".to_owned() } else { format!("tag:t{}", number % 40) };
    Member {
        key: PublicKey(key),
        name: format!("m{number}"),
        user: None,
        groups: [].into(),
        tags: [tag].into(),
        addresses: vec![v4(number), v6(number)],
    }
}
