//! Visitors with papers of the network: tokens made by the bearer of a pass, and certificates of OpenSSH.

use ed25519_dalek::SigningKey;
use relay::door::Papers;
use tunnel::{Proto, ServiceName};
use units::{AccountId, HOUR, MINUTE, RentalId, Timestamp};
use wire::Time;
use wire::paper::{May, NodeKey, Pass, PassLimits, SealedPaper, Visit};

use super::rig::{Rig, echo, run, web};
use super::ssh::{has_openssh, make_key, ssh};

const ACCOUNT: AccountId = AccountId::from_bits(7);
const RENTAL: RentalId = RentalId::from_bits(8);
const OTHER_RENTAL: RentalId = RentalId::from_bits(9);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(key: &SigningKey) -> NodeKey {
    NodeKey(key.verifying_key().to_bytes())
}

/// What key 2 may show, signed by key 1: it may visit one rental.
fn pass(now: Timestamp) -> SealedPaper {
    let pass = Pass {
        holder: public(&key(2)),
        worker: None,
        account: ACCOUNT,
        may: May { forward: [RENTAL].into(), ..May::default() },
        limits: PassLimits::default(),
        issued: Time(now),
        expires: Time(now.after(HOUR)),
    };
    SealedPaper::seal(&pass, &key(1)).unwrap()
}

fn of_rental(label: &str, rental: RentalId) -> ServiceName {
    ServiceName::of_rental(label, rental).unwrap()
}

#[tokio::test]
async fn a_token_that_the_bearer_of_a_pass_made_opens_one_service() {
    let rig = Rig::admitting(Papers::new(public(&key(1)))).await;
    let (mine, next, others) =
        (of_rental("lab", RENTAL), of_rental("notes", RENTAL), of_rental("lab", OTHER_RENTAL));
    let published = ServiceName::of_account("blog", ACCOUNT).unwrap();
    for (service, rental) in [
        (&mine, Some(RENTAL)),
        (&next, Some(RENTAL)),
        (&others, Some(OTHER_RENTAL)),
        (&published, None),
    ] {
        rig.world.serve_for(service.as_str(), Proto::Http, (ACCOUNT, rental), web().await);
    }
    let now = trunk::now();
    let token = |service: &ServiceName, until: Timestamp, bearer: u8| {
        Visit::sign(pass(now), service.as_str(), until, &key(bearer)).unwrap().to_text()
    };
    let soon = now.after(10 * MINUTE);
    let cases = [
        (&mine, token(&mine, soon, 2), "200"),
        (&published, token(&published, soon, 2), "200"),
        (&next, token(&mine, soon, 2), "403"),
        (&others, token(&others, soon, 2), "403"),
        (&mine, token(&mine, soon, 3), "401"),
        (&mine, token(&mine, now, 2), "401"),
        (&mine, "nonsense".to_owned(), "401"),
    ];
    for (service, token, wanted) in cases {
        let bearer = format!("Authorization: Bearer {token}");
        let url = rig.url(service.as_str(), "/");
        let said = rig.curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", &bearer, &url]).await;
        assert_eq!(said.out, wanted, "{service} {token}");
    }
    assert!(rig.world.visitors().iter().all(|visitor| visitor.subject == ACCOUNT.to_string()));
    let link = rig.url(mine.as_str(), &format!("/lab?iog-token={}", token(&mine, soon, 2)));
    let jar = rig.folder.path().join("jar");
    let said = rig.curl(&["-L", "-b", jar.to_str().unwrap(), &link]).await;
    assert!(said.out.starts_with("GET /lab HTTP/1.1"), "{said:?}");
}

#[tokio::test]
async fn a_certificate_of_the_network_opens_the_jump_host() {
    if !has_openssh() {
        return;
    }
    let folder = super::rig::Folder::new();
    // The network's key, as OpenSSH has it: the last 32 bytes of an ed25519 key are the key.
    let network = make_key(folder.path(), "network", &["-t", "ed25519"]).await;
    let encoded = network.public.split(' ').nth(1).unwrap();
    let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap();
    let network = NodeKey(*bytes.last_chunk().unwrap());
    let rig = Rig::admitting(Papers::new(network)).await;
    let (mine, others) = (of_rental("ssh", RENTAL), of_rental("ssh", OTHER_RENTAL));
    for (service, rental) in [(&mine, RENTAL), (&others, OTHER_RENTAL)] {
        rig.world.serve_for(service.as_str(), Proto::Ssh, (ACCOUNT, Some(rental)), echo().await);
    }
    let certified = async |name: &str, principals: &str, time: &str| {
        make_key(rig.folder.path(), name, &["-t", "ed25519"]).await;
        let (signer, path) = (folder.path().join("network"), rig.folder.path().join(name));
        let (signer, path) = (signer.display().to_string(), format!("{}.pub", path.display()));
        let said = run(
            "ssh-keygen",
            &["-q", "-s", &signer, "-I", name, "-n", principals, "-V", time, &path],
        )
        .await;
        assert!(said.is_ok, "{said:?}");
    };
    certified("renter", &RENTAL.to_string(), "-5m:+5m").await;
    certified("late", &RENTAL.to_string(), "-10m:-5m").await;
    make_key(rig.folder.path(), "bare", &["-t", "ed25519"]).await;
    let port = rig.doors.ssh_address().unwrap().port();
    let ask = async |key: &str, service: &ServiceName| {
        ssh(&rig, key, port, &["-W", &format!("{service}:22"), "jump"]).await
    };
    let said = ask("renter", &mine).await;
    assert!(said.is_ok, "{said:?}");
    assert_eq!(rig.world.visitors()[0].subject, RENTAL.to_string());
    let said = ask("renter", &others).await;
    assert!(said.err.contains("administratively prohibited"), "{said:?}");
    for key in ["late", "bare"] {
        let said = ask(key, &mine).await;
        assert!(said.err.contains("Permission denied"), "{key}: {said:?}");
    }
}
