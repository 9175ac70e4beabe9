//! Variable `Proxy` (spec: configuration 4.2).

use tinmesh_core::meta::proxy::{MAX_LOGIN, Protocol};

use super::ConfigError;
use super::kind;
use super::reader::Reader;

/// How outgoing meta connections are made if not directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Through a server.
    Server {
        /// How to speak with it.
        protocol: Protocol,
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Through the standard input and output of a program.
    Program {
        /// A line for `/bin/sh`.
        command: String,
    },
}

impl Proxy {
    /// How the node speaks with it; a program is not spoken with.
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Server { protocol, .. } => Some(protocol.clone()),
            Self::Program { .. } => None,
        }
    }
}

/// Reads the variable.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Proxy>, ConfigError> {
    let Some(value) = reader.text("Proxy") else { return Ok(None) };
    let (kind, arguments) = value.split_once(' ').unwrap_or((value, ""));
    match kind.to_ascii_lowercase().as_str() {
        "none" => Ok(None),
        "exec" => program(arguments, reader).map(Some),
        kind @ ("socks4" | "socks4a" | "socks5" | "http") => server(kind, arguments, reader).map(Some),
        other => {
            let right = "its type is one of: none, socks4, socks4a, socks5, http, exec".to_owned();
            Err(reader.invalid("Proxy", format!("Unknown proxy type {other}!"), right))
        }
    }
}

fn program(command: &str, reader: &Reader<'_>) -> Result<Proxy, ConfigError> {
    if command.trim().is_empty() {
        let right = "it is exec COMMAND".to_owned();
        return Err(reader.invalid("Proxy", "Argument expected for proxy type exec!".to_owned(), right));
    }
    if reader.text("Sandbox").is_some_and(|level| level.eq_ignore_ascii_case("high")) {
        let right = "use Sandbox = normal, or another type of proxy".to_owned();
        return Err(reader.invalid("Proxy", "Cannot use exec proxies with current sandbox level.".to_owned(), right));
    }
    Ok(Proxy::Program { command: command.to_owned() })
}

fn server(kind: &str, arguments: &str, reader: &mut Reader<'_>) -> Result<Proxy, ConfigError> {
    let logins = match kind {
        "http" => "",
        "socks5" => " [USER PASSWORD]",
        _ => " [USER]",
    };
    let right = format!("it is {kind} HOST PORT{logins}");
    let mut words = arguments.split(' ');
    let host = words.next().filter(|host| !host.is_empty());
    let (Some(host), Some(port)) = (host, words.next().filter(|port| !port.is_empty())) else {
        return Err(reader.invalid("Proxy", "Host and port argument expected for proxy!".to_owned(), right));
    };
    let Some(port) = kind::port(port).filter(|&port| port != 0) else {
        return Err(reader.invalid("Proxy", format!("Invalid port {port} of the proxy!"), right));
    };
    let rest: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let (protocol, used) = match (kind, rest.as_slice()) {
        ("http", _) => (Protocol::Http, 0),
        ("socks5", [user, password, ..]) => (Protocol::Socks5 { login: Some((own(user), own(password))) }, 2),
        ("socks5", _) => (Protocol::Socks5 { login: None }, 0),
        ("socks4a", words) => (Protocol::Socks4a { user: words.first().map_or_else(String::new, own) }, 1),
        (_, words) => (Protocol::Socks4 { user: words.first().map_or_else(String::new, own) }, 1),
    };
    if rest.iter().any(|word| word.len() > MAX_LOGIN) {
        let message = format!("User and password of a proxy have at most {MAX_LOGIN} bytes!");
        return Err(reader.invalid("Proxy", message, right));
    }
    if rest.len() > used {
        reader.warn(format!("Proxy has more words than count: {right}"));
    }
    Ok(Proxy::Server { protocol, host: host.to_owned(), port })
}

fn own(word: &&str) -> String {
    (*word).to_owned()
}
