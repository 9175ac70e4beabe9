//! Addresses of names, looked up on a thread of its own, so that a dead name server never blocks the mesh.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use tinmesh_core::name::{ConnId, NodeName};
use tinmesh_os::poll::Waker;

use crate::config::AddressFamily;
use crate::daemon::lifeline::Lifeline;
use crate::files;

/// What an address is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To dial a node.
    Node(NodeName),
    /// To make this connection through a proxy.
    Proxy(ConnId),
}

/// A question.
#[derive(Debug)]
struct Question {
    purpose: Purpose,
    host: String,
    port: u16,
    family: AddressFamily,
}

/// An answer; empty if nothing was found.
#[derive(Debug)]
pub struct Answer {
    /// What it was wanted for.
    pub purpose: Purpose,
    /// What was found, in the system's order.
    pub addresses: Vec<SocketAddr>,
    /// Why nothing was found.
    pub failure: Option<String>,
}

/// The thread that looks names up.
pub struct Resolver {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    family: AddressFamily,
}

impl Resolver {
    /// Starts the thread; it wakes `waker` with each answer, and ends with this value.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(waker: Waker, family: AddressFamily, lifeline: &Lifeline) -> std::io::Result<Self> {
        let (questions, asked) = channel::<Question>();
        let (found, answers) = channel();
        let hold = lifeline.hold();
        let answer_all = move || {
            for question in asked {
                if found.send(look_up(question)).is_err() {
                    break;
                }
                waker.wake();
            }
            hold.release();
        };
        Builder::new().name("resolver".to_owned()).spawn(answer_all)?;
        Ok(Self { questions, answers, family })
    }

    /// From now on only addresses of this family count.
    pub const fn change(&mut self, family: AddressFamily) {
        self.family = family;
    }

    /// Asks for the addresses of a name.
    pub fn ask(&self, purpose: Purpose, host: String, port: u16) {
        // The thread ends only when this end of the channel is gone.
        self.questions.send(Question { purpose, host, port, family: self.family }).ok();
    }

    /// The next answer that has come.
    pub fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

fn look_up(question: Question) -> Answer {
    let Question { purpose, host, port, family } = question;
    let (addresses, reason): (Vec<_>, _) = match (host.as_str(), port).to_socket_addrs() {
        Ok(found) => {
            let fitting = found.filter(|address| family.admits(address)).collect();
            (fitting, "it has no address of the AddressFamily".to_owned())
        }
        Err(cause) => (Vec::new(), files::reason(&cause)),
    };
    let failure = addresses.is_empty().then(|| format!("Error looking up {host} port {port}: {reason}"));
    Answer { purpose, addresses, failure }
}
