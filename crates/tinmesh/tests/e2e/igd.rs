//! A router's half of UPnP that keeps ports for ever or not at all, as the first version of the protocol allowed (error 725):
//! no program of Debian's can be made to do that.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::namespace::Namespace;
use crate::lab::traffic::inside;

const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const SSDP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const PAUSE: Duration = Duration::from_millis(50);
/// What it says of itself.
const DEVICE: &str = "<root><device><serviceList><service>\
    <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <SCPDURL>/actions</SCPDURL><controlURL>/do</controlURL>\
    </service></serviceList></device></root>";
/// The arguments of its actions, in the order of the protocol.
const ADD: [&str; 8] = [
    "NewRemoteHost",
    "NewExternalPort",
    "NewProtocol",
    "NewInternalPort",
    "NewInternalClient",
    "NewEnabled",
    "NewPortMappingDescription",
    "NewLeaseDuration",
];
const DELETE: [&str; 3] = ["NewRemoteHost", "NewExternalPort", "NewProtocol"];

/// Two threads in the router's namespace.
pub(crate) struct Igd {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    asked: Arc<Mutex<Asked>>,
}

/// What it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The leases of ports, as they were asked for.
    pub(crate) leases: Vec<u32>,
    /// The ports that it keeps: protocol and number.
    pub(crate) kept: Vec<(String, String)>,
}

impl Igd {
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let (search, web) = inside(namespace, || {
            let search = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 1900))?;
            search.join_multicast_v4(&SSDP, &ADDRESS)?;
            search.set_read_timeout(Some(PAUSE))?;
            let web = TcpListener::bind((ADDRESS, 0))?;
            web.set_nonblocking(true)?;
            std::io::Result::Ok((search, web))
        })
        .expect("the ports are free");
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Asked::default())));
        let location = format!("http://{}/device", web.local_addr().expect("it is bound"));
        let (over, ends, list) = (Arc::clone(&stop), Arc::clone(&stop), Arc::clone(&asked));
        let threads = vec![
            std::thread::spawn(move || answer_searches(&search, &location, &over)),
            std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    match web.accept() {
                        Ok((stream, _)) => serve(stream, &list).unwrap_or(()),
                        Err(_) => std::thread::sleep(PAUSE),
                    }
                }
            }),
        ];
        Self { stop, threads, asked }
    }

    pub(crate) fn asked(&self) -> Asked {
        self.asked.lock().expect("nobody fails with it").clone()
    }
}

impl Drop for Igd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap_or(()));
    }
}

fn answer_searches(search: &UdpSocket, location: &str, over: &AtomicBool) {
    let mut space = [0; 1500];
    while !over.load(Ordering::Relaxed) {
        let Ok((len, from)) = search.recv_from(&mut space) else { continue };
        let wanted =
            String::from_utf8_lossy(&space[..len]).lines().find_map(|line| Some(line.strip_prefix("ST:")?.to_owned()));
        let Some(wanted) = wanted.filter(|wanted| wanted.trim() == SERVICE) else { continue };
        let answer =
            format!("HTTP/1.1 200 OK\r\nLOCATION: {location}\r\nST: {wanted}\r\nUSN: uuid:1::{wanted}\r\n\r\n");
        search.send_to(answer.as_bytes(), from).expect("who asked is there");
    }
}

/// One request of HTTP.
fn serve(stream: TcpStream, asked: &Mutex<Asked>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut len = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        len = header.strip_prefix("content-length:").and_then(|len| len.trim().parse().ok()).unwrap_or(len);
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let (status, text) = match path.as_str() {
        "/device" => (200, DEVICE.to_owned()),
        "/actions" => (200, actions()),
        _ => act(&String::from_utf8_lossy(&body), &mut asked.lock().expect("nobody fails with it")),
    };
    let mut stream = &stream;
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn actions() -> String {
    let argument = |name: &&str| format!("<argument><name>{name}</name><direction>in</direction></argument>");
    let action = |name: &str, arguments: &[&str]| {
        let arguments: String = arguments.iter().map(argument).collect();
        format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
    };
    let list = action("AddPortMapping", &ADD) + &action("DeletePortMapping", &DELETE);
    format!("<scpd><actionList>{list}</actionList></scpd>")
}

fn act(request: &str, asked: &mut Asked) -> (u16, String) {
    let value = |name: &str| {
        let (_, rest) = request.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.to_owned())
    };
    let port = value("NewProtocol").zip(value("NewExternalPort"));
    let (status, inner) = if request.contains(":AddPortMapping ") {
        let lease = value("NewLeaseDuration").and_then(|lease| lease.parse().ok()).expect("a lease");
        asked.leases.push(lease);
        if lease == 0 {
            asked.kept.retain(|kept| Some(kept) != port.as_ref());
            asked.kept.extend(port);
            (200, format!("<u:AddPortMappingResponse xmlns:u=\"{SERVICE}\"/>"))
        } else {
            let error = "<errorCode>725</errorCode><errorDescription>OnlyPermanentLeasesSupported</errorDescription>";
            (500, format!("<s:Fault><detail><UPnPError>{error}</UPnPError></detail></s:Fault>"))
        }
    } else if request.contains(":DeletePortMapping ") {
        asked.kept.retain(|kept| Some(kept) != port.as_ref());
        (200, format!("<u:DeletePortMappingResponse xmlns:u=\"{SERVICE}\"/>"))
    } else {
        let address = "<NewExternalIPAddress>11.0.0.1</NewExternalIPAddress>";
        (
            200,
            format!("<u:GetExternalIPAddressResponse xmlns:u=\"{SERVICE}\">{address}</u:GetExternalIPAddressResponse>"),
        )
    };
    let envelope = "http://schemas.xmlsoap.org/soap/envelope/";
    (status, format!("<s:Envelope xmlns:s=\"{envelope}\"><s:Body>{inner}</s:Body></s:Envelope>"))
}
