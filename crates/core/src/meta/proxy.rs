//! `Prelude`: what is said to a proxy before a meta connection begins, and what it must answer.
//!
//! ```text
//!  new ─► take_output ─► bytes to the proxy
//!  its bytes ─► feed ─► more for take_output ─► … ─► Progress::Open: what follows is the peer's
//! ```
//!
//! The bytes are tinc's, but each step waits for the answer to the one before, as not every proxy reads ahead. Source:
//! spec meta-protocol 3.6.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

#[cfg(test)]
mod tests;

/// Longest head of an HTTP answer, in bytes.
const MAX_HEAD: usize = 8192;
/// Longest text of a proxy that is repeated in the log, in characters.
const MAX_REASON: usize = 80;
/// Longest name and password of SOCKS5, in bytes.
pub const MAX_LOGIN: usize = 255;

const SOCKS4: u8 = 4;
const SOCKS5: u8 = 5;
const CONNECT: u8 = 1;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const LOGIN_VERSION: u8 = 1;
const GRANTED: u8 = 0x5a;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// How to speak with a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SOCKS4: IPv4 only.
    Socks4 {
        /// The user; may be empty.
        user: String,
    },
    /// SOCKS4a: what is not an IPv4 address goes as text.
    Socks4a {
        /// The user; may be empty.
        user: String,
    },
    /// SOCKS5.
    Socks5 {
        /// User and password, each of at most [`MAX_LOGIN`] bytes.
        login: Option<(String, String)>,
    },
    /// HTTP with the method CONNECT.
    Http,
}

/// Why a proxy is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// An IPv6 address for SOCKS4.
    #[error("SOCKS4 knows no IPv6: use Proxy = socks5, or AddressFamily = ipv4")]
    Ipv4Only,
    /// A name for a proxy that takes none.
    #[error("such a name cannot be left to this type of proxy")]
    Nameless,
    /// The proxy does not want to connect us.
    #[error("the proxy refused: {0}")]
    Refused(String),
    /// The proxy wants a login and we have none.
    #[error("the proxy wants a user and a password: add them to Proxy")]
    LoginWanted,
    /// The proxy does not know the login.
    #[error("the proxy did not accept user and password: correct them in Proxy")]
    LoginRefused,
    /// Not the protocol.
    #[error("the answer is not that of a proxy of type {0}: correct type, host or port in Proxy")]
    Garbage(&'static str),
    /// It said something before it was asked.
    #[error("it answers before it is asked: it is no proxy, correct host or port in Proxy")]
    Hasty,
    /// Nothing came.
    #[error("the proxy did not answer in time")]
    Silent,
    /// It hung up.
    #[error("the proxy closed the connection without an answer")]
    Closed,
}

/// How far the talk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Waiting,
    /// So many bytes were an answer, and the next one is awaited.
    Step(usize),
    /// So many bytes were the last answer; what follows is the peer's.
    Open(usize),
}

/// Which answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Socks4,
    Method,
    Login,
    Socks5,
    Http,
}

/// Whom the proxy is to connect us with.
#[derive(Clone, Debug)]
enum Target {
    At(SocketAddr),
    Named(String, u16),
}

impl Target {
    const fn port(&self) -> u16 {
        match self {
            Self::At(address) => address.port(),
            Self::Named(_, port) => *port,
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Named(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// One talk with a proxy.
#[derive(Debug)]
pub struct Prelude {
    awaited: Awaited,
    login: Option<(String, String)>,
    target: Target,
    output: Vec<u8>,
}

impl Prelude {
    /// Begins to ask for a connection with `target`.
    ///
    /// # Errors
    /// If this kind of proxy cannot reach such an address.
    pub fn new(protocol: &Protocol, target: SocketAddr) -> Result<Self, ProxyError> {
        Self::begin(protocol, Target::At(target))
    }

    /// Begins to ask for a connection with a node whose name only the proxy may know.
    ///
    /// # Errors
    /// If this kind of proxy takes no names, or not such a name.
    pub fn named(protocol: &Protocol, name: &str, port: u16) -> Result<Self, ProxyError> {
        if name.is_empty() || name.len() > MAX_LOGIN || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ProxyError::Nameless);
        }
        Self::begin(protocol, Target::Named(name.to_owned(), port))
    }

    fn begin(protocol: &Protocol, target: Target) -> Result<Self, ProxyError> {
        let (awaited, output, login) = match protocol {
            Protocol::Socks4 { user } => (Awaited::Socks4, socks4(&target, user, false)?, None),
            Protocol::Socks4a { user } => (Awaited::Socks4, socks4(&target, user, true)?, None),
            Protocol::Socks5 { login } => {
                let method = if login.is_some() { PASSWORD } else { NO_LOGIN };
                (Awaited::Method, vec![SOCKS5, 1, method], login.clone())
            }
            Protocol::Http => (Awaited::Http, format!("CONNECT {target} HTTP/1.1\r\n\r\n").into_bytes(), None),
        };
        Ok(Self { awaited, login, target, output })
    }

    /// The name, and the port, that the proxy is asked for.
    pub fn name(&self) -> Option<(String, u16)> {
        match &self.target {
            Target::At(_) => None,
            Target::Named(name, port) => Some((name.clone(), *port)),
        }
    }

    /// Bytes that are to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Reads at most one answer from the start of what came.
    ///
    /// # Errors
    /// Why there will be no connection.
    pub fn feed(&mut self, input: &[u8]) -> Result<Progress, ProxyError> {
        if !self.output.is_empty() && !input.is_empty() {
            return Err(ProxyError::Hasty);
        }
        match self.awaited {
            Awaited::Socks4 => read_socks4(input),
            Awaited::Method => self.on_method(input),
            Awaited::Login => self.on_login(input),
            Awaited::Socks5 => read_socks5(input),
            Awaited::Http => read_http(input),
        }
    }

    fn on_method(&mut self, input: &[u8]) -> Result<Progress, ProxyError> {
        let Some(&[version, method]) = input.first_chunk() else { return Ok(Progress::Waiting) };
        match (version, method, self.login.take()) {
            (SOCKS5, NO_LOGIN, _) => self.ask_socks5(),
            (SOCKS5, PASSWORD, Some((user, password))) => {
                self.output.push(LOGIN_VERSION);
                for word in [&user, &password] {
                    let word = word.as_bytes().get(..MAX_LOGIN).unwrap_or(word.as_bytes());
                    self.output.extend(u8::try_from(word.len()));
                    self.output.extend_from_slice(word);
                }
                self.awaited = Awaited::Login;
            }
            (SOCKS5, _, None) => return Err(ProxyError::LoginWanted),
            (SOCKS5, _, Some(_)) => return Err(ProxyError::Refused("it takes no passwords".to_owned())),
            _ => return Err(ProxyError::Garbage("socks5")),
        }
        Ok(Progress::Step(2))
    }

    fn on_login(&mut self, input: &[u8]) -> Result<Progress, ProxyError> {
        let Some(&[version, status]) = input.first_chunk() else { return Ok(Progress::Waiting) };
        if version != LOGIN_VERSION {
            return Err(ProxyError::Garbage("socks5"));
        }
        if status != 0 {
            return Err(ProxyError::LoginRefused);
        }
        self.ask_socks5();
        Ok(Progress::Step(2))
    }

    fn ask_socks5(&mut self) {
        self.output.extend_from_slice(&[SOCKS5, CONNECT, 0]);
        match &self.target {
            Target::At(SocketAddr::V4(address)) => {
                self.output.push(IPV4);
                self.output.extend_from_slice(&address.ip().octets());
            }
            Target::At(SocketAddr::V6(address)) => {
                self.output.push(IPV6);
                self.output.extend_from_slice(&address.ip().octets());
            }
            Target::Named(name, _) => {
                self.output.push(NAME);
                // It was made sure that the length fits.
                self.output.extend(u8::try_from(name.len()));
                self.output.extend_from_slice(name.as_bytes());
            }
        }
        self.output.extend_from_slice(&self.target.port().to_be_bytes());
        self.awaited = Awaited::Socks5;
    }
}

/// The one request of SOCKS4; with `named`, what is no IPv4 address goes behind it as text.
fn socks4(target: &Target, user: &str, named: bool) -> Result<Vec<u8>, ProxyError> {
    let (address, name) = match target {
        Target::At(SocketAddr::V4(address)) => (address.ip().octets(), None),
        Target::At(SocketAddr::V6(address)) if named => ([0, 0, 0, 1], Some(address.ip().to_string())),
        Target::At(SocketAddr::V6(_)) => return Err(ProxyError::Ipv4Only),
        Target::Named(name, _) if named => ([0, 0, 0, 1], Some(name.clone())),
        Target::Named(..) => return Err(ProxyError::Nameless),
    };
    let mut request = vec![SOCKS4, CONNECT];
    request.extend_from_slice(&target.port().to_be_bytes());
    request.extend_from_slice(&address);
    for text in [Some(user), name.as_deref()].into_iter().flatten() {
        request.extend_from_slice(text.as_bytes());
        request.push(0);
    }
    Ok(request)
}

fn read_socks4(input: &[u8]) -> Result<Progress, ProxyError> {
    const REPLY: usize = 8;
    if input.first().is_some_and(|&version| version != 0) {
        return Err(ProxyError::Garbage("socks4"));
    }
    let reason = match input.get(1) {
        None => return Ok(Progress::Waiting),
        Some(&GRANTED) if input.len() < REPLY => return Ok(Progress::Waiting),
        Some(&GRANTED) => return Ok(Progress::Open(REPLY)),
        Some(0x5b) => "it could not or would not connect",
        Some(0x5c | 0x5d) => "it does not know the user",
        Some(_) => return Err(ProxyError::Garbage("socks4")),
    };
    Err(ProxyError::Refused(reason.to_owned()))
}

fn read_socks5(input: &[u8]) -> Result<Progress, ProxyError> {
    if input.first().is_some_and(|&version| version != SOCKS5) {
        return Err(ProxyError::Garbage("socks5"));
    }
    if let Some(&code) = input.get(1).filter(|&&code| code != 0) {
        return Err(ProxyError::Refused(socks5_reason(code)));
    }
    let Some(&[_, _, _, kind, first]) = input.first_chunk() else { return Ok(Progress::Waiting) };
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(first),
        _ => return Err(ProxyError::Garbage("socks5")),
    };
    let reply = 4 + address + 2;
    Ok(if input.len() < reply { Progress::Waiting } else { Progress::Open(reply) })
}

fn socks5_reason(code: u8) -> String {
    match code {
        1 => "general failure",
        2 => "its rules do not allow it",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "the other end refused the connection",
        6 => "the connection timed out",
        7 => "it cannot connect",
        8 => "it does not know this kind of address",
        _ => return format!("code {code}"),
    }
    .to_owned()
}

/// Any head of HTTP/1 with a good status will do; nothing in it matters but its end.
fn read_http(input: &[u8]) -> Result<Progress, ProxyError> {
    const START: &[u8] = b"HTTP/1.";
    let garbage = Err(ProxyError::Garbage("http"));
    let head = input.get(..MAX_HEAD).unwrap_or(input);
    if !head.iter().zip(START).all(|(got, wanted)| got.eq_ignore_ascii_case(wanted)) {
        return garbage;
    }
    let mut start = 0;
    while let Some(len) = head[start..].iter().position(|&byte| byte == b'\n') {
        let line = head[start..start + len].trim_ascii_end();
        if start == 0 {
            check_status(line)?;
        }
        start += len + 1;
        if line.is_empty() {
            return Ok(Progress::Open(start));
        }
    }
    if head.len() == MAX_HEAD { garbage } else { Ok(Progress::Waiting) }
}

fn check_status(line: &[u8]) -> Result<(), ProxyError> {
    let text = String::from_utf8_lossy(line);
    let (version, rest) = text.split_once(' ').ok_or(ProxyError::Garbage("http"))?;
    let code = rest.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    let ends = rest.as_bytes().get(3).is_none_or(|&byte| byte == b' ');
    match code {
        Some(code) if version.len() == "HTTP/1.1".len() && ends => match code.as_bytes() {
            [b'2', ..] => Ok(()),
            _ => Err(ProxyError::Refused(printable(rest))),
        },
        Some(_) | None => Err(ProxyError::Garbage("http")),
    }
}

/// A proxy's text, fit for a log.
fn printable(text: &str) -> String {
    text.chars().take(MAX_REASON).map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}
