//! Who is let in, what they may serve, and whom they may visit.

use std::collections::BTreeSet;
use std::time::Duration;

use relay::{Refused, Visitor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use trunk::{Dial, Dialed, Unopened};
use tunnel::{Code, Event, Frame, Open, Proto, Service, ServiceName, Visibility, Who};
use units::{AccountId, MeshId, RentalId};
use wire::Time;
use wire::paper::{May, Pass};

use crate::scene::{
    OWNER, RENTAL, Relay, echo, echoed, eventually, exposed, key, machine, name, pass, public,
    service, visitor,
};

pub(crate) fn dial(relay: &Relay, number: u8) -> Dial {
    Dial { key: key(number), relay: relay.at.key, address: relay.at.address }
}

pub(crate) fn node(
    relay: &Relay,
    number: u8,
    change: impl FnOnce(&mut Pass),
) -> Result<Dialed, String> {
    let (dial, pass) = (dial(relay, number), pass(&key(number), change));
    relay.do_in(async move { dial.line(pass).await.map_err(|fault| format!("{fault:#}")) })
}

#[test]
fn who_has_no_good_pass_is_turned_away_and_told_why() {
    let relay = Relay::start(10);
    assert!(node(&relay, 20, |_| {}).is_ok());
    check(&relay, |pass| pass.holder = public(&key(21)), "another node");
    check(&relay, |pass| pass.may.dial = false, "not for relays");
    let past = |pass: &mut Pass| {
        let now = trunk::now().millis();
        pass.issued = Time(units::Timestamp::from_millis(now - 10_000));
        pass.expires = Time(units::Timestamp::from_millis(now - 1));
    };
    check(&relay, past, "expired");
    let dial = dial(&relay, 20);
    let fault = relay.do_in(async move { dial.line(b"nonsense".to_vec()).await.unwrap_err() });
    assert!(format!("{fault:#}").contains("not one sealed paper"), "{fault:#}");
}

fn check(relay: &Relay, change: impl FnOnce(&mut Pass), why: &str) {
    let fault = node(relay, 20, change).unwrap_err();
    assert!(fault.contains(why), "{fault}");
}

#[test]
fn a_node_talks_to_no_other_relay_than_the_one_it_meant() {
    let relay = Relay::start(10);
    let other = Dial { relay: public(&key(11)), ..dial(&relay, 20) };
    let pass = pass(&key(20), |_| {});
    let fault = relay.do_in(async move { other.line(pass).await.unwrap_err() });
    assert!(format!("{fault:#}").contains("certificate"), "{fault:#}");
    assert_eq!(relay.registry.lines(), 0);
}

/// What a relay answers to these services of one node.
fn answers(relay: &Relay, mut dialed: Dialed, services: Vec<Service>) -> Vec<Result<(), Code>> {
    relay.do_in(async move {
        let mut answers = Vec::new();
        for service in services {
            dialed.line.say(&Frame::Serve(service));
            let event = dialed.driver.next().await.unwrap();
            if let Event::Refused(_, code, _) = event {
                answers.push(Err(code));
            } else {
                assert!(matches!(event, Event::Served(_)), "{event:?}");
                answers.push(Ok(()));
            }
        }
        answers
    })
}

#[test]
fn a_name_is_for_whoever_may_serve_what_it_ends_in() {
    let relay = Relay::start(10);
    let other = RentalId::from_bits(36);
    let dialed = node(&relay, 20, |_| {}).unwrap();
    let of_other = Service {
        name: ServiceName::of_rental("echo", other).unwrap(),
        rental: Some(other),
        ..service("echo")
    };
    let squatted = Service { name: of_other.name.clone(), ..service("echo") };
    let published = Service {
        name: ServiceName::of_account("blog", OWNER).unwrap(),
        rental: None,
        ..service("echo")
    };
    let asked = vec![service("echo"), of_other, squatted, published.clone(), service("echo")];
    let refused = Err(Code::NotPermitted);
    assert_eq!(answers(&relay, dialed, asked), [Ok(()), refused, refused, refused, Ok(())]);
    let publisher = node(&relay, 21, |pass| pass.may.publish = true).unwrap();
    assert_eq!(answers(&relay, publisher, vec![published]), [Ok(())]);
}

#[test]
fn a_node_serves_the_labels_of_its_pass_and_no_other_nodes() {
    let relay = Relay::start(10);
    let its = |pass: &mut Pass| pass.may.labels = Some(["echo".parse().unwrap()].into());
    let asked = || vec![service("jupyter"), service("echo-x"), service("x-echo"), service("echo")];
    let refused = Err(Code::NotPermitted);
    let dialed = node(&relay, 20, its).unwrap();
    assert_eq!(answers(&relay, dialed, asked()), [refused, refused, refused, Ok(())]);
    let dialed = node(&relay, 21, |pass| pass.may.labels = Some(BTreeSet::new())).unwrap();
    assert_eq!(answers(&relay, dialed, asked()), [refused; 4]);
}

#[test]
fn a_new_pass_takes_away_what_it_does_not_give() {
    let relay = Relay::start(10);
    let programs = Runtime::new().unwrap();
    let machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    machine.set_pass(pass(&key(20), |pass| pass.may.serve = BTreeSet::new()));
    eventually("it serves no longer", || !relay.serves("echo"));
    assert_eq!((relay.registry.lines(), machine.lines().len()), (1, 1), "the line stays");
}

#[test]
fn a_name_that_another_machine_has_is_taken() {
    let relay = Relay::start(10);
    let programs = Runtime::new().unwrap();
    let _machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    let other = node(&relay, 21, |_| {}).unwrap();
    assert_eq!(answers(&relay, other, vec![service("echo")]), [Err(Code::NameTaken)]);
}

#[test]
fn what_is_not_public_is_for_whom_its_policy_names() {
    let relay = Relay::start(10);
    let programs = Runtime::new().unwrap();
    let friend = AccountId::from_bits(77);
    let mut private = exposed("echo", echo(&programs));
    private.service.visibility = Visibility::Members;
    private.service.policy = format!("{friend} {}", public(&key(44)));
    let _machine = machine(20, &[&relay], vec![private]);
    eventually("it serves", || relay.serves("echo"));
    let name = name("echo");
    let open = |who: Who| relay.open_for(&name, &Visitor { who, ..visitor() }).map(drop);
    let of = |account: AccountId| Who { accounts: [account].into(), ..Who::default() };
    assert_eq!(open(Who::default()), Err(Refused::NotPermitted(name.clone())));
    assert_eq!(open(of(OWNER)), Err(Refused::NotPermitted(name.clone())), "the supplier");
    assert_eq!(open(of(friend)), Ok(()));
    assert_eq!(open(Who { key: Some(public(&key(44)).0), ..Who::default() }), Ok(()));
    assert_eq!(open(Who { rentals: [RENTAL].into(), ..of(AccountId::from_bits(5)) }), Ok(()));
    assert_eq!(relay.registry.refusals(), 2);
    let none = crate::scene::name("none");
    assert_eq!(relay.open(&none).unwrap_err(), Refused::NoSuchService(none));
}

#[test]
fn a_policy_that_nobody_can_read_serves_nothing() {
    let relay = Relay::start(10);
    let dialed = node(&relay, 20, |_| {}).unwrap();
    let with = |visibility: Visibility, policy: &str| Service {
        visibility,
        policy: policy.to_owned(),
        ..service("echo")
    };
    let services = vec![
        with(Visibility::Members, "everybody"),
        with(Visibility::Public, "account"),
        with(Visibility::Members, "account"),
    ];
    assert_eq!(answers(&relay, dialed, services), [Err(Code::Other), Err(Code::Other), Ok(())]);
}

#[test]
fn a_program_that_is_not_there_is_told_from_a_service_that_is_not() {
    let relay = Relay::start(10);
    let gone = relay
        .do_in(async { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() });
    let _machine = machine(20, &[&relay], vec![exposed("echo", gone)]);
    eventually("it serves", || relay.serves("echo"));
    let refused = relay.open(&name("echo")).unwrap_err();
    assert_eq!(refused, Refused::NotListening(name("echo")));
    assert!(!refused.is_passing());
}

#[test]
fn an_account_has_no_more_open_than_its_pass_says() {
    let relay = Relay::start(10);
    let programs = Runtime::new().unwrap();
    let machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    drop(machine);
    eventually("it is gone", || relay.registry.lines() == 0);
    let machine = agent::tunnel::Tunnels::start(key(20)).unwrap();
    machine.set_exposed(vec![exposed("echo", echo(&programs))]);
    machine.set_relays(vec![relay.at]);
    machine.set_pass(pass(&key(20), |pass| pass.limits.streams = 2));
    eventually("it serves again", || relay.serves("echo"));
    let first = relay.open(&name("echo")).unwrap();
    let _second = relay.open(&name("echo")).unwrap();
    assert!(matches!(relay.open(&name("echo")), Err(Refused::Limit(_))));
    drop(first);
    eventually("there is room", || relay.open(&name("echo")).is_ok());
}

#[test]
fn a_customer_reaches_a_rental_over_a_line_of_their_own_and_no_other() {
    let relay = Relay::start(10);
    let programs = Runtime::new().unwrap();
    let mut private = exposed("echo", echo(&programs));
    private.service.visibility = Visibility::Owner;
    let _machine = machine(20, &[&relay], vec![private]);
    eventually("it serves", || relay.serves("echo"));
    let customer = |forward: &[RentalId]| {
        let forward = BTreeSet::from_iter(forward.iter().copied());
        let may = May { dial: true, forward, ..May::default() };
        node(&relay, 30, |pass| {
            pass.account = AccountId::from_bits(8);
            pass.may = may;
        })
        .unwrap()
    };
    assert_eq!(visited(&relay, customer(&[RENTAL])), Ok(true));
    let refused = Err(Unopened::Refused(Code::NotPermitted));
    assert_eq!(visited(&relay, customer(&[RentalId::from_bits(36)])), refused);
}

/// Whether a customer's visit to the echo came back.
fn visited(relay: &Relay, dialed: Dialed) -> Result<bool, Unopened> {
    let open = Open {
        service: name("echo"),
        proto: Proto::Tcp,
        visitor: "127.0.0.1:1".parse().unwrap(),
        local: "127.0.0.1:2".parse().unwrap(),
        subject: "somebody else".to_owned(),
    };
    let Dialed { line, mut driver, .. } = dialed;
    relay.do_in(async move {
        let driving = tokio::spawn(async move { while driver.next().await.is_ok() {} });
        let stream = line.open(&open, None).await?;
        let is_heard = echoed(stream, vec![7; 100_000]).await;
        driving.abort();
        Ok(is_heard)
    })
}

#[test]
fn signals_go_between_members_of_one_private_network_only() {
    let relay = Relay::start(10);
    let member = |number: u8, mesh: u128| {
        let meshes = BTreeSet::from([MeshId::from_bits(mesh)]);
        node(&relay, number, |pass| pass.may.meshes = meshes).unwrap()
    };
    let (one, mut other, stranger) = (member(20, 1), member(21, 1), member(22, 2));
    let to = public(&key(21)).0;
    let heard = relay.do_in(async move {
        let Dialed { line, mut driver, .. } = stranger;
        line.say(&Frame::Signal { peer: to, body: b"strange".to_vec() });
        driver.flush().await.unwrap();
        let Dialed { line, mut driver, .. } = one;
        line.say(&Frame::Signal { peer: to, body: b"known".to_vec() });
        driver.flush().await.unwrap();
        other.driver.next().await.unwrap()
    });
    assert_eq!(heard, Event::Signal(public(&key(20)).0, b"known".to_vec()));
}

#[test]
fn a_program_hears_who_comes_if_it_wants_to() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let listener = programs.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let mut wants = exposed("web", listener.local_addr().unwrap());
    wants.wants_proxy_header = true;
    let _machine = machine(20, &[&relay], vec![wants]);
    eventually("it serves", || relay.serves("web"));
    let heard = programs.spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 28 + 5];
        tcp.read_exact(&mut heard).await.unwrap();
        heard
    });
    let mut stream = relay.open(&name("web")).unwrap();
    let _stream = relay.do_in(async move {
        stream.write_all(b"first").await.unwrap();
        stream
    });
    let heard = programs.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), heard).await.unwrap().unwrap()
    });
    assert_eq!(heard[12..16], [0x21, 0x11, 0, 12]);
    assert_eq!(heard[16..20], [192, 0, 2, 1]);
    assert_eq!(&heard[28..], b"first");
}
