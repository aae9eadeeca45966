//! What policy files mean, and that tables say the same as the plain way.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::guard::Direction;
use crate::key::PublicKey;

const FILE: &str = r#"// A research group and its cluster.
{
  "groups": {
    "group:research": ["ada@example.org", "acc_00000000000000000000000007"],
    "group:ops": ["grace@example.org"], // on call
  },
  "tagOwners": {"tag:gpu": ["group:ops"], "tag:head": ["group:ops"], "tag:router": ["group:ops"]},
  "hosts": {"store": "10.1.2.0/24", "licenses": "10.9.9.9"},
  "grants": [
    {"src": ["group:research"], "dst": ["tag:head"], "ip": ["8265", "tcp:22"]},
    {"src": ["tag:gpu", "tag:head"], "dst": ["tag:gpu", "tag:head"], "ip": ["*"]},
    {"src": ["tag:gpu"], "dst": ["store"], "ip": ["tcp:2049"], "via": ["tag:router"]},
    {
      "src": ["group:ops"], "dst": ["*"], "ip": ["icmp:*", "udp:1000-2000"],
      "app": {"iog/cap/padding": [{"level": 0, "why": "bulk"}]},
    },
  ],
  "tests": [
    {"src": "ada@example.org", "accept": ["tag:head:8265", "tag:head:22"], "deny": ["tag:gpu:22", "tag:head:23"]},
    {"src": "group:ops", "proto": "icmp", "accept": ["tag:gpu:*", "ada@example.org:*"], "deny": ["store:*"]},
    {"src": "tag:gpu", "accept": ["tag:head:6379", "store:2049"], "deny": ["licenses:2049", "ada@example.org:22"]},
    {"src": "autogroup:member", "deny": ["tag:gpu:22", "*:22"]},
    {"src": "tag:gpu", "proto": "47", "deny": ["tag:gpu:*"]},
  ],
}
"#;

fn member(number: u8, user: Option<&str>, tags: &[&str]) -> Member {
    Member {
        key: PublicKey([number; 32]),
        name: format!("m{number}"),
        user: user.map(ToOwned::to_owned),
        groups: BTreeSet::new(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        addresses: vec![v4(number), v6(number)],
    }
}

fn v4(number: u8) -> IpAddr {
    Ipv4Addr::new(100, 64, 0, number).into()
}

fn v6(number: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into()
}

fn town() -> Vec<Member> {
    vec![
        member(1, Some("ada@example.org"), &[]),
        member(2, Some("grace@example.org"), &[]),
        member(3, None, &["tag:gpu"]),
        member(4, None, &["tag:head", "tag:gpu"]),
        member(5, None, &["tag:router"]),
        // Whose machine it is says nothing about a machine with tags.
        member(6, Some("ada@example.org"), &["tag:router"]),
    ]
}

fn tables(policy: &Policy, of: u8) -> Tables {
    let town = town();
    let compiled = policy.compile(&town).expect("the file's tests hold");
    Tables::new(3, &compiled.rules_of(&town[usize::from(of) - 1]))
}

#[test]
fn a_file_says_who_reaches_what() {
    let policy = Policy::parse(FILE).unwrap();
    let reaches = |from: u8, to: u8, protocol, port| -> Option<u32> {
        let judge = |of: u8, heading, local: u8, remote: u8| {
            let question =
                Question { heading, local: v4(local), remote: v4(remote), protocol, port };
            tables(&policy, of).judge(&question)
        };
        let out = judge(from, Direction::Out, from, to);
        assert_eq!(out, judge(to, Direction::In, to, from), "both ends agree");
        out.map(|by| by.line)
    };
    assert_eq!(reaches(1, 4, 6, 8265), Some(10));
    assert_eq!(reaches(1, 4, 17, 8265), Some(10), "a port alone is TCP's and UDP's");
    assert_eq!(reaches(1, 4, 17, 22), None);
    assert_eq!(reaches(1, 3, 6, 8265), None, "a worker is no head");
    assert_eq!(reaches(4, 1, 6, 8265), None, "the other way is another matter");
    assert_eq!(reaches(3, 4, 6, 4711), Some(11));
    assert_eq!(reaches(3, 4, 58, 0), Some(11));
    assert_eq!(reaches(3, 4, 47, 0), None, "what is not named and not known is not meant by *");
    assert_eq!(reaches(2, 1, 1, 0), Some(13));
    assert_eq!(reaches(2, 1, 17, 2000), Some(13));
    assert_eq!(reaches(2, 1, 17, 2001), None);
    assert_eq!(reaches(6, 4, 6, 22), None, "a machine with tags is nobody's own");
}

#[test]
fn who_carries_is_told_of_the_addresses_behind_it() {
    let policy = Policy::parse(FILE).unwrap();
    let to_store = |of: u8, heading, local, remote| {
        let question = Question { heading, local, remote, protocol: 6, port: 2049 };
        tables(&policy, of).judge(&question).map(|by| by.line)
    };
    let store: IpAddr = "10.1.2.77".parse().unwrap();
    assert_eq!(to_store(3, Direction::Out, v4(3), store), Some(12));
    assert_eq!(to_store(5, Direction::In, store, v4(3)), Some(12));
    assert_eq!(to_store(5, Direction::In, "10.1.3.1".parse().unwrap(), v4(3)), None);
    assert_eq!(to_store(2, Direction::In, store, v4(3)), None, "who does not carry is not told");
    let compiled = policy.compile(&town()).unwrap();
    let rules = compiled.rules_of(&town()[2]);
    let rule = rules.iter().find(|rule| rule.grant == 2).unwrap();
    assert_eq!(rule.via, [PublicKey([5; 32]), PublicKey([6; 32])]);
}

#[test]
fn a_member_is_told_only_of_what_names_it() {
    let policy = Policy::parse(FILE).unwrap();
    let compiled = policy.compile(&town()).unwrap();
    let told = |of: usize| -> Vec<(u32, Direction)> {
        let rules = compiled.rules_of(&town()[of - 1]);
        rules.iter().map(|rule| (rule.grant, rule.heading)).collect()
    };
    assert_eq!(told(1), [(0, Direction::Out), (3, Direction::In)]);
    assert_eq!(told(5), [(2, Direction::In), (3, Direction::In)]);
    let app = &compiled.rules_of(&town()[0])[1].app;
    assert_eq!(app["iog/cap/padding"], [r#"{"level":0,"why":"bulk"}"#]);
}

#[test]
fn tests_of_a_file_decide_whether_it_is_taken() {
    let check = |grants: &str, tests: &str, expected: &[&str]| {
        let text = format!(
            "{{\"tagOwners\": {{\"tag:a\": [], \"tag:b\": []}}, \"grants\": [{grants}],\n\"tests\": [{tests}]}}"
        );
        let policy = Policy::parse(&text).unwrap();
        let failures: Vec<String> = policy.failures().iter().map(ToString::to_string).collect();
        assert_eq!(failures, expected);
        assert_eq!(policy.compile(&[]).is_err(), !expected.is_empty());
    };
    let a_to_b = r#"{"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:22"]}"#;
    check(a_to_b, r#"{"src": "tag:a", "accept": ["tag:b:22"], "deny": ["tag:b:23"]}"#, &[]);
    check(
        a_to_b,
        r#"{"src": "tag:a", "deny": ["tag:b:22"]}"#,
        &["2:37: tag:a should not reach tag:b:22 by tcp, and the grant of line 1 allows it"],
    );
    check(
        a_to_b,
        r#"{"src": "tag:b", "proto": "udp", "accept": ["tag:a:22"]}"#,
        &["2:55: tag:b should reach tag:a:22 by udp, and no grant allows it"],
    );
    // Half of a block is not the block.
    check(
        r#"{"src": ["tag:a"], "dst": ["10.0.0.0/25"], "ip": ["tcp:22"]}"#,
        r#"{"src": "tag:a", "accept": ["10.0.0.0/24:22"]}"#,
        &["2:39: tag:a should reach 10.0.0.0/24:22 by tcp, and no grant allows it"],
    );
    check(
        r#"{"src": ["tag:a"], "dst": ["fd00::/64"], "ip": ["*"]}"#,
        r#"{"src": "tag:a", "accept": ["[fd00::1]:22"], "deny": ["[fd00:1::1]:22", "10.0.0.1:22"]}"#,
        &[],
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Policy::parse(text).unwrap_err().to_string(), expected, "{text}");
    };
    check(
        "",
        "1:1: expected a value: a table, a list, a text, a number, true, false, or null, found the end of the file",
    );
    check(
        "{\n  \"grant\": [] }",
        "2:3: there is no field `grant` here; there are `grants`, `groups`, `hosts`, `tagOwners`, `tests`",
    );
    check(
        "{\"acls\": []}",
        "1:2: there is no field `acls` here; there are `grants`, `groups`, `hosts`, `tagOwners`, `tests`",
    );
    check("{\"grants\": [], \"grants\": []}", "1:16: `grants` stands here for the second time");
    check("{\"grants\": [] \"groups\": {}}", "1:15: expected `,` or `}`, found `\"`");
    check("{grants: []}", "1:2: expected a name in quotes, or `}`, found `grants`");
    check(
        "{\"grants\": [}",
        "1:13: expected a value: a table, a list, a text, a number, true, false, or null, found `}`",
    );
    check("{\"grants\": 7}", "1:12: expected a list, found `7`");
    check("{} /* on", "1:4: this comment has no end");
    check("{} {}", "1:4: expected the end of the file, found `{`");
    check(
        "{\"hosts\": {\"a\": \"\\q\"}}",
        "1:19: expected one of `\"\\/bfnrtu` behind a backslash, found `q`",
    );
    check(&"[".repeat(40), "1:33: nested more than 32 deep");
    let grant =
        |grant: &str| format!("{{\"tagOwners\": {{\"tag:a\": []}},\n\"grants\": [{grant}]}}");
    check(&grant("{\"src\": [\"*\"]}"), "2:12: `dst` is missing");
    check(&grant("{\"src\": [\"*\"], \"dst\": [\"*\"]}"), "2:12: `ip` is missing");
    check(&grant("{\"src\": [\"tag:b\"]}"), "2:21: `tag:b` is not declared in `tagOwners`");
    check(&grant("{\"src\": [\"group:b\"]}"), "2:21: `group:b` is not declared in `groups`");
    check(&grant("{\"src\": [\"b\"]}"), "2:21: `b` is not declared in `hosts`");
    check(&grant("{\"src\": [\"10.0.0.0/40\"]}"), "2:21: `10.0.0.0/40` is not declared in `hosts`");
    check(
        &grant("{\"src\": [\"autogroup:self\"]}"),
        "2:21: expected `autogroup:member` or `autogroup:tagged`, found `autogroup:self`",
    );
    check(
        &grant("{\"srcPosture\": []}"),
        "2:13: there is no field `srcPosture` here; there are `app`, `dst`, `ip`, `src`, `via`",
    );
    for wrong in ["", "x", "70000", "9-8", "icmp:8", "tcp", "300:*", "tcp:+1"] {
        let text = grant(&format!("{{\"src\": [], \"dst\": [], \"ip\": [\"{wrong}\"]}}"));
        let found = Policy::parse(&text).unwrap_err().to_string();
        assert!(found.starts_with("2:42: expected `*`, a port, a range of ports"), "{found}");
    }
    check(
        &grant("{\"src\": [], \"dst\": [], \"ip\": [], \"via\": [\"*\"]}"),
        "2:53: expected a tag, found `*`",
    );
    check(
        "{\"groups\": {\"group:a\": [\"group:b\"]}}",
        "1:25: expected a user: an address with `@`, or an account's id, found `group:b`",
    );
    check(
        "{\"hosts\": {\"a\": \"b\"}}",
        "1:17: expected an address, or a block such as 10.0.0.0/24, found `b`",
    );
    check(
        "{\"tests\": [{\"src\": \"*\", \"accept\": [\"*\"]}]}",
        "1:36: expected a target and its port, such as `tag:gpu:22`; `:*` where there are no ports, found `*`",
    );
}

#[test]
fn an_explanation_says_what_each_grant_lacks() {
    let policy = Policy::parse(FILE).unwrap();
    let explained = policy.explain("ada@example.org", "tag:head:22", "tcp").unwrap();
    assert_eq!(explained.allowed, Some(Allowed { grant: 0, line: 10 }));
    let explained = policy.explain("ada@example.org", "tag:gpu:8265", "tcp").unwrap();
    assert_eq!(explained.allowed, None);
    let said: Vec<_> =
        explained.steps.iter().map(|step| (step.is_src, step.is_dst, step.is_port)).collect();
    let expected =
        [(true, false, true), (false, true, true), (false, false, false), (false, true, false)];
    assert_eq!(said, expected);
    assert!(policy.explain("nobody", "tag:gpu:1", "tcp").is_err());
    assert!(policy.explain("*", "tag:gpu", "tcp").is_err());
    assert!(policy.explain("*", "tag:gpu:1", "quic").is_err());
}

#[test]
fn protocols_have_names() {
    let names: Vec<String> = [1, 6, 17, 47, 58, 200].map(protocol_name).to_vec();
    assert_eq!(names, ["icmp", "tcp", "udp", "gre", "ipv6-icmp", "200"]);
}

/// Words that grants of the property are made of.
const WORDS: &[&str] = &[
    "*",
    "autogroup:member",
    "autogroup:tagged",
    "group:a",
    "group:b",
    "tag:a",
    "tag:b",
    "tag:c",
    "u1@x",
    "u2@x",
    "near",
    "far",
    "100.64.0.3",
    "100.64.0.4-100.64.0.6",
    "fd00::2",
    "10.0.0.0/8",
];
const PORTS: &[&str] =
    &["*", "22", "20-25", "tcp:*", "udp:53", "udp:50-60", "icmp:*", "47:*", "tcp:65535", "0"];
const HEAD: &str = r#"{"groups": {"group:a": ["u1@x"], "group:b": ["u2@x", "u1@x"]},
    "tagOwners": {"tag:a": [], "tag:b": [], "tag:c": []},
    "hosts": {"near": "100.64.0.0/29", "far": "192.0.2.0/24"}, "grants": ["#;

fn words(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop::sample::select(of).prop_map(|word| format!("\"{word}\""));
    prop::collection::vec(word, 0..4).prop_map(|words| words.join(", "))
}

fn grant_text() -> impl Strategy<Value = String> {
    let via = prop::sample::select(vec!["", ", \"via\": [\"tag:c\"]"]);
    (words(WORDS), words(WORDS), words(PORTS), via).prop_map(|(src, dst, ip, via)| {
        format!("{{\"src\": [{src}], \"dst\": [{dst}], \"ip\": [{ip}]{via}}}")
    })
}

fn arbitrary_policy() -> impl Strategy<Value = Policy> {
    prop::collection::vec(grant_text(), 0..90).prop_map(|grants| {
        let text = format!("{HEAD}{}]}}", grants.join(",\n"));
        Policy::parse(&text).expect("every word is declared")
    })
}

fn arbitrary_members() -> impl Strategy<Value = Vec<Member>> {
    let user = prop::sample::select(vec![None, Some("u1@x"), Some("u2@x")]);
    let tags = prop::sample::subsequence(vec!["tag:a", "tag:b", "tag:c"], 0..=3);
    let given = prop::bool::ANY;
    prop::collection::vec((user, tags, given), 1..8).prop_map(|drawn| {
        let member = |(number, (user, tags, given)): (u8, (_, Vec<&str>, bool))| {
            let mut member = member(number, user, &tags);
            if given {
                member.groups.insert("group:b".to_owned());
            }
            member
        };
        (1_u8..).zip(drawn).map(member).collect()
    })
}

/// Whether a word means an address, the plain way.
fn means(word: &Selector, address: IpAddr, members: &[Member]) -> bool {
    let bits = |text: &str| text.parse::<Range>().unwrap().contains(address);
    let owner = members.iter().find(|member| member.addresses.contains(&address));
    let word = word.to_string();
    match (word.as_str(), owner) {
        ("near", _) => bits("100.64.0.0/29"),
        ("far", _) => bits("192.0.2.0/24"),
        (word, _) if word.parse::<Range>().is_ok() => bits(word),
        (_, None) => false,
        ("*", Some(_)) => true,
        ("autogroup:member", Some(owner)) => owner.tags.is_empty(),
        ("autogroup:tagged", Some(owner)) => !owner.tags.is_empty(),
        (tag, Some(owner)) if tag.starts_with("tag:") => owner.tags.contains(tag),
        (user, Some(owner)) if user.contains('@') => {
            owner.tags.is_empty() && owner.user.as_deref() == Some(user)
        }
        (group, Some(owner)) => {
            let of_file = match group {
                "group:a" => &["u1@x"][..],
                _ => &["u1@x", "u2@x"][..],
            };
            let is_user = owner.user.as_deref().is_some_and(|user| of_file.contains(&user));
            owner.groups.contains(group) || (owner.tags.is_empty() && is_user)
        }
    }
}

/// The first grant that allows a connection, the plain way.
fn plainly(
    policy: &Policy,
    members: &[Member],
    (source, target): (IpAddr, IpAddr),
    (protocol, port): (u8, u16),
) -> Option<u32> {
    let any = |words: &[Selector], address| words.iter().any(|word| means(word, address, members));
    let found = policy.grants().iter().position(|grant| {
        let ports = grant.ports.iter();
        let is_port =
            ports.clone().any(|it| it.protocol == protocol && (it.first..=it.last).contains(&port));
        is_port && any(&grant.src, source) && any(&grant.dst, target)
    });
    found.map(|index| u32::try_from(index).unwrap())
}

fn arbitrary_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        4 => (1_u8..10).prop_map(v4),
        2 => (1_u8..10).prop_map(v6),
        1 => Just("10.3.2.1".parse().unwrap()),
        1 => Just("192.0.2.255".parse().unwrap()),
        1 => Just("192.0.3.0".parse().unwrap()),
        1 => any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
    ]
}

fn arbitrary_packet() -> impl Strategy<Value = (IpAddr, IpAddr, u8, u16)> {
    let protocol = prop::sample::select(vec![1, 6, 17, 47, 58, 132]);
    let port = prop_oneof![
        prop::sample::select(vec![0, 19, 20, 22, 25, 26, 50, 53, 60, 61, 65534, 65535]),
        any::<u16>()
    ];
    (arbitrary_address(), arbitrary_address(), protocol, port)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tables_of_both_ends_say_what_the_file_says(
        policy in arbitrary_policy(),
        members in arbitrary_members(),
        packets in prop::collection::vec(arbitrary_packet(), 100),
    ) {
        let compiled = policy.compile(&members).expect("there are no tests");
        let tables: Vec<Tables> =
            members.iter().map(|member| Tables::new(1, &compiled.rules_of(member))).collect();
        let owner = |ip| members.iter().position(|member| member.addresses.contains(&ip));
        for (source, target, protocol, port) in packets {
            let expected = match source.is_ipv4() == target.is_ipv4() {
                true => plainly(&policy, &members, (source, target), (protocol, port)),
                false => None,
            };
            let judge = |at: usize, heading, local, remote| {
                let question = Question { heading, local, remote, protocol, port };
                tables[at].judge(&question).map(|by| by.grant)
            };
            if let Some(at) = owner(source) {
                prop_assert_eq!(judge(at, Direction::Out, source, target), expected);
            }
            if let Some(at) = owner(target) {
                prop_assert_eq!(judge(at, Direction::In, target, source), expected);
            }
            if owner(source).is_some() && source.is_ipv4() == target.is_ipv4() {
                let plain = compiled.allows(source, target, protocol, port);
                prop_assert_eq!(plain.map(|by| by.grant), expected);
            }
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text: String) {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn a_damaged_file_is_refused_at_a_place_in_it_or_still_read(at in 0..FILE.len(), with: char) {
        let mut text: Vec<char> = FILE.chars().collect();
        text[at % FILE.chars().count()] = with;
        let text: String = text.into_iter().collect();
        if let Err(wrong) = Policy::parse(&text) {
            prop_assert!(wrong.at.line as usize <= text.lines().count() + 1 && wrong.at.column >= 1);
        }
    }

    #[test]
    fn ranges_read_as_they_are_written(one: u128, other: u128) {
        let address = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
        let range = Range::new(address(one.min(other)), address(one.max(other))).unwrap();
        prop_assert_eq!(range.to_string().parse::<Range>().unwrap(), range);
    }
}
