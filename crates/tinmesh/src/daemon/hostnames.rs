//! Names instead of addresses, in the log and in lists (variable `Hostnames`, spec: configuration 4.1).
//!
//! Names are looked up on a thread of their own. Until one is known the address is shown, so that nothing waits for a
//! name server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::daemon::lifeline::Lifeline;

/// Names remembered at most; members of the mesh choose how many addresses there are.
const CAPACITY: usize = 4096;
/// Questions that may wait.
const WAITING: usize = 256;
/// A name is asked for again after so long.
const FRESH: Duration = Duration::from_secs(600);

/// How to find the name of an address: `HOST port SERVICE`.
type LookUp = fn(SocketAddr) -> Option<String>;

/// Texts of addresses.
#[derive(Default)]
pub struct Hostnames {
    on: bool,
    thread: Option<Thread>,
    known: RefCell<BTreeMap<SocketAddr, Known>>,
}

struct Thread {
    questions: SyncSender<SocketAddr>,
    answers: Receiver<(SocketAddr, Option<String>)>,
}

#[derive(Debug)]
struct Known {
    text: Option<String>,
    asked: Instant,
}

impl Hostnames {
    /// Shows names from now on, or does not.
    ///
    /// # Errors
    /// If the system has no more threads; addresses are shown then.
    pub fn change(&mut self, on: bool, lifeline: &Lifeline) -> io::Result<()> {
        self.on = false;
        if on && self.thread.is_none() {
            self.thread = Some(Thread::start(lifeline, look_up)?);
        }
        self.on = on;
        Ok(())
    }

    /// An address and its port as they are to be shown.
    pub fn text(&self, address: SocketAddr) -> String {
        self.name(address).unwrap_or_else(|| numeric(address))
    }

    fn name(&self, address: SocketAddr) -> Option<String> {
        let thread = self.thread.as_ref().filter(|_| self.on)?;
        let mut known = self.known.borrow_mut();
        for (address, text) in thread.answers.try_iter() {
            if let Some(entry) = known.get_mut(&address) {
                entry.text = text;
            }
        }
        let name = known.get(&address).and_then(|entry| entry.text.clone());
        let asked = known.get(&address).is_some_and(|entry| entry.asked.elapsed() < FRESH);
        if !asked && thread.questions.try_send(address).is_ok() {
            if known.len() >= CAPACITY {
                known.clear();
            }
            known.insert(address, Known { text: name.clone(), asked: Instant::now() });
        }
        name
    }
}

impl Thread {
    fn start(lifeline: &Lifeline, look_up: LookUp) -> io::Result<Self> {
        let (questions, asked) = sync_channel::<SocketAddr>(WAITING);
        let (found, answers) = channel();
        let hold = lifeline.hold();
        let answer_all = move || {
            for address in asked {
                if found.send((address, look_up(address))).is_err() {
                    break;
                }
            }
            hold.release();
        };
        Builder::new().name("hostnames".to_owned()).spawn(answer_all)?;
        Ok(Self { questions, answers })
    }
}

/// An address and its port in figures.
pub fn numeric(address: SocketAddr) -> String {
    format!("{} port {}", address.ip(), address.port())
}

fn look_up(address: SocketAddr) -> Option<String> {
    let (host, service) = dns_lookup::getnameinfo(&address, 0).ok()?;
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    (plain(&host) && plain(&service)).then(|| format!("{host} port {service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifeline() -> Lifeline {
        Lifeline::new(tinmesh_os::poll::Waker::new().unwrap())
    }

    fn with(look_up: LookUp) -> Hostnames {
        Hostnames { on: true, thread: Some(Thread::start(&lifeline(), look_up).unwrap()), known: RefCell::default() }
    }

    #[test]
    fn an_address_is_shown_until_its_name_is_known() {
        let names = with(|_| Some("b.example port ssh".to_owned()));
        let address = "192.0.2.1:22".parse().unwrap();

        assert_eq!(names.text(address), "192.0.2.1 port 22");

        let start = Instant::now();
        while names.text(address) != "b.example port ssh" {
            assert!(start.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
    }

    #[test]
    fn without_the_variable_nothing_is_asked() {
        let mut names = with(|_| panic!("asked"));
        names.change(false, &lifeline()).unwrap();
        assert_eq!(names.text("[::1]:655".parse().unwrap()), "::1 port 655");
    }

    #[test]
    fn a_name_server_that_does_not_answer_stops_nobody_and_bounds_what_is_kept() {
        let names = with(|_| {
            loop {
                std::thread::park();
            }
        });
        for port in 0..2 * CAPACITY {
            let address = SocketAddr::from(([192, 0, 2, 1], u16::try_from(port).unwrap()));
            assert_eq!(names.text(address), format!("192.0.2.1 port {port}"));
        }
        assert!(names.known.borrow().len() <= WAITING + 1);
    }
}
