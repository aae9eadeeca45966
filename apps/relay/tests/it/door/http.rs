//! Services by host name, with curl, and a client of sockets as notebooks have them.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, client_async};
use tunnel::{Proto, Visibility};

use super::rig::{DOMAIN, Rig, TOKEN, each, nowhere, web};

/// A TLS connection to a name of the relay, offering these protocols.
pub(super) async fn tls(
    rig: &Rig,
    host: &str,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(rig.authority()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let tcp = TcpStream::connect(rig.doors.address()).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

#[tokio::test]
async fn curl_reaches_a_public_service_by_its_host_name() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let said =
        rig.curl(&["-H", "X-Forwarded-For: 6.6.6.6", &rig.url("app", "/path?query=1")]).await;
    assert!(said.is_ok, "{said:?}");
    assert!(said.out.starts_with("GET /path?query=1 HTTP/1.1\r\n"), "{said:?}");
    assert!(
        said.out.contains("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"),
        "{said:?}"
    );
    assert!(!said.out.contains("6.6.6.6"), "{said:?}");
    let visitors = rig.world.visitors();
    assert_eq!((visitors.len(), visitors[0].entry), (1, relay::Entry::Https));
    rig.shows("iog_relay_visitor_open{door=\"https\"} 0").await;
    rig.shows("iog_relay_visitor_connections_total{door=\"https\"} 1").await;
}

#[tokio::test]
async fn a_name_under_a_name_is_the_same_service() {
    let rig = Rig::new().await;
    rig.world.serve("jupyter--node7", Proto::Http, Visibility::Public, web().await);
    for host in ["jupyter--node7", "jupyter.node7"] {
        let said = rig.curl(&[&rig.url(host, "/")]).await;
        assert!(said.is_ok && said.out.contains(&format!("Host: {host}.{DOMAIN}")), "{said:?}");
    }
}

#[tokio::test]
async fn requests_of_one_connection_are_each_looked_at() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    rig.world.serve("other", Proto::Http, Visibility::Public, web().await);
    let mut connection = tls(&rig, &format!("app.{DOMAIN}"), &[b"http/1.1"]).await.unwrap();
    let mut ask = async |request: String, until: &str| {
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(until) {
            assert!(connection.read_buf(&mut read).await.unwrap() > 0, "{until}");
        }
        String::from_utf8(read).unwrap()
    };
    let lie = "X-Forwarded-For: 6.6.6.6";
    let first = ask(
        format!("GET /1 HTTP/1.1\r\nHost: app.{DOMAIN}\r\n{lie}\r\n\r\n"),
        "Host: app.relay.test\r\n\r\n",
    )
    .await;
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let post = format!(
        "POST /2 HTTP/1.1\r\nHost: app.{DOMAIN}\r\n{lie}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    );
    let second = ask(post, "hello\r\n0\r\n\r\n").await;
    let third = ask(
        format!("GET /3 HTTP/1.1\r\nHost: other.{DOMAIN}\r\n{lie}\r\n\r\n"),
        "other.relay.test\r\n\r\n",
    )
    .await;
    for (answer, line) in [(&first, "GET /1"), (&second, "POST /2"), (&third, "GET /3")] {
        assert!(answer.contains(line) && !answer.contains("6.6.6.6"), "{answer}");
        assert!(answer.contains("X-Forwarded-For: 127.0.0.1"), "{answer}");
    }
    assert_eq!(rig.world.visitors().len(), 2, "one stream for each service");
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let file = rig.folder.path().join("upload");
    std::fs::write(&file, vec![b'x'; 3 << 20]).unwrap();
    let file = format!("@{}", file.display());
    for how in [&["-H", "Expect:"][..], &["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]] {
        let url = rig.url("app", "/");
        let said = rig.curl(&[how, &["--data-binary", &file, &url]].concat()).await;
        assert!(said.is_ok && said.out.matches('x').count() >= 3 << 20, "{:?}", &said.err);
    }
}

#[tokio::test]
async fn a_private_service_asks_for_a_token_and_remembers_it() {
    let rig = Rig::new().await;
    rig.world.serve("notes", Proto::Http, Visibility::Members, web().await);
    let status = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
    let said = rig.curl(&[&status[..], &[&rig.url("notes", "/")]].concat()).await;
    assert_eq!(said.out, "401 ");
    let said = rig.curl(&[&status[..], &[&rig.url("notes", "/?iog-token=wrong")]].concat()).await;
    assert_eq!(said.out, "401 ");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let said = rig.curl(&["-H", &bearer, &rig.url("notes", "/api")]).await;
    assert!(said.out.starts_with("GET /api") && !said.out.contains("Authorization"), "{said:?}");
    let jar = rig.folder.path().join("jar");
    let jar = jar.to_str().unwrap();
    let shown = rig.url("notes", &format!("/lab?a=b&iog-token={TOKEN}"));
    let said = rig.curl(&["-L", "-c", jar, "-b", jar, &shown]).await;
    assert!(said.out.starts_with("GET /lab?a=b HTTP/1.1"), "{said:?}");
    assert!(!said.out.contains(TOKEN) && !said.out.contains("iog-access"), "{said:?}");
    let said = rig.curl(&["-b", jar, &rig.url("notes", "/later")]).await;
    assert!(said.out.starts_with("GET /later"), "{said:?}");
    let origin = format!("Origin: https://evil.{DOMAIN}");
    let said = rig.curl(&["-b", jar, "-H", &origin, "-d", "x=y", &rig.url("notes", "/")]).await;
    assert!(said.out.contains("from-elsewhere"), "{said:?}");
    assert!(rig.world.visitors().iter().all(|visitor| visitor.subject == "alice"));
}

#[tokio::test]
async fn whoever_finds_nothing_hears_why() {
    let rig = Rig::new().await;
    rig.world.serve("dead", Proto::Http, Visibility::Public, nowhere().await);
    rig.world.serve("mute", Proto::Http, Visibility::Public, each(async |_| ()).await);
    rig.world.serve("shell", Proto::Ssh, Visibility::Public, nowhere().await);
    rig.world.serve("elsewhere", Proto::Http, Visibility::Members, nowhere().await);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let cases = [
        ("nothing", 404, "no-such-service"),
        ("dead", 502, "not-listening"),
        ("mute", 502, "no-answer"),
        ("shell", 404, "other-door"),
        ("elsewhere", 403, "forbidden"),
    ];
    for (service, status, code) in cases {
        let url = rig.url(service, "/");
        let said = rig.curl(&["-H", &bearer, "-w", "%{http_code}", &url]).await;
        let (body, found) = said.out.rsplit_once('\n').unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(found, status.to_string());
        assert_eq!(body["type"], format!("relay/{code}"));
        let page = rig.curl(&["-H", &bearer, "-H", "Accept: text/html,*/*", &url]).await.out;
        assert!(page.starts_with("<!doctype html>") && page.contains(code), "{page}");
        let head = rig.curl(&["-I", "-H", &bearer, &url]).await;
        assert!(head.is_ok && head.out.contains(&status.to_string()), "{head:?}");
    }
    let posted = rig.curl(&["-d", "some=body", &rig.url("nothing", "/")]).await;
    assert!(posted.is_ok && posted.out.contains("no-such-service"), "{posted:?}");
}

#[tokio::test]
async fn who_comes_without_tls_is_sent_to_it() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let port = rig.doors.address().port();
    let url = format!("http://app.{DOMAIN}:{port}/a?b");
    let said = rig.curl(&["-L", "--proto-redir", "=https", &url]).await;
    assert!(said.out.starts_with("GET /a?b HTTP/1.1"), "{said:?}");
}

#[tokio::test]
async fn sockets_of_notebooks_and_editors_go_through() {
    let rig = Rig::new().await;
    let at = each(|connection| async move {
        let Ok(mut socket) = accept_async(connection).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                return;
            }
        }
    });
    rig.world.serve("notes", Proto::Http, Visibility::Members, at.await);
    let host = format!("notes.{DOMAIN}");
    let connection = tls(&rig, &host, &[]).await.unwrap();
    let url = format!("wss://{host}/kernel?iog-token={TOKEN}");
    let (mut socket, _) = client_async(&url, connection).await.unwrap();
    for text in ["one", &"long ".repeat(60_000)] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), text);
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|said| said.is_ok()) {}
    rig.shows("iog_relay_visitor_open{door=\"https\"} 0").await;
    let connection = tls(&rig, &host, &[]).await.unwrap();
    match client_async(format!("wss://{host}/kernel"), connection).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_may_refuse_to_become_a_socket() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let host = format!("app.{DOMAIN}");
    let connection = tls(&rig, &host, &[]).await.unwrap();
    match client_async(format!("wss://{host}/"), connection).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 200),
        other => panic!("{other:?}"),
    }
    // What is said after it on the same connection does not reach the service unread.
    let mut connection = tls(&rig, &host, &[]).await.unwrap();
    let upgrade = format!(
        "GET /1 HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let smuggled = format!("GET /2 HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    connection.write_all((upgrade + &smuggled).as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = connection.read_to_end(&mut read).await;
    let read = String::from_utf8(read).unwrap();
    assert!(!read.contains("/2") && !read.contains("6.6.6.6"), "{read}");
}

#[tokio::test]
async fn what_is_said_ahead_to_another_service_cuts_no_answer() {
    let rig = Rig::new().await;
    let slow = each(|mut connection| async move {
        let mut asked = Vec::new();
        // It answers when it has heard all: its visitor has said the next request by then.
        let _ = connection.read_to_end(&mut asked).await;
        let body = "x".repeat(100_000);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let _ = connection.write_all(answer.as_bytes()).await;
    })
    .await;
    rig.world.serve("slow", Proto::Http, Visibility::Public, slow);
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let mut connection = tls(&rig, &format!("slow.{DOMAIN}"), &[]).await.unwrap();
    let request = |host: &str| format!("GET /{host} HTTP/1.1\r\nHost: {host}.{DOMAIN}\r\n\r\n");
    connection.write_all((request("slow") + &request("app")).as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut read = Vec::new();
    let _ = connection.read_to_end(&mut read).await;
    let read = String::from_utf8(read).unwrap();
    assert!(read.contains(&"x".repeat(100_000)), "{} bytes", read.len());
    assert!(read.contains("GET /app HTTP/1.1"), "the next one is answered after it");
}
