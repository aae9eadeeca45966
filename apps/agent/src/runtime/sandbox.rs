//! What stands between a node and the machine: bubblewrap where it works, a plain session of its own where not.
//!
//! In a sandbox a node sees the system's programs and libraries, its environment and its own folder, and nothing
//! else of the machine's disks: what is not listed does not exist for it, the keys of any agent least of all. It
//! has its own processes, `/tmp`, `/dev/shm` and host name, and its own network if it is of a mesh (`net`). It outlives
//! the agent.
//!
//! An agent that is root gives each node a user of its own, with no privileges and no way to get them. (Mapping
//! root into a user namespace would not do: the kernel would still let it read what belongs to root.)

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Bubblewrap if it works here, else plain processes.
    #[default]
    Auto,
    /// Bubblewrap or nothing.
    Bubblewrap,
    /// Plain processes.
    Plain,
}

/// What a node runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Namespaces made by bubblewrap.
    Bubblewrap,
    /// Only a session of its own. The node sees the machine as its user does.
    Plain,
}

/// Where a bubblewrapped node finds its folder.
pub const INSIDE: &str = "/iog";

/// Parts of `/etc` that programs need; the rest stays unseen.
const ETC: [&str; 14] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
];

const INSTALL: &str = "install bubblewrap";
const TRY: &str = "as the agent's user, `bwrap --unshare-all --ro-bind / / true` has to work";
/// Words of what bubblewrap says when a system does not let it, and what to do about each.
const HINTS: [(&str, &str); 7] = [
    ("max_", "let users make namespaces: sysctl -w user.max_user_namespaces=15000"),
    (
        "No permissions to create",
        "let users make namespaces: sysctl -w kernel.unprivileged_userns_clone=1; or, in a container, start that as \
         --privileged",
    ),
    ("uid map", UNCONFINED),
    ("RTM_NEW", UNCONFINED),
    ("mount proc", "start the container that this is as --privileged"),
    ("execvp setpriv", "install util-linux"),
    (
        "setpriv: set",
        "this root may become no other user: start the agent as an ordinary user, or as the machine's root",
    ),
];
const UNCONFINED: &str = "let bubblewrap make namespaces where AppArmor does not: \
                          sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";

/// What a node that shares the machine's network is told of names.
const NAMES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Folders at the root that are links into `/usr` on most systems.
const MERGED: [&str; 6] = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// Devices every NVIDIA card needs besides its own.
const NVIDIA: [&str; 4] =
    ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];

/// What a node with its own network is told of names: files of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// What stands for `/etc/hosts`.
    pub hosts: &'a Path,
    /// What stands for `/etc/resolv.conf`.
    pub resolv: &'a Path,
}

/// What a node is shut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room<'a> {
    /// What it runs in.
    pub kind: Kind,
    /// Its own network, which bubblewrap alone makes; absent if it shares the machine's.
    pub names: Option<Names<'a>>,
    /// The user it runs as, where the agent is root.
    pub user: Option<u32>,
    /// Its folder on the machine; a bubblewrapped node finds it at [`INSIDE`] and its `tmp` at `/tmp`.
    pub folder: &'a Path,
    /// The file that stands for `/etc/passwd`.
    pub passwd: &'a Path,
    /// Folders it may read, at their own places.
    pub readable: Vec<PathBuf>,
    /// The name of its machine, as it sees it.
    pub host_name: &'a str,
    /// Size of its shared memory, in bytes.
    pub shared_memory: u64,
    /// Device numbers of its cards.
    pub cards: Vec<u32>,
}

/// Collects the words of a command line.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// A folder or file at its own place; the folders above it are made first, readable to all.
    fn read_only(&mut self, path: &Path) {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for folder in above.iter().filter(|folder| folder.parent().is_some()) {
            self.add(&["--dir", &folder.to_string_lossy()]);
        }
        let text = path.to_string_lossy();
        self.add(&["--ro-bind", &text, &text]);
    }
}

impl Room<'_> {
    /// The words to put before a command so that it runs in this room.
    pub fn prefix(&self) -> Vec<String> {
        let mut words = Words::default();
        match self.kind {
            Kind::Bubblewrap => self.bubblewrap(&mut words),
            Kind::Plain => words.add(&["setsid"]),
        }
        if let Some(user) = self.user {
            words.add(&drop_to(&user.to_string()));
        }
        words.0
    }

    fn bubblewrap(&self, words: &mut Words) {
        words.add(&["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session"]);
        if self.names.is_some() {
            words.add(&["--unshare-net"]);
        }
        words.add(&["--hostname", self.host_name, "--cap-drop", "ALL"]);
        match self.user {
            // Just enough to become the node's user; that step drops them too.
            Some(_) => ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
                .iter()
                .for_each(|capability| words.add(&["--cap-add", capability])),
            None => words.add(&["--unshare-user", "--disable-userns"]),
        }
        self.system(words);
        self.devices(words);
        let folder = self.folder.to_string_lossy();
        words.add(&["--bind", &folder, INSIDE, "--bind", &format!("{folder}/tmp"), "/tmp"]);
        // Last, because an environment may lie in a folder that the ones above cover.
        self.readable.iter().for_each(|path| words.read_only(path));
        // A node of the agent's user owns both, and with them the names of what starts programs.
        words.add(&["--remount-ro", "/dev", "--remount-ro", "/"]);
        words.add(&["--chdir", "/", "--"]);
    }

    fn system(&self, words: &mut Words) {
        words.add(&["--ro-bind", "/usr", "/usr"]);
        for path in MERGED {
            match std::fs::read_link(path) {
                Ok(to) => words.add(&["--symlink", &to.to_string_lossy(), path]),
                Err(_) => words.add(&["--ro-bind-try", path, path]),
            }
        }
        words.add(&["--dir", "/etc"]);
        ETC.iter().for_each(|path| words.add(&["--ro-bind-try", path, path]));
        match self.names {
            Some(Names { hosts, resolv }) => {
                let paths = [hosts, resolv].map(Path::to_string_lossy);
                let pairs = paths.iter().zip(NAMES);
                pairs.for_each(|(from, to)| words.add(&["--ro-bind", from, to]));
            }
            None => NAMES.iter().for_each(|path| words.add(&["--ro-bind-try", path, path])),
        }
        words.add(&["--ro-bind", &self.passwd.to_string_lossy(), "/etc/passwd"]);
        words.add(&["--ro-bind", "/sys", "/sys", "--proc", "/proc"]);
    }

    fn devices(&self, words: &mut Words) {
        let size = self.shared_memory.to_string();
        words.add(&["--dev", "/dev", "--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm"]);
        if !self.cards.is_empty() {
            NVIDIA.iter().for_each(|path| words.add(&["--dev-bind-try", path, path]));
        }
        for card in &self.cards {
            let path = format!("/dev/nvidia{card}");
            words.add(&["--dev-bind", &path, &path]);
        }
    }
}

/// The words that make a command run as this user, for good.
fn drop_to(user: &str) -> [&str; 10] {
    let privileges = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
    let [bounding, inheritable, none_new] = privileges;
    [
        "setpriv",
        "--reuid",
        user,
        "--regid",
        user,
        "--clear-groups",
        bounding,
        inheritable,
        none_new,
        "--",
    ]
}

/// What is used here for what was asked, and why that is not bubblewrap if it is not.
pub fn settle(
    choice: Choice,
    works: impl Fn() -> Result<(), String>,
) -> Result<(Kind, Option<String>), String> {
    match choice {
        Choice::Plain => Ok((Kind::Plain, None)),
        Choice::Bubblewrap => works().map(|()| (Kind::Bubblewrap, None)),
        Choice::Auto => Ok(match works() {
            Ok(()) => (Kind::Bubblewrap, None),
            Err(why) => (Kind::Plain, Some(why)),
        }),
    }
}

/// Tries a room like a node's. Needs a folder to work in, which is left as it was found.
pub fn probe(folder: &Path, user: Option<u32>) -> Result<(), String> {
    let place = folder.join("sandbox-probe");
    let passwd = place.join("passwd");
    let made =
        std::fs::create_dir_all(place.join("tmp")).and_then(|()| std::fs::write(&passwd, ""));
    made.map_err(|fault| format!("could not write in {}: {fault}", folder.display()))?;
    let room = Room {
        kind: Kind::Bubblewrap,
        names: None,
        user,
        folder: &place,
        passwd: &passwd,
        readable: Vec::new(),
        host_name: "probe",
        shared_memory: 1 << 20,
        cards: Vec::new(),
    };
    let words = room.prefix();
    let output = Command::new(&words[0]).args(&words[1..]).arg("true").output();
    let _ = std::fs::remove_dir_all(&place);
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(with_hint(String::from_utf8_lossy(&output.stderr).trim())),
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            Err(format!("there is no {} (hint: {INSTALL})", words[0]))
        }
        Err(fault) => Err(format!("could not run {}: {fault} (hint: {INSTALL})", words[0])),
    }
}

/// What bubblewrap said of why it does not work, with what to do about it.
pub fn with_hint(said: &str) -> String {
    let said = said.lines().next().unwrap_or("it does not say why");
    let hint = HINTS.iter().find(|(word, _)| said.contains(word)).map_or(TRY, |(_, hint)| hint);
    format!("{said} (hint: {hint})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(kind: Kind, user: Option<u32>) -> Room<'static> {
        Room {
            kind,
            names: None,
            user,
            folder: Path::new("/data/node/box"),
            passwd: Path::new("/data/node/passwd"),
            readable: vec![PathBuf::from("/opt/iog/ray")],
            host_name: "rack-3",
            shared_memory: 1_000,
            cards: vec![2],
        }
    }

    fn has(words: &[String], part: &[&str]) -> bool {
        words.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_node_sees_what_is_listed_and_nothing_else_of_the_disks() {
        let words = room(Kind::Bubblewrap, None).prefix();
        assert!(has(&words, &["--bind", "/data/node/box", "/iog"]));
        assert!(has(&words, &["--bind", "/data/node/box/tmp", "/tmp"]));
        assert!(has(
            &words,
            &["--dir", "/opt", "--dir", "/opt/iog", "--ro-bind", "/opt/iog/ray", "/opt/iog/ray"]
        ));
        assert!(
            !has(&words, &["--ro-bind", "/", "/"]) && !has(&words, &["--dev-bind", "/dev", "/dev"])
        );
        let writable = words.iter().filter(|word| *word == "--bind").count();
        assert_eq!(writable, 2, "only its own folder");
        assert!(has(&words, &["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"]));
    }

    #[test]
    fn a_node_has_its_own_network_or_shares_the_machines() {
        let (hosts, resolv) = (Path::new("/data/node/hosts"), Path::new("/data/node/resolv.conf"));
        let names = Some(Names { hosts, resolv });
        let own = Room { names, ..room(Kind::Bubblewrap, None) }.prefix();
        assert!(has(&own, &["--unshare-net"]));
        assert!(has(&own, &["--ro-bind", "/data/node/resolv.conf", "/etc/resolv.conf"]));
        assert!(!has(&own, &["/etc/hosts", "/etc/hosts"]), "the machine's names are its own");
        let shared = room(Kind::Bubblewrap, None).prefix();
        assert!(!has(&shared, &["--unshare-net"]) && has(&shared, &["/etc/hosts", "/etc/hosts"]));
    }

    #[test]
    fn a_node_outlives_the_agent() {
        assert!(
            !room(Kind::Bubblewrap, None).prefix().iter().any(|word| word == "--die-with-parent")
        );
        assert_eq!(room(Kind::Plain, None).prefix(), ["setsid"]);
    }

    #[test]
    fn under_root_a_node_has_a_user_without_privileges() {
        for kind in [Kind::Bubblewrap, Kind::Plain] {
            let words = room(kind, Some(77)).prefix();
            assert!(has(&words, &["setpriv", "--reuid", "77", "--regid", "77", "--clear-groups"]));
            assert!(has(&words, &["--no-new-privs", "--"]) && words.last().unwrap() == "--");
        }
        assert!(
            !room(Kind::Bubblewrap, Some(77)).prefix().iter().any(|word| word == "--unshare-user")
        );
    }

    #[test]
    fn a_node_has_its_own_cards_only() {
        let words = room(Kind::Bubblewrap, None).prefix();
        assert!(has(&words, &["--dev-bind", "/dev/nvidia2", "/dev/nvidia2"]));
        assert!(!words.iter().any(|word| word == "/dev/nvidia0"));
        let without = Room { cards: Vec::new(), ..room(Kind::Bubblewrap, None) }.prefix();
        assert!(!without.iter().any(|word| word.contains("nvidia")));
    }

    #[test]
    fn what_keeps_bubblewrap_from_working_is_told_with_what_to_do() {
        let check = |said, hint| {
            let told = with_hint(said);
            assert!(told.starts_with(said.lines().next().unwrap()), "{told}");
            assert!(told.contains("(hint: ") && told.contains(hint), "{told}");
        };
        let clone = "bwrap: No permissions to create new namespace, likely because the kernel does not allow \
                     non-privileged user namespaces.\nOn e.g. debian this can be enabled";
        check(clone, "unprivileged_userns_clone=1");
        let depth = "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded";
        check(depth, "user.max_user_namespaces=15000");
        check("bwrap: setting up uid map: Permission denied", "apparmor");
        check("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "apparmor");
        check("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "--privileged");
        check("bwrap: execvp setpriv: No such file or directory", "util-linux");
        check("setpriv: setresuid failed: Invalid argument", "as an ordinary user");
        check("bwrap: something else", "`bwrap --unshare-all");
        assert!(with_hint("").contains("it does not say why"));
    }

    #[test]
    fn bubblewrap_is_used_where_it_works_and_demanded_where_it_must() {
        let broken = || Err("no namespaces".to_owned());
        assert_eq!(settle(Choice::Auto, || Ok(())), Ok((Kind::Bubblewrap, None)));
        assert_eq!(
            settle(Choice::Auto, broken),
            Ok((Kind::Plain, Some("no namespaces".to_owned())))
        );
        assert_eq!(settle(Choice::Bubblewrap, broken), Err("no namespaces".to_owned()));
        assert_eq!(settle(Choice::Plain, || Ok(())), Ok((Kind::Plain, None)));
    }
}
