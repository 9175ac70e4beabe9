//! A small proxy server on a host of the laboratory.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::namespace::Namespace;

/// What a proxy does with those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// SOCKS4 and SOCKS4a.
    Socks4,
    /// SOCKS5 without login.
    Socks5,
    /// SOCKS5 with `user` and `secret`.
    Socks5Login,
    /// HTTP CONNECT, with a few header lines in the answer.
    Http,
    /// Says something that no proxy says.
    Garbage,
    /// Says nothing.
    Silent,
    /// Refuses by HTTP.
    Forbidding,
}

/// A proxy that works until it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Where it was asked to connect to.
    asked: Arc<Mutex<Vec<SocketAddr>>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts it on every address of a host.
    pub(crate) fn start(host: &Namespace, manner: Manner) -> Self {
        let (asked, over): (Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let listener = super::traffic::inside(host, || TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("it is bound").port();
        let path = format!("/run/netns/{}", host.name());
        let (its_asked, its_over) = (Arc::clone(&asked), Arc::clone(&over));
        thread::spawn(move || {
            let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("we are root");
            while !its_over.load(Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let asked = Arc::clone(&its_asked);
                        // Whoever does not speak the protocol is left alone.
                        thread::spawn(move || serve(stream, manner, &asked).ok());
                    }
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Self { port, asked, over }
    }

    /// Where it was asked to connect to.
    pub(crate) fn asked(&self) -> Vec<SocketAddr> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

fn serve(mut stream: TcpStream, manner: Manner, asked: &Mutex<Vec<SocketAddr>>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let target = match manner {
        Manner::Socks4 => socks4(&mut stream)?,
        Manner::Socks5 => socks5(&mut stream, false)?,
        Manner::Socks5Login => socks5(&mut stream, true)?,
        Manner::Http => http(&mut stream)?,
        Manner::Garbage => {
            stream.read_exact(&mut [0; 3])?;
            return stream.write_all(b"220 mail.example ESMTP\r\n");
        }
        Manner::Forbidding => {
            http(&mut stream)?;
            return stream.write_all(b"HTTP/1.1 403 Not for you\r\nContent-Length: 0\r\n\r\n");
        }
        Manner::Silent => {
            return stream.read_to_end(&mut Vec::new()).map(|_| ());
        }
    };
    asked.lock().expect("no holder panics").push(target);
    let onward = TcpStream::connect(target);
    let granted = onward.is_ok();
    stream.write_all(match (manner, granted) {
        (Manner::Socks4, true) => &[0, 0x5a, 1, 2, 3, 4, 5, 6],
        (Manner::Socks4, false) => &[0, 0x5b, 1, 2, 3, 4, 5, 6],
        (Manner::Socks5 | Manner::Socks5Login, true) => b"\x05\x00\x00\x03\x05proxy\x12\x34",
        (Manner::Socks5 | Manner::Socks5Login, false) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        (_, true) => b"HTTP/1.0 200 Connection established\r\nProxy-agent: small\r\nVia: 1.1 small\r\n\r\n",
        (_, false) => b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
    })?;
    let onward = onward?;
    let (from, to) = (stream.try_clone()?, onward.try_clone()?);
    let back = thread::spawn(move || pump(onward, stream));
    pump(from, to);
    back.join().ok();
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}

fn byte(stream: &mut TcpStream) -> std::io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        match byte(stream)? {
            0 => return Ok(text),
            byte => text.push(char::from(byte)),
        }
    }
}

fn unfit() -> std::io::Error {
    std::io::ErrorKind::InvalidData.into()
}

fn socks4(stream: &mut TcpStream) -> std::io::Result<SocketAddr> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [4, 1, high, low, a, b, c, d] = head else { return Err(unfit()) };
    text(stream)?;
    let port = u16::from_be_bytes([high, low]);
    let ip = match [a, b, c, d] {
        [0, 0, 0, last] if last != 0 => match text(stream)?.as_str() {
            // The one name that it knows.
            "bob.example" => Ipv4Addr::new(203, 0, 113, 3).into(),
            text => text.parse().map_err(|_| unfit())?,
        },
        octets => IpAddr::V4(octets.into()),
    };
    Ok(SocketAddr::new(ip, port))
}

fn socks5(stream: &mut TcpStream, login: bool) -> std::io::Result<SocketAddr> {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting)?;
    let wanted = if login { 2 } else { 0 };
    if greeting != [5, 1, wanted] {
        stream.write_all(&[5, 0xff])?;
        return Err(unfit());
    }
    stream.write_all(&[5, wanted])?;
    if login {
        let mut words = [0; 13];
        stream.read_exact(&mut words)?;
        if &words != b"\x01\x04user\x06secret" {
            stream.write_all(&[1, 1])?;
            return Err(unfit());
        }
        stream.write_all(&[1, 0])?;
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let ip = match head {
        [5, 1, 0, 1] => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets)?;
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        [5, 1, 0, 4] => {
            let mut octets = [0; 16];
            stream.read_exact(&mut octets)?;
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return Err(unfit()),
    };
    let port = [byte(stream)?, byte(stream)?];
    Ok(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

fn http(stream: &mut TcpStream) -> std::io::Result<SocketAddr> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(byte(stream)?));
    }
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1\r\n\r\n"));
    target.and_then(|target| target.parse().ok()).ok_or_else(unfit)
}
