//! Log lines in tinc's formats and levels, on top of `tracing` (spec: configuration 8).
//!
//! A message's tracing target tells tinc's debug level: [`CONNECTIONS`] is shown from level 1 on,
//! and so forth; everything else is level 0. Lines go to one sink, to the umbilical while the
//! daemon starts, and to subscribers on the control socket.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use tinmesh_os::local_time;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Target of messages from level 1 on: connections made and lost.
pub const CONNECTIONS: &str = "tinmesh::connections";
/// Target of messages from level 2 on: status, scripts.
pub const STATUS: &str = "tinmesh::status";
/// Target of messages from level 3 on: protocol events and decisions.
pub const PROTOCOL: &str = "tinmesh::protocol";
/// Target of messages that tinc calls NOTICE, at level 0.
pub const NOTICE: &str = "tinmesh::notice";
/// Longest message, in bytes (spec: configuration 8.2).
const MAX_MESSAGE: usize = 1023;
/// Facility DAEMON of syslog.
const FACILITY: u8 = 3 << 3;

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
    /// The system log.
    Syslog,
}

/// A line for subscribers on the control socket.
#[derive(Clone, Debug)]
pub struct Line {
    /// tinc's debug level of the message.
    pub level: i32,
    /// The line in pretty format, without colours and without end.
    pub text: String,
    /// The same with colours.
    pub coloured: String,
}

enum Sink {
    Stderr { colour: bool },
    File { file: File, path: PathBuf },
    Syslog(UnixDatagram),
}

/// The log of this process; cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    ident: String,
    level: AtomicI32,
    subscribed: AtomicI32,
    sink: Mutex<Option<Sink>>,
    umbilical: Mutex<Option<(File, bool)>>,
    subscribers: Mutex<Option<SyncSender<Line>>>,
}

impl Log {
    /// A log that writes to standard error, and its installation as the process's log.
    pub fn install(ident: &str, level: i32) -> Self {
        let colour = io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let log = Self(Arc::new(Inner {
            ident: ident.to_owned(),
            level: AtomicI32::new(level),
            subscribed: AtomicI32::new(i32::MIN),
            sink: Mutex::new(Some(Sink::Stderr { colour })),
            umbilical: Mutex::new(None),
            subscribers: Mutex::new(None),
        }));
        let subscriber = tracing_subscriber::registry().with(log.clone());
        // A second installation in one process happens in tests only; the first one stays.
        tracing::subscriber::set_global_default(subscriber).ok();
        log
    }

    /// The debug level.
    pub fn level(&self) -> i32 {
        self.0.level.load(Relaxed)
    }

    /// Changes the debug level.
    pub fn set_level(&self, level: i32) {
        self.0.level.store(level, Relaxed);
    }

    /// Sends lines to `target` from now on.
    ///
    /// # Errors
    /// If the file or the system log cannot be opened; lines then still go where they went.
    pub fn redirect(&self, target: &Target) -> io::Result<()> {
        let sink = match target {
            Target::Stderr => return Ok(()),
            Target::File(path) => Sink::File { file: open(path)?, path: path.clone() },
            Target::Syslog => Sink::Syslog(connect_syslog()?),
        };
        *self.0.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
        Ok(())
    }

    /// Opens the log file anew, after it was moved away.
    pub fn reopen(&self) {
        let mut sink = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Sink::File { file, path }) = sink.as_mut()
            && let Ok(fresh) = open(path)
        {
            *file = fresh;
        }
    }

    /// Copies lines to the process that started this one, until [`Log::cut_umbilical`].
    pub fn set_umbilical(&self, file: File, colour: bool) {
        *self.0.umbilical.lock().unwrap_or_else(PoisonError::into_inner) = Some((file, colour));
    }

    /// Tells the process that started this one that the daemon is ready.
    pub fn cut_umbilical(&self) {
        if let Some((mut file, _)) = self.0.umbilical.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody waits any more if this fails.
            file.write_all(&[0]).ok();
        }
    }

    /// Sends lines up to `level` also to `subscribers`; a full queue loses lines.
    pub fn set_subscribers(&self, subscribers: Option<SyncSender<Line>>, level: i32) {
        self.0.subscribed.store(if subscribers.is_some() { level } else { i32::MIN }, Relaxed);
        *self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner) = subscribers;
    }

    fn write(&self, level: Level, notice: bool, tinc_level: i32, message: &str) {
        let name = priority_name(level, notice);
        if tinc_level <= self.level() {
            let mut sink = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sink) = sink.as_mut() {
                sink.write(&self.0.ident, level, notice, message);
            }
            drop(sink);
            let mut umbilical = self.0.umbilical.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((file, colour)) = umbilical.as_mut() {
                writeln!(file, "{}", pretty(name, message, *colour)).ok();
            }
        }
        if tinc_level <= self.0.subscribed.load(Relaxed) {
            let subscribers = self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(subscribers) = subscribers.as_ref() {
                let [text, coloured] = [false, true].map(|colour| pretty(name, message, colour));
                subscribers.try_send(Line { level: tinc_level, text, coloured }).ok();
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn connect_syslog() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect("/dev/log")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

const fn priority_name(level: Level, notice: bool) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO if notice => "NOTICE",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn pretty(name: &str, message: &str, colour: bool) -> String {
    let time = local_time::text();
    if !colour {
        return format!("{time} {name:<7} {message}");
    }
    let code = match name {
        "ERROR" => 31,
        "WARNING" => 33,
        "NOTICE" => 36,
        "INFO" => 32,
        _ => 34,
    };
    format!("\x1b[90m{time} \x1b[{code};1m{name:<7}\x1b[0m {message}")
}

impl Sink {
    fn write(&mut self, ident: &str, level: Level, notice: bool, message: &str) {
        let pid = std::process::id();
        match self {
            Self::Stderr { colour } => {
                let line = pretty(priority_name(level, notice), message, *colour);
                writeln!(io::stderr().lock(), "{line}").ok();
            }
            Self::File { file, .. } => {
                writeln!(file, "{} {ident}[{pid}]: {message}", local_time::text()).ok();
            }
            Self::Syslog(socket) => {
                let priority = FACILITY | severity(level, notice);
                socket.send(format!("<{priority}>{ident}[{pid}]: {message}").as_bytes()).ok();
            }
        }
    }
}

const fn severity(level: Level, notice: bool) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO if notice => 5,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

fn tinc_level(metadata: &Metadata<'_>) -> i32 {
    match metadata.target() {
        CONNECTIONS => 1,
        STATUS => 2,
        PROTOCOL => 3,
        _ => match *metadata.level() {
            Level::ERROR | Level::WARN | Level::INFO => 0,
            Level::DEBUG => 2,
            Level::TRACE => 4,
        },
    }
}

/// The message and its fields as one text.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let fits = self.0.len() < MAX_MESSAGE;
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else if fits {
            write!(self.0, " {}={value:?}", field.name()).ok();
        }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let tinc_level = tinc_level(metadata);
        if tinc_level > self.level() && tinc_level > self.0.subscribed.load(Relaxed) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let mut message = one_line(&text.0);
        if message.len() > MAX_MESSAGE {
            let end = (0..=MAX_MESSAGE).rev().find(|&end| message.is_char_boundary(end));
            message.truncate(end.unwrap_or(0));
        }
        self.write(*metadata.level(), metadata.target() == NOTICE, tinc_level, message.trim_end());
    }
}

/// Nobody's name or error text may move a terminal's cursor, or look like another line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace(|c: char| c.is_control() && c != '\t', "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_forge_a_line_or_command_a_terminal() {
        assert_eq!(one_line("a\nNOTICE b\x1b[2J\x07\u{9b}c"), "a NOTICE b?[2J??c");
    }

    #[test]
    fn a_pretty_line_pads_the_priority_to_seven_columns() {
        let line = pretty("INFO", "Ready", false);
        assert!(line.ends_with(" INFO    Ready"), "{line}");
        assert!(pretty("NOTICE", "Ready", true).contains("\x1b[36;1mNOTICE \x1b[0m Ready"));
    }
}
