//! The target for what two nodes say that open a connection to each other at once.

use tinmesh_core::wire::meet::{Message, Token};

use crate::mesh::Target;

/// All targets of this module by name.
pub(crate) const TARGETS: [(&str, Target); 1] = [("meet_messages", meet_messages)];

/// A message is read or not; what was read and written again means the same. A token makes a short line.
fn meet_messages(data: &[u8]) {
    if let Some(token) = std::str::from_utf8(data).ok().and_then(Token::parse) {
        assert!(token.line().len() < 32);
    }
    let Some((kind, payload)) = data.split_first() else { return };
    if let Some(message) = Message::parse(*kind, payload) {
        assert_eq!(Message::parse(*kind, &message.encode()[1..]), Some(message));
    }
}
