//! How many files the agent may have open. Visitors of all rentals of a machine come through this one process, and a
//! system lets a process have 1,024 unless it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a few rentals with as many visitors as nodes take have open, and a few times more.
const FILES_MAX: u64 = 65_536;

/// Asks for as many as are allowed, up to what is of use. What the agent starts inherits that; it could ask itself.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::warn!(wanted, %fault, "this agent may not have more files open; with many visitors it runs out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_are_open_as_are_allowed() {
        raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let allowed = maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX));
        assert!(current.is_none_or(|current| current >= allowed));
    }
}
