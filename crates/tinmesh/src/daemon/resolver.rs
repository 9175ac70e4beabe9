//! Addresses of names, looked up on threads of their own, so that a dead name server never blocks the mesh.
//!
//! A name that nobody answers for holds its thread for half a minute. So that others do not wait for it, as many are looked
//! up at once as there are questions, up to [`MOST`]; threads that are there wait for the next one.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use tinmesh_core::name::ConnId;
use tinmesh_os::poll::Waker;

use crate::config::AddressFamily;
use crate::daemon::lifeline::Lifeline;
use crate::files;

/// Names that are looked up at once, at most.
const MOST: usize = 8;
/// Questions that may wait; those beyond are answered at once: nothing was found.
const WAITING: usize = 256;

/// What an address is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To dial a node; the number of the core's question.
    Node(u64),
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

/// How to answer a question.
type LookUp = fn(Question) -> Answer;

/// What the threads share.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    questions: VecDeque<Question>,
    /// Threads that there are, and those of them that have no question.
    threads: usize,
    idle: usize,
    over: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next question; waits for one. `None`: there will be none.
    fn next(&self) -> Option<Question> {
        let mut state = self.lock();
        while state.questions.is_empty() && !state.over {
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let question = state.questions.pop_front().filter(|_| !state.over)?;
        state.idle -= 1;
        Some(question)
    }

    /// A question is answered.
    fn rest(&self) {
        self.lock().idle += 1;
    }
}

/// The threads that look names up.
pub struct Resolver {
    desk: Arc<Desk>,
    answers: Receiver<Answer>,
    found: Sender<Answer>,
    waker: Waker,
    lifeline: Lifeline,
    family: AddressFamily,
    look_up: LookUp,
}

impl Resolver {
    /// Starts the first thread. All wake `waker` with each answer, and end with this value.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(waker: Waker, family: AddressFamily, lifeline: &Lifeline) -> io::Result<Self> {
        Self::start_with(look_up, waker, family, lifeline)
    }

    fn start_with(look_up: LookUp, waker: Waker, family: AddressFamily, lifeline: &Lifeline) -> io::Result<Self> {
        let (found, answers) = channel();
        let lifeline = lifeline.clone();
        let resolver = Self { desk: Arc::default(), answers, found, waker, lifeline, family, look_up };
        let mut state = resolver.desk.lock();
        resolver.start_thread(Builder::new(), &mut state)?;
        drop(state);
        Ok(resolver)
    }

    fn start_thread(&self, builder: Builder, state: &mut State) -> io::Result<()> {
        let (desk, found, waker, look_up) =
            (Arc::clone(&self.desk), self.found.clone(), self.waker.clone(), self.look_up);
        let lifeline = self.lifeline.clone();
        let answer_all = move || {
            // Only here: a thread that the system refuses has not ended.
            let hold = lifeline.hold();
            while let Some(question) = desk.next() {
                let answer = look_up(question);
                desk.rest();
                if found.send(answer).is_err() {
                    break;
                }
                waker.wake();
            }
            hold.release();
        };
        builder.name("resolver".to_owned()).spawn(answer_all)?;
        (state.threads, state.idle) = (state.threads + 1, state.idle + 1);
        Ok(())
    }

    /// From now on only addresses of this family count.
    pub const fn change(&mut self, family: AddressFamily) {
        self.family = family;
    }

    /// Asks for the addresses of a name.
    pub fn ask(&self, purpose: Purpose, host: String, port: u16) {
        let mut state = self.desk.lock();
        if state.questions.len() >= WAITING {
            let failure = Some(format!("Error looking up {host} port {port}: too many names are being looked up"));
            // This value has the other end of the channel.
            self.found.send(Answer { purpose, addresses: Vec::new(), failure }).ok();
            self.waker.wake();
            return;
        }
        state.questions.push_back(Question { purpose, host, port, family: self.family });
        if state.questions.len() > state.idle && state.threads < MOST {
            // Without another thread the question waits for one of those that there are.
            self.start_thread(Builder::new(), &mut state).ok();
        }
        self.desk.bell.notify_one();
    }

    /// The next answer that has come.
    pub fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.desk.lock().over = true;
        self.desk.bell.notify_all();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Names of `dead` are never answered; all others have no address.
    fn resolver() -> Resolver {
        let waker = Waker::new().unwrap();
        let lifeline = Lifeline::new(waker.clone());
        resolver_on(waker, &lifeline)
    }

    fn resolver_on(waker: Waker, lifeline: &Lifeline) -> Resolver {
        let look_up = |question: Question| {
            if question.host == "dead" {
                loop {
                    std::thread::park();
                }
            }
            Answer { purpose: question.purpose, addresses: Vec::new(), failure: None }
        };
        Resolver::start_with(look_up, waker, AddressFamily::Any, lifeline).unwrap()
    }

    fn ask(resolver: &Resolver, number: u64, host: &str) {
        resolver.ask(Purpose::Proxy(ConnId(number)), host.to_owned(), 655);
    }

    fn answer(resolver: &Resolver) -> Answer {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(answer) = resolver.next() {
                return answer;
            }
            assert!(Instant::now() < end, "no answer comes");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_name_does_not_wait_for_others_that_nobody_answers_for() {
        let resolver = resolver();
        for number in 1..MOST as u64 {
            ask(&resolver, number, "dead");
        }
        for number in [100, 101] {
            ask(&resolver, number, "alive");
            assert_eq!(answer(&resolver).purpose, Purpose::Proxy(ConnId(number)));
        }
    }

    #[test]
    fn threads_and_questions_are_bounded_and_no_question_is_forgotten() {
        let resolver = resolver();
        for number in 0..2 * WAITING as u64 {
            ask(&resolver, number, "dead");
        }
        let refused = answer(&resolver);
        assert!(refused.failure.is_some_and(|failure| failure.contains("too many names")));
        let state = resolver.desk.lock();
        assert!(state.threads == MOST && state.questions.len() <= WAITING, "{}", state.questions.len());
    }

    #[test]
    fn a_thread_that_the_system_refuses_cuts_no_line() {
        let waker = Waker::new().unwrap();
        let lifeline = Lifeline::new(waker.clone());
        let resolver = resolver_on(waker, &lifeline);
        let mut state = resolver.desk.lock();
        let more_than_there_is = Builder::new().stack_size(1 << 60);
        resolver.start_thread(more_than_there_is, &mut state).unwrap_err();
        assert_eq!(state.threads, 1);
        assert!(!lifeline.is_cut());
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_takes_the_next_question() {
        let resolver = resolver();
        for number in 0..20 {
            ask(&resolver, number, "alive");
            assert_eq!(answer(&resolver).purpose, Purpose::Proxy(ConnId(number)));
        }
        assert_eq!(resolver.desk.lock().threads, 1);
    }
}
