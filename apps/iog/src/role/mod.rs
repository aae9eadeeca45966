//! The roles that this binary can take: each calls its shell and adds nothing but flags.

pub(crate) mod worker;
