//! What a descriptor of the control thread belongs to, folded into the poller's 64 bits.

use tinmesh_core::name::ConnId;

/// Bits below the kind.
const SHIFT: u32 = 60;
const MASK: u64 = (1 << SHIFT) - 1;
/// Where the "accepted" bit of a connection number goes.
const ACCEPTED: u64 = 1 << (SHIFT - 1);

/// The owner of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Wakes from other threads.
    Waker,
    /// Signals.
    Signals,
    /// Changes of addresses.
    Monitor,
    /// A listening TCP socket, by index.
    Listener(usize),
    /// A meta connection.
    Meta(ConnId),
    /// The listening control socket.
    ControlListener,
    /// A client of the control socket, by number.
    ControlClient(u64),
}

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        match token {
            Token::Waker => 0,
            Token::Signals => 1 << SHIFT,
            Token::Monitor => 2 << SHIFT,
            Token::Listener(index) => 3 << SHIFT | index as Self & MASK,
            Token::Meta(conn) => {
                let accepted = if conn.0 & ConnId::ACCEPTED == 0 { 0 } else { ACCEPTED };
                4 << SHIFT | accepted | conn.0 & (ACCEPTED - 1)
            }
            Token::ControlListener => 5 << SHIFT,
            Token::ControlClient(number) => 6 << SHIFT | number & MASK,
        }
    }
}

impl Token {
    /// The owner that a number stands for; `None` for numbers that no owner gives.
    pub fn parse(number: u64) -> Option<Self> {
        let rest = number & MASK;
        Some(match number >> SHIFT {
            0 => Self::Waker,
            1 => Self::Signals,
            2 => Self::Monitor,
            3 => Self::Listener(usize::try_from(rest).ok()?),
            4 if rest & ACCEPTED == 0 => Self::Meta(ConnId(rest)),
            4 => Self::Meta(ConnId(rest & !ACCEPTED | ConnId::ACCEPTED)),
            5 => Self::ControlListener,
            6 => Self::ControlClient(rest),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_comes_back_from_its_number() {
        let owners = [
            Token::Waker,
            Token::Signals,
            Token::Monitor,
            Token::Listener(7),
            Token::Meta(ConnId(5)),
            Token::Meta(ConnId(5 | ConnId::ACCEPTED)),
            Token::Meta(ConnId(5 | ConnId::MET)),
            Token::Meta(ConnId(5 | ConnId::ACCEPTED | ConnId::MET)),
            Token::ControlListener,
            Token::ControlClient(9),
        ];
        for owner in owners {
            assert_eq!(Token::parse(owner.into()), Some(owner));
        }
    }
}
