//! The pid file: how a client finds the daemon and proves that it may command it (spec: configuration 1.1).

use std::fmt;

use zeroize::Zeroizing;

/// The one line of a pid file.
#[derive(Clone, PartialEq, Eq)]
pub struct PidFile {
    /// The daemon's process number.
    pub pid: u32,
    /// What a client must know: 64 upper-case hexadecimal digits.
    pub cookie: Zeroizing<String>,
    /// Address of the first listening socket.
    pub host: String,
    /// Its port; a name if the configuration asks for names.
    pub port: String,
}

/// Why a text is not a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pid file")]
pub struct PidFileError;

impl PidFile {
    /// Reads the content of a pid file.
    ///
    /// # Errors
    /// If the first line does not have the five words of a pid file.
    pub fn parse(text: &str) -> Result<Self, PidFileError> {
        let words: Vec<&str> = text.lines().next().unwrap_or_default().split_ascii_whitespace().collect();
        let [pid, cookie, host, "port", port] = words[..] else { return Err(PidFileError) };
        let pid = pid.parse().ok().filter(|pid| *pid > 0 && i32::try_from(*pid).is_ok()).ok_or(PidFileError)?;
        let cookie = Zeroizing::new(cookie.to_owned());
        Ok(Self { pid, cookie, host: host.to_owned(), port: port.to_owned() })
    }
}

impl fmt::Display for PidFile {
    /// The line, without newline. Holds the cookie: not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} port {}", self.pid, self.cookie.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for PidFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PidFile").field("pid", &self.pid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_reads_as_it_was_written() {
        let line = "4789 59EF65D5CC 127.0.0.1 port 655";

        let file = PidFile::parse(&format!("{line}\n")).unwrap();

        assert_eq!((file.pid, file.host.as_str(), file.port.as_str()), (4789, "127.0.0.1", "655"));
        assert_eq!(file.to_string(), line);
    }

    #[test]
    fn other_texts_are_no_pid_files() {
        for text in
            ["", "4789", "4789 AB 127.0.0.1 655", "x AB 127.0.0.1 port 655", "-1 AB h port 655", "0 AB h port 1"]
        {
            assert_eq!(PidFile::parse(text), Err(PidFileError), "{text}");
        }
    }

    #[test]
    fn debug_output_keeps_the_cookie_secret() {
        let file = PidFile::parse("4789 59EF65D5CC 127.0.0.1 port 655").unwrap();
        assert!(!format!("{file:?}").contains("59EF"));
    }
}
