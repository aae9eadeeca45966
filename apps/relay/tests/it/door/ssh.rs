//! The jump host, with the OpenSSH of the system: a real client, and a real server behind the door.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use relay::door::DoorLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel::{Proto, Visibility};

use super::rig::{DOMAIN, Rig, Said, each, echo, nowhere, run};

const SSHD: &str = "/usr/sbin/sshd";

/// A visitor's keys and the files of a server, in the rig's folder.
pub(super) struct Keys {
    /// The public half, without its comment.
    pub(super) public: String,
}

pub(super) async fn make_key(folder: &Path, name: &str, kind: &[&str]) -> Keys {
    let path = folder.join(name);
    let all = [&["-q", "-N", "", "-f", path.to_str().unwrap()], kind].concat();
    let said = run("ssh-keygen", &all).await;
    assert!(said.is_ok, "{said:?}");
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    Keys { public: public.rsplitn(2, ' ').last().unwrap().to_owned() }
}

/// A real SSH server, one process for each connection, so that it needs no port of its own.
pub(super) async fn sshd(folder: &Path) -> SocketAddr {
    // Without a boot nobody has made it.
    let _ = std::fs::create_dir_all("/run/sshd");
    make_key(folder, "service_host_key", &["-t", "ed25519"]).await;
    let config = folder.join("sshd_config");
    let text = format!(
        "HostKey {0}/service_host_key\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\nUsePAM no\n\
         StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         Subsystem sftp internal-sftp\n",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    each(move |connection| {
        let socket = OwnedFd::from(connection.into_std().unwrap());
        rustix::fs::fcntl_setfl(&socket, rustix::fs::OFlags::RDWR).unwrap();
        let mut command = Command::new(SSHD);
        command.args(["-i", "-e", "-f"]).arg(&config).stderr(Stdio::null());
        command.stdin(socket.try_clone().unwrap()).stdout(socket);
        async move {
            // It ends with its connection.
            let ended = tokio::task::spawn_blocking(move || command.status());
            let _ = ended.await;
        }
    })
    .await
}

/// Whether there is OpenSSH, client and server.
pub(super) fn has_openssh() -> bool {
    let is_there = Path::new(SSHD).exists();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "{SSHD} is missing: run ./x setup");
        say_skipped();
    }
    is_there
}

/// A rig whose visitor `alice` has an account at the server behind `ssh--node7`, and is known to the relay. None where
/// there is no OpenSSH, which is said; in continuous integration that is a failure.
async fn with_shell(limits: DoorLimits) -> Option<Rig> {
    if !has_openssh() {
        return None;
    }
    let rig = Rig::with(limits).await;
    let folder = rig.folder.path();
    let alice = make_key(folder, "alice", &["-t", "ed25519"]).await;
    std::fs::write(folder.join("authorized_keys"), &alice.public).unwrap();
    rig.world.know_key(&alice.public);
    let at = sshd(folder).await;
    rig.world.serve("ssh--node7", Proto::Ssh, Visibility::Members, at);
    rig.world.serve("elsewhere", Proto::Ssh, Visibility::Members, at);
    Some(rig)
}

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's words learns why it showed nothing"
)]
fn say_skipped() {
    eprintln!("skipped: {SSHD} is missing: run ./x setup");
}

/// Who runs the tests.
pub(super) async fn me() -> String {
    run("id", &["-un"]).await.out.trim().to_owned()
}

/// ssh with a configuration of this test alone.
pub(super) async fn ssh(rig: &Rig, key: &str, jump_port: u16, arguments: &[&str]) -> Said {
    let folder = rig.folder.path().display();
    let config = format!(
        "Host *\n IdentityFile {folder}/{key}\n IdentitiesOnly yes\n IdentityAgent none\n BatchMode yes\n \
         StrictHostKeyChecking accept-new\n UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile none\n \
         ConnectTimeout 20\n LogLevel INFO\nHost jump\n HostName 127.0.0.1\n Port {jump_port}\n"
    );
    let path = rig.folder.path().join(format!("ssh_config_{key}_{jump_port}"));
    std::fs::write(&path, config).unwrap();
    run("ssh", &[&["-F", path.to_str().unwrap()], arguments].concat()).await
}

#[tokio::test]
async fn openssh_jumps_to_a_real_server_by_either_port() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    let login = format!("{}@node7", me().await);
    let ports = [rig.doors.ssh_address().unwrap().port(), rig.doors.address().port()];
    for port in ports {
        let said = ssh(&rig, "alice", port, &["-J", "jump", &login, "echo here; cat"]).await;
        assert!(said.is_ok && said.out == "here\n", "{said:?}");
    }
    let full = format!("{}@ssh.node7.{DOMAIN}", me().await);
    let said =
        ssh(&rig, "alice", ports[0], &["-J", "jump", &full, "head -c 4000000 /dev/zero | wc -c"])
            .await;
    assert_eq!(said.out.trim(), "4000000", "{said:?}");
    let visitors = rig.world.visitors();
    assert!(
        visitors
            .iter()
            .all(|visitor| visitor.entry == relay::Entry::Ssh && visitor.subject == "alice")
    );
    rig.shows("iog_relay_visitor_open{door=\"ssh\"} 0").await;
}

#[tokio::test]
async fn much_goes_through_the_jump_host_whole() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    let login = format!("{}@node7", me().await);
    let port = rig.doors.ssh_address().unwrap().port();
    let command = "head -c 30000000 /dev/zero | tr '\\0' 'x'";
    let said = ssh(&rig, "alice", port, &["-J", "jump", &login, command]).await;
    assert!(said.is_ok && said.out.len() == 30_000_000, "{} bytes, {}", said.out.len(), said.err);
}

#[tokio::test]
async fn keys_of_every_usual_kind_are_taken() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    let port = rig.doors.ssh_address().unwrap().port();
    for (name, kind) in
        [("rsa", &["-t", "rsa", "-b", "3072"][..]), ("ecdsa", &["-t", "ecdsa", "-b", "256"])]
    {
        let key = make_key(rig.folder.path(), name, kind).await;
        rig.world.know_key(&key.public);
        let said = ssh(&rig, name, port, &["jump"]).await;
        assert!(said.out.contains("without a shell"), "{said:?}");
    }
}

#[tokio::test]
async fn there_is_no_shell_and_nothing_else_at_the_relay() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    let port = rig.doors.ssh_address().unwrap().port();
    for command in [&["jump"][..], &["-tt", "jump"], &["jump", "id"], &["-s", "jump", "sftp"]] {
        let said = ssh(&rig, "alice", port, command).await;
        assert!(!said.is_ok && said.out.contains("This is a jump host"), "{said:?}");
    }
    let said = ssh(
        &rig,
        "alice",
        port,
        &["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:localhost:1", "jump"],
    )
    .await;
    assert!(!said.is_ok && said.err.contains("forward"), "{said:?}");
}

#[tokio::test]
async fn strangers_do_not_come_in() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    let port = rig.doors.ssh_address().unwrap().port();
    make_key(rig.folder.path(), "mallory", &["-t", "ed25519"]).await;
    let said = ssh(&rig, "mallory", port, &["-J", "jump", "x@node7", "true"]).await;
    assert!(!said.is_ok && said.err.contains("Permission denied (publickey)"), "{said:?}");
    assert!(rig.world.visitors().is_empty());
}

#[tokio::test]
async fn whoever_asks_for_what_is_not_theirs_or_not_there_hears_so() {
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    rig.world.serve("dead", Proto::Ssh, Visibility::Public, nowhere().await);
    let port = rig.doors.ssh_address().unwrap().port();
    for (service, why) in [
        ("nobody", "no connected machine serves nobody"),
        ("dead", "nothing answers behind `dead`"),
        ("elsewhere", "administratively prohibited"),
        ("127.0.0.1", "no connected machine serves 127.0.0.1"),
    ] {
        let said = ssh(&rig, "alice", port, &["-J", "jump", &format!("x@{service}"), "true"]).await;
        assert!(!said.is_ok && said.err.contains(why), "{service}: {said:?}");
    }
}

#[tokio::test]
async fn one_connection_has_so_many_channels() {
    let Some(rig) = with_shell(DoorLimits { ssh_channels: 0, ..DoorLimits::default() }).await
    else {
        return;
    };
    rig.world.serve("any", Proto::Ssh, Visibility::Public, echo().await);
    let port = rig.doors.ssh_address().unwrap().port();
    let said = ssh(&rig, "alice", port, &["-J", "jump", "x@any", "true"]).await;
    assert!(!said.is_ok && said.err.contains("resource shortage"), "{said:?}");
}

#[tokio::test]
async fn sessions_count_as_channels_and_services_of_http_are_no_hosts() {
    let Some(rig) = with_shell(DoorLimits { ssh_channels: 0, ..DoorLimits::default() }).await
    else {
        return;
    };
    let port = rig.doors.ssh_address().unwrap().port();
    let said = ssh(&rig, "alice", port, &["jump"]).await;
    assert!(!said.is_ok && !said.out.contains("jump host"), "{said:?}");
    let Some(rig) = with_shell(DoorLimits::default()).await else { return };
    rig.world.serve("web", Proto::Http, Visibility::Public, echo().await);
    let port = rig.doors.ssh_address().unwrap().port();
    let said = ssh(&rig, "alice", port, &["-J", "jump", "x@web", "true"]).await;
    assert!(!said.is_ok && said.err.contains("web is visited by https"), "{said:?}");
}

#[tokio::test]
async fn who_breaks_off_before_a_login_gives_the_place_back_at_once() {
    let rig = Rig::with(DoorLimits { connections: 1, ..DoorLimits::default() }).await;
    let address = rig.doors.ssh_address().unwrap();
    for turned in 1..=2 {
        let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
        stranger.write_all(b"SSH-2.0-x\r\nnonsense that is no packet of SSH\r\n").await.unwrap();
        let mut said = Vec::new();
        let _ = stranger.read_to_end(&mut said).await;
        let counted = format!("iog_relay_visitor_turned_total{{why=\"handshake\"}} {turned}");
        rig.shows(&counted).await;
    }
}
