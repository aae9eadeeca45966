//! The rig shown on itself: each kind of network does what it is said to do.

mod nat;
