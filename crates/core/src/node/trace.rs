//! Requests told one by one, for a log at tinc's level 4 (spec: configuration 8.1).

use crate::name::ConnId;
use crate::node::Node;
use crate::node::io::Event;
use crate::wire::request::Request;

impl Node {
    /// Tells of a request, with or without its end, if that is wanted. What is no request is not told.
    pub(super) fn trace(&mut self, id: ConnId, sent: bool, text: &[u8]) {
        if !self.traced {
            return;
        }
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let (Ok(request), Ok(text)) = (Request::parse(text), str::from_utf8(text)) else { return };
        let Some(conn) = self.connections.get(&id) else { return };
        let (name, remote) = (conn.name.clone(), conn.remote);
        let text = without_keys(&request, text);
        self.event(Event::Request { name, remote, sent, label: request.label(), text });
    }
}

/// The text without a session key of tinc 1.0: `16 FROM TO KEY CIPHER …`. With a negative cipher it is a handshake,
/// which holds no secret.
fn without_keys(request: &Request, text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let is_handshake = words.get(4).is_some_and(|cipher| cipher.starts_with('-'));
    if let (Request::AnsKey(_), false, Some(key)) = (request, is_handshake, words.get_mut(3)) {
        *key = "(key)";
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_keys_are_not_told_and_all_else_is() {
        let shown = |text: &str| without_keys(&Request::parse(text.as_bytes()).unwrap(), text);
        for whole in ["8", "10 c8 alice 10.1.0.0/16", "16 alice bob MTIz -1 -1 -1 0"] {
            assert_eq!(shown(whole), whole);
        }
        assert_eq!(shown("16 alice bob 0A1B 427 672 4 0"), "16 alice bob (key) 427 672 4 0");
    }
}
