//! Work inside network namespaces that `ip netns` has made.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Takes the calling thread into the namespace called `name`, for good.
///
/// # Errors
/// What the system says.
pub fn enter(name: &str) -> io::Result<()> {
    let file = File::open(format!("/run/netns/{name}"))?;
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Runs `work` on a thread in the namespace and waits for it.
///
/// # Errors
/// What the system says, or `work`.
pub fn within<T: Send>(name: &str, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| enter(name).and_then(|()| work()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `ip` in the namespace; it must succeed.
///
/// # Errors
/// With what `ip` says.
pub fn ip(name: &str, words: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(["-n", name]).args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("ip -n {name} {}: {said}", words.join(" "))))
}
