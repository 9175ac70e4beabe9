//! A program whose standard input and output are a meta connection (`Proxy = exec`, spec: meta-protocol 3.6).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tinmesh_os::signals;

/// How long a program may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(20);

/// A running program and the way to it. It ends with this value, and so does what it started.
#[derive(Debug)]
pub struct Program {
    stream: UnixStream,
    child: Option<Child>,
}

impl Program {
    /// Runs a line of `/bin/sh` with these variables added to the environment.
    ///
    /// # Errors
    /// If the system has no more processes or descriptors.
    pub fn start(line: &str, variables: &[(String, String)]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let input: OwnedFd = theirs.into();
        let output = input.try_clone()?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).stdin(input).stdout(output).stderr(Stdio::inherit());
        command.envs(variables.iter().map(|(key, value)| (key, value))).env_remove("TINC_UMBILICAL");
        // A group of its own, so that what the shell starts can be ended too.
        command.process_group(0);
        signals::restore_in(&mut command);
        Ok(Self { stream: ours, child: Some(command.spawn()?) })
    }
}

impl Read for &Program {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }
}

impl Write for &Program {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        signal(group, Signal::TERM);
        // Waiting takes a thread of its own: a program may take its time. Without one, `init` will reap it.
        let wait = move || {
            end(&mut child, group);
        };
        thread::Builder::new().name("reaper".to_owned()).spawn(wait).ok();
    }
}

fn end(child: &mut Child, group: Option<Pid>) {
    let start = Instant::now();
    while start.elapsed() < GRACE {
        if !matches!(child.try_wait(), Ok(None)) {
            break;
        }
        thread::sleep(GLANCE);
    }
    // Also when the shell has ended: what it started may not have.
    signal(group, Signal::KILL);
    child.wait().ok();
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It fails only if nobody is left.
        kill_process_group(group, signal).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_until(mut program: &Program, wanted: &str) -> String {
        let (start, mut got) = (Instant::now(), Vec::new());
        let mut buffer = [0; 256];
        while !String::from_utf8_lossy(&got).contains(wanted) {
            assert!(start.elapsed() < Duration::from_secs(10), "only {got:?} came");
            match program.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    thread::sleep(GLANCE);
                }
            }
        }
        String::from_utf8(got).unwrap()
    }

    #[test]
    fn a_program_gets_what_is_written_and_its_variables_and_ends_with_all_that_it_started() {
        let variables = [("NODE".to_owned(), "bob".to_owned())];
        let line = "sleep 1000 & echo $NODE $! $$; read line; echo got $line; wait";
        let program = Program::start(line, &variables).unwrap();
        (&program).write_all(b"hello\n").unwrap();
        let text = read_until(&program, "got hello\n");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[0], "bob");
        let alive = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        assert!(alive(words[1]) && alive(words[2]));

        drop(program);

        let start = Instant::now();
        while alive(words[1]) || std::path::Path::new("/proc").join(words[2]).exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "it lives on");
            thread::sleep(GLANCE);
        }
    }

    #[test]
    fn the_end_of_a_program_is_the_end_of_its_connection() {
        let program = Program::start("echo bye", &[]).unwrap();
        assert_eq!(read_until(&program, "nothing like this"), "bye\n");
    }
}
