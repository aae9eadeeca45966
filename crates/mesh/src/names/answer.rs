//! One message of DNS in, one out (RFC 1035, RFC 2308, RFC 6891).

use std::net::IpAddr;

use simple_dns::rdata::{OPT, PTR, RData, SOA};
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE,
};

use super::name::reversed;
use super::{MeshName, Names, TTL_SECONDS, ZONE};

/// What who says nothing else can take over UDP, in bytes.
pub const UDP_ANSWER_MIN: usize = 512;
/// The longest answer over UDP: it fits every private network.
pub const UDP_ANSWER_MAX: usize = 1232;
/// What stands before every message.
const HEADER_LEN: usize = 12;
/// A question about the root.
const QUESTION_LEN_MIN: usize = 5;
/// A record of the root, without data.
const RECORD_LEN_MIN: usize = 11;
/// Set in a message that is an answer.
const IS_ANSWER: u8 = 0x80;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this back.
    Reply(Vec<u8>),
    /// It is about something else: ask those who may know, or send back this refusal.
    Forward {
        /// If there is nobody to ask.
        refusal: Vec<u8>,
    },
    /// It is no question.
    Nothing,
}

/// What is known about what was asked.
enum Found<'n> {
    Addresses(Vec<IpAddr>),
    Name(&'n MeshName),
    /// The zone itself.
    Zone,
    /// Nobody has the name, or the address.
    Nobody,
    /// Not ours to say.
    Elsewhere,
}

/// Whether a message can have as many parts as it says: room is made for them before they are read.
fn fits(message: &[u8]) -> bool {
    let count = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    let records = count(6) + count(8) + count(10);
    HEADER_LEN + count(4) * QUESTION_LEN_MIN + records * RECORD_LEN_MIN <= message.len()
}

impl Names {
    /// Answers a message; over UDP, who asks can take at most 512 bytes, or as many as the message says.
    pub fn answer(&self, message: &[u8], udp: bool) -> Answer {
        if message.len() < HEADER_LEN || message[2] & IS_ANSWER != 0 {
            return Answer::Nothing;
        }
        let id = u16::from_be_bytes([message[0], message[1]]);
        if !fits(message) {
            return reply(&Packet::new_reply(id), RCODE::FormatError, usize::MAX);
        }
        let Ok(query) = Packet::parse(message) else {
            return reply(&Packet::new_reply(id), RCODE::FormatError, usize::MAX);
        };
        let room = match (udp, query.opt()) {
            (false, _) => usize::from(u16::MAX),
            (true, None) => UDP_ANSWER_MIN,
            (true, Some(opt)) => {
                usize::from(opt.udp_packet_size).clamp(UDP_ANSWER_MIN, UDP_ANSWER_MAX)
            }
        };
        let mut answer = begun(&query);
        if query.opcode() != OPCODE::StandardQuery {
            return reply(&answer, RCODE::NotImplemented, room);
        }
        let [question] = query.questions.as_slice() else {
            return reply(&answer, RCODE::FormatError, room);
        };
        answer.questions.push(question.clone());
        let is_internet = matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(CLASS::IN));
        let found =
            if is_internet { self.find(&question.qname.to_string()) } else { Found::Elsewhere };
        if let Found::Elsewhere = found {
            return match reply(&answer, RCODE::Refused, room) {
                Answer::Reply(refusal) => Answer::Forward { refusal },
                other @ (Answer::Forward { .. } | Answer::Nothing) => other,
            };
        }
        answer.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        let exists = !matches!(found, Found::Nobody);
        answer.answers = records(&question.qname, &found, question.qtype);
        if answer.answers.is_empty() {
            answer.name_servers.push(authority());
        }
        reply(&answer, if exists { RCODE::NoError } else { RCODE::NameError }, room)
    }

    fn find(&self, name: &str) -> Found<'_> {
        let small = name.trim_end_matches('.').to_ascii_lowercase();
        if small == ZONE {
            return Found::Zone;
        }
        if small.strip_suffix(ZONE).is_some_and(|rest| rest.ends_with('.')) {
            let name = MeshName::parse(&small).ok();
            let addresses = name.and_then(|name| self.addresses(&name));
            return addresses
                .map_or(Found::Nobody, |all| Found::Addresses(all.iter().copied().collect()));
        }
        match reversed(&small) {
            Some(ip) if self.is_ours(ip) => self.name_of(ip).map_or(Found::Nobody, Found::Name),
            Some(_) | None => Found::Elsewhere,
        }
    }
}

/// An answer that says nothing yet.
fn begun<'q>(query: &Packet<'q>) -> Packet<'q> {
    let mut answer = Packet::new_reply(query.id());
    *answer.opcode_mut() = query.opcode();
    answer.set_flags(query_flags(query) | PacketFlag::RECURSION_AVAILABLE);
    if query.opt().is_some() {
        let udp_packet_size = u16::try_from(UDP_ANSWER_MAX).unwrap_or(u16::MAX);
        *answer.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size, version: 0 });
    }
    answer
}

fn query_flags(query: &Packet<'_>) -> PacketFlag {
    let desired = PacketFlag::RECURSION_DESIRED;
    if query.has_flags(desired) { desired } else { PacketFlag::empty() }
}

fn records<'q>(asked: &Name<'q>, found: &Found<'_>, kind: QTYPE) -> Vec<ResourceRecord<'q>> {
    let wants = |this: TYPE| kind == QTYPE::ANY || kind == QTYPE::TYPE(this);
    let record = |data| ResourceRecord::new(asked.clone(), CLASS::IN, TTL_SECONDS, data);
    match found {
        Found::Addresses(addresses) => {
            let data = |ip: &IpAddr| match ip {
                IpAddr::V4(v4) if wants(TYPE::A) => Some(RData::A((*v4).into())),
                IpAddr::V6(v6) if wants(TYPE::AAAA) => Some(RData::AAAA((*v6).into())),
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            };
            addresses.iter().filter_map(data).map(record).collect()
        }
        Found::Name(name) if wants(TYPE::PTR) => {
            let name = Name::new(&name.to_string()).map(Name::into_owned);
            name.map(|name| record(RData::PTR(PTR(name)))).into_iter().collect()
        }
        Found::Zone if wants(TYPE::SOA) => vec![authority()],
        Found::Name(_) | Found::Zone | Found::Nobody | Found::Elsewhere => Vec::new(),
    }
}

/// Who says that there is nothing, and for how long that holds.
fn authority<'q>() -> ResourceRecord<'q> {
    let zone = Name::new_unchecked(ZONE);
    let seconds = i32::try_from(TTL_SECONDS).unwrap_or(i32::MAX);
    let data = SOA {
        mname: zone.clone(),
        rname: zone.clone(),
        serial: 1,
        refresh: seconds,
        retry: seconds,
        expire: seconds,
        minimum: TTL_SECONDS,
    };
    ResourceRecord::new(zone, CLASS::IN, TTL_SECONDS, RData::SOA(data))
}

/// The answer as bytes; without its records if they do not fit, so that who asks comes again over TCP.
fn reply(answer: &Packet<'_>, code: RCODE, room: usize) -> Answer {
    let mut answer = answer.clone();
    *answer.rcode_mut() = code;
    let whole = answer.build_bytes_vec_compressed().ok().filter(|bytes| bytes.len() <= room);
    if let Some(whole) = whole {
        return Answer::Reply(whole);
    }
    answer.set_flags(PacketFlag::TRUNCATION);
    (answer.answers, answer.name_servers) = (Vec::new(), Vec::new());
    answer.build_bytes_vec_compressed().map_or(Answer::Nothing, Answer::Reply)
}
