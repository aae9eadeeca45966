//! Who comes in by HTTP: a token shown once, and after that a cookie of the relay's own.
//!
//! # Invariants
//! - A cookie lets its bearer visit one service only, and says nothing that a service could use elsewhere.
//! - A page of another host cannot use a visitor's cookie, also when both hosts are services of one relay.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use tunnel::{ServiceName, Who};
use units::{AccountId, RentalId, Timestamp};

use super::admission::{Admission, Admitted, Denied, Offered};
use super::answer::{Answer, Status};
use super::head::Head;
use super::limits::{COOKIE_TIME, TOKEN_BYTES};

/// The cookie that a relay gives. The prefix makes browsers refuse one that another host sets (RFC 6265bis, 4.1.3.2).
pub(crate) const COOKIE: &str = "__Host-iog-access";
/// The parameter of an address that holds a token.
const PARAMETER: &str = "iog-token";

/// A visitor's way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// Who they proved to be, as records call them; empty for anybody.
    pub(crate) subject: String,
    /// The same, as policies name them.
    pub(crate) who: Who,
    /// The path and query without a token in it.
    pub(crate) target: String,
    /// Whether `Authorization` was a token of ours, and not the service's own.
    pub(crate) authorization_is_ours: bool,
}

/// Makes and checks cookies.
pub(crate) struct Cookies {
    key: [u8; 32],
}

impl Cookies {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn seal(&self, service: &ServiceName, said: &str, until: Timestamp) -> blake3::Hash {
        let text = format!("iog visitor 2\n{service}\n{}\n{said}", until.millis());
        blake3::keyed_hash(&self.key, text.as_bytes())
    }

    fn made(&self, asked: &Asked<'_>, admitted: &Admitted, now: Timestamp) -> String {
        let until = admitted.until.min(now.after(COOKIE_TIME));
        let said = said(admitted, asked.offered.access.rental);
        let seal = HEXLOWER.encode(self.seal(asked.service, &said, until).as_bytes());
        let said = BASE64URL_NOPAD.encode(said.as_bytes());
        let seconds = until.since(now).as_secs();
        format!(
            "{COOKIE}={}.{said}.{seal}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax",
            until.millis()
        )
    }

    /// Whom the cookie lets in, if the service is still for them.
    fn opened(&self, value: &str, service: &ServiceName, now: Timestamp) -> Option<(String, Who)> {
        let mut parts = value.splitn(3, '.');
        let until = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let said = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?;
        let said = String::from_utf8(said).ok()?;
        let seal = blake3::Hash::from_hex(parts.next()?).ok()?;
        // Hashes compare in constant time.
        (now < until && seal == self.seal(service, &said, until)).then(|| heard(&said))
    }
}

/// What a cookie says of its bearer: their name in records on the first line, and on the second what policies name, of
/// their rentals only the one that the service belongs to.
fn said(admitted: &Admitted, rental: Option<RentalId>) -> String {
    let Who { accounts, rentals, key } = &admitted.who;
    let accounts = accounts.iter().map(AccountId::to_string);
    let rental = rental.filter(|rental| rentals.contains(rental));
    let rental = rental.iter().map(RentalId::to_string);
    let key = key.iter().map(|key| HEXLOWER.encode(key));
    let words: Vec<_> = accounts.chain(rental).chain(key).collect();
    format!("{}\n{}", admitted.subject, words.join(" "))
}

/// What [`said`] wrote.
fn heard(said: &str) -> (String, Who) {
    let (subject, words) = said.split_once('\n').unwrap_or((said, ""));
    let mut who = Who::default();
    for word in words.split(' ') {
        if let Ok(account) = word.parse() {
            who.accounts.insert(account);
        } else if let Ok(rental) = word.parse() {
            who.rentals.insert(rental);
        } else {
            let key = HEXLOWER.decode(word.as_bytes()).ok().and_then(|key| key.try_into().ok());
            who.key = who.key.or(key);
        }
    }
    (subject.to_owned(), who)
}

/// What one request asks for.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Head,
    pub(crate) service: &'a ServiceName,
    pub(crate) offered: &'a Offered,
}

/// Lets a visitor in, or answers.
pub(crate) fn enter(
    asked: &Asked<'_>,
    admission: &dyn Admission,
    cookies: &Cookies,
    now: Timestamp,
) -> Result<Entrance, Answer> {
    let head = asked.head;
    let entrance = |(subject, who): (String, Who), target: &str, authorization_is_ours: bool| {
        Ok(Entrance { subject, who, target: target.to_owned(), authorization_is_ours })
    };
    let access = &asked.offered.access;
    if access.is_public() {
        return entrance(Default::default(), &head.target, false);
    }
    let check = |token: &str| match token.len() <= TOKEN_BYTES {
        true => admission.by_token(token, asked.service, asked.offered, now),
        false => Err(Denied::NotGood),
    };
    if let Some((token, target)) = token_in(&head.target) {
        let admitted = check(&token).map_err(|denied| refused(denied, head))?;
        let may_be_sent_on = matches!(head.method.as_str(), "GET" | "HEAD") && !head.is_upgrade;
        if !may_be_sent_on {
            return entrance((admitted.subject, admitted.who), &target, false);
        }
        let cookie = cookies.made(asked, &admitted, now);
        return Err(without_token(head, &target).with("Set-Cookie", cookie));
    }
    let bearer = head.text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let shown = bearer.map(|token| check(token.trim()));
    if let Some(Ok(admitted)) = shown {
        return entrance((admitted.subject, admitted.who), &head.target, true);
    }
    let known = head.cookies(COOKIE).find_map(|value| cookies.opened(value, asked.service, now));
    match (known, shown) {
        (Some(_), _) if is_from_elsewhere(head) => Err(elsewhere(&head.host)),
        // What a service is for may have changed since.
        (Some((_, who)), _) if !access.admits(&who) => Err(Answer::forbidden(&head.host)),
        (Some(known), _) => entrance(known, &head.target, false),
        (None, Some(Err(denied))) => Err(refused(denied, head)),
        (None, None | Some(Ok(_))) => {
            Err(Answer::unauthorized(&head.host, "{host} asks who you are."))
        }
    }
}

/// The token in an address, and the address without it.
pub(super) fn token_in(target: &str) -> Option<(String, String)> {
    let (path, query) = target.split_once('?')?;
    let is_ours = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == PARAMETER);
    let (_, token) = query.split('&').find(is_ours)?.split_once('=')?;
    let rest: Vec<_> = query.split('&').filter(|pair| !is_ours(pair)).collect();
    let target = match rest.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", rest.join("&")),
    };
    Some((decoded(token), target))
}

/// Text of an address with its `%` escapes undone; what is no text stays out.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let escaped = digits.filter(|it| it.iter().all(u8::is_ascii_hexdigit)).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Sends the browser to the same address without the token, so that it is in no history and no `Referer`.
fn without_token(head: &Head, target: &str) -> Answer {
    // The host is named: a path may begin with two slashes, and would then name a host itself.
    Answer::new(Status::SeeOther, "welcome", "You are in.", "Follow the link.")
        .with("Location", format!("https://{}{target}", head.host))
        .with("Referrer-Policy", "no-referrer")
}

fn refused(denied: Denied, head: &Head) -> Answer {
    match denied {
        Denied::NotGood => Answer::unauthorized(&head.host, "The token for {host} is not good."),
        Denied::Expired => Answer::unauthorized(&head.host, "The token for {host} has expired."),
        Denied::Elsewhere => Answer::forbidden(&head.host),
    }
}

/// Whether a page of another host makes the browser ask. Services of one relay are one site to a browser, so
/// `SameSite` alone would let one tenant's page use a visitor's cookie for another tenant's service.
fn is_from_elsewhere(head: &Head) -> bool {
    let own = |origin: &str| origin.strip_prefix("https://").is_some_and(|host| host == head.host);
    if head.text("origin").is_some_and(|origin| !own(origin)) {
        return true;
    }
    // Not into a frame: what a frame shows is clicked on for the page around it.
    let is_visit = head.text("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
        && head.text("sec-fetch-dest").is_none_or(|whereto| whereto == "document");
    let is_read = matches!(head.method.as_str(), "GET" | "HEAD");
    match head.text("sec-fetch-site") {
        Some("same-site" | "cross-site") => !(is_visit && is_read),
        Some(_) | None => false,
    }
}

fn elsewhere(host: &str) -> Answer {
    Answer::new(
        Status::Forbidden,
        "from-elsewhere",
        format!("A page of another host asked {host} in your name."),
        "If you meant to open it, follow a link or type the address. A program sends `Authorization: Bearer <token>`.",
    )
}

#[cfg(test)]
mod tests {
    use tunnel::{Access, Policy, Proto, Visibility};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    const OWNER: AccountId = AccountId::from_bits(1);

    /// Knows one token, for one service.
    struct OneToken;

    impl Admission for OneToken {
        fn by_token(
            &self,
            token: &str,
            service: &ServiceName,
            _: &Offered,
            now: Timestamp,
        ) -> Result<Admitted, Denied> {
            match (token, service.as_str()) {
                ("t+/=", "s") => Ok(Admitted {
                    subject: "acc_1".to_owned(),
                    who: Who { accounts: [OWNER].into(), ..Who::default() },
                    until: now.after(COOKIE_TIME * 2),
                }),
                ("t+/=", _) => Err(Denied::Elsewhere),
                ("old", _) => Err(Denied::Expired),
                (_, _) => Err(Denied::NotGood),
            }
        }

        fn by_ssh_key(&self, _: &str, _: Timestamp) -> Option<Admitted> {
            None
        }

        fn may_visit(&self, _: &Admitted, _: &ServiceName, _: &Offered, _: Timestamp) -> bool {
            false
        }
    }

    fn ask(first_line: &str, headers: &str, visibility: Visibility) -> Result<Entrance, Answer> {
        ask_at("s", first_line, headers, visibility)
    }

    fn ask_at(
        service: &str,
        line: &str,
        headers: &str,
        visibility: Visibility,
    ) -> Result<Entrance, Answer> {
        let text = format!("{line} HTTP/1.1\nHost: {service}.relay.example\n{headers}\n")
            .replace('\n', "\r\n");
        let (head, _) = super::super::head::read(text.as_bytes()).unwrap().unwrap();
        let policy = Policy::default();
        let access = Access { visibility, policy, account: OWNER, rental: None };
        let offered = Offered { proto: Proto::Http, access };
        let service = service.parse().unwrap();
        let asked = Asked { head: &head, service: &service, offered: &offered };
        enter(&asked, &OneToken, &Cookies::new([7; 32]), NOW)
    }

    fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
        &answer.headers.iter().find(|(found, _)| *found == name).unwrap().1
    }

    /// The cookie that a visitor gets for showing the token once.
    fn cookie() -> String {
        let answer = ask("GET /?iog-token=t%2B%2F%3D", "", Visibility::Owner).unwrap_err();
        header(&answer, "Set-Cookie").split_once(';').unwrap().0.to_owned()
    }

    #[test]
    fn public_services_are_for_anybody_and_get_everything() {
        let entrance =
            ask("GET /?iog-token=x", "Authorization: Bearer y\n", Visibility::Public).unwrap();
        let target = "/?iog-token=x".to_owned();
        assert_eq!(
            entrance,
            Entrance {
                subject: String::new(),
                who: Who::default(),
                target,
                authorization_is_ours: false
            }
        );
    }

    #[test]
    fn a_token_in_an_address_becomes_a_cookie_and_leaves_the_address() {
        let answer =
            ask("GET //evil.example/a?x=1&iog-token=t%2B%2F%3D&y=2", "", Visibility::Members)
                .unwrap_err();
        assert_eq!(answer.status, Status::SeeOther);
        assert_eq!(header(&answer, "Location"), "https://s.relay.example//evil.example/a?x=1&y=2");
        let set = header(&answer, "Set-Cookie");
        assert!(set.ends_with("; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax"), "{set}");
        let entrance =
            ask("GET /lab", &format!("Cookie: a=b; {}\n", cookie()), Visibility::Members).unwrap();
        assert_eq!((entrance.subject.as_str(), entrance.target.as_str()), ("acc_1", "/lab"));
    }

    #[test]
    fn a_program_shows_its_token_each_time() {
        let entrance = ask("POST /api", "Authorization: Bearer t+/=\n", Visibility::Owner).unwrap();
        assert!(entrance.authorization_is_ours && entrance.subject == "acc_1");
        let upgrade = "Connection: Upgrade\nUpgrade: websocket\n";
        let entrance = ask("GET /ws?iog-token=t+/=&a=b", upgrade, Visibility::Owner).unwrap();
        assert_eq!(entrance.target, "/ws?a=b");
    }

    #[test]
    fn whoever_is_not_let_in_hears_why() {
        let cases = [
            ("s", "GET /", "", 401, "asks who you are"),
            ("s", "GET /?iog-token=no", "", 401, "is not good"),
            ("s", "GET /?iog-token=old", "", 401, "has expired"),
            ("s", "GET /", "Authorization: Bearer no\n", 401, "is not good"),
            ("s", "GET /", "Authorization: Basic no\n", 401, "asks who you are"),
            ("other", "GET /?iog-token=t+/=", "", 403, "but not for other.relay.example"),
        ];
        for (service, line, headers, status, what) in cases {
            let answer = ask_at(service, line, headers, Visibility::Owner).unwrap_err();
            assert_eq!(answer.status.number(), status, "{line} {headers}");
            assert!(answer.what.contains(what), "{}", answer.what);
        }
        let long = format!("GET /?iog-token={}", "x".repeat(TOKEN_BYTES + 1));
        assert_eq!(ask(&long, "", Visibility::Owner).unwrap_err().status, Status::Unauthorized);
    }

    #[test]
    fn a_cookie_is_good_for_its_service_and_its_time_and_as_it_was_made() {
        let cookies = Cookies::new([7; 32]);
        let made = cookie();
        let value = made.split_once('=').unwrap().1;
        let (this, other): (ServiceName, ServiceName) =
            ("s".parse().unwrap(), "t".parse().unwrap());
        let who = Who { accounts: [OWNER].into(), ..Who::default() };
        assert_eq!(cookies.opened(value, &this, NOW), Some(("acc_1".to_owned(), who)));
        assert_eq!(cookies.opened(value, &other, NOW), None);
        assert_eq!(cookies.opened(value, &this, NOW.after(COOKIE_TIME)), None);
        assert_eq!(Cookies::new([8; 32]).opened(value, &this, NOW), None);
        let later = value.replacen('1', "2", 1);
        assert_eq!(cookies.opened(&later, &this, NOW), None);
        for nonsense in ["", ".", "..", "1.2.3", "a.b.c.d", "9999999999999999999999.x.y"] {
            assert_eq!(cookies.opened(nonsense, &this, NOW), None);
        }
    }

    #[test]
    fn a_cookie_says_who_its_bearer_is_and_of_their_rentals_only_the_one() {
        let (mine, other) = (RentalId::from_bits(3), RentalId::from_bits(4));
        let who =
            Who { accounts: [OWNER].into(), rentals: [mine, other].into(), key: Some([7; 32]) };
        let admitted = Admitted { subject: "acc_1".to_owned(), who: who.clone(), until: NOW };
        let (subject, known) = heard(&said(&admitted, Some(mine)));
        assert_eq!((subject.as_str(), &known.rentals), ("acc_1", &[mine].into()));
        assert_eq!((known.accounts, known.key), (who.accounts, who.key));
        assert_eq!(heard(&said(&admitted, None)).1.rentals, [].into());
    }

    #[test]
    fn who_a_service_is_no_longer_for_comes_in_no_more() {
        let cookie = format!("Cookie: {}\n", cookie());
        let of = |account: u128| {
            let text = format!("GET / HTTP/1.1\nHost: s.relay.example\n{cookie}\n");
            let (head, _) =
                super::super::head::read(text.replace('\n', "\r\n").as_bytes()).unwrap().unwrap();
            let access = Access {
                visibility: Visibility::Owner,
                policy: Policy::default(),
                account: AccountId::from_bits(account),
                rental: None,
            };
            let (service, offered) = ("s".parse().unwrap(), Offered { proto: Proto::Http, access });
            let asked = Asked { head: &head, service: &service, offered: &offered };
            enter(&asked, &OneToken, &Cookies::new([7; 32]), NOW)
        };
        assert!(of(1).is_ok());
        assert_eq!(of(2).unwrap_err().status, Status::Forbidden);
    }

    #[test]
    fn a_page_of_another_host_cannot_use_the_cookie() {
        let cookie = format!("Cookie: {}\n", cookie());
        let cases = [
            ("GET /", "", true),
            ("GET /", "Origin: https://s.relay.example\n", true),
            ("POST /", "Origin: https://evil.relay.example\n", false),
            ("GET /", "Origin: null\n", false),
            ("GET /", "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\n", true),
            (
                "GET /",
                "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\n",
                true,
            ),
            (
                "GET /",
                "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe\n",
                false,
            ),
            ("GET /", "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: no-cors\n", false),
            ("POST /", "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: navigate\n", false),
            ("GET /", "Sec-Fetch-Site: same-origin\nSec-Fetch-Mode: cors\n", true),
            ("GET /", "Sec-Fetch-Site: none\nSec-Fetch-Mode: navigate\n", true),
        ];
        for (line, headers, is_in) in cases {
            let answer = ask(line, &format!("{cookie}{headers}"), Visibility::Members);
            assert_eq!(answer.is_ok(), is_in, "{line} {headers}");
        }
    }

    #[test]
    fn escapes_are_two_digits_and_nothing_else() {
        for (text, wanted) in [("a%2Eb", "a.b"), ("%+f", "%+f"), ("%2", "%2"), ("%%41", "%A")] {
            assert_eq!(decoded(text), wanted);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_breaks_it(query in "[%a-z0-9=&+-]{0,40}") {
            let _ = ask(&format!("GET /?iog-token={query}"), "", Visibility::Owner);
            let _ = decoded(&query);
        }
    }
}
