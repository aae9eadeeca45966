//! Certificates, and TLS that is not ended at the relay.

use std::time::Duration;

use relay::door::{CertificateSource, DoorLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::{Proto, Visibility};

use super::http::tls;
use super::rig::{DOMAIN, Folder, Rig, each, echo, run, web};

#[tokio::test]
async fn a_service_that_ends_tls_itself_gets_every_byte() {
    let rig = Rig::new().await;
    rig.world.serve("sealed", Proto::Tls, Visibility::Public, {
        each(|mut connection| async move {
            let mut first = [0; 5];
            connection.read_exact(&mut first).await.unwrap();
            // A record of a handshake, as a client begins: and an alert in answer (handshake failure).
            assert_eq!(first[..2], [0x16, 3]);
            connection.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await.unwrap();
        })
        .await
    });
    let refused = tls(&rig, &format!("sealed.{DOMAIN}"), &[b"h2"]).await.unwrap_err();
    assert!(refused.to_string().contains("HandshakeFailure"), "{refused}");
    assert_eq!(rig.world.visitors()[0].entry, relay::Entry::Passthrough);
}

#[tokio::test]
async fn tls_goes_through_to_a_server_with_a_certificate_of_its_own() {
    // The inner relay stands for a service that ends TLS itself.
    let (rig, inner) = (Rig::new().await, Rig::new().await);
    inner.world.serve("sealed", Proto::Http, Visibility::Public, web().await);
    rig.world.serve("sealed", Proto::Tls, Visibility::Public, inner.doors.address());
    let authority = inner.authority();
    let said =
        rig.curl(&["--cacert", authority.to_str().unwrap(), &rig.url("sealed", "/through")]).await;
    assert!(said.out.starts_with("GET /through"), "{said:?}");
    let said = rig.curl(&[&rig.url("sealed", "/")]).await;
    assert!(!said.is_ok, "the relay's own certificate is not shown: {said:?}");
}

#[tokio::test]
async fn a_private_service_is_not_passed_through() {
    let rig = Rig::new().await;
    rig.world.serve("sealed", Proto::Tls, Visibility::Owner, echo().await);
    let said = rig.curl(&[&rig.url("sealed", "/")]).await;
    assert!(said.out.contains("relay/other-door"), "{said:?}");
    assert!(rig.world.visitors().is_empty());
}

#[tokio::test]
async fn http_2_is_not_offered() {
    let rig = Rig::new().await;
    let host = format!("app.{DOMAIN}");
    let connection = tls(&rig, &host, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(connection.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(tls(&rig, &host, &[b"h2"]).await.is_err());
}

#[tokio::test]
async fn old_and_new_clients_agree_on_tls() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let url = rig.url("app", "/");
        let said = rig.curl(&[version, &[&url]].concat()).await;
        assert!(said.is_ok, "{said:?}");
    }
}

/// Makes a certificate for the relay's names with a stock tool.
async fn make(folder: &Folder, serial: &str) {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let names = format!("subjectAltName=DNS:*.{DOMAIN}");
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ];
    let (key, chain) = (path("new.key"), path("new.pem"));
    let rest = [
        "-set_serial",
        serial,
        "-subj",
        "/CN=test",
        "-addext",
        &names,
        "-keyout",
        &key,
        "-out",
        &chain,
    ];
    let said = run("openssl", &[&arguments[..], &rest[..]].concat()).await;
    assert!(said.is_ok, "{said:?}");
    std::fs::rename(key, path("site.key")).unwrap();
    std::fs::rename(chain, path("site.pem")).unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart() {
    let folder = Folder::new();
    make(&folder, "1111").await;
    let (chain, key) = (folder.path().join("site.pem"), folder.path().join("site.key"));
    let limits =
        DoorLimits { certificate_every: Duration::from_millis(20), ..DoorLimits::default() };
    let source = CertificateSource::Files { chain: chain.clone(), key };
    let rig = Rig::in_folder(folder, limits, source).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let trusted = ["--cacert", chain.to_str().unwrap()];
    let url = rig.url("app", "/");
    let connect = format!("::127.0.0.1:{}", rig.doors.address().port());
    let curl = async || {
        let rest = ["-sS", "--max-time", "20", "--connect-to", &connect, &url];
        run("curl", &[&trusted[..], &rest[..]].concat()).await
    };
    assert!(curl().await.is_ok);
    std::fs::write(&chain, "nonsense").unwrap();
    make(&rig.folder, "2222").await;
    // Only the new one is trusted from here on.
    let mut is_new = false;
    for _ in 0..500 {
        is_new = curl().await.is_ok;
        if is_new {
            break;
        }
    }
    assert!(is_new, "the new certificate is shown");
}
