//! The doors, from outside, with the tools that visitors have.

mod http;
mod opening;
mod ports;
mod rig;
mod ssh;
mod tls;
