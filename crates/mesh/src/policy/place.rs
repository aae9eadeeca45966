//! Where something stands in a policy file, and what is wrong there.

use std::fmt;

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text is not a policy: the first reason in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct Wrong {
    /// Where.
    pub at: Place,
    /// What.
    pub problem: Problem,
}

/// What is wrong at a place of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else stands there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What could have stood there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A comment begins and does not end.
    #[error("this comment has no end")]
    OpenComment,
    /// Lists in tables in lists, too many.
    #[error("nested more than 32 deep")]
    TooDeep,
    /// A name twice in one table.
    #[error("`{name}` stands here for the second time")]
    Twice {
        /// Which.
        name: String,
    },
    /// A field that means nothing here.
    #[error("there is no field `{name}` here; there are {known}")]
    UnknownField {
        /// Which.
        name: String,
        /// Those that mean something.
        known: String,
    },
    /// A field that must be there.
    #[error("`{name}` is missing")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// A word that nothing in the file explains.
    #[error("`{name}` is not declared in `{section}`")]
    Undeclared {
        /// Which.
        name: String,
        /// Where it would be.
        section: &'static str,
    },
    /// Too many of something.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}
