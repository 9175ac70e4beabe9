//! The operating system: devices and sockets. The only crate with `unsafe`.
#![allow(unsafe_code)]
