//! The doors, from outside, with the tools that visitors have.

mod browser;
mod http;
mod opening;
mod papers;
mod ports;
mod rig;
mod ssh;
mod tls;
mod whole;
