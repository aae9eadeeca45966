//! Whose a process is, from what the kernel says of it.

use std::collections::BTreeSet;

use super::sample::{NodeRef, Owner};

/// What the kernel says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub pid: u32,
    /// Its control groups: controllers and path, as [`groups_of`] reads them.
    pub groups: Vec<(String, String)>,
    /// The number of its namespace of processes, where it can be read.
    pub namespace: Option<u64>,
    /// Its program's path, if it sees the same disks as the agent. In another view of the disks a path says nothing.
    pub program: Option<String>,
    /// The node whose mark it bears: its user, its session, or a variable it inherited.
    pub marked: Option<NodeRef>,
}

/// Where the processes of a node are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The node.
    pub node: NodeRef,
    /// Its control groups: a controller, empty for version 2, and a path.
    pub groups: Vec<(String, String)>,
    /// The number of its own namespace of processes; `None` where it shares the machine's.
    pub namespace: Option<u64>,
}

impl Footprint {
    fn holds(&self, seen: &Seen) -> bool {
        let in_group = self.groups.iter().any(|(controller, path)| {
            seen.groups.iter().any(|(controllers, at)| {
                let same = controllers.split(',').any(|one| one == controller);
                same && is_in(at, path)
            })
        });
        in_group || (self.namespace.is_some() && self.namespace == seen.namespace)
    }
}

/// Whether a group is this one, or in it. Nobody is put into the root on purpose.
fn is_in(path: &str, group: &str) -> bool {
    let rest = path.strip_prefix(group.trim_end_matches('/'));
    group.len() > 1 && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Programs of the system that may be on a card: by their whole path, because a name is anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Systems {
    /// The paths.
    pub programs: BTreeSet<String>,
}

impl Default for Systems {
    /// Desktops, and the driver's own services, where distributions put them.
    fn default() -> Self {
        let programs = [
            "/usr/bin/Xwayland",
            "/usr/bin/gnome-shell",
            "/usr/bin/kwin_wayland",
            "/usr/bin/kwin_x11",
            "/usr/bin/nv-fabricmanager",
            "/usr/bin/nv-hostengine",
            "/usr/bin/nvidia-cuda-mps-server",
            "/usr/bin/nvidia-persistenced",
            "/usr/bin/plasmashell",
            "/usr/lib/Xorg",
            "/usr/lib/xorg/Xorg",
            "/usr/libexec/Xorg",
        ];
        Self { programs: programs.into_iter().map(str::to_owned).collect() }
    }
}

/// Whose a process is. `agent` is the agent's own number.
///
/// Groups and namespaces come before marks, because the kernel gives them and a process cannot choose them; a node's
/// before the system's, because a renter may run what he likes.
pub fn classify(seen: &Seen, nodes: &[Footprint], systems: &Systems, agent: u32) -> Owner {
    if seen.pid == agent {
        return Owner::Agent;
    }
    if let Some(node) = nodes.iter().find(|node| node.holds(seen)) {
        return Owner::Node(node.node);
    }
    if let Some(node) = seen.marked.filter(|marked| nodes.iter().any(|n| n.node == *marked)) {
        return Owner::Node(node);
    }
    let is_system = seen.program.as_ref().is_some_and(|path| systems.programs.contains(path));
    if is_system { Owner::System } else { Owner::Foreign }
}

/// The control groups in the text of `/proc/<pid>/cgroup`: controllers, empty for version 2, and path.
pub fn groups_of(text: &str) -> Vec<(String, String)> {
    let parts = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    };
    text.lines().filter_map(parts).collect()
}
