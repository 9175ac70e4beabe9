//! `Servant`: a small process that keeps its rights and does what it is asked for, one thing after the other.
//!
//! A daemon that has taken rights away from itself cannot start programs or open files elsewhere any more. A servant
//! was started before that; what it agrees to do is its own decision, because whoever asks may have been taken over.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::janitor::{close_all_but, ignore_signals};
use crate::process::has_one_thread;

/// Longest request and answer, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// What a servant answers.
#[derive(Debug, Default)]
pub struct Answer {
    /// In words that both sides agree on.
    pub bytes: Vec<u8>,
    /// Something that it opened.
    pub fd: Option<OwnedFd>,
}

/// The end of the line on which requests are made. The servant ends when it is dropped.
#[derive(Debug)]
pub struct Servant {
    line: Mutex<OwnedFd>,
}

impl Servant {
    /// Starts the process; `serve` runs there, once per request. Call it before any thread is started.
    ///
    /// # Errors
    /// If the system has no more processes or descriptors, or if there are threads already.
    pub fn start(serve: impl FnMut(&[u8]) -> Answer) -> io::Result<Self> {
        if !has_one_thread() {
            return Err(io::Error::other("a servant must be started before threads are"));
        }
        let (line, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // SAFETY: this process has one thread, so the child finds no lock held by another.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(line);
                serve_all(&other, serve);
            }
            _ => Ok(Self { line: Mutex::new(line) }),
        }
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// If the servant is gone, or the request is too long.
    pub fn ask(&self, request: &[u8]) -> io::Result<Answer> {
        if request.len() > MAX_MESSAGE {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        send(line.as_fd(), request, None)?;
        receive(line.as_fd())?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn serve_all(line: &OwnedFd, mut serve: impl FnMut(&[u8]) -> Answer) -> ! {
    ignore_signals();
    close_all_but(line.as_raw_fd());
    while let Ok(Some(request)) = receive(line.as_fd()) {
        let mut answer = serve(&request.bytes);
        answer.bytes.truncate(MAX_MESSAGE);
        if send(line.as_fd(), &answer.bytes, answer.fd.as_ref()).is_err() {
            break;
        }
    }
    // SAFETY: ends the process without running what the parent registered to run at exit.
    unsafe { libc::_exit(0) }
}

fn send(line: impl AsFd, bytes: &[u8], fd: Option<&OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(AsFd::as_fd).into_iter().collect::<Vec<_>>();
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    }
    // One byte in front, because an empty message looks like the end.
    let parts = [IoSlice::new(&[0]), IoSlice::new(bytes)];
    rustix::io::retry_on_intr(|| sendmsg(&line, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// The next message; `None` if the other end is gone.
fn receive(line: impl AsFd) -> io::Result<Option<Answer>> {
    let mut bytes = vec![0; MAX_MESSAGE + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&line, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let fd = ancillary
        .drain()
        .find_map(|message| if let RecvAncillaryMessage::ScmRights(mut fds) = message { fds.next() } else { None });
    bytes.truncate(received.bytes);
    bytes.remove(0);
    Ok(Some(Answer { bytes, fd }))
}
