//! The mesh on real kernels: devices, sockets, NATs and relays in namespaces.

mod cover;
mod hops;
mod lab;
mod names;
mod namespaces;
