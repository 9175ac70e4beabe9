//! `Node`: takes every decision of one member of the mesh.

pub mod config;
pub mod io;
