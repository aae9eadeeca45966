//! `iog ssh`: a shell on a node of a rental, with the ssh that is installed here.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use units::RentalId;
use wire::{ServiceProto, ServiceView};

use crate::failure::Failure;
use crate::session::{Named, Session};
use crate::visit::openssh::{self, Files, key_of, not_started, public_key};
use crate::visit::{self, Papers, Visit};

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
        let files = files_under(folder, rental, &host)?;
        write(&files, &papers, service, &host)?;
        let options = options(&files, session, rental, (service, &host))?;
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

/// A block for `~/.ssh/config`.
fn config(rental: &Named<RentalId>, node: u32, options: &[(&str, String)]) -> String {
    let name = match rental {
        Named::Id(id) => id.to_string(),
        Named::Name(name) => name.clone(),
    };
    let host = if node == 0 { name } else { format!("{name}-{node}") };
    openssh::block(&host, options)
}

fn files_under(folder: &Path, rental: RentalId, host: &str) -> Result<Files, Failure> {
    let key = key_of(folder)?;
    let certificate = key.with_file_name(format!("{rental}-cert.pub"));
    let hosts = key.with_file_name(format!("{host}.hosts"));
    Ok(Files { key, certificate, hosts })
}

fn write(files: &Files, papers: &Papers, service: &ServiceView, host: &str) -> Result<(), Failure> {
    let (Some(certificate), Some(host_key)) = (&papers.ssh_certificate, &service.host_key) else {
        let what = "the server gave no certificate, or the node has not come up yet";
        return Err(Failure::ended(what, "try again when `iog rental` says that it runs"));
    };
    files.certify(certificate)?;
    files.know([(host.to_owned(), host_key.as_str())])
}

/// What ssh is told, as names and values of its configuration.
fn options(
    files: &Files,
    session: &Session,
    rental: RentalId,
    (service, host): (&ServiceView, &str),
) -> Result<Vec<(&'static str, String)>, Failure> {
    let program = std::env::current_exe().context("find this program")?;
    let words = [program.display().to_string(), "tunnel".to_owned(), "pipe".to_owned()];
    let named = [rental.to_string(), service.label.to_string()];
    let words = words.into_iter().chain(named).chain(session.connection().iter().cloned());
    let pipe: Vec<String> = words.map(|word| for_shell(&word)).collect();
    let leads = [("HostName", host.to_owned()), ("ProxyCommand", pipe.join(" "))];
    Ok(leads.into_iter().chain(files.options(host)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reaches_the_shell_as_it_is() {
        assert_eq!(for_shell("/usr/bin/iog"), "/usr/bin/iog");
        assert_eq!(for_shell("/a b/$x"), "'/a b/$x'");
        assert_eq!(for_shell("it's 5%"), "'it'\\''s 5%%'");
        assert_eq!(for_shell(""), "''");
    }

    #[test]
    fn a_block_of_configuration_names_the_host_as_people_do() {
        let options = [("User", "node".to_owned())];
        let named = Named::Name("training".to_owned());
        assert_eq!(config(&named, 0, &options), "Host training\n  User node\n");
        assert_eq!(config(&named, 2, &options), "Host training-2\n  User node\n");
    }
}
