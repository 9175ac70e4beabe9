//! Name look-ups on a thread of their own, so that a dead name server never blocks the mesh.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use tinmesh_core::name::NodeName;
use tinmesh_os::poll::Waker;

use crate::config::AddressFamily;
use crate::daemon::lifeline::Lifeline;

/// A question.
#[derive(Debug)]
struct Question {
    peer: NodeName,
    host: String,
    port: u16,
}

/// An answer; empty if nothing was found.
#[derive(Debug)]
pub struct Answer {
    /// The node that was to be dialled.
    pub peer: NodeName,
    /// What was found, in the order to be tried.
    pub addresses: Vec<SocketAddr>,
}

/// The thread that looks names up.
pub struct Resolver {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
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
                let addresses = look_up(&question, family);
                if found.send(Answer { peer: question.peer, addresses }).is_err() {
                    break;
                }
                waker.wake();
            }
            hold.release();
        };
        Builder::new().name("resolver".to_owned()).spawn(answer_all)?;
        Ok(Self { questions, answers })
    }

    /// Asks for the addresses of a name.
    pub fn ask(&self, peer: NodeName, host: String, port: u16) {
        // The thread ends only when this end of the channel is gone.
        self.questions.send(Question { peer, host, port }).ok();
    }

    /// The next answer that has come.
    pub fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

fn look_up(question: &Question, family: AddressFamily) -> Vec<SocketAddr> {
    let found = (question.host.as_str(), question.port).to_socket_addrs();
    found.map(|addresses| addresses.filter(|address| family.admits(address)).collect()).unwrap_or_default()
}
