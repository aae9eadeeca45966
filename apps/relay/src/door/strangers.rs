//! What doors read of strangers before anything is known of them, as entry functions for a fuzzer.
//!
//! None may panic, and none may take more room than its input calls for. The package's tests run them over the
//! committed corpus; so does `fuzz/`.

use std::net::{IpAddr, Ipv4Addr};

use super::access::{COOKIE, token_in};
use super::body::Body;
use super::head::{self, Head, Told};
use super::host::{service_at, service_of};
use super::opening::{Opening, Reader};

const DOMAIN: &str = "relay.example";
const VISITOR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// What a visitor could lie in, as it is read by services that take `_` for `-`.
const ONCE: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"];
const NEVER: [&str; 3] = ["x-real-ip", "forwarded", "authorization"];

/// The first bytes of a connection. The first byte says in what pieces the rest comes: they make no difference.
pub fn opening(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = opened(bytes, bytes.len());
    let pieces = opened(bytes, usize::from(*size));
    if let (Some(whole), Some(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces, "a connection is one thing");
    }
    if let Some(Opening::Tls { name: Some(name), .. }) = whole {
        host(name.as_bytes());
    }
}

fn opened(bytes: &[u8], size: usize) -> Option<Opening> {
    let mut reader = Reader::default();
    let mut end = 0;
    for piece in bytes.chunks(size.max(1)) {
        end += piece.len();
        if let Some(opening) = reader.on_bytes(&bytes[..end], piece.len()).ok()? {
            return Some(opening);
        }
    }
    None
}

/// The head of a request, and its body. The first byte says in what pieces the body comes.
pub fn request(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let Ok(Some((head, length))) = head::read(bytes) else { return };
    assert!(length <= bytes.len(), "a head is of the bytes that came");
    let told = Told { visitor: VISITOR, own_cookie: COOKIE, authorization_is_ours: true };
    written(&head, &head.written(&told));
    host(head.host.as_bytes());
    if let Some((token, rest)) = token_in(&head.target) {
        assert!(token.len() <= 3 * head.target.len() && rest.len() < head.target.len());
        assert_eq!(token_in(&rest), None, "no token is left");
    }
    let rest = &bytes[length..];
    let whole = body(head.body.clone(), rest, rest.len());
    assert_eq!(body(head.body, rest, usize::from(*size)), whole, "a body has one end");
}

/// What a service gets of a head is one head, with nothing in it that only the relay may say.
fn written(head: &Head, text: &[u8]) {
    let again = head::read(text).expect("a head that was written is a head");
    let (again, length) = again.expect("it is whole");
    assert_eq!(length, text.len(), "nothing stands behind it");
    assert_eq!(
        (&again.method, &again.target, &again.host),
        (&head.method, &head.target, &head.host)
    );
    assert_eq!((&again.body, again.is_upgrade), (&head.body, head.is_upgrade));
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let count = |name: &str| again.headers.iter().filter(|(it, _)| plain(it) == name).count();
    let visitor = VISITOR.to_string();
    assert!(ONCE.iter().all(|name| count(name) == 1), "the relay says it, and says it once");
    assert!(NEVER.iter().all(|name| count(name) == 0), "nobody says it");
    assert_eq!(again.text("x-forwarded-for"), Some(visitor.as_str()));
    assert_eq!(again.cookies(COOKIE).count(), 0, "what lets a visitor in is not told");
}

/// How many bytes belong to a body, and whether it ends there; none if it is malformed.
fn body(mut body: Body, bytes: &[u8], size: usize) -> Option<(usize, bool)> {
    let mut taken = 0;
    for piece in bytes.chunks(size.max(1)) {
        let some = body.on_bytes(piece).ok()?;
        assert!(some <= piece.len() && (some == piece.len() || body.is_over()));
        taken += some;
        if body.is_over() {
            break;
        }
    }
    Some((taken, body.is_over()))
}

/// A host, as HTTP, TLS and SSH name it.
pub fn host(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(service) = service_at(text, DOMAIN) {
        let full = format!("{service}.{DOMAIN}");
        assert_eq!(service_of(&full, DOMAIN).as_ref(), Some(&service), "a service has this name");
    }
    if let Some(service) = service_of(text, DOMAIN) {
        assert_eq!(service_at(text, DOMAIN), Some(service), "a whole name is a name");
    }
}
