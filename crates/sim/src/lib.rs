//! A world of tinmesh nodes in virtual time.
