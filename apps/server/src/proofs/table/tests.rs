//! Machines that are called in company, at a table of their own: no clock, no network.

use control::Parameters;
use proofs::message::{Body, Message};
use proofs::schedule::ProofRules;
use proofs::{Memory, Reason, Verdict};
use units::{AccountId, DeviceKind};

use super::*;

const SECRET: [u8; 32] = [7; 32];

/// What a card of these machines is asked: memory, so that walks wait for each other.
fn memory() -> Task {
    Task::Memory(Memory {
        blocks: 64,
        mix: 8,
        log_walkers: 3,
        legs: 3,
        steps: 7,
        opened: 4,
        fill_ms: 60_000,
        walk_ms: 60_000,
        answer_ms: 60_000,
    })
}

struct Scene {
    table: Table,
    rules: ProofRules,
}

fn worker(number: u128) -> WorkerId {
    WorkerId::from_bits(number)
}

fn at(minute: u64) -> Timestamp {
    Timestamp::from_millis(Hour::from_number(490_000).start().millis() + minute * 60_000)
}

impl Scene {
    fn new() -> Self {
        Self { table: Table::default(), rules: ProofRules::default() }
    }

    /// One card of a machine asks what it is to do; it has been called in the hour's first part.
    fn asks(&mut self, number: u128, card: (u8, u32), now: Timestamp) -> Place {
        let concluded = Timestamp::from_millis(Hour::of(now).start().millis() + 20 * 60_000);
        self.asks_after(number, card, (concluded, now))
    }

    /// The same, of a machine that was called last at `concluded`.
    fn asks_after(
        &mut self,
        number: u128,
        (card, cards): (u8, u32),
        (concluded, now): (Timestamp, Timestamp),
    ) -> Place {
        let key = SigningKey::from_bytes(&[1; 32]);
        let standing = Standing {
            owner: AccountId::from_bits(1),
            key: key.verifying_key().to_bytes(),
            kind: DeviceKind::Gpu,
            claimed: None,
            cards,
            tasks: vec![memory()],
            up_since: Some(Timestamp::from_millis(0)),
            concluded: Some(concluded),
            parameters: Arc::new(Parameters {
                proofs: self.rules.clone(),
                ..Parameters::default()
            }),
        };
        let desk = Desk { key: &key, secret: &SECRET, salt: &|_| [0; 32] };
        let from = Some(IpAddr::from([10, 0, 0, 1]));
        let asker = Asker { worker: worker(number), card: [card; 32], from, standing: &standing };
        self.table.place(&desk, asker, now)
    }

    /// The instant at which these machines are called together, once that is drawn.
    fn instant(&mut self, machines: std::ops::Range<u128>) -> Timestamp {
        for number in machines.clone() {
            assert!(matches!(self.asks(number, (1, 1), at(38)), Place::Wait(_)));
        }
        assert_eq!(self.table.company.tick(&self.rules, &SECRET, at(39)), []);
        let instants = machines.map(|number| self.table.company.appointed(worker(number), at(39)));
        let instants: Vec<_> = instants.map(|appointed| appointed.last).collect();
        assert!(instants.iter().all(|at| *at == instants[0]), "{instants:?}");
        instants[0].unwrap()
    }

    fn called(&mut self, number: u128, card: (u8, u32), now: Timestamp) -> Arc<Session> {
        let Place::Given(challenge) = self.asks(number, card, now) else { panic!("it waits") };
        let id = Message::read(&challenge).unwrap().session;
        self.table.session(&id).unwrap()
    }

    fn ends(&mut self, session: &Session, reason: Reason, now: Timestamp) {
        let judged = Judged { reason, elapsed_us: 1, rate: 1_000 };
        let verdict =
            Verdict { sigma: [0; 32], shortest_ping_us: 0, tasks: vec![judged], times_us: vec![] };
        *session.state.try_lock().unwrap() = State::Over { said: None, answer: None };
        self.table.company.over(session);
        self.table.ended(session, &verdict.tasks, now);
    }
}

#[test]
fn a_group_is_called_at_one_instant_with_one_barrier() {
    let mut scene = Scene::new();
    let now = scene.instant(1..4);
    let before = Timestamp::from_millis(now.millis() - 1);
    assert!(matches!(scene.asks(1, (1, 1), before), Place::Wait(until) if until == now));
    let sessions: Vec<_> = (1..4).map(|number| scene.called(number, (1, 1), now)).collect();
    assert!(sessions.iter().all(|it| it.barrier == sessions[0].barrier));
    assert_ne!(sessions[0].barrier, [0; 16]);
    let Body::Challenge(challenge) = Message::read(&sessions[0].challenge).unwrap().body else {
        panic!("it is a challenge")
    };
    assert_eq!(challenge.barrier, sessions[0].barrier);
}

#[test]
fn whoever_comes_after_the_instant_is_called_alone_and_holds_nobody() {
    let mut scene = Scene::new();
    let now = scene.instant(1..3);
    let one = scene.called(1, (1, 1), now);
    let late = now.after(PROOF_JOIN);
    let other = scene.called(2, (1, 1), late);
    assert_eq!(other.barrier, [0; 16]);
    // The gate closes some seconds after the call, whoever is absent.
    scene.table.company.full(&one);
    let (Hold::Until(until), false) = scene.table.hold(&one) else { panic!("it waits") };
    assert!(until <= Instant::now() + PROOF_JOIN);
}

#[test]
fn walks_of_a_group_begin_when_all_are_full_or_gone() {
    let mut scene = Scene::new();
    let now = scene.instant(1..4);
    let [one, other, third] = [1, 2, 3].map(|number| scene.called(number, (1, 1), now));
    scene.table.company.full(&one);
    assert!(matches!(scene.table.hold(&one), (Hold::Until(_), false)));
    scene.ends(&third, Reason::Unable, now);
    assert!(matches!(scene.table.hold(&one), (Hold::Until(_), false)));
    scene.table.company.full(&other);
    assert_eq!(scene.table.hold(&one), (Hold::Go, true));
    assert_eq!(scene.table.hold(&other), (Hold::Go, false));
}

#[test]
fn a_card_that_is_full_when_its_machines_others_have_gone_does_not_count() {
    let mut scene = Scene::new();
    let now = at(59);
    let [one, other] = [1, 2].map(|card| scene.called(1, (card, 2), now));
    assert_eq!(one.barrier, other.barrier);
    scene.table.company.full(&one);
    // What it waits for at most, made short: the others' sessions have ended as far as the gate knows.
    scene.table.company.over(&other);
    assert_eq!(scene.table.hold(&one), (Hold::Go, true));
    scene.table.company.full(&other);
    assert!(!matches!(scene.table.hold(&other).0, Hold::Go), "it is too late for it");
}

#[test]
fn two_that_never_pass_together_are_told_and_those_who_are_absent_are_not() {
    let mut scene = Scene::new();
    scene.rules.company.first_bp = 0;
    let mut hour = 0;
    let mut told = Vec::new();
    while told.is_empty() {
        hour += 1;
        assert!(hour < 60, "nothing is found");
        let base = hour * 60;
        let shift = |minute: u64| at(base + minute);
        // Alone in the first part, as a machine is whose group is not drawn.
        for number in 1..3 {
            let asked = scene.asks_after(number, (1, 1), (at(0), shift(21)));
            let Place::Given(challenge) = asked else { panic!("it waits") };
            let id = Message::read(&challenge).unwrap().session;
            let session = scene.table.session(&id).unwrap();
            scene.ends(&session, Reason::None, shift(22));
        }
        (1..3).for_each(|number| drop(scene.asks(number, (1, 1), shift(38))));
        told.extend(scene.table.company.tick(&scene.rules, &SECRET, shift(39)));
        let appointed = scene.table.company.appointed(worker(1), shift(39));
        let Some(now) = appointed.last else { continue };
        let sessions = [1, 2].map(|number| scene.called(number, (1, 1), now));
        let turn = usize::try_from(hour % 2).unwrap();
        scene.ends(&sessions[turn], Reason::None, now);
        scene.ends(&sessions[1 - turn], Reason::Unable, now);
    }
    assert!(told[0].suspected && told[0].together == 0, "{told:?}");
    let suspicion = scene.table.company.suspicion(worker(2)).unwrap();
    assert_eq!((suspicion.one, suspicion.other), (worker(1), worker(2)));
    assert_eq!(
        (scene.table.company.suspected(), scene.table.company.suspicion(worker(3))),
        (1, None)
    );
    let kept = serde_json::to_string(&scene.table.company.kept()).unwrap();
    assert!(kept.len() > 100);
}
