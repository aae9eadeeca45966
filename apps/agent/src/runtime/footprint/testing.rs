//! Nodes that are on record and nothing else, for tests of who watches them.

use std::fs;
use std::path::Path;

use units::Resources;
use worker::NodeKey;

use super::super::group::Group;
use super::super::process::Process;
use super::super::record::{BOX, Place, Record, boot};
use super::super::sandbox::Kind;

/// A node whose first process, outside and inside of its sandbox, is this one.
pub(crate) struct Node<'a> {
    pub(crate) key: NodeKey,
    pub(crate) gpus: Vec<u32>,
    pub(crate) first: u32,
    pub(crate) sandboxed: bool,
    /// The name of its control group.
    pub(crate) group: Option<&'a str>,
}

impl Node<'_> {
    /// Puts it on record.
    pub(crate) fn write(&self, data: &Path) {
        let place = Place::of(&data.join("ray"), self.key);
        fs::create_dir_all(place.path()).unwrap();
        let first = Process::with_pid(self.first);
        let record = Record {
            rental: self.key.rental,
            node: self.key.node,
            resources: Resources::default(),
            gpus: self.gpus.clone(),
            head: None,
            address: "127.0.0.1".parse().unwrap(),
            first_port: 20_000,
            kind: if self.sandboxed { Kind::Bubblewrap } else { Kind::Plain },
            network: None,
            egress: None,
            user: None,
            group: self.group.and_then(Group::named),
            folder: place.path().join("box"),
            boot: boot(),
            outer: first,
            inner: first,
            tries: 1,
            was_ready: true,
        };
        place.write(&record).unwrap();
    }

    /// What marks its processes: a variable and its value.
    pub(crate) fn mark(&self, data: &Path) -> (&'static str, String) {
        let place = Place::of(&data.join("ray"), self.key);
        (BOX, place.path().join("box").to_string_lossy().into_owned())
    }

    /// Takes it off the record.
    pub(crate) fn remove(&self, data: &Path) {
        fs::remove_dir_all(Place::of(&data.join("ray"), self.key).path()).unwrap();
    }
}

/// The folders of the control group with this name, made; none where groups cannot be made.
pub(crate) fn group_folders(name: &str) -> Vec<std::path::PathBuf> {
    let group = Group::named(name);
    match group.filter(|group| group.make(&Resources::default()).is_ok()) {
        Some(group) => group.folders().into_iter().map(Path::to_owned).collect(),
        None => Vec::new(),
    }
}
