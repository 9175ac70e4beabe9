//! Threads that the daemon cannot do without: if one ends when it should not, the daemon ends with an error, instead
//! of living on by half.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tinmesh_os::poll::Waker;

/// What all threads hang on.
#[derive(Clone, Debug)]
pub struct Lifeline {
    cut: Arc<AtomicBool>,
    waker: Waker,
}

impl Lifeline {
    /// One that wakes the control thread when it is cut.
    pub fn new(waker: Waker) -> Self {
        Self { cut: Arc::default(), waker }
    }

    /// A thread's hold. Dropped by a panic, or by an early return, it cuts the line.
    pub fn hold(&self) -> Hold {
        Hold { line: self.clone(), released: false }
    }

    /// Whether a thread ended that should not have.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }
}

/// Held by a thread as long as it works.
#[derive(Debug)]
pub struct Hold {
    line: Lifeline,
    released: bool,
}

impl Hold {
    /// The thread ends because it was told to.
    pub fn release(mut self) {
        self.released = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.released {
            self.line.cut.store(true, Relaxed);
            self.line.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_cuts_the_line_and_wakes_the_control_thread() {
        let waker = Waker::new().unwrap();
        let line = Lifeline::new(waker.clone());
        let hold = line.hold();

        let thread = std::thread::spawn(move || {
            let _hold = hold;
            panic!("as wanted by a test");
        });

        assert!(thread.join().is_err());
        assert!(line.is_cut() && waker.drain());
    }

    #[test]
    fn a_thread_that_ends_as_told_cuts_nothing() {
        let waker = Waker::new().unwrap();
        let line = Lifeline::new(waker.clone());
        line.hold().release();
        assert!(!line.is_cut() && !waker.drain());
    }
}
