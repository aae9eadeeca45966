//! `iog ssh`: a shell on a node of a rental, with the ssh that is installed here.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use units::RentalId;
use wire::{ServiceProto, ServiceView};

use crate::config::write_secret;
use crate::failure::Failure;
use crate::session::{Named, Session};
use crate::visit::{self, Papers, Visit};

/// Who visitors are on a node; whoever they name, they land as the node's user.
const USER: &str = "node";

/// Open a shell on a node of a rental, or run a command there. The node is reached through its line to a relay; the
/// session is sealed from this machine to the node. It needs OpenSSH.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a command you get a shell. What stands behind `--` is run instead, as ssh does it.

Examples:
  iog ssh training
  iog ssh training 1 -- nvidia-smi
  iog ssh training -L 6006:localhost:6006
  iog ssh training --print-config >> ~/.ssh/config")]
pub(crate) struct Args {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// The node; 0 is the head.
    #[arg(value_name = "NODE", default_value_t = 0)]
    node: u32,
    /// Lead a port of this machine to one of the node, as ssh does: may be repeated.
    #[arg(short = 'L', value_name = "PORT:HOST:PORT")]
    local_forward: Vec<String>,
    /// Write what ssh, scp, rsync and editors need to reach the node by name, for ~/.ssh/config; open nothing.
    #[arg(long, conflicts_with_all = ["local_forward", "command"])]
    print_config: bool,
    /// What to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let rental = session.rental(&client, &self.rental)?;
        let folder = session.folder()?;
        let visit = Visit::to(&client, rental, folder)?;
        let public = public_key(&key_of(folder)?)?;
        let papers = visit.papers(Some(public))?;
        let label = if self.node == 0 { "ssh".to_owned() } else { format!("ssh-{}", self.node) };
        let service = visit::service(&papers, &label)?;
        if service.proto != ServiceProto::Ssh {
            let what = format!("the service `{label}` of this rental is not SSH");
            return Err(Failure::refused(what, "`iog tunnel list` shows what it is"));
        }
        // It stands in what ssh reads, so it must be a name and nothing else.
        let host = visit::name_of(service)?.to_string();
        let files = Files::under(folder, rental, &host)?;
        files.write(&papers, service, &host)?;
        let options = files.options(session, rental, (service, &host))?;
        if self.print_config {
            return session.screen.data(&config(&self.rental, self.node, &options));
        }
        let mut ssh = Command::new("ssh");
        for (name, value) in &options {
            ssh.arg("-o").arg(format!("{name}={value}"));
        }
        for forward in &self.local_forward {
            ssh.arg("-L").arg(forward);
        }
        // What stands behind is no option any more, whatever it looks like.
        ssh.arg("--").arg(&host).args(&self.command);
        // It takes the place of this program, terminal and all.
        let fault = ssh.exec();
        Err(not_started("ssh", fault))
    }
}

fn not_started(program: &str, fault: std::io::Error) -> Failure {
    if fault.kind() != ErrorKind::NotFound {
        return Failure::Fault(anyhow::Error::new(fault).context(format!("start {program}")));
    }
    let what = format!("there is no `{program}` on this machine");
    Failure::usage(what, "install OpenSSH's client: apt-get install openssh-client")
}

/// A block for `~/.ssh/config`.
fn config(rental: &Named<RentalId>, node: u32, options: &[(&str, String)]) -> String {
    let name = match rental {
        Named::Id(id) => id.to_string(),
        Named::Name(name) => name.clone(),
    };
    let host = if node == 0 { name } else { format!("{name}-{node}") };
    let lines = options.iter().map(|(name, value)| format!("  {name} {value}\n"));
    format!("Host {host}\n{}", lines.collect::<String>())
}

/// The private key for the SSH of all rentals, in the folder of the configuration.
fn key_of(folder: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(folder.join("ssh/id_ed25519")).context("find the folder of keys")?)
}

/// What a program of OpenSSH writes.
fn told_by(mut program: Command) -> Result<String, Failure> {
    let output = program.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|fault| not_started("ssh-keygen", fault))?;
    if !output.status.success() {
        let what = format!("ssh-keygen ended ({})", output.status);
        return Err(Failure::ended(what, "what it says above tells why"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The public key, as OpenSSH writes it; the pair is made if there is none.
fn public_key(key: &Path) -> Result<String, Failure> {
    if !key.exists() {
        let beside = key.with_extension(std::process::id().to_string());
        // Written and removed, so that the folder is there, and for its owner only.
        let made = write_secret(&beside, b"").and_then(|()| fs::remove_file(&beside));
        made.with_context(|| format!("write {}", beside.display()))?;
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "iog", "-f"]).arg(&beside);
        told_by(make)?;
        // Of two at once, the first one's stays.
        let placed = fs::hard_link(&beside, key);
        let _ = fs::remove_file(&beside);
        let _ = fs::remove_file(beside.with_added_extension("pub"));
        match placed {
            Err(fault) if fault.kind() != ErrorKind::AlreadyExists => {
                let what = format!("write {}", key.display());
                return Err(Failure::Fault(anyhow::Error::new(fault).context(what)));
            }
            _ => {}
        }
    }
    let mut read = Command::new("ssh-keygen");
    read.arg("-y").arg("-f").arg(key);
    told_by(read)
}

/// What ssh reads of one service.
struct Files {
    key: PathBuf,
    certificate: PathBuf,
    hosts: PathBuf,
}

impl Files {
    fn under(folder: &Path, rental: RentalId, host: &str) -> Result<Self, Failure> {
        let key = key_of(folder)?;
        let certificate = key.with_file_name(format!("{rental}-cert.pub"));
        let hosts = key.with_file_name(format!("{host}.hosts"));
        Ok(Self { key, certificate, hosts })
    }

    fn write(&self, papers: &Papers, service: &ServiceView, host: &str) -> Result<(), Failure> {
        let (Some(certificate), Some(host_key)) = (&papers.ssh_certificate, &service.host_key)
        else {
            let what = "the server gave no certificate, or the node has not come up yet";
            return Err(Failure::ended(what, "try again when `iog rental` says that it runs"));
        };
        let certificate = one_line(certificate)?;
        let host_key = one_line(host_key)?;
        let write = |path: &Path, text: String| {
            write_secret(path, text.as_bytes()).with_context(|| format!("write {}", path.display()))
        };
        write(&self.certificate, format!("{certificate}\n"))?;
        write(&self.hosts, format!("{host} {host_key}\n"))?;
        Ok(())
    }

    /// What ssh is told, as names and values of its configuration.
    fn options(
        &self,
        session: &Session,
        rental: RentalId,
        (service, host): (&ServiceView, &str),
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let program = std::env::current_exe().context("find this program")?;
        let words = [program.display().to_string(), "tunnel".to_owned(), "pipe".to_owned()];
        let named = [rental.to_string(), service.label.to_string()];
        let words = words.into_iter().chain(named).chain(session.connection().iter().cloned());
        let pipe: Vec<String> = words.map(|word| for_shell(&word)).collect();
        let off = |name| (name, "no".to_owned());
        Ok(vec![
            ("HostName", host.to_owned()),
            ("User", USER.to_owned()),
            ("ProxyCommand", pipe.join(" ")),
            ("IdentityFile", quoted(&self.key)),
            ("CertificateFile", quoted(&self.certificate)),
            ("IdentitiesOnly", "yes".to_owned()),
            ("HostKeyAlias", host.to_owned()),
            ("UserKnownHostsFile", quoted(&self.hosts)),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("PreferredAuthentications", "publickey".to_owned()),
            // Whatever this user's own configuration says: the machine is somebody else's.
            off("ForwardAgent"),
            off("ForwardX11"),
            off("PermitLocalCommand"),
            off("UpdateHostKeys"),
            off("AddKeysToAgent"),
        ])
    }
}

/// A key or a certificate as OpenSSH writes it: words of letters and base 64 on one line.
fn one_line(text: &str) -> Result<&str, Failure> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-@._ ".contains(&byte);
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(is_known) {
        let what = "the server gave a key that is not as OpenSSH writes it";
        return Err(Failure::refused(what, "is it the right server?"));
    }
    Ok(text)
}

/// A word for the shell that ssh starts `ProxyCommand` with, which takes `%` for the beginning of something first.
fn for_shell(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@=,+".contains(&byte);
    let word = word.replace('%', "%%");
    match word.bytes().all(|byte| is_plain(byte) || byte == b'%') && !word.is_empty() {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A path as ssh reads it: it takes `%` for the beginning of something, and spaces for ends.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reaches_ssh_as_it_is() {
        assert_eq!(quoted(Path::new("/a/b")), "/a/b");
        assert_eq!(quoted(Path::new("/a b/50%")), "\"/a b/50%%\"");
    }

    #[test]
    fn a_word_reaches_the_shell_as_it_is() {
        assert_eq!(for_shell("/usr/bin/iog"), "/usr/bin/iog");
        assert_eq!(for_shell("/a b/$x"), "'/a b/$x'");
        assert_eq!(for_shell("it's 5%"), "'it'\\''s 5%%'");
        assert_eq!(for_shell(""), "''");
    }

    #[test]
    fn a_key_of_more_than_one_line_is_none() {
        assert_eq!(one_line(" ssh-ed25519 AAAA+/= \n").unwrap(), "ssh-ed25519 AAAA+/=");
        for wrong in ["", "\n", "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB", "a\tb", "`x`"] {
            assert!(one_line(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_block_of_configuration_names_the_host_as_people_do() {
        let options = [("User", USER.to_owned())];
        let named = Named::Name("training".to_owned());
        assert_eq!(config(&named, 0, &options), "Host training\n  User node\n");
        assert_eq!(config(&named, 2, &options), "Host training-2\n  User node\n");
    }
}
