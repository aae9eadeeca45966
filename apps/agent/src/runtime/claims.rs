//! Which node has which number, agreed on by all agents that share a folder: the first port of its block, or a number
//! above all ports if it has a network of its own. Its user follows from it.
//!
//! A block that nobody listens on may have been picked by another agent a moment ago: Ray takes seconds to open its
//! ports. A claim says whose it is from the moment it is picked.
//!
//! # Invariants
//! - A number has one claim at a time; claims are made under one lock.
//! - A claim ends with the place of the node that made it. Nobody has to remember to give it back.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// The claims of one machine.
#[derive(Debug)]
pub(super) struct Claims(PathBuf);

impl Claims {
    /// The claims kept under this folder.
    pub(super) fn under(shared: &Path) -> Self {
        Self(shared.join("ports"))
    }

    /// Claims a number for the node at this place. Says whether the node has it.
    pub(super) fn take(&self, number: u32, place: &Path) -> io::Result<bool> {
        fs::create_dir_all(&self.0)?;
        let lock = OpenOptions::new().create(true).append(true).open(self.0.join("lock"))?;
        lock.lock()?;
        let file = self.0.join(number.to_string());
        let owner = PathBuf::from(fs::read_to_string(&file).unwrap_or_default());
        if owner != place && owner.exists() {
            return Ok(false);
        }
        fs::write(file, place.as_os_str().as_encoded_bytes())?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_number_is_claimed_until_its_node_is_gone() {
        let scratch = Scratch::new("claims");
        let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let claims = Claims::under(scratch.path());
        assert!(claims.take(20_000, &one).unwrap());
        assert!(claims.take(20_000, &one).unwrap(), "told twice");
        assert!(!claims.take(20_000, &other).unwrap());
        assert!(claims.take(20_200, &other).unwrap());
        fs::remove_dir(&one).unwrap();
        assert!(claims.take(20_000, &other).unwrap());
    }
}
