//! The mesh on real kernels: devices, sockets, NATs and relays in namespaces.

mod cover;
mod lab;
mod names;
mod namespaces;
