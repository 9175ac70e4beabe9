//! Which port a new node listens on (spec: cli B.1, "Port check").

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use tinmesh_core::crypto::rng::Rng;

/// The port of tinc.
const USUAL: u16 = 655;
/// Ports that are tried when that is taken.
const FIRST: u16 = 0x1000;
const COUNT: usize = 0x8000;
const ATTEMPTS: usize = 100;

/// A port for a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// The usual one, which needs no line in a file.
    Usual,
    /// Another one.
    Other(u16),
    /// None of those that were tried is free.
    Nothing,
}

impl PortChoice {
    /// The line for the host file.
    pub fn line(self) -> String {
        match self {
            Self::Usual | Self::Nothing => String::new(),
            Self::Other(port) => format!("Port = {port}\n"),
        }
    }

    /// What the operator should know, in tinc's words.
    pub fn notice(self) -> Option<String> {
        let problem = format!("Warning: could not bind to port {USUAL}.");
        match self {
            Self::Usual => None,
            Self::Other(port) => Some(format!("{problem} Tinc will instead listen on port {port}.")),
            Self::Nothing => Some(format!("{problem} Please change tinc's Port manually.")),
        }
    }
}

/// Chooses a port that is free.
pub fn choose(rng: &mut Rng) -> PortChoice {
    choose_by(rng, is_free)
}

fn choose_by(rng: &mut Rng, is_free: impl Fn(u16) -> bool) -> PortChoice {
    if is_free(USUAL) {
        return PortChoice::Usual;
    }
    let drawn = (0..ATTEMPTS).map(|_| FIRST + u16::try_from(rng.below(COUNT)).unwrap_or(0));
    drawn.into_iter().find(|port| is_free(*port)).map_or(PortChoice::Nothing, PortChoice::Other)
}

/// Whether both protocols can be bound on every address, as far as the system has the family.
fn is_free(port: u16) -> bool {
    let bound = |address: SocketAddr| TcpListener::bind(address).and_then(|_tcp| UdpSocket::bind(address)).map(drop);
    let v4 = bound((Ipv4Addr::UNSPECIFIED, port).into());
    let v6 = bound((Ipv6Addr::UNSPECIFIED, port).into());
    let refused =
        |cause: &io::Error| matches!(cause.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied);
    v4.is_ok() && !v6.is_err_and(|cause| refused(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_taken_if_it_is_free() {
        let mut rng = Rng::from_seed([1; 32]);
        assert_eq!(choose_by(&mut rng, |port| port == 655), PortChoice::Usual);
    }

    #[test]
    fn another_port_is_found_told_and_written() {
        let choice = choose_by(&mut Rng::from_seed([1; 32]), |port| port != 655);
        let PortChoice::Other(port) = choice else { panic!("{choice:?}") };
        assert!((0x1000..=0x8fff).contains(&port));
        assert_eq!(choice.line(), format!("Port = {port}\n"));
        let told = format!("Warning: could not bind to port 655. Tinc will instead listen on port {port}.");
        assert_eq!(choice.notice(), Some(told));
    }

    #[test]
    fn without_any_free_port_the_operator_has_to_choose() {
        let choice = choose_by(&mut Rng::from_seed([1; 32]), |_| false);
        assert_eq!((choice, choice.line()), (PortChoice::Nothing, String::new()));
    }

    #[test]
    fn a_port_that_is_in_use_is_not_free() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
    }
}
