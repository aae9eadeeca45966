//! A whole private network under all kinds of weather at once, from a seed: at no time does a packet reach whom the
//! policy does not allow, or arrive twice, and no relay sees what is said; once the weather is over, everybody who may
//! talk to somebody reaches them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use mesh::PublicKey;
use mesh::policy::{Member, Policy, Tables, Warden};

use crate::world::{Net, World};

/// Stories that every run of the tests plays, and those that are played when somebody asks.
const SEEDS: std::ops::Range<u64> = 0..2;
const MORE_SEEDS: std::ops::Range<u64> = 100..400;
const NODES: usize = 4;
const RELAYS: usize = 2;
/// Changes of the weather in one story.
const CHANGES: usize = 20;
/// What every text begins with: no datagram on its way may contain it.
const WORDS: &str = "between members only";
/// Until ways that died are found again, and sessions that one end forgot.
const CALM: Duration = Duration::from_secs(40);
/// The one who keeps no policy: the others' is enough.
const ROGUE: usize = 0;

/// Whether `from` may begin to talk to `to`: most may, and never all.
fn may(from: usize, to: usize) -> bool {
    from != to && !(from * 3 + to * 2).is_multiple_of(4)
}

struct Story {
    world: World,
    chance: u64,
    said: u64,
    heard: BTreeSet<String>,
    seed: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let kinds = [Net::Open, Net::FullCone, Net::Easy, Net::Symmetric, Net::Blocked];
        let mut story = Self {
            world: World::new(&[], 0, 1),
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            said: 0,
            heard: BTreeSet::new(),
            seed,
        };
        let nets: Vec<Net> = (0..NODES).map(|_| kinds[story.below(kinds.len())]).collect();
        story.world = World::new(&nets, RELAYS, seed);
        story.world.listens = Some(Vec::new());
        // As agents have: a relay carries nothing between a port and a connection.
        story.world.has_streams = true;
        for node in 0..NODES {
            // Nobody's calendar agrees with anybody's.
            story.world.nodes[node].ahead = Duration::from_secs(story.below(100_000) as u64);
            story.world.restart(node);
            story.guard(node);
        }
        story
    }

    fn below(&mut self, count: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        usize::try_from(self.chance >> 33).expect("31 bits") % count
    }

    fn guard(&mut self, node: usize) {
        if node != ROGUE {
            let warden = Warden::new([3, self.seed]);
            warden.set_tables(&Arc::new(tables(node)));
            self.world.nodes[node].mesh.set_guard(Some(Arc::new(warden)));
        }
    }

    fn change(&mut self) {
        let (one, other) = (self.below(NODES), self.below(NODES));
        match self.below(12) {
            0 | 1 if one != other => self.world.cut(one, other),
            2 => {
                let relay = self.below(RELAYS);
                self.world.cut_relay(relay);
            }
            3 | 4 => self.world.heal(),
            5 | 6 => self.world.rebind(one),
            7 => self.world.loss_permille = [0, 50, 300, 700][self.below(4)],
            8 => self.world.twice_permille = [0, 100, 500][self.below(3)],
            9 => self.world.late_permille = [0, 100, 500][self.below(3)],
            // Its machine slept, or its calendar was set.
            10 => {
                let slept = [1, 30, 200, 4_000][self.below(4)];
                self.world.nodes[one].ahead += Duration::from_secs(slept);
            }
            11 => {
                self.world.restart(one);
                self.guard(one);
            }
            _ => {}
        }
    }

    /// Everybody says something to somebody, whether it may or not.
    fn talk(&mut self) {
        for from in 0..NODES {
            let to = self.below(NODES);
            if from != to {
                self.say(from, to);
            }
        }
    }

    fn say(&mut self, from: usize, to: usize) -> String {
        self.said += 1;
        let text = format!("{WORDS}: {from} to {to}, {}", self.said);
        self.world.say(from, to, &text);
        text
    }

    fn pass(&mut self, span: Duration) {
        self.world.pass(span);
        let wire = self.world.listens.replace(Vec::new()).expect("it listens");
        let is_read = |bytes: &[u8]| bytes.windows(WORDS.len()).any(|at| at == WORDS.as_bytes());
        assert!(
            !wire.iter().any(|(_, bytes)| is_read(bytes)),
            "seed {}: words on the wire",
            self.seed
        );
        for to in 0..NODES {
            for (source, text) in std::mem::take(&mut self.world.nodes[to].heard) {
                let from = usize::from(source.octets()[3]) - 1;
                let seed = self.seed;
                assert!(
                    text.starts_with(&format!("{WORDS}: {from} to {to},")),
                    "seed {seed}: {text}"
                );
                assert!(may(from, to), "seed {seed}: {from} may not talk to {to}, and did");
                assert!(self.heard.insert(text.clone()), "seed {seed}: twice: {text}");
            }
        }
    }

    /// The weather is over: all who may reach each other, and nobody else.
    fn calm(&mut self) {
        let world = &mut self.world;
        world.heal();
        (world.loss_permille, world.twice_permille, world.late_permille) = (0, 0, 0);
        let until = self.world.now.after(CALM);
        while self.world.now < until {
            self.everybody();
            self.pass(Duration::from_secs(1));
        }
        let last = self.everybody();
        self.pass(Duration::from_secs(2));
        for ((from, to), text) in last {
            let came = self.heard.contains(&text);
            assert_eq!(came, may(from, to), "seed {}: {from} to {to} in the end", self.seed);
        }
        let stopped: u64 = self.world.nodes.iter().map(|node| node.stopped).sum();
        assert!(stopped > 0, "seed {}: somebody tried", self.seed);
    }

    fn everybody(&mut self) -> BTreeMap<(usize, usize), String> {
        let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
        let pairs: Vec<(usize, usize)> = pairs.filter(|(from, to)| from != to).collect();
        pairs.into_iter().map(|(from, to)| ((from, to), self.say(from, to))).collect()
    }
}

/// What the policy means for one node.
fn tables(node: usize) -> Tables {
    let ip = |node: usize| Ipv4Addr::new(10, 0, 0, u8::try_from(node + 1).expect("few nodes"));
    let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
    let grants: Vec<String> = pairs
        .filter(|(from, to)| may(*from, *to))
        .map(|(from, to)| {
            format!(r#"{{"src": ["{}"], "dst": ["{}"], "ip": ["udp:*"]}}"#, ip(from), ip(to))
        })
        .collect();
    let policy =
        Policy::parse(&format!(r#"{{"grants": [{}]}}"#, grants.join(","))).expect("a policy");
    let member = |node: usize| Member {
        key: PublicKey([u8::try_from(node + 1).expect("few nodes"); 32]),
        name: String::new(),
        user: None,
        groups: [].into(),
        tags: [].into(),
        addresses: vec![ip(node).into()],
    };
    let members: Vec<Member> = (0..NODES).map(member).collect();
    Tables::new(1, &policy.compile(&members).expect("no tests").rules_of(&members[node]))
}

fn play(seed: u64) {
    let mut story = Story::new(seed);
    for _ in 0..CHANGES {
        story.change();
        let times = 1 + story.below(4);
        for _ in 0..times {
            story.talk();
            let span = [20, 300, 2_000, 10_000][story.below(4)];
            story.pass(Duration::from_millis(span));
        }
    }
    story.calm();
}

#[test]
fn in_any_weather_packets_reach_only_whom_the_policy_allows_and_after_it_they_do() {
    SEEDS.for_each(play);
}

/// `cargo test --release -p mesh --test it storms -- --ignored`
#[test]
#[ignore = "takes minutes"]
fn in_much_more_weather_as_well() {
    MORE_SEEDS.for_each(play);
}
