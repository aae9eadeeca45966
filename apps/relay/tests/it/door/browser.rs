//! A browser as people have it: links with tokens, cookies, sockets, and pages that mean no good.

use std::path::Path;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::accept_async;
use tunnel::{Proto, Visibility};

use super::rig::{DOMAIN, Rig, TOKEN, each, run};

const CHROMIUM: &str = "/usr/bin/chromium";

/// Serves a page whose script opens a socket; the page is not whole before its `/slow` has come, for which the test
/// gives leave.
async fn page(script: String, leave: Arc<Semaphore>) -> std::net::SocketAddr {
    each(move |connection| {
        let (script, leave) = (script.clone(), Arc::clone(&leave));
        async move {
            let mut first = [0; 2_048];
            let length = connection.peek(&mut first).await.unwrap();
            let head = String::from_utf8_lossy(&first[..length]).into_owned();
            if head.to_lowercase().contains("upgrade: websocket") {
                echo_socket(connection, &leave).await;
                return;
            }
            if head.starts_with("GET /slow") {
                let _ = leave.acquire().await;
            }
            say(connection, &script).await;
        }
    })
    .await
}

async fn echo_socket(connection: TcpStream, leave: &Semaphore) {
    let Ok(mut socket) = accept_async(connection).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let is_over = message.to_text().is_ok_and(|text| text == "done");
        if is_over {
            leave.add_permits(10);
        }
        if message.is_close() || socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn say(mut connection: TcpStream, script: &str) {
    let body =
        format!("<!doctype html><title>x</title><body><img src=/slow><script>{script}</script>");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut asked = [0; 4_096];
    let _ = connection.read(&mut asked).await;
    let _ = connection.write_all(answer.as_bytes()).await;
}

/// Opens an address and tells what the page has become once it is whole.
async fn browse(rig: &Rig, url: &str) -> String {
    let profile = format!("--user-data-dir={}", rig.folder.path().join("profile").display());
    let names = format!("--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1");
    let said = run(
        CHROMIUM,
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--ignore-certificate-errors",
            &profile,
            &names,
            "--dump-dom",
            url,
        ],
    )
    .await;
    said.out
}

/// Whether there is a browser. `./x setup` does not bring one: it is 300 MB on the disk.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's words learns why it showed nothing"
)]
fn has_chromium() -> bool {
    let is_there = Path::new(CHROMIUM).exists();
    if !is_there {
        eprintln!("skipped: {CHROMIUM} is missing; Debian's package is `chromium`");
    }
    is_there
}

#[tokio::test]
async fn a_browser_opens_a_link_and_its_sockets_and_no_other_page_does() {
    if !has_chromium() {
        return;
    }
    let rig = Rig::new().await;
    let leave = Arc::new(Semaphore::new(0));
    let lab = "const socket = new WebSocket('wss://' + location.host + '/kernel');\
               socket.onopen = () => socket.send('hello');\
               socket.onmessage = said => { document.body.append('heard ' + said.data + ' at ' + location.search);\
               socket.send('done'); };";
    rig.world.serve(
        "lab",
        Proto::Http,
        Visibility::Members,
        page(lab.to_owned(), Arc::clone(&leave)).await,
    );
    let seen = browse(&rig, &rig.url("lab", &format!("/?iog-token={TOKEN}"))).await;
    assert!(seen.contains("heard hello at ") && !seen.contains(TOKEN), "{seen}");
    assert!(rig.world.visitors().iter().all(|visitor| visitor.subject == "alice"));

    // The cookie is in the profile now. A page of another service of the relay tries to use it.
    let theirs = rig.world.visitors().len();
    let opened = rig.url("lab", "/");
    let socket = opened.replace("https:", "wss:");
    let evil = format!(
        "Promise.allSettled([fetch('{opened}', {{credentials: 'include', mode: 'no-cors'}}),\
         new Promise(over => {{ const socket = new WebSocket('{socket}');\
         socket.onopen = socket.onerror = over; }})])\
         .then(() => {{ const mine = new WebSocket('wss://' + location.host);\
         mine.onopen = () => mine.send('done'); }});"
    );
    let leave = Arc::new(Semaphore::new(0));
    rig.world.serve("evil", Proto::Http, Visibility::Public, page(evil, leave).await);
    browse(&rig, &rig.url("evil", "/")).await;
    let visitors = rig.world.visitors();
    assert!(visitors.len() > theirs, "the page was seen");
    assert!(visitors[theirs..].iter().all(|visitor| visitor.subject.is_empty()), "{visitors:?}");
    assert!(
        rig.figures().contains("answered_total{why=\"from-elsewhere\"} 2"),
        "{}",
        rig.figures()
    );
}
