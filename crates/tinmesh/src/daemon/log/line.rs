//! One message and how it looks (spec: configuration 8.2).

use tracing::Level;

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 1023;

/// How important a message is, by the numbers of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The daemon stops or loses a function.
    Error = 3,
    /// Odd, and worth a look.
    Warning = 4,
    /// Start and end.
    Notice = 5,
    /// An event.
    Info = 6,
    /// A decision.
    Debug = 7,
}

impl Priority {
    /// The priority of a message of this level; `notice` lifts [`Level::INFO`].
    pub const fn of(level: Level, notice: bool) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO if notice => Self::Notice,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }

    const fn colour(self) -> u8 {
        match self {
            Self::Error => 31,
            Self::Warning => 33,
            Self::Notice => 36,
            Self::Info => 32,
            Self::Debug => 34,
        }
    }
}

/// A message with what belongs to it.
#[derive(Clone, Debug)]
pub struct Line {
    /// tinc's debug level of the message.
    pub level: i32,
    /// Local time, as text.
    pub time: String,
    /// How important it is.
    pub priority: Priority,
    /// The message, in one line.
    pub message: String,
}

impl Line {
    /// The line as people read it, without its end, and no longer than tinc's.
    pub fn pretty(&self, colour: bool) -> String {
        let Self { time, priority, message, .. } = self;
        let name = priority.name();
        cut(if colour {
            format!("\x1b[90m{time} \x1b[{};1m{name:<7}\x1b[0m {message}", priority.colour())
        } else {
            format!("{time} {name:<7} {message}")
        })
    }
}

/// A message as it is logged: in one line, without what could command a terminal, and not too long. Nobody's name or
/// error text may move a cursor, or look like another line.
pub fn message(text: &str) -> String {
    let line = text.trim_end_matches(['\n', '\r']).replace(['\n', '\r'], " ");
    cut(line.replace(|c: char| c.is_control() && c != '\t', "?"))
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(priority: Priority, message: &str) -> Line {
        Line { level: 0, time: "2026-11-22 12:59:55".to_owned(), priority, message: message.to_owned() }
    }

    #[test]
    fn a_message_cannot_forge_a_line_or_command_a_terminal() {
        assert_eq!(message("a\nNOTICE b\x1b[2J\x07\u{9b}c\n"), "a NOTICE b?[2J??c");
    }

    #[test]
    fn a_message_is_cut_at_1023_bytes_between_characters() {
        assert_eq!(message(&"x".repeat(2000)).len(), 1023);
        assert_eq!(message(&"ä".repeat(2000)).len(), 1022);
        assert_eq!(
            line(Priority::Info, &"x".repeat(1023)).pretty(false).len(),
            1023,
            "in pretty form the whole line is"
        );
    }

    #[test]
    fn a_pretty_line_has_the_very_bytes_of_tinc() {
        assert_eq!(line(Priority::Info, "Ready").pretty(false), "2026-11-22 12:59:55 INFO    Ready");
        let coloured = "\x1b[90m2026-11-22 12:59:55 \x1b[36;1mNOTICE \x1b[0m Ready";
        assert_eq!(line(Priority::Notice, "Ready").pretty(true), coloured);
        for (priority, code) in
            [(Priority::Error, 31), (Priority::Warning, 33), (Priority::Info, 32), (Priority::Debug, 34)]
        {
            assert!(line(priority, "x").pretty(true).contains(&format!("\x1b[{code};1m")), "{priority:?}");
        }
    }
}
