//! A machine's hours, told second by second.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use units::{RentalId, Timestamp, WorkerId};

use super::limits::{HOUR_MS, RECORD_BYTES_MAX};
use super::*;

const AGENT: u32 = 900;
const NODE: NodeRef = NodeRef { rental: RentalId::from_bits(5), node: 0 };
const CARD: [u8; 32] = [1; 32];
/// The beginning of an hour.
const TEN: u64 = 490_000 * HOUR_MS;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn sign(digest: &[u8; 32]) -> [u8; 64] {
    key().sign(digest).to_bytes()
}

/// A machine with a wall clock and a steady one, which is looked at once a second.
struct Scene {
    watch: Watch,
    subjects: Vec<Subject>,
    cards: Vec<Card>,
    cpu: (u8, u8),
    proving: bool,
    wall_ms: u64,
    steady_ms: u64,
    effects: Vec<Effect>,
}

impl Scene {
    fn new(span: Span) -> Self {
        let machine = Machine {
            key: key().verifying_key().to_bytes(),
            worker: WorkerId::from_bits(3),
            agent: AGENT,
            stop_foreign: true,
        };
        Self {
            watch: Watch::new(machine, BTreeMap::new()),
            subjects: vec![Subject { span, cards: vec![CARD] }],
            cards: vec![Card { card: CARD, reading: Some(reading(0, Vec::new())) }],
            cpu: (3, 0),
            proving: false,
            wall_ms: TEN,
            steady_ms: 77,
            effects: Vec::new(),
        }
    }

    fn pass(&mut self, millis: u64) {
        self.wall_ms += millis;
        self.steady_ms += millis;
    }

    fn look(&mut self) {
        let sample = Sample {
            at: Timestamp::from_millis(self.wall_ms),
            steady_ms: self.steady_ms,
            cpu_pct: self.cpu.0,
            nodes_cpu_pct: self.cpu.1,
            proving: self.proving,
            cards: self.cards.clone(),
        };
        self.watch.on_sample(&sample, &self.subjects, &sign);
        self.effects.extend(std::iter::from_fn(|| self.watch.next_effect()));
    }

    fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.look();
            self.pass(1_000);
        }
    }

    fn card(&mut self, reading: Option<Reading>) {
        self.cards[0].reading = reading;
    }

    fn end(&mut self) {
        self.watch.on_end(&sign);
        self.effects.extend(std::iter::from_fn(|| self.watch.next_effect()));
    }

    fn records(&self) -> Vec<Vec<u8>> {
        let sealed = |effect: &Effect| match effect {
            Effect::Sealed { sealed, .. } => Some(sealed.bytes.clone()),
            Effect::Name { .. }
            | Effect::Gone { .. }
            | Effect::Stop { .. }
            | Effect::Disturbed(_)
            | Effect::Keep { .. } => None,
        };
        self.effects.iter().filter_map(sealed).collect()
    }

    fn report(&mut self) -> Report {
        self.end();
        let records = self.records();
        verify(&records[0], &LockRules::default(), Ceilings::DATA_CENTER).unwrap()
    }

    /// What is told of strangers, in short.
    fn told(&self) -> Vec<String> {
        let short = |effect: &Effect| match effect {
            Effect::Name { process, rented, .. } => Some(format!(
                "{} is on a {} card",
                process.name,
                if *rented { "rented" } else { "idle" }
            )),
            Effect::Gone { name, .. } => Some(format!("{name} is gone")),
            Effect::Stop { pid, forced, .. } => {
                Some(format!("{} {pid}", if *forced { "kill" } else { "ask" }))
            }
            Effect::Keep { .. } | Effect::Sealed { .. } | Effect::Disturbed(_) => None,
        };
        self.effects.iter().filter_map(short).collect()
    }
}

fn process(pid: u32, name: &str, owner: Owner) -> Process {
    Process {
        pid,
        started: u64::from(pid) * 10,
        name: name.to_owned(),
        program: format!("/opt/{name}"),
        place: "/user.slice".to_owned(),
        owner,
        memory_mib: 512,
    }
}

fn miner() -> Process {
    process(4_242, "miner", Owner::Foreign)
}

fn reading(busy_pct: u8, processes: Vec<Process>) -> Reading {
    Reading {
        busy_pct: Some(busy_pct),
        memory_mib: 1_000,
        power_watts: 60,
        clock_mhz: 1_400,
        processes: Some(processes),
    }
}

/// Breaks of a report's minutes, those that are up left out.
fn broken(report: &Report) -> Vec<String> {
    let text = |minute: &JudgedMinute| {
        let breaks: Vec<&str> = minute.breaks.iter().map(|why| why.text()).collect();
        format!("{}: {}", minute.minute, breaks.join(" "))
    };
    report.minutes.iter().filter(|m| !m.breaks.is_empty()).map(text).collect()
}

#[test]
fn a_quiet_hour_is_up_for_all_its_minutes_and_takes_two_kilobytes() {
    for span in [Span::Idle, Span::Rental(NODE)] {
        let mut scene = Scene::new(span);
        scene.seconds(3_601);
        let records = scene.records();
        assert_eq!(records.len(), 1, "sealed when the hour is over");
        assert_eq!(records[0].len(), 2_149, "bytes of an hour of one card");
        let report = verify(&records[0], &LockRules::default(), Ceilings::DATA_CENTER).unwrap();
        assert_eq!((report.up(), report.broken(), report.end), (60, 0, End::HourOver));
        assert_eq!((report.span, report.hour), (span, 490_000));
        let decision = decide(&report, &LockRules::default());
        assert_eq!(
            (decision.action, decision.hint, decision.counts),
            (Action::Nothing, None, true)
        );
    }
}

#[test]
fn a_miner_on_a_rented_card_is_named_stopped_and_paid_back() {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.card(Some(reading(40, vec![process(50, "python", Owner::Node(NODE))])));
    scene.seconds(120);
    scene.card(Some(reading(99, vec![process(50, "python", Owner::Node(NODE)), miner()])));
    scene.seconds(15);
    scene.card(Some(reading(40, Vec::new())));
    scene.seconds(105);
    let report = scene.report();
    assert_eq!(
        scene.told(),
        ["miner is on a rented card", "ask 4242", "kill 4242", "miner is gone"]
    );
    assert_eq!(broken(&report), ["2: foreign"]);
    assert_eq!(report.up(), 3);
    let [offender] = &report.offenders[..] else { panic!("{:?}", report.offenders) };
    assert_eq!(offender.process.name, "miner");
    assert_eq!((offender.samples, offender.minutes, offender.stopped), (15, 1, true));
    assert_eq!((offender.memory_max_mib, offender.process.pid), (512, 4_242));
    let decision = decide(&report, &LockRules::default());
    assert_eq!((decision.action, decision.refund_minutes), (Action::Refund, 1));
    assert_eq!(decision.hint.map(Hint::text), Some("foreign-process"));
    let summary = report.summary();
    assert_eq!(summary.refunded(), Minutes::NONE.with(2));
    assert_eq!((summary.touched, summary.strangers), (Minutes::between(0, 4), 1));
    let text = serde_json::to_string(&summary).unwrap();
    let short = r#"{"rental":true,"touched":15,"broken":{"foreign":4},"strangers":1}"#;
    assert_eq!(text, short);
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
}

#[test]
fn what_disturbs_a_node_is_said_at_once_and_that_it_is_over_too() {
    let mut scene = Scene::new(Span::Rental(NODE));
    let said = |scene: &Scene| {
        let told = |effect: &Effect| match effect {
            Effect::Disturbed(nodes) => {
                Some(nodes.get(&NODE).map(|it| (it.why, (it.since_ms - TEN) / 1_000)))
            }
            Effect::Name { .. }
            | Effect::Gone { .. }
            | Effect::Stop { .. }
            | Effect::Keep { .. }
            | Effect::Sealed { .. } => None,
        };
        scene.effects.iter().filter_map(told).collect::<Vec<_>>()
    };
    scene.seconds(10);
    scene.card(Some(reading(40, vec![miner()])));
    scene.seconds(1);
    assert_eq!(said(&scene), [], "one sample may be a process that is about to end");
    scene.seconds(10);
    scene.card(Some(reading(40, Vec::new())));
    scene.seconds(2);
    assert_eq!(said(&scene), [Some((Break::Foreign, 10))]);
    scene.seconds(10);
    assert_eq!(said(&scene), [Some((Break::Foreign, 10)), None]);
    scene.card(None);
    scene.seconds(10);
    assert_eq!(said(&scene).len(), 2, "as long as a record allows");
    scene.seconds(1);
    assert_eq!(said(&scene)[2], Some((Break::CardLost, 33)));
    scene.subjects.clear();
    scene.seconds(1);
    assert_eq!(said(&scene)[3], None, "it is gone, and what disturbed it");
}

#[test]
fn minutes_are_counted_joined_and_told_apart() {
    let (early, late) = (Minutes::between(0, 10), Minutes::between(5, 200));
    assert_eq!((early.count(), late.count(), early.and(late).count()), (10, 55, 5));
    assert_eq!((early.or(late), late.without(early)), (Minutes::ALL, Minutes::between(10, 60)));
    assert!(early.has(9) && !early.has(10) && !Minutes::ALL.has(60));
    assert_eq!(Minutes::NONE.with(60), Minutes::NONE);
    let beyond: Minutes = serde_json::from_str("1152921504606846976").unwrap();
    assert!(!beyond.adds_up() && Minutes::ALL.adds_up());
}

#[test]
fn a_process_is_told_to_end_only_on_rented_cards_and_only_where_the_owner_allowed_it() {
    check_stops(Span::Idle, miner(), true, &["miner is on a idle card"]);
    let named = ["miner is on a rented card"];
    check_stops(Span::Rental(NODE), miner(), false, &named);
    check_stops(Span::Rental(NODE), Process { pid: 1, ..miner() }, true, &named);
    check_stops(Span::Rental(NODE), Process { pid: AGENT, ..miner() }, true, &named);
    check_stops(Span::Rental(NODE), Process { started: 0, ..miner() }, true, &named);
    check_stops(Span::Rental(NODE), Process { pid: 0, ..miner() }, true, &named);
    check_stops(Span::Rental(NODE), Process { pid: u32::MAX, ..miner() }, true, &named);
    let other = NodeRef { node: 1, ..NODE };
    check_stops(Span::Rental(NODE), process(60, "other", Owner::Node(other)), true, &[]);
    check_stops(Span::Rental(NODE), process(60, "Xorg", Owner::System), true, &[]);
}

fn check_stops(span: Span, process: Process, allowed: bool, told: &[&str]) {
    let mut scene = Scene::new(span);
    let machine = Machine {
        key: key().verifying_key().to_bytes(),
        worker: WorkerId::from_bits(3),
        agent: AGENT,
        stop_foreign: allowed,
    };
    scene.watch = Watch::new(machine, BTreeMap::new());
    scene.card(Some(reading(50, vec![process])));
    scene.seconds(60);
    assert_eq!(scene.told(), told);
}

#[test]
fn what_breaks_a_minute() {
    let rental = Span::Rental(NODE);
    let other = Owner::Node(NodeRef { node: 1, ..NODE });
    let busy = |pct| Some(reading(pct, Vec::new()));
    // Idle cards have a ceiling; rented ones have none.
    check_minute(Span::Idle, |scene| scene.card(busy(5)), &[]);
    check_minute(Span::Idle, |scene| scene.card(busy(6)), &["1: busy-card"]);
    check_minute(rental, |scene| scene.card(busy(100)), &[]);
    // The processor likewise, without what nodes take.
    check_minute(Span::Idle, |scene| scene.cpu = (80, 50), &[]);
    check_minute(Span::Idle, |scene| scene.cpu = (81, 50), &["1: busy-processor"]);
    check_minute(rental, |scene| scene.cpu = (100, 0), &[]);
    // The agent's own proofs are work for the network.
    let proves = |scene: &mut Scene| {
        scene.cpu = (100, 0);
        scene.proving = true;
        scene.card(Some(reading(100, vec![process(AGENT, "iog", Owner::Agent)])));
    };
    check_minute(Span::Idle, proves, &[]);
    // Strangers.
    let with =
        |process: Process| move |s: &mut Scene| s.card(Some(reading(0, vec![process.clone()])));
    check_minute(rental, with(miner()), &["1: foreign"]);
    check_minute(rental, with(process(8, "other", other)), &["1: foreign"]);
    check_minute(rental, with(process(8, "Xorg", Owner::System)), &[]);
    check_minute(Span::Idle, with(miner()), &[]);
    // What is not seen.
    check_minute(rental, |scene| scene.card(None), &["1: card-lost"]);
    let blind = Reading { processes: None, ..reading(0, Vec::new()) };
    let unsaid = Reading { busy_pct: None, ..reading(0, Vec::new()) };
    check_minute(rental, |scene| scene.card(Some(unsaid.clone())), &[]);
    check_minute(Span::Idle, |scene| scene.card(Some(unsaid)), &["1: blind"]);
    check_minute(rental, |scene| scene.card(Some(blind)), &["1: blind"]);
    check_moment(|scene| scene.wall_ms += 5_000, &["1: clock-step"]);
    check_moment(|scene| scene.wall_ms -= 5_000, &["1: clock-step"]);
    check_moment(|scene| scene.wall_ms -= 1_500, &[]);
    check_moment(|scene| scene.pass(9_000), &[]);
    check_moment(|scene| scene.pass(10_001), &["1: silence"]);
}

/// Three minutes, of which `change` changes the second.
fn check_minute(span: Span, change: impl FnOnce(&mut Scene), expected: &[&str]) {
    let mut scene = Scene::new(span);
    scene.seconds(60);
    let before = (scene.cards.clone(), scene.cpu, scene.proving);
    change(&mut scene);
    scene.seconds(60);
    (scene.cards, scene.cpu, scene.proving) = before;
    scene.seconds(60);
    assert_eq!(broken(&scene.report()), expected);
}

/// Three minutes; `happens` happens within the second.
fn check_moment(happens: impl FnOnce(&mut Scene), expected: &[&str]) {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.seconds(65);
    happens(&mut scene);
    scene.seconds(110);
    assert_eq!(broken(&scene.report()), expected);
}

#[test]
fn an_agent_that_was_away_has_a_gap_and_hours_without_it_have_no_record() {
    let mut scene = Scene::new(Span::Idle);
    scene.seconds(600);
    scene.pass(20 * 60_000);
    scene.seconds(60);
    scene.pass(2 * HOUR_MS);
    scene.seconds(60);
    scene.end();
    let records = scene.records();
    let report =
        |at: usize| verify(&records[at], &LockRules::default(), Ceilings::DATA_CENTER).unwrap();
    let first = report(0);
    assert_eq!(first.gaps(), [(9, 59)], "the minute that it left in, and all that follow");
    assert_eq!(first.up(), 9, "the minutes before the gap");
    let second = report(1);
    assert_eq!((second.hour - first.hour, second.part, second.previous), (2, 1, first.hash));
    assert_eq!(records.len(), 2);
}

#[test]
fn parts_of_a_span_name_the_ones_before() {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.seconds(2 * 3_600 + 100);
    scene.subjects = Vec::new();
    scene.look();
    let records: Vec<Record> =
        scene.records().iter().map(|bytes| Record::read(bytes).unwrap()).collect();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].header.previous, [0; 32]);
    assert_eq!(records[1].header.previous, records[0].hash);
    assert_eq!(records[2].header.previous, records[1].hash);
    assert_eq!(records[2].header.part, 2);
    assert_eq!(records[2].end, End::Over);
    assert!(scene.watch.heads().is_empty(), "a rental that is over has no next record");
}

#[test]
fn a_clock_that_is_set_back_by_more_than_an_hour_begins_anew() {
    let mut scene = Scene::new(Span::Idle);
    scene.wall_ms += 48 * HOUR_MS;
    scene.seconds(60);
    scene.wall_ms -= 48 * HOUR_MS;
    scene.seconds(60);
    scene.end();
    let ends: Vec<End> =
        scene.records().iter().map(|bytes| Record::read(bytes).unwrap().end).collect();
    assert_eq!(ends, [End::ClockSetBack, End::AgentStops]);
}

#[test]
fn the_uptime_of_an_hour_is_of_all_its_records() {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.seconds(600);
    scene.end();
    scene.seconds(600);
    scene.card(None);
    scene.seconds(60);
    scene.end();
    let rules = LockRules::default();
    let judged = |bytes: &Vec<u8>| verify(bytes, &rules, Ceilings::DATA_CENTER).unwrap();
    let reports: Vec<Report> = scene.records().iter().map(judged).collect();
    assert_eq!(reports.len(), 2);
    let up = |reports: &[Report], hour| uptime(reports, hour, &rules);
    assert_eq!((up(&reports, 490_000), up(&reports, 490_001)), (20, 0));
    assert_eq!(up(&reports[..1], 490_000), 10);
    let mut torn = reports;
    torn[0].ended_ms -= 11_000;
    assert_eq!(up(&torn, 490_000), 19, "nobody looked between the records");
}

#[test]
fn what_an_agent_left_that_broke_off_is_sealed_as_far_as_it_goes() {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.seconds(200);
    let kept = scene.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep { bytes, .. } => Some(bytes.clone()),
        Effect::Name { .. }
        | Effect::Gone { .. }
        | Effect::Stop { .. }
        | Effect::Disturbed(_)
        | Effect::Sealed { .. } => None,
    });
    let kept = kept.unwrap();
    assert_eq!(Record::read(&kept), Err(Refused::Unsealed));
    let (header, sealed) = Record::recover(&kept, &sign).unwrap();
    let record = Record::read(&sealed.bytes).unwrap();
    assert_eq!((record.header, record.hash), (header, sealed.hash));
    assert_eq!((record.end, record.ended_ms), (End::BrokeOff, TEN + 180_000));
    let report = verify(&sealed.bytes, &LockRules::default(), Ceilings::CONSUMER).unwrap();
    assert_eq!((report.up(), report.broken()), (3, 0));
}

#[test]
fn no_byte_of_a_record_can_be_changed() {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.card(Some(reading(10, vec![miner()])));
    scene.seconds(70);
    scene.end();
    let good = scene.records().remove(0);
    assert!(Record::read(&good).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Record::read(&bad).is_err(), "byte {at}");
    }
    for length in 0..good.len() {
        assert!(Record::read(&good[..length]).is_err(), "the first {length} bytes");
    }
    assert!(Record::read(&[good, vec![0]].concat()).is_err(), "a byte more");
}

#[test]
fn chains_told_on_the_way_are_those_of_the_record() {
    let mut scene = Scene::new(Span::Idle);
    scene.seconds(130);
    let told = scene.watch.chain(Span::Idle).unwrap();
    scene.end();
    assert_eq!(scene.watch.chain(Span::Idle), None);
    let record = Record::read(&scene.records()[0]).unwrap();
    assert_eq!(record.chain.len(), record.entries.len() + 1);
    assert_eq!(record.minutes().count(), 3);
    assert_eq!(record.chain[2], told, "two minutes were over");
}

/// A record with one of everything.
fn full_record() -> Vec<u8> {
    let mut scene = Scene::new(Span::Rental(NODE));
    scene.wall_ms += 600_000;
    scene.cpu = (50, 20);
    scene.card(Some(reading(40, vec![process(50, "python", Owner::Node(NODE)), miner()])));
    scene.seconds(65);
    scene.end();
    scene.records().remove(0)
}

#[test]
fn a_record_reads_the_same_as_it_did_last_year() {
    let record = full_record();
    let hash = data_encoding::HEXLOWER.encode(blake3::hash(&record).as_bytes());
    assert_eq!((record.len(), &hash[..16]), (374, "b87913c0f8d9ab83"));
}

/// Reads with nothing but `docs/reference/time-lock.md`.
#[test]
fn the_page_is_enough_to_read_a_record() {
    let bytes = full_record();
    let derive = |context: &str, parts: &[&[u8]]| -> [u8; 32] {
        let mut hash = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    };
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    assert_eq!(&bytes[..8], b"IOGT\x01\x01\0\0");
    assert_eq!(bytes[8..40], key().verifying_key().to_bytes());
    assert_eq!(bytes[40..56], 3_u128.to_be_bytes());
    assert_eq!(bytes[56..72], 5_u128.to_be_bytes());
    assert_eq!(bytes[72..76], 0_u32.to_le_bytes());
    assert_eq!(bytes[76..80], 0_u32.to_le_bytes());
    assert_eq!(bytes[80..112], [0; 32]);
    assert_eq!(bytes[112..120], (TEN + 600_000).to_le_bytes());
    assert_eq!((bytes[120], &bytes[121..153]), (1, &CARD[..]));
    let mut chain = derive("iog lock 1 begin", &[&bytes[..153]]);
    let (mut at, mut kinds) = (153, Vec::new());
    while bytes[at] != 4 {
        let end = at + 3 + usize::from(u16_at(at + 1));
        chain = derive("iog lock 1 entry", &[&chain, &bytes[at..end]]);
        kinds.push((bytes[at], at + 3));
        at = end;
    }
    let [(1, named), (3, asked), (3, forced), (2, first), (2, second)] = kinds[..] else {
        panic!("{kinds:?}")
    };
    assert_eq!(bytes[named..named + 4], 4_242_u32.to_le_bytes());
    assert_eq!(bytes[named + 4..named + 12], 42_420_u64.to_le_bytes());
    assert_eq!(&bytes[named + 12..named + 19], b"\x01\x05miner");
    assert_eq!(&bytes[named + 19..named + 30], b"\x0a/opt/miner");
    assert_eq!(&bytes[named + 30..named + 42], b"\x0b/user.slice");
    assert_eq!(bytes[asked..asked + 7], [0, 0, 0, 0xd0, 0x07, 0, 0], "after 2 seconds");
    assert_eq!(bytes[forced..forced + 7], [0, 0, 1, 0xe0, 0x2e, 0, 0], "after 12 seconds");
    let minute = |number: u8, samples: u8| {
        let mut bytes = vec![number, samples];
        bytes.extend(1_000_u16.to_le_bytes());
        bytes.extend(0_i32.to_le_bytes());
        bytes.extend([30, 30, 20, 0]);
        bytes.extend([samples, 40, 40]);
        bytes.extend(1_000_u32.to_le_bytes());
        bytes.extend(60_u16.to_le_bytes());
        bytes.extend(1_400_u16.to_le_bytes());
        bytes.extend([samples, 0, 0, 0]);
        bytes.extend([1, 0]);
        bytes.extend([0, 0, 0, samples]);
        bytes.extend(512_u32.to_le_bytes());
        bytes
    };
    assert_eq!(bytes[first..first + 37], minute(10, 60));
    assert_eq!(bytes[second..second + 37], minute(11, 5));
    assert_eq!((u16_at(at + 1), bytes.len()), (73, at + 3 + 73));
    let (body, signature) = bytes[at + 3..].split_at(9);
    assert_eq!(body[..8], (TEN + 664_000).to_le_bytes());
    assert_eq!(body[8], 3);
    let digest = derive("iog lock 1 seal", &[&chain, body]);
    let signature = ed25519_dalek::Signature::from_slice(signature).unwrap();
    key().verifying_key().verify_strict(&digest, &signature).unwrap();
}

#[test]
fn as_many_strangers_as_there_are_do_not_make_a_record_longer_than_allowed() {
    let mut scene = Scene::new(Span::Rental(NODE));
    let cards: Vec<[u8; 32]> = (0..16).map(|card| [card; 32]).collect();
    scene.subjects[0].cards = cards.clone();
    for second in 0..3_601_u32 {
        let strange = |at: u32| Process {
            name: "ä".repeat(40),
            program: "p".repeat(400),
            place: "g".repeat(400),
            ..process(10_000 + second / 5 + at, "x", Owner::Foreign)
        };
        let crowd: Vec<Process> = (0..30).map(strange).collect();
        scene.cards = cards
            .iter()
            .map(|card| Card { card: *card, reading: Some(reading(0, crowd.clone())) })
            .collect();
        scene.seconds(1);
    }
    let record = scene.records().remove(0);
    assert!(record.len() <= RECORD_BYTES_MAX, "{} bytes", record.len());
    let report = verify(&record, &LockRules::default(), Ceilings::DATA_CENTER).unwrap();
    assert_eq!((report.up(), report.broken_by(Break::Foreign)), (0, 60));
    assert!(report.unnamed > 0);
}

#[test]
fn whose_a_process_is() {
    let other = NodeRef { node: 1, ..NODE };
    let nodes = [
        Footprint {
            node: NODE,
            groups: vec![("cpu".into(), "/iog-5-0".into()), ("memory".into(), "/iog-5-0".into())],
            namespace: Some(40),
        },
        Footprint {
            node: other,
            groups: vec![(String::new(), "/iog/5-1".into())],
            namespace: None,
        },
    ];
    let check = |pid: u32, groups: &str, seen: Seen, expected: Owner| {
        let seen = Seen { pid, groups: groups_of(groups), ..seen };
        let owner = classify(&seen, &nodes, &Systems::default(), AGENT);
        assert_eq!(owner, expected, "{seen:?}");
    };
    let bare = Seen::default;
    check(7, "4:memory:/iog-5-0\n1:cpu,cpuacct:/\n", bare(), Owner::Node(NODE));
    check(7, "1:cpu,cpuacct:/iog-5-0/inner\n0::/\n", bare(), Owner::Node(NODE));
    check(7, "1:cpu:/iog-5-01\n0::/x/iog/5-1\n", bare(), Owner::Foreign);
    check(7, "0::/iog/5-1\n", bare(), Owner::Node(other));
    check(7, "0::/iog/5-10\n", bare(), Owner::Foreign);
    check(7, "", Seen { namespace: Some(40), ..bare() }, Owner::Node(NODE));
    check(7, "", Seen { namespace: Some(41), ..bare() }, Owner::Foreign);
    check(7, "", Seen { marked: Some(other), ..bare() }, Owner::Node(other));
    let stranger = NodeRef { node: 9, ..NODE };
    check(7, "", Seen { marked: Some(stranger), ..bare() }, Owner::Foreign);
    check(AGENT, "0::/iog/5-1\n", bare(), Owner::Agent);
    let program = |path: &str| Seen { program: Some(path.to_owned()), ..bare() };
    check(7, "", program("/usr/lib/xorg/Xorg"), Owner::System);
    check(7, "", program("/home/me/Xorg"), Owner::Foreign);
    check(7, "", bare(), Owner::Foreign);
    check(7, "nonsense\n:\n::\n", bare(), Owner::Foreign);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    assert_eq!(LockRules::default().check(), Ok(()));
    let bad = LockRules { silence_max_secs: 60, ..LockRules::default() }.check().unwrap_err();
    assert_eq!(bad.to_string(), "`silence_max_secs` cannot be 60: give a number from 2 to 59");
    let text = serde_json::to_string(&LockRules::default()).unwrap();
    assert_eq!(serde_json::from_str::<LockRules>(&text).unwrap(), LockRules::default());
}

#[test]
fn an_idle_hour_that_was_busy_is_reported_and_for_long_an_offence() {
    check_busy(4, Action::Nothing, None);
    check_busy(6, Action::Report, None);
    check_busy(31, Action::Report, Some(Hint::UtilizationBreach));
}

fn check_busy(minutes: u64, action: Action, hint: Option<Hint>) {
    let mut scene = Scene::new(Span::Idle);
    scene.card(Some(reading(90, vec![miner()])));
    scene.seconds(minutes * 60);
    scene.card(Some(reading(0, Vec::new())));
    scene.seconds((60 - minutes) * 60);
    let decision = decide(&scene.report(), &LockRules::default());
    assert_eq!((decision.action, decision.hint, decision.refund_minutes), (action, hint, 0));
}

/// What may happen in a story of any kind.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Step(i64),
    Lose,
    Show(u8, Vec<(u32, u8)>),
    Rent,
    Free,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (500_u64..200_000).prop_map(Event::Pass),
        1 => (-9_000_000_i64..9_000_000).prop_map(Event::Step),
        1 => Just(Event::Lose),
        4 => (0_u8..=120, prop::collection::vec((0_u32..6, 0_u8..4), 0..5))
            .prop_map(|(busy, processes)| Event::Show(busy, processes)),
        1 => Just(Event::Rent),
        1 => Just(Event::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_records_read_back_in_a_chain(
        story in prop::collection::vec(event(), 1..60)
    ) {
        let mut scene = Scene::new(Span::Idle);
        for event in story {
            match event {
                Event::Pass(millis) => scene.pass(millis),
                Event::Step(millis) => scene.wall_ms = scene.wall_ms.saturating_add_signed(millis),
                Event::Lose => scene.card(None),
                Event::Show(busy, seen) => {
                    let owners = [Owner::Foreign, Owner::Node(NODE), Owner::System, Owner::Agent];
                    let one = |(pid, owner): (u32, u8)| process(pid, "p", owners[usize::from(owner)]);
                    scene.card(Some(reading(busy, seen.into_iter().map(one).collect())));
                }
                Event::Rent => scene.subjects[0].span = Span::Rental(NODE),
                Event::Free => scene.subjects[0].span = Span::Idle,
            }
            scene.seconds(2);
        }
        scene.end();
        let mut heads: BTreeMap<Span, (u32, [u8; 32])> = BTreeMap::new();
        for bytes in scene.records() {
            let record = Record::read(&bytes).unwrap();
            let report = judge(&record, &LockRules::default(), Ceilings::DATA_CENTER);
            prop_assert_eq!(usize::from(report.up() + report.broken()), report.minutes.len());
            let Header { span, part, previous, .. } = record.header;
            if part > 0 {
                prop_assert_eq!(heads.get(&span), Some(&(part - 1, previous)));
            }
            heads.insert(span, (part, record.hash));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes: Vec<u8>,
        flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..4),
    ) {
        let _ = Record::read(&bytes);
        let mut scene = Scene::new(Span::Rental(NODE));
        scene.card(Some(reading(10, vec![miner()])));
        scene.seconds(70);
        scene.end();
        let mut record = scene.records().remove(0);
        for (at, value) in flips {
            if let Some(byte) = record.get_mut(at) {
                *byte = value;
            }
        }
        let _ = Record::read(&record);
        let _ = Record::recover(&record, &sign);
    }
}
