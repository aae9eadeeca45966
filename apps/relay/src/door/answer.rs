//! What a door says itself, when no service does: a page for people, JSON for programs.

use super::head::BadHead;
use crate::opener::Refused;

/// An answer of the relay's own. It ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// Names the case for programs; a promise.
    pub(crate) code: &'static str,
    /// What happened, as a sentence.
    pub(crate) what: String,
    /// What to do, as a sentence.
    pub(crate) hint: String,
    /// Further lines of the head.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// The statuses that a relay answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    SeeOther,
    PermanentRedirect,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    RequestTimeout,
    Misdirected,
    HeadTooLarge,
    BadGateway,
    Unavailable,
    GatewayTimeout,
}

impl Status {
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::SeeOther => 303,
            Self::PermanentRedirect => 308,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::RequestTimeout => 408,
            Self::Misdirected => 421,
            Self::HeadTooLarge => 431,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::GatewayTimeout => 504,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::SeeOther => "See Other",
            Self::PermanentRedirect => "Permanent Redirect",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::RequestTimeout => "Request Timeout",
            Self::Misdirected => "Misdirected Request",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::BadGateway => "Bad Gateway",
            Self::Unavailable => "Service Unavailable",
            Self::GatewayTimeout => "Gateway Timeout",
        }
    }

    /// What the page is headed.
    const fn title(self) -> &'static str {
        match self {
            Self::SeeOther | Self::PermanentRedirect => "Somewhere else",
            Self::BadRequest | Self::HeadTooLarge => "This request cannot be passed on",
            Self::Unauthorized => "This service is private",
            Self::Forbidden => "This service is not for you",
            Self::NotFound | Self::Misdirected => "Nothing is here",
            Self::RequestTimeout => "That took too long",
            Self::BadGateway => "The machine is there, its service is not",
            Self::Unavailable => "Not at this moment",
            Self::GatewayTimeout => "The machine does not answer",
        }
    }
}

/// How an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// By a person, with a browser.
    pub(crate) is_html: bool,
    /// Only its head (`HEAD`).
    pub(crate) is_head_only: bool,
}

impl Answer {
    pub(crate) fn new(
        status: Status,
        code: &'static str,
        what: impl Into<String>,
        hint: &str,
    ) -> Self {
        Self { status, code, what: what.into(), hint: hint.to_owned(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// There is no such service here.
    pub(crate) fn no_such_service(host: &str) -> Self {
        Self::new(
            Status::NotFound,
            "no-such-service",
            format!("No connected machine serves {host}."),
            "Check the name. If it is right, the machine is offline or the rental is over: see `iog rentals`.",
        )
    }

    /// What a relay could not open.
    pub(crate) fn of_refused(refused: &Refused, host: &str) -> Self {
        let again = "Try again in a moment.";
        match refused {
            Refused::NoSuchService(_) => Self::no_such_service(host),
            Refused::NotPermitted(_) => Self::forbidden(host),
            Refused::Draining => Self::new(
                Status::Unavailable,
                "draining",
                format!("The machine behind {host} is moving to another relay."),
                again,
            )
            .with("Retry-After", "1"),
            Refused::Limit(what) => Self::new(
                Status::Unavailable,
                "limit",
                format!("Too much is open at {host}: {what}."),
                again,
            )
            .with("Retry-After", "5"),
            Refused::Silent => Self::new(
                Status::GatewayTimeout,
                "silent",
                format!("The machine behind {host} is connected, but does not answer."),
                "It may have just lost its network. Try again in a minute.",
            ),
            Refused::NotListening(_) => Self::new(
                Status::BadGateway,
                "not-listening",
                format!("The machine behind {host} is connected, but no program answers there."),
                "Start the program on the machine, and see that it listens on the port that the service names.",
            ),
            Refused::Broke => Self::new(
                Status::BadGateway,
                "broke",
                format!("The line to the machine behind {host} broke."),
                again,
            ),
        }
    }

    /// A token that is none, or none any more.
    pub(crate) fn unauthorized(host: &str, what: &str) -> Self {
        Self::new(
            Status::Unauthorized,
            "unauthorized",
            what.replace("{host}", host),
            "Open the link that came with the service, with its token in it. A program sends \
             `Authorization: Bearer <token>`.",
        )
        .with("WWW-Authenticate", format!("Bearer realm=\"{host}\""))
    }

    /// A token for something else.
    pub(crate) fn forbidden(host: &str) -> Self {
        Self::new(
            Status::Forbidden,
            "forbidden",
            format!("Your token is good, but not for {host}."),
            "Ask the owner of the service to let you in, or use the link of this very service.",
        )
    }

    /// A head that is refused.
    pub(crate) fn of_bad_head(bad: BadHead) -> Self {
        let status = match bad {
            BadHead::TooLong => Status::HeadTooLarge,
            BadHead::Malformed | BadHead::NotAPath | BadHead::NotOneHost | BadHead::Ambiguous => {
                Status::BadRequest
            }
        };
        let mut what = bad.to_string();
        what[..1].make_ascii_uppercase();
        what.push('.');
        Self::new(
            status,
            "bad-request",
            what,
            "Send it again as plain HTTP/1.1, with smaller headers.",
        )
    }

    /// All bytes of it.
    pub(crate) fn written(&self, form: Form) -> Vec<u8> {
        let (kind, body) = match form.is_html {
            true => ("text/html; charset=utf-8", self.html()),
            false => ("application/problem+json", self.json()),
        };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n",
            self.status.number(),
            self.status.reason(),
            body.len(),
        );
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.extend(value.chars().filter(|letter| !letter.is_control()));
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        if !form.is_head_only {
            head.push_str(&body);
        }
        head.into_bytes()
    }

    fn json(&self) -> String {
        let value = serde_json::json!({
            "type": format!("relay/{}", self.code),
            "title": self.status.title(),
            "status": self.status.number(),
            "detail": self.what,
            "hint": self.hint,
        });
        value.to_string() + "\n"
    }

    fn html(&self) -> String {
        PAGE.replace("{title}", self.status.title())
            .replace("{what}", &escaped(&self.what))
            .replace("{hint}", &with_code(&escaped(&self.hint)))
            .replace("{status}", &self.status.number().to_string())
            .replace("{code}", self.code)
    }
}

/// A page in one piece: nothing else is fetched, so it shows also where only this connection works.
const PAGE: &str = include_str!("page.html");

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '{' | '}' => {}
            letter => out.push(letter),
        }
    }
    out
}

/// What stands between backticks is shown as what to type.
fn with_code(text: &str) -> String {
    text.split('`').enumerate().fold(String::new(), |out, (at, part)| match at % 2 {
        0 => out + part,
        _ => out + "<code>" + part + "</code>",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_a_page_and_programs_get_json() {
        let answer = Answer::no_such_service("a.relay.example");
        let page =
            String::from_utf8(answer.written(Form { is_html: true, is_head_only: false })).unwrap();
        assert!(page.starts_with("HTTP/1.1 404 Not Found\r\nContent-Type: text/html"), "{page}");
        assert!(page.contains("No connected machine serves a.relay.example."), "{page}");
        assert!(
            page.contains("<code>iog rentals</code>")
                && !page.contains('{'.to_string().as_str().repeat(2).as_str())
        );
        let json = String::from_utf8(answer.written(Form { is_html: false, is_head_only: false }))
            .unwrap();
        let (head, body) = json.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (body["status"].as_u64(), body["type"].as_str()),
            (Some(404), Some("relay/no-such-service"))
        );
        let head =
            String::from_utf8(answer.written(Form { is_html: false, is_head_only: true })).unwrap();
        assert!(head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_page_shows_what_it_is_told_as_text() {
        let answer =
            Answer::new(Status::BadGateway, "x", "<script>alert(1)</script>{title}", "`<b>`");
        let page = answer.html();
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("<code>&lt;b&gt;</code>"), "{page}");
        let split =
            Answer::new(Status::SeeOther, "x", "", "").with("Location", "/\r\nSet-Cookie: a=b");
        let written =
            String::from_utf8(split.written(Form { is_html: false, is_head_only: true })).unwrap();
        assert!(!written.contains("\r\nSet-Cookie"), "{written}");
    }
}
