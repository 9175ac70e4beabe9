//! Sessions for tests.

use std::sync::Arc;

use tinmesh_core::dataplane::session::Session;

/// Both ends of a session.
pub(crate) fn session_pair() -> (Arc<Session>, Arc<Session>) {
    (Arc::new(Session::default()), Arc::new(Session::default()))
}
