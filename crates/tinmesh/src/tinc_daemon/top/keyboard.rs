//! Keys one by one, while a terminal does not collect them to lines.

use std::io::{self, Stdin};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, retry_on_intr};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// What Ctrl-C and Ctrl-D send while the terminal does not turn them into signals.
const ENDS: [u8; 2] = [3, 4];
/// Rows of a terminal that does not tell.
const USUAL_ROWS: usize = 24;

/// Something that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A letter.
    Typed(char),
    /// The user wants to leave, or the terminal is gone.
    End,
}

/// The terminal's keyboard; the terminal is as before when it is dropped.
pub(super) struct Keyboard {
    stdin: Stdin,
    before: Termios,
}

impl Keyboard {
    /// Takes standard input, which is a terminal.
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Self { stdin, before })
    }

    /// The next key, or nothing if none is pressed before `end`.
    pub(super) fn wait(&self, end: Instant) -> io::Result<Option<Key>> {
        let left = end.saturating_duration_since(Instant::now());
        self.wait_for(Some(left))
    }

    /// The next key, whenever that is.
    pub(super) fn wait_long(&self) -> io::Result<Key> {
        Ok(self.wait_for(None)?.unwrap_or(Key::End))
    }

    fn wait_for(&self, patience: Option<Duration>) -> io::Result<Option<Key>> {
        let patience = patience.and_then(|patience| patience.try_into().ok());
        let mut polled = [PollFd::new(&self.stdin, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut polled, patience.as_ref()))? == 0 {
            return Ok(None);
        }
        let mut byte = [0];
        let count = retry_on_intr(|| read(&self.stdin, &mut byte))?;
        Ok(Some(match byte {
            [byte] if count == 1 && !ENDS.contains(&byte) => Key::Typed(char::from(byte)),
            [_] => Key::End,
        }))
    }

    /// How many rows the terminal has.
    pub(super) fn rows(&self) -> usize {
        let size = tcgetwinsize(&self.stdin).map(|size| usize::from(size.ws_row));
        size.ok().filter(|rows| *rows > 0).unwrap_or(USUAL_ROWS)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // Nothing else can be done for a terminal that refuses.
        tcsetattr(&self.stdin, OptionalActions::Now, &self.before).ok();
    }
}
