//! The door for browsers and programs that speak HTTP: by host name, over TLS that the relay ended.
//!
//! Each request of a connection is looked at, and its head written anew. Answers are not: what a service says goes
//! back as it is. Once a service has taken a connection to itself as something else (sockets of notebooks and editors),
//! nothing of it is read any more.
//!
//! # Invariants
//! - What a service reads in `X-Forwarded-For`, `-Proto` and `-Host` was written here, in every request.
//! - A connection has one stream at a time, and a stream has requests for one service by one visitor only.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tunnel::{Proto, ServiceName};

use super::access::{Asked, COOKIE, Entrance, enter};
use super::answer::{Answer, Form, Status};
use super::carried::{Activity, Opened, read_more};
use super::clock::now;
use super::head::{Head, Told};
use super::host::service_of;
use super::house::{Ends, House};
use super::limits::{ANSWER_QUIET, LINGER_BYTES, LINGER_TIME};
use super::metrics::Turned;
use super::requests::{NoHead, Requests};
use crate::opener::{Entry, Opener, Visitor};

/// What comes next on a connection.
enum Turn {
    /// Nothing.
    Over,
    /// An answer of the relay's own, and then nothing.
    Say(Answer, Form),
    /// A request to a service.
    Visit(Box<Visit>),
}

/// A request that may go to its service.
struct Visit {
    head: Head,
    service: ServiceName,
    visitor: Visitor,
    authorization_is_ours: bool,
}

/// Serves all requests of one connection.
pub(crate) async fn serve<O: Opener, C>(house: &House<O>, connection: C, ends: Ends)
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
{
    let activity = Activity::new();
    let served = Box::pin(serve_requests(house, connection, ends, &activity));
    tokio::select! {
        () = served => {}
        () = activity.quiet_for(house.limits.quiet_time) => house.metrics.turned(Turned::Quiet),
    }
}

async fn serve_requests<O: Opener, C>(
    house: &House<O>,
    connection: C,
    ends: Ends,
    activity: &Activity,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (read, mut write) = tokio::io::split(connection);
    let mut requests = Requests::new(read, &house.limits, activity.clone());
    let mut turn = match requests.first().await {
        // Browsers open connections that they never use.
        Err(NoHead::Gone | NoHead::Slow) => Turn::Over,
        first => look_at(house, first, ends),
    };
    loop {
        turn = match turn {
            Turn::Over => break,
            Turn::Say(answer, form) => {
                house.metrics.answered(answer.code);
                say(&answer, form, &mut requests, &mut write).await;
                break;
            }
            Turn::Visit(visit) => {
                let form = form_of(&visit.head);
                match house.open(&visit.service, &visit.visitor, activity).await {
                    Err(refused) => Turn::Say(Answer::of_refused(&refused, &visit.head.host), form),
                    Ok(stream) if visit.head.is_upgrade => {
                        go_on_as_something_else(house, (requests, write), stream, &visit, ends)
                            .await;
                        return;
                    }
                    Ok(stream) => {
                        talk(house, (&mut requests, &mut write), stream, *visit, ends).await
                    }
                }
            }
        };
    }
    let _ = write.shutdown().await;
}

/// What to do about a head that came, or did not.
fn look_at<O>(house: &House<O>, head: Result<Head, NoHead>, ends: Ends) -> Turn {
    let plain = Form { is_html: false, is_head_only: false };
    match head {
        Ok(head) => look_at_head(house, head, ends),
        Err(NoHead::Gone) => Turn::Over,
        Err(NoHead::Bad(bad)) => Turn::Say(Answer::of_bad_head(bad), plain),
        Err(NoHead::Slow) => {
            let what = "The head of the request did not come in time.";
            Turn::Say(Answer::new(Status::RequestTimeout, "slow", what, "Send it again."), plain)
        }
    }
}

fn form_of(head: &Head) -> Form {
    Form { is_html: head.wants_html(), is_head_only: head.method == "HEAD" }
}

fn look_at_head<O>(house: &House<O>, mut head: Head, ends: Ends) -> Turn {
    let form = form_of(&head);
    let service = service_of(&head.host, &house.domain);
    let found = service.and_then(|service| Some((house.directory.offered(&service)?, service)));
    let Some((offered, service)) = found else {
        return Turn::Say(Answer::no_such_service(&head.host), form);
    };
    if let Some(answer) = other_door(&head, &service, offered.proto) {
        return Turn::Say(answer, form);
    }
    let asked = Asked { head: &head, service: &service, offered: &offered };
    match enter(&asked, house.admission.as_ref(), &house.cookies, now()) {
        Err(answer) => {
            if answer.status == Status::Forbidden {
                house.directory.refused(&service, &ends.anybody(Entry::Https));
            }
            Turn::Say(answer, form)
        }
        Ok(Entrance { subject, who, target, authorization_is_ours }) => {
            head.target = target;
            let visitor = Visitor { subject, who, ..ends.anybody(Entry::Https) };
            Turn::Visit(Box::new(Visit { head, service, visitor, authorization_is_ours }))
        }
    }
}

/// What to say to who comes by HTTP to a service that speaks something else.
fn other_door(head: &Head, service: &ServiceName, proto: Proto) -> Option<Answer> {
    let answer = |status, what: &str, hint: &str| {
        let what = what.replace("{host}", &head.host);
        Some(Answer::new(status, "other-door", what, &hint.replace("{service}", service.as_str())))
    };
    match proto {
        Proto::Http => None,
        Proto::Tls => answer(
            Status::Misdirected,
            "{host} ends TLS itself, and this connection was made for another host.",
            "Open it on a connection of its own.",
        ),
        Proto::Ssh => answer(
            Status::NotFound,
            "{host} speaks SSH, not HTTP.",
            "Use `iog ssh {service}`, or ssh with the relay as its jump host (`ssh -J`).",
        ),
        Proto::Tcp | Proto::Udp => answer(
            Status::NotFound,
            "{host} does not speak HTTP.",
            "Use the port that `iog tunnel open {service}` tells.",
        ),
    }
}

impl Visit {
    /// The head as the service gets it.
    fn head_for_service(&self, ends: Ends) -> Vec<u8> {
        let visitor = ends.visitor.ip().to_canonical();
        self.head.written(&Told {
            visitor,
            own_cookie: COOKIE,
            authorization_is_ours: self.authorization_is_ours,
        })
    }

    /// Whether this request may use the stream of that one.
    fn goes_with(&self, other: &(ServiceName, Visitor)) -> bool {
        (&self.service, &self.visitor) == (&other.0, &other.1) && !self.head.is_upgrade
    }
}

/// Takes requests to one service over one stream, until something else comes.
async fn talk<O: Opener, R, W>(
    house: &House<O>,
    (requests, write): (&mut Requests<R>, &mut W),
    stream: Opened,
    visit: Visit,
    ends: Ends,
) -> Turn
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (form, host) = (form_of(&visit.head), visit.head.host.clone());
    let activity = stream.meter.activity.clone();
    let (mut from_service, to_service) = tokio::io::split(stream.metered());
    let asking = ask(house, requests, to_service, visit, ends);
    let answering = answer(&mut from_service, write);
    tokio::pin!(asking, answering);
    let answered = tokio::select! {
        answered = &mut answering => answered,
        asked = &mut asking => match asked {
            Asking::Broken => return Turn::Over,
            // The visitor has said all, or the service takes no more: what it still says is heard.
            Asking::Over => answering.await,
            // What the service still says comes before what the next request comes to.
            Asking::Next(turn) => {
                tokio::select! {
                    _ = &mut answering => {}
                    () = activity.quiet_for(ANSWER_QUIET) => {}
                }
                return turn;
            }
        },
    };
    match answered {
        0 => {
            let what =
                format!("The service behind {host} closed the connection without an answer.");
            let hint =
                "See the service's own log. If it ends TLS itself, open it as a `tls` service.";
            Turn::Say(Answer::new(Status::BadGateway, "no-answer", what, hint), form)
        }
        _ => Turn::Over,
    }
}

/// Why no more requests are passed on.
enum Asking {
    /// The visitor has said all, or the service takes no more.
    Over,
    /// The visitor went in the middle of a request.
    Broken,
    /// The next is for another service, or for none.
    Next(Turn),
}

/// Passes requests on.
async fn ask<O: Opener, R, W>(
    house: &House<O>,
    requests: &mut Requests<R>,
    mut to: W,
    mut visit: Visit,
    ends: Ends,
) -> Asking
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let whose = (visit.service.clone(), visit.visitor.clone());
    loop {
        if to.write_all(&visit.head_for_service(ends)).await.is_err() {
            return Asking::Over;
        }
        match requests.pass_body(visit.head.body.clone(), &mut to).await {
            Ok(true) => {}
            Ok(false) => return Asking::Broken,
            Err(_) => return Asking::Over,
        }
        visit = match look_at(house, requests.next().await, ends) {
            Turn::Visit(next) if next.goes_with(&whose) => *next,
            Turn::Over => {
                let _ = to.shutdown().await;
                return Asking::Over;
            }
            turn @ (Turn::Visit(_) | Turn::Say(..)) => {
                let _ = to.shutdown().await;
                return Asking::Next(turn);
            }
        };
    }
}

/// Passes answers back until the service has said all. Tells how many bytes there were.
async fn answer<S: AsyncRead + Unpin, W: AsyncWrite + Unpin>(from: &mut S, write: &mut W) -> u64 {
    let mut said = 0;
    loop {
        let mut piece = Vec::new();
        match read_more(from, &mut piece).await {
            Ok(some) if some > 0 => said += u64::try_from(some).expect("a length fits"),
            Ok(_) | Err(_) => return said,
        }
        if write.write_all(&piece).await.is_err() || write.flush().await.is_err() {
            return said;
        }
    }
}

/// What a service answers first when it goes on as something else.
const SWITCHING: &[u8] = b"HTTP/1.1 101";

/// Asks a service to go on as something else, and carries whatever that is.
async fn go_on_as_something_else<O: Opener, R, W>(
    house: &House<O>,
    (mut requests, mut write): (Requests<R>, W),
    mut stream: Opened,
    visit: &Visit,
    ends: Ends,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if stream.write_all(&visit.head_for_service(ends)).await.is_err() {
        return;
    }
    let mut first = Vec::new();
    let answered = timeout(house.limits.answer_time, read_first(&mut stream, &mut first)).await;
    if answered.is_err() || first.is_empty() {
        let status = if answered.is_err() { Status::GatewayTimeout } else { Status::BadGateway };
        let what = format!("The service behind {} did not answer.", visit.head.host);
        let answer = Answer::new(status, "no-answer", what, "See the service's own log.");
        house.metrics.answered(answer.code);
        say(&answer, form_of(&visit.head), &mut requests, &mut write).await;
        return;
    }
    if write.write_all(&first).await.is_err() || write.flush().await.is_err() {
        return;
    }
    let (mut from_service, to_service) = tokio::io::split(stream.metered());
    let asking = async {
        match first.starts_with(SWITCHING) {
            true => requests.pass_all(to_service).await,
            // It stays HTTP. Where this answer ends is not known here, so the connection has no further request.
            false => requests.stirs().await,
        }
    };
    tokio::select! {
        // Once the service has said all, nobody listens to the visitor.
        _ = answer(&mut from_service, &mut write) => {}
        () = asking => {}
    }
    let _ = write.shutdown().await;
}

/// Reads until it can be told whether the service goes on as something else.
async fn read_first(stream: &mut Opened, first: &mut Vec<u8>) {
    while first.len() < SWITCHING.len() && SWITCHING.starts_with(first) {
        match stream.read_more(first).await {
            Ok(some) if some > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Says something of the relay's own, and sees that it arrives.
async fn say<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    answer: &Answer,
    form: Form,
    requests: &mut Requests<R>,
    write: &mut W,
) {
    let said = async {
        write.write_all(&answer.written(form)).await?;
        write.shutdown().await
    };
    let heard = async {
        if said.await.is_ok() {
            requests.drain(LINGER_BYTES).await;
        }
    };
    let _ = timeout(LINGER_TIME, heard).await;
}

/// Sends who comes without TLS to where it is.
pub(crate) async fn send_to_tls<O, C: AsyncRead + AsyncWrite + Unpin>(
    house: &House<O>,
    connection: C,
) {
    let (read, mut write) = tokio::io::split(connection);
    let mut requests = Requests::new(read, &house.limits, Activity::new());
    let Ok(head) = requests.first().await else {
        return;
    };
    let answer = match service_of(&head.host, &house.domain) {
        Some(_) => Answer::new(
            Status::PermanentRedirect,
            "tls",
            "It is here by TLS only.",
            "Follow the link.",
        )
        .with("Location", format!("https://{}{}", head.host, head.target)),
        None => Answer::no_such_service(&head.host),
    };
    house.metrics.answered(answer.code);
    say(&answer, form_of(&head), &mut requests, &mut write).await;
}
