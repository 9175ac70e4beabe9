//! Meta connections, handshakes, gossip.
