//! What strangers, and nodes that mean no good or are unlucky, cannot do to a relay or to each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relay::{Placed, Places, Placing, Refused, Turned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use trunk::{Dialed, Way};
use tunnel::{Access, Code, Event, Frame, Hello, Open, Proto, Served, Service};
use units::{AccountId, MeshId};
use wire::paper::PassLimits;

use crate::rights::node;
use crate::scene::{
    Relay, bytes, echo, echoed, eventually, exposed, key, machine, name, pass, public, service,
    source,
};

/// Gives places when it is let.
struct Slow(Arc<Semaphore>);

impl Places for Slow {
    fn place<'a>(&'a self, service: &'a Service, _: Access) -> Placing<'a> {
        Box::pin(async {
            let leave: Result<_, Turned> = Ok(self.0.acquire().await.unwrap());
            leave?.forget();
            let (name, hosts, ports) = (service.name.clone(), Vec::new(), Vec::new());
            Ok(Placed { served: Served { name, hosts, ports }, kept: None })
        })
    }
}

fn slow(relay: &Relay) -> Arc<Semaphore> {
    let leave = Arc::new(Semaphore::new(0));
    relay.nodes.place_at(Arc::new(Slow(leave.clone())));
    leave
}

#[test]
fn a_line_that_is_over_takes_no_name() {
    let relay = Relay::start(10);
    let leave = slow(&relay);
    let Dialed { line, mut driver, .. } = node(&relay, 20, |_| {}).unwrap();
    relay.do_in(async move {
        line.say(&Frame::Serve(service("echo")));
        driver.flush().await.unwrap();
    });
    eventually("its line is over", || relay.registry.lines() == 0);
    leave.add_permits(10);
    let other = node(&relay, 21, |_| {}).unwrap();
    let served = relay.do_in(async move {
        let Dialed { line, mut driver, .. } = other;
        line.say(&Frame::Serve(service("echo")));
        driver.next().await.unwrap()
    });
    assert!(matches!(served, Event::Served(_)), "{served:?}");
}

#[test]
fn what_is_withdrawn_before_it_had_a_place_is_not_served() {
    let relay = Relay::start(10);
    let leave = slow(&relay);
    let Dialed { line, mut driver, .. } = node(&relay, 20, |_| {}).unwrap();
    let driver = relay.do_in(async move {
        line.say(&Frame::Serve(service("echo")));
        line.say(&Frame::Withdraw(name("echo")));
        line.say(&Frame::Serve(service("last")));
        driver.flush().await.unwrap();
        driver
    });
    leave.add_permits(10);
    eventually("the last is served", || relay.serves("last"));
    assert!(!relay.serves("echo"));
    drop(driver);
}

#[test]
fn strangers_who_hold_many_connections_keep_no_node_out() {
    let relay = Relay::start(10);
    let address = relay.at.address;
    let strangers = relay.do_in(async move {
        let mut all = Vec::new();
        for _ in 0..1_100 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut tcp = socket.connect(address).await.unwrap();
            let _ = tcp.write_all(b"iogbulk1").await;
            all.push(tcp);
        }
        all
    });
    assert!(node(&relay, 20, |_| {}).is_ok());
    drop(strangers);
}

#[test]
fn a_key_has_a_few_lines_and_what_an_older_one_carried_ends_with_it() {
    for is_plain_allowed in [false, true] {
        let programs = Runtime::new().unwrap();
        let relay = Relay::start(10);
        let mut says = exposed("says", source(&programs, 64 << 20));
        says.service.is_plain_allowed = is_plain_allowed;
        let _machine = machine(20, &[&relay], vec![says]);
        eventually("it serves", || relay.serves("says"));
        let mut stream = relay.open(&name("says")).unwrap();
        let mut stream = relay.do_in(async move {
            let mut heard = vec![0; 1 << 20];
            while !stream.has_own_connection() {
                stream.read_exact(&mut heard).await.unwrap();
            }
            stream
        });
        assert_eq!(relay.registry.streams(), 1, "it counts, though it left the line");
        let newer: Vec<_> = (0..4).map(|_| node(&relay, 20, |_| {}).unwrap()).collect();
        let is_broken = relay.do_in(async move {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.is_err()
        });
        assert!(is_broken, "plain: {is_plain_allowed}");
        eventually("nothing is open", || relay.registry.streams() == 0);
        assert!(relay.registry.lines() <= 5);
        drop(newer);
    }
}

#[test]
fn what_the_kernel_carries_ends_with_its_line_too() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let mut echoes = exposed("echo", echo(&programs));
    echoes.service.is_plain_allowed = true;
    let _machine = machine(20, &[&relay], vec![echoes]);
    eventually("it serves", || relay.serves("echo"));
    let registry = relay.registry.clone();
    let (came, carrying) = relay.do_in(async move {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut came = tokio::net::TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = door.accept().await.unwrap();
        let visitor = crate::scene::visitor();
        let stream = relay::Opener::open(&*registry, &name("echo"), &visitor).await.unwrap();
        let carrying = tokio::spawn(trunk::carry_tcp(tcp, stream));
        // So much that it has long moved, and nothing is on its way.
        let (said, mut heard) = (bytes(1 << 20), vec![0; 1 << 20]);
        for _ in 0..8 {
            let (mut from, mut to) = came.split();
            let (heard, said) = tokio::join!(from.read_exact(&mut heard), to.write_all(&said));
            assert!(heard.is_ok() && said.is_ok());
        }
        (came, carrying)
    });
    let newer: Vec<_> = (0..4).map(|_| node(&relay, 20, |_| {}).unwrap()).collect();
    let (carried, is_broken) = relay.do_in(async move {
        let (mut came, mut heard) = (came, Vec::new());
        let is_broken = came.read_to_end(&mut heard).await.is_err();
        (carrying.await.unwrap(), is_broken)
    });
    assert_eq!((carried.way, carried.is_whole, is_broken), (Way::Kernel, false, true));
    drop(newer);
}

#[test]
fn the_limits_of_a_new_pass_hold_on_the_line_that_showed_it() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    let first = relay.open(&name("echo")).unwrap();
    machine.set_pass(pass(&key(20), |pass| {
        pass.limits = PassLimits { streams: 1, streams_per_second: 1_000, bytes_per_second: 1_000 };
    }));
    eventually("the second is too many", || {
        matches!(relay.open(&name("echo")), Err(Refused::Limit(_)))
    });
    drop(first);
}

#[test]
fn a_pass_that_a_relay_does_not_take_leaves_the_one_before() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    let stream = relay.open(&name("echo")).unwrap();
    machine.set_pass(pass(&key(20), |pass| pass.account = AccountId::from_bits(99)));
    // What is shown next is taken, on the same line.
    machine.set_pass(pass(&key(20), |pass| pass.limits.streams = 3));
    eventually("it was taken", || {
        let opened: Vec<_> = (0..3).map(|_| relay.open(&name("echo"))).collect();
        opened.iter().any(Result::is_err)
    });
    assert!(relay.do_in(echoed(stream, b"still here".to_vec())));
}

#[test]
fn what_was_refused_is_offered_again() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let first = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("the first serves", || relay.serves("echo"));
    let second = machine(21, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("the second is refused", || {
        second.lines().iter().any(|line| line.services.values().any(Result::is_err))
    });
    drop(first);
    let its = (name("echo"), public(&key(21)));
    eventually("the second serves", || {
        relay
            .registry
            .services()
            .iter()
            .any(|(service, node)| (&service.name, node) == (&its.0, &its.1))
    });
}

#[test]
fn what_nodes_say_to_each_other_is_within_what_their_passes_allow() {
    let relay = Relay::start(10);
    let member = |number: u8, bytes_per_second: u64| {
        node(&relay, number, |pass| {
            pass.account = AccountId::from_bits(u128::from(number));
            pass.may.meshes = BTreeSet::from([MeshId::from_bits(1)]);
            pass.limits.bytes_per_second = bytes_per_second;
        })
        .unwrap()
    };
    let (chatty, modest, mut other) =
        (member(20, 1_000), member(22, 1_000_000), member(21, 1_000_000));
    let to = public(&key(21)).0;
    let heard = relay.do_in(async move {
        let Dialed { line, mut driver, .. } = chatty;
        for _ in 0..20 {
            line.say(&Frame::Packet { peer: to, body: vec![1; 400] });
        }
        driver.flush().await.unwrap();
        // A question on the same line comes after all of it. Of several at once only the last is answered, and the
        // line asks, too.
        loop {
            line.say(&Frame::Ping(7));
            let answer = tokio::time::timeout(Duration::from_millis(50), driver.next());
            if answer.await.is_ok_and(|event| event.unwrap() == Event::Pong(7)) {
                break;
            }
        }
        let Dialed { line, mut driver, .. } = modest;
        line.say(&Frame::Packet { peer: to, body: b"last".to_vec() });
        driver.flush().await.unwrap();
        let mut heard = 0;
        while let Event::Packet(_, body) = other.driver.next().await.unwrap() {
            if body == b"last" {
                break;
            }
            heard += 1;
        }
        heard
    });
    assert!((1..=4).contains(&heard), "{heard} of 20");
}

#[test]
fn a_program_hears_of_a_customer_from_the_relay_alone() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let mut wants = exposed("web", echo(&programs));
    wants.wants_proxy_header = true;
    let _machine = machine(20, &[&relay], vec![wants]);
    eventually("it serves", || relay.serves("web"));
    let customer = node(&relay, 30, |pass| pass.account = AccountId::from_bits(8)).unwrap();
    let local = relay.at.address;
    let heard = relay.do_in(async move {
        let Dialed { line, mut driver, .. } = customer;
        tokio::spawn(async move { while driver.next().await.is_ok() {} });
        let open = Open {
            service: name("web"),
            proto: Proto::Tcp,
            visitor: "6.6.6.6:6".parse().unwrap(),
            local: "7.7.7.7:7".parse().unwrap(),
            subject: String::new(),
        };
        let mut stream = line.open(&open, None).await.unwrap();
        let mut heard = vec![0; 28];
        stream.read_exact(&mut heard).await.unwrap();
        heard
    });
    assert_eq!(heard[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
    assert_eq!(heard[26..28], local.port().to_be_bytes());
}

#[test]
fn a_program_that_answers_before_it_has_heard_all_is_heard_to_the_end() {
    let programs = Runtime::new().unwrap();
    let listener = programs.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    // It reads nothing: its connection breaks for who still writes.
    programs.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move { tcp.write_all(&bytes(30_000)).await });
        }
    });
    let relay = Relay::start(10);
    let _machine = machine(20, &[&relay], vec![exposed("early", address)]);
    eventually("it serves", || relay.serves("early"));
    for _ in 0..10 {
        let stream = relay.open(&name("early")).unwrap();
        let heard = relay.do_in(async move {
            let (mut from, mut to) = tokio::io::split(stream);
            let saying =
                tokio::spawn(async move { while to.write_all(&[7; 10_000]).await.is_ok() {} });
            let mut heard = Vec::new();
            let _ = from.read_to_end(&mut heard).await;
            saying.abort();
            heard
        });
        assert!(heard == bytes(30_000), "{} of 30,000 bytes", heard.len());
    }
}

#[test]
fn a_pass_that_has_expired_opens_and_serves_nothing() {
    let programs = Runtime::new().unwrap();
    let relay = Relay::start(10);
    let _machine = machine(20, &[&relay], vec![exposed("echo", echo(&programs))]);
    eventually("it serves", || relay.serves("echo"));
    let Dialed { line, mut driver, .. } = node(&relay, 30, |pass| {
        pass.expires = wire::Time(trunk::system_time().after(Duration::from_millis(300)));
    })
    .unwrap();
    let open = Open {
        service: name("echo"),
        proto: Proto::Tcp,
        visitor: "127.0.0.1:1".parse().unwrap(),
        local: "127.0.0.1:2".parse().unwrap(),
        subject: String::new(),
    };
    let refused = relay.do_in(async move {
        let serving = line.clone();
        let driving = tokio::spawn(async move {
            loop {
                if let Event::Refused(_, code, _) = driver.next().await.unwrap() {
                    return code;
                }
            }
        });
        let unopened = loop {
            if let Err(unopened) = line.open(&open, None).await {
                break unopened;
            }
        };
        serving.say(&Frame::Serve(service("late")));
        (unopened, driving.await.unwrap())
    });
    let not_permitted = trunk::Unopened::Refused(Code::NotPermitted);
    assert_eq!(refused, (not_permitted, Code::NotPermitted));
    // A new one opens again.
    let Dialed { line, mut driver, .. } = node(&relay, 31, |_| {}).unwrap();
    relay.do_in(async move {
        let pass = pass(&key(31), |_| {});
        line.say(&Frame::Hello(Hello { version: Hello::VERSION, pass }));
        driver.flush().await.unwrap();
    });
}
