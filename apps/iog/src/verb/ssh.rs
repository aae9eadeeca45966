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
        let files = Files::under(folder, rental)?;
        let public = files.public_key()?;
        let papers = visit.papers(Some(public))?;
        let label = if self.node == 0 { "ssh".to_owned() } else { format!("ssh-{}", self.node) };
        let service = visit::service(&papers, &label)?;
        if service.proto != ServiceProto::Ssh {
            let what = format!("the service `{label}` of this rental is not SSH");
            return Err(Failure::refused(what, "`iog tunnel list` shows what it is"));
        }
        files.write(&papers, service)?;
        let options = files.options(session, rental, service)?;
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
        ssh.arg(&service.name).args(&self.command);
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

/// What ssh reads, in the folder of the configuration: the key for all rentals, and each one's certificate and hosts.
struct Files {
    key: PathBuf,
    certificate: PathBuf,
    hosts: PathBuf,
}

impl Files {
    fn under(folder: &Path, rental: RentalId) -> Result<Self, Failure> {
        let folder = std::path::absolute(folder.join("ssh")).context("find the folder of keys")?;
        let of_rental = |ending: &str| folder.join(format!("{rental}{ending}"));
        let (certificate, hosts) = (of_rental("-cert.pub"), of_rental(".hosts"));
        Ok(Self { key: folder.join("id_ed25519"), certificate, hosts })
    }

    /// The public key, as OpenSSH writes it; the pair is made if there is none.
    fn public_key(&self) -> Result<String, Failure> {
        let public = self.key.with_extension("pub");
        if !self.key.exists() {
            // Made by hand of the one who knows the form; the folder is made with it.
            write_secret(&public, b"")
                .and_then(|()| fs::remove_file(&public))
                .with_context(|| format!("write {}", public.display()))?;
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-C", "iog", "-f"]).arg(&self.key);
            let made = make.stdin(Stdio::null()).status();
            let made = made.map_err(|fault| not_started("ssh-keygen", fault))?;
            if !made.success() {
                let what = format!("ssh-keygen made no key at {}", self.key.display());
                return Err(Failure::ended(what, "what it says above tells why"));
            }
        }
        let text =
            fs::read_to_string(&public).map_err(|fault| crate::file::unread(&public, &fault))?;
        Ok(text.trim().to_owned())
    }

    fn write(&self, papers: &Papers, service: &ServiceView) -> Result<(), Failure> {
        let (Some(certificate), Some(host)) = (&papers.ssh_certificate, &service.host_key) else {
            let what = "the server gave no certificate, or the node has not come up yet";
            return Err(Failure::ended(what, "try again when `iog rental` says that it runs"));
        };
        let write = |path: &Path, text: String| {
            write_secret(path, text.as_bytes()).with_context(|| format!("write {}", path.display()))
        };
        write(&self.certificate, format!("{}\n", certificate.trim()))?;
        // Nodes of one rental share the file: each line is for one name.
        let mut hosts = fs::read_to_string(&self.hosts).unwrap_or_default();
        let line = format!("{} {host}", service.name);
        hosts = hosts
            .lines()
            .filter(|known| !known.starts_with(&format!("{} ", service.name)))
            .map(|known| format!("{known}\n"))
            .collect();
        write(&self.hosts, format!("{hosts}{line}\n"))?;
        Ok(())
    }

    /// What ssh is told, as names and values of its configuration.
    fn options(
        &self,
        session: &Session,
        rental: RentalId,
        service: &ServiceView,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let program = std::env::current_exe().context("find this program")?;
        let mut pipe = format!("{} tunnel pipe {rental} {}", quoted(&program), service.label);
        if let Some(server) = session.named_server() {
            pipe.push_str(&format!(" --server {}", quoted(Path::new(&server))));
        }
        Ok(vec![
            ("HostName", service.name.clone()),
            ("User", USER.to_owned()),
            ("ProxyCommand", pipe),
            ("IdentityFile", quoted(&self.key)),
            ("CertificateFile", quoted(&self.certificate)),
            ("IdentitiesOnly", "yes".to_owned()),
            ("HostKeyAlias", service.name.clone()),
            ("UserKnownHostsFile", quoted(&self.hosts)),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("PreferredAuthentications", "publickey".to_owned()),
        ])
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
    fn a_block_of_configuration_names_the_host_as_people_do() {
        let options = [("User", USER.to_owned())];
        let named = Named::Name("training".to_owned());
        assert_eq!(config(&named, 0, &options), "Host training\n  User node\n");
        assert_eq!(config(&named, 2, &options), "Host training-2\n  User node\n");
    }
}
