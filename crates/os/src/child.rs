//! What programs that this one starts get from it.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Lets every program that is started from now on have this descriptor, under the same number.
///
/// # Errors
/// If the system refuses.
pub fn inherit(fd: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfd(&fd)? - FdFlags::CLOEXEC;
    Ok(fcntl_setfd(&fd, flags)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_can_write_into_an_inherited_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        inherit(&writer).unwrap();
        let mut child =
            Command::new("sh").args(["-c", &format!("echo hello >&{}", writer.as_raw_fd())]).spawn().unwrap();
        drop(writer);

        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();

        assert!(child.wait().unwrap().success());
        assert_eq!(text, "hello\n");
    }
}
