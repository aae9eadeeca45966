//! Words of `UPnP` with a home router: what is asked of it, and what of its answers counts. HTTP, and XML of which only
//! the few names are looked for that matter.
//!
//! ```text
//! search (multicast) → location → description → control → outside address, mapping
//! ```
//!
//! # Invariants
//! - Only what stands at the router's own address is asked: no answer leads anywhere else.
//! - Nothing is read beyond [`ANSWER_LEN_MAX`], and no text is kept that is longer than [`PATH_LEN_MAX`].

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// Where devices are searched for.
pub const SEARCH_AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
/// No answer is read further: descriptions of routers have some kilobytes.
pub const ANSWER_LEN_MAX: usize = 64 * 1024;
/// A path on the router.
const PATH_LEN_MAX: usize = 512;
/// Services that map ports, the better ones first.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// A place on the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it listens.
    pub at: SocketAddrV4,
    path: String,
}

/// What maps ports on the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    place: Place,
    service: &'static str,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was refused, with this code of `UPnP`; 0 if there is none.
    Refused(u16),
}

/// Another has the port.
pub const CONFLICT: u16 = 718;
/// Mappings have no end there.
pub const ONLY_PERMANENT: u16 = 725;

/// Asks whoever maps ports to say where.
pub fn search() -> Vec<u8> {
    let text = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
        ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
    text.as_bytes().to_vec()
}

/// Where the router says that it is described; nothing if this is not the router's, or leads elsewhere.
pub fn location(answer: &[u8], router: Ipv4Addr) -> Option<Place> {
    let text = std::str::from_utf8(answer).ok()?;
    let mut lines = text.split("\r\n");
    is_ok(lines.next()?).then_some(())?;
    let url =
        lines.take_while(|line| !line.is_empty()).find_map(|line| header(line, "location"))?;
    place(url, router, None)
}

/// Asks for what stands at a place.
pub fn get(place: &Place) -> Vec<u8> {
    let Place { at, path } = place;
    format!("GET {path} HTTP/1.0\r\nHost: {at}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// What maps ports, by the description that stood at `place`.
pub fn control(answer: &[u8], place_of: &Place) -> Option<Control> {
    let body = body(answer)?;
    let base = element(body, "URLBase");
    let base = base.and_then(|url| place(url, *place_of.at.ip(), Some(place_of)));
    let base = base.unwrap_or_else(|| place_of.clone());
    let of = |service: &'static str| {
        let its = body
            .split("<service>")
            .skip(1)
            .find(|it| element(it, "serviceType") == Some(service))?;
        let place = place(element(its, "controlURL")?, *place_of.at.ip(), Some(&base))?;
        Some(Control { place, service })
    };
    SERVICES.into_iter().find_map(of)
}

impl Control {
    /// Where it listens.
    pub const fn at(&self) -> SocketAddrV4 {
        self.place.at
    }

    /// Asks for the router's address on the Internet.
    pub fn outside(&self) -> Vec<u8> {
        self.ask("GetExternalIPAddress", "")
    }

    /// Asks that the UDP port `outer` leads to ours for so many seconds; 0 is for ever.
    pub fn map(&self, outer: u16, own: SocketAddrV4, seconds: u32) -> Vec<u8> {
        let (ip, inner) = (own.ip(), own.port());
        let what = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{outer}</NewExternalPort>\
             <NewProtocol>UDP</NewProtocol><NewInternalPort>{inner}</NewInternalPort>\
             <NewInternalClient>{ip}</NewInternalClient><NewEnabled>1</NewEnabled>\
             <NewPortMappingDescription>iog</NewPortMappingDescription>\
             <NewLeaseDuration>{seconds}</NewLeaseDuration>"
        );
        self.ask("AddPortMapping", &what)
    }

    /// Gives the port back.
    pub fn unmap(&self, outer: u16) -> Vec<u8> {
        let what = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{outer}</NewExternalPort>\
             <NewProtocol>UDP</NewProtocol>"
        );
        self.ask("DeletePortMapping", &what)
    }

    fn ask(&self, action: &str, what: &str) -> Vec<u8> {
        let (Place { at, path }, service) = (&self.place, self.service);
        let body = format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>\
             <u:{action} xmlns:u=\"{service}\">{what}</u:{action}></s:Body></s:Envelope>"
        );
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {at}\r\nContent-Type: text/xml; charset=\"utf-8\"\r\n\
             SOAPAction: \"{service}#{action}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    }
}

/// The router's address on the Internet, as it answers; nothing if it has none.
pub fn outside(answer: &[u8]) -> Option<Ipv4Addr> {
    let ip: Ipv4Addr = element(body(answer)?, "NewExternalIPAddress")?.parse().ok()?;
    (!ip.is_unspecified()).then_some(ip)
}

/// What came of a mapping that was asked for.
pub fn came_of(answer: &[u8]) -> Option<Answer> {
    if body(answer).is_some() {
        return Some(Answer::Done);
    }
    let text = std::str::from_utf8(answer.get(..ANSWER_LEN_MAX.min(answer.len()))?).ok()?;
    text.starts_with("HTTP/1.").then_some(())?;
    let code = element(text, "errorCode").and_then(|code| code.parse().ok());
    Some(Answer::Refused(code.unwrap_or_default()))
}

/// What an answer that says that all is well has after its head.
fn body(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer.get(..ANSWER_LEN_MAX.min(answer.len()))?).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    is_ok(head.split("\r\n").next()?).then_some(body)
}

fn is_ok(line: &str) -> bool {
    line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(1..5)) == Some(" 200")
}

fn header<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    let (its, value) = line.split_once(':')?;
    its.trim().eq_ignore_ascii_case(name).then(|| value.trim())
}

/// What the first element of this name has inside, without attributes.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = text;
    loop {
        let (_, from) = rest.split_once('<')?;
        if let Some(inside) = from.strip_prefix(name).and_then(|it| it.strip_prefix('>')) {
            return inside.split_once('<').map(|(value, _)| value.trim());
        }
        rest = from;
    }
}

/// The place that a URL names: on the router, in the words of one line.
fn place(url: &str, router: Ipv4Addr, base: Option<&Place>) -> Option<Place> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if url.is_empty() || url.len() > PATH_LEN_MAX || !is_plain(url) {
        return None;
    }
    let Some(rest) = url.strip_prefix("http://") else {
        let base = base.filter(|_| !url.contains("://"))?;
        let path = if url.starts_with('/') { url.to_owned() } else { format!("/{url}") };
        return Some(Place { at: base.at, path });
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let (host, port): (IpAddr, u16) = (host.parse().ok()?, port.parse().ok()?);
    (host == router && port != 0)
        .then(|| Place { at: SocketAddrV4::new(router, port), path: path.to_owned() })
}
