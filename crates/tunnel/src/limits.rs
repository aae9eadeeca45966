//! Where everything ends, and why there.

/// The longest name of a service: a label of a host name (RFC 1035, 2.3.4).
pub const NAME_MAX: usize = 63;
