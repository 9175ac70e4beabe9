//! The connection to the daemon that a shell keeps between commands (spec: cli A.3).

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use crate::control::client::Client;

/// A place for a connection that is not in use.
#[derive(Debug, Default)]
pub struct Kept(RefCell<Option<Client>>);

impl Kept {
    /// Takes the connection out, if there is one.
    pub(super) fn take(&self) -> Option<Client> {
        self.0.take()
    }

    /// Closes the connection: the next command makes a new one.
    pub fn close(&self) {
        drop(self.take());
    }
}

/// A connection that goes back to where it is kept after use.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    pub(super) client: Option<Client>,
    pub(super) kept: Option<&'a Kept>,
}

const THERE: &str = "the connection is there until this value is dropped";

impl Deref for Lent<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect(THERE)
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect(THERE)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept {
            kept.0.replace(self.client.take());
        }
    }
}
