//! The head of a request: read with bounds, and written again with what the service should know of its visitor.

use std::net::IpAddr;

use super::body::Body;
use super::limits::HEADERS;

/// The head of a request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// 0 or 1: the digit after `HTTP/1.`.
    pub(crate) minor: u8,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The one host that it names.
    pub(crate) host: String,
    /// How long its body is.
    pub(crate) body: Body,
    /// Whether it asks to go on as another protocol.
    pub(crate) is_upgrade: bool,
}

/// Why a request is refused before anybody is asked about it. Checks run in the order of these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    /// It is longer than a head may be.
    #[error("the head of the request is too long")]
    TooLong,
    /// It is not HTTP/1.
    #[error("the request is not HTTP/1.1")]
    Malformed,
    /// It does not ask for a path.
    #[error("the request does not ask for a path")]
    NotAPath,
    /// It names no host, or two.
    #[error("the request must name one host")]
    NotOneHost,
    /// Where its body ends could be read in two ways.
    #[error("the length of the request's body is ambiguous")]
    Ambiguous,
}

/// Reads a head; none while it is not whole. With it comes how many bytes it was.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLong),
        Err(_) => return Err(BadHead::Malformed),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(BadHead::Malformed);
    };
    let is_path = target.starts_with('/') || (target == "*" && method == "OPTIONS");
    if !is_path {
        return Err(BadHead::NotAPath);
    }
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), header.value.to_vec()))
        .collect();
    let host = one_host(&headers)?;
    let body = body_of(&headers, minor)?;
    let is_upgrade = is_websocket(&headers) && names(&headers, "connection", "upgrade");
    if is_upgrade && !body.is_over() {
        return Err(BadHead::Ambiguous);
    }
    let head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        minor,
        headers,
        host,
        body,
        is_upgrade,
    };
    Ok(Some((head, length)))
}

fn values<'h, 'n>(
    headers: &'h [(String, Vec<u8>)],
    name: &'n str,
) -> impl Iterator<Item = &'h [u8]> + use<'h, 'n> {
    headers
        .iter()
        .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

/// Whether it asks to go on as a WebSocket, and as nothing else: in another protocol requests could hide.
fn is_websocket(headers: &[(String, Vec<u8>)]) -> bool {
    let mut wished = values(headers, "upgrade");
    let first = wished.next().is_some_and(|to| to.trim_ascii().eq_ignore_ascii_case(b"websocket"));
    first && wished.next().is_none()
}

/// Whether a header that lists words lists this one.
fn names(headers: &[(String, Vec<u8>)], name: &str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

fn one_host(headers: &[(String, Vec<u8>)]) -> Result<String, BadHead> {
    let mut hosts = values(headers, "host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(BadHead::NotOneHost);
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(byte);
    match std::str::from_utf8(host) {
        Ok(host) if !host.is_empty() && host.bytes().all(|byte| is_plain(&byte)) => {
            Ok(host.to_owned())
        }
        Ok(_) | Err(_) => Err(BadHead::NotOneHost),
    }
}

/// How long the body is: by one length, or by chunks, and never by both, so that a service cannot read it otherwise
/// than the relay does (RFC 9112, 6.3 and 11.2).
fn body_of(headers: &[(String, Vec<u8>)], minor: u8) -> Result<Body, BadHead> {
    let mut codings = values(headers, "transfer-encoding");
    let mut lengths = values(headers, "content-length");
    let pair = (codings.next(), lengths.next());
    if codings.next().is_some() || lengths.next().is_some() {
        return Err(BadHead::Ambiguous);
    }
    match pair {
        (None, None) => Ok(Body::NONE),
        (Some(coding), None) if minor == 1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Body::chunks())
        }
        (None, Some(length)) => digits(length).map(Body::Left).ok_or(BadHead::Ambiguous),
        (Some(_), _) => Err(BadHead::Ambiguous),
    }
}

/// A number of digits only; `parse` would take a sign.
fn digits(text: &[u8]) -> Option<u64> {
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()
}

/// What a service is told of a visitor, and what it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Where the visitor comes from.
    pub(crate) visitor: IpAddr,
    /// The name of the cookie that is the relay's own.
    pub(crate) own_cookie: &'static str,
    /// Whether `Authorization` was for the relay.
    pub(crate) authorization_is_ours: bool,
}

/// Headers that only the relay may write: a visitor could lie in them.
const OURS: [&str; 5] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded"];
/// What a visitor may ask of a connection. Any other word would name a header that is to be dropped on the way, and it
/// could name one of ours.
const CONNECTION_WORDS: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];

impl Head {
    /// The value of the first header of this name, when it is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of cookies of this name.
    pub(crate) fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        values(&self.headers, "cookie")
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter_map(move |(found, value)| (found == name).then_some(value))
    }

    /// Whether it is for a person with a browser, rather than for a program.
    pub(crate) fn wants_html(&self) -> bool {
        self.text("accept").is_some_and(|accept| accept.contains("text/html"))
    }

    /// The head as the service gets it.
    pub(crate) fn written(&self, told: &Told) -> Vec<u8> {
        let mut out =
            format!("{} {} HTTP/1.{}\r\n", self.method, self.target, self.minor).into_bytes();
        for (name, value) in &self.headers {
            let value = match name.to_ascii_lowercase().replace('_', "-").as_str() {
                name if OURS.contains(&name) => None,
                "authorization" if told.authorization_is_ours => None,
                "cookie" => without_cookie(value, told.own_cookie),
                "connection" => {
                    Some(connection_of(value, self.is_upgrade)).filter(|words| !words.is_empty())
                }
                // A wish for another protocol may be passed over (RFC 9110, 7.8).
                "upgrade" | "http2-settings" if !self.is_upgrade => None,
                _ => Some(value.clone()),
            };
            if let Some(value) = value {
                push(&mut out, name, &value);
            }
        }
        push(&mut out, "X-Forwarded-For", told.visitor.to_string().as_bytes());
        push(&mut out, "X-Forwarded-Proto", b"https");
        push(&mut out, "X-Forwarded-Host", self.host.as_bytes());
        out.extend_from_slice(b"\r\n");
        out
    }
}

fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn connection_of(value: &[u8], is_upgrade: bool) -> Vec<u8> {
    let words = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let known = CONNECTION_WORDS.iter().filter(|word| is_upgrade || **word != b"upgrade");
    let kept = words.filter(|word| known.clone().any(|known| word.eq_ignore_ascii_case(known)));
    kept.collect::<Vec<_>>().join(&b", "[..])
}

/// The cookies without ours; none when nothing is left.
fn without_cookie(value: &[u8], ours: &str) -> Option<Vec<u8>> {
    let is_ours = |cookie: &&[u8]| {
        cookie.trim_ascii().strip_prefix(ours.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    let kept: Vec<_> =
        value.split(|byte| *byte == b';').filter(|cookie| !is_ours(cookie)).collect();
    let kept = kept.join(&b";"[..]).trim_ascii().to_vec();
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        let text = text.replace('\n', "\r\n");
        let (head, length) = read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        head
    }

    fn told() -> Told {
        let visitor = "192.0.2.7".parse().unwrap();
        Told { visitor, own_cookie: "__Host-iog-access", authorization_is_ours: false }
    }

    fn written(text: &str, told: &Told) -> String {
        String::from_utf8(head(text).written(told)).unwrap().replace("\r\n", "\n")
    }

    #[test]
    fn a_service_hears_of_its_visitor_from_the_relay_alone() {
        let lies = "GET /a?b HTTP/1.1\nHost: s.relay.example\nX-Forwarded-For: 1.1.1.1\nX_Forwarded_For: 2.2.2.2\n\
                    x-forwarded-proto: http\nForwarded: for=3.3.3.3\nX-Real-IP: 4.4.4.4\n\
                    Connection: keep-alive, X-Forwarded-For\nAccept: */*\n\n";
        assert_eq!(
            written(lies, &told()),
            "GET /a?b HTTP/1.1\nHost: s.relay.example\nConnection: keep-alive\nAccept: */*\n\
             X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: s.relay.example\n\n"
        );
    }

    #[test]
    fn a_request_goes_on_as_a_websocket_or_not_at_all() {
        let upgrade = |to: &str| {
            format!("GET / HTTP/1.1\nHost: s\nUpgrade: {to}\nConnection: Upgrade, keep-alive\n\n")
        };
        for other in
            ["h2c", "websocket, h2c", "h2c, websocket", "TLS/1.0", "websocket\nUpgrade: h2c"]
        {
            assert!(!head(&upgrade(other)).is_upgrade, "{other}");
            let written = written(&upgrade(other), &told()).to_lowercase();
            assert!(!written.contains("upgrade") && !written.contains("h2c"), "{written}");
            assert!(written.contains("connection: keep-alive\n"), "{written}");
        }
        assert!(head(&upgrade("WebSocket")).is_upgrade);
        assert!(written(&upgrade("WebSocket"), &told()).contains("Upgrade: WebSocket\n"));
    }

    #[test]
    fn what_lets_a_visitor_in_is_not_told_to_the_service() {
        let text = "GET / HTTP/1.1\nHost: s\nCookie: a=1; __Host-iog-access=secret; b=2\nAuthorization: Bearer x\n\n";
        let with = written(text, &told());
        assert!(
            with.contains("Cookie: a=1; b=2\n") && with.contains("Authorization: Bearer x\n"),
            "{with}"
        );
        let without = written(text, &Told { authorization_is_ours: true, ..told() });
        assert!(!without.contains("Authorization"), "{without}");
        let only =
            written("GET / HTTP/1.1\nHost: s\nCookie: __Host-iog-access=secret\n\n", &told());
        assert!(!only.contains("Cookie"), "{only}");
    }

    #[test]
    fn a_request_is_refused_when_it_could_be_read_in_two_ways() {
        use BadHead as Bad;
        let cases = [
            ("GET / HTTP/1.1\n\n", Bad::NotOneHost),
            ("GET / HTTP/1.1\nHost: a\nHost: b\n\n", Bad::NotOneHost),
            ("GET / HTTP/1.1\nHost: a b\n\n", Bad::NotOneHost),
            ("GET / HTTP/1.1\nHost: a/\n\n", Bad::NotOneHost),
            ("GET http://a/ HTTP/1.1\nHost: a\n\n", Bad::NotAPath),
            ("CONNECT a:443 HTTP/1.1\nHost: a\n\n", Bad::NotAPath),
            ("PRI * HTTP/2.0\n\nSM\n\n", Bad::Malformed),
            ("GET / HTTP/1.1\nHost : a\n\n", Bad::Malformed),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 1\n\n", Bad::Ambiguous),
            (
                "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
                Bad::Ambiguous,
            ),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: +1\n\n", Bad::Ambiguous),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 1, 1\n\n", Bad::Ambiguous),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n", Bad::Ambiguous),
            ("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n", Bad::Ambiguous),
            (
                "GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: Upgrade\nContent-Length: 1\n\n",
                Bad::Ambiguous,
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text.replace('\n', "\r\n").as_bytes()), Err(wanted), "{text}");
        }
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(HEADERS));
        assert_eq!(read(many.as_bytes()), Err(Bad::TooLong));
    }

    #[test]
    fn a_head_tells_its_body_and_whether_it_goes_on_as_something_else() {
        assert_eq!(head("POST / HTTP/1.1\nHost: a\nContent-Length: 12\n\n").body, Body::Left(12));
        assert_eq!(
            head("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n").body,
            Body::chunks()
        );
        assert!(
            head(
                "GET / HTTP/1.1\nHost: a\nUpgrade: websocket\nConnection: keep-alive, Upgrade\n\n"
            )
            .is_upgrade
        );
        assert!(!head("GET / HTTP/1.1\nHost: a\nUpgrade: websocket\n\n").is_upgrade);
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let head = head("GET / HTTP/1.1\nHost: a\nCookie: xiog=1; iog=2;iog=3\nCookie: iog=4\n\n");
        assert_eq!(head.cookies("iog").collect::<Vec<_>>(), ["2", "3", "4"]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_header_breaks_it(name in "[ -~]{0,20}", value in "[ -~\r\n\t]{0,40}") {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
            if let Ok(Some((head, _))) = read(text.as_bytes()) {
                // What was read is written as one head, and reads the same way.
                let again = head.written(&told());
                let (again, length) = read(&again).unwrap().unwrap();
                assert_eq!((again.body, again.is_upgrade), (head.body, head.is_upgrade));
                assert!(length > 0);
            }
        }
    }
}
