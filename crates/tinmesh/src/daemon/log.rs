//! Log lines in tinc's formats and levels, on top of `tracing` (spec: configuration 8).
//!
//! A message's tracing target tells tinc's debug level: [`CONNECTIONS`] is shown from level 1 on,
//! and so forth; everything else is level 0. Lines go to one sink, to the umbilical while the
//! daemon starts, and to subscribers on the control socket.

mod line;

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
use tracing::{Event, Level, Metadata, Subscriber, error};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

pub use line::Line;
use line::Priority;

use crate::daemon::packet_log;
use crate::files;

/// Target of messages from level 1 on: connections made and lost.
pub const CONNECTIONS: &str = "tinmesh::connections";
/// Target of messages from level 2 on: status, scripts.
pub const STATUS: &str = "tinmesh::status";
/// Target of messages from level 3 on: protocol events and decisions.
pub const PROTOCOL: &str = "tinmesh::protocol";
/// The level of [`REQUESTS`].
pub const REQUESTS_LEVEL: i32 = 4;
/// Target of messages from level 4 on: every request sent and received, in full.
pub const REQUESTS: &str = "tinmesh::requests";
/// Target of messages from level 5 on: every packet.
pub const PACKETS: &str = "tinmesh::packets";
/// Target of messages that tinc calls NOTICE, at level 0.
pub const NOTICE: &str = "tinmesh::notice";
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

enum Sink {
    Stderr {
        colour: bool,
    },
    /// Standard error is the journal, which adds the time itself.
    Journal,
    File {
        file: File,
        path: PathBuf,
    },
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
        let sink = if stderr_is_journal() { Sink::Journal } else { Sink::Stderr { colour } };
        let log = Self(Arc::new(Inner {
            ident: ident.to_owned(),
            level: AtomicI32::new(level),
            subscribed: AtomicI32::new(i32::MIN),
            sink: Mutex::new(Some(sink)),
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

    /// The highest level that anybody listens to.
    pub fn audible(&self) -> i32 {
        self.level().max(self.0.subscribed.load(Relaxed))
    }

    /// Writes no more lines, except to the umbilical and to subscribers.
    pub fn silence(&self) {
        *self.0.sink.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

    /// The log file, if lines go to one.
    pub fn path(&self) -> Option<PathBuf> {
        match self.0.sink.lock().unwrap_or_else(PoisonError::into_inner).as_ref()? {
            Sink::File { path, .. } => Some(path.clone()),
            Sink::Stderr { .. } | Sink::Journal | Sink::Syslog(_) => None,
        }
    }

    /// Opens the log file anew, after it was moved away. If that fails, lines still go into the old one.
    pub fn reopen(&self, open: impl FnOnce(&Path) -> io::Result<File>) {
        let mut sink = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Sink::File { file, path }) = sink.as_mut() else { return };
        match open(path) {
            Ok(fresh) => *file = fresh,
            Err(cause) => {
                let failure = format!("Could not open log file {}: {}", path.display(), files::reason(&cause));
                drop(sink);
                error!("{failure}");
            }
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

    fn write(&self, line: Line) {
        if line.level <= self.level() {
            let mut sink = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sink) = sink.as_mut() {
                sink.write(&self.0.ident, &line);
            }
            drop(sink);
            let mut umbilical = self.0.umbilical.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((file, colour)) = umbilical.as_mut() {
                file.write_all(format!("{}\n", line.pretty(*colour)).as_bytes()).ok();
            }
        }
        if line.level <= self.0.subscribed.load(Relaxed) {
            let subscribers = self.0.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(subscribers) = subscribers.as_ref() {
                subscribers.try_send(line).ok();
            }
        }
    }
}

/// Opens a log file.
///
/// # Errors
/// If it cannot be written.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn connect_syslog() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect("/dev/log")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether the service manager connected standard error to the journal: it says so by device and inode.
fn stderr_is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let found = rustix::fs::fstat(io::stderr()).map(|found| format!("{}:{}", found.st_dev, found.st_ino));
    found.is_ok_and(|found| found == named)
}

impl Sink {
    fn write(&mut self, ident: &str, line: &Line) {
        let Line { time, message, priority, .. } = line;
        let (pid, severity) = (std::process::id(), *priority as u8);
        match self {
            Self::Stderr { colour } => {
                writeln!(io::stderr().lock(), "{}", line.pretty(*colour)).ok();
            }
            Self::Journal => {
                writeln!(io::stderr().lock(), "<{severity}>{message}").ok();
            }
            Self::File { file, .. } => {
                file.write_all(format!("{time} {ident}[{pid}]: {message}\n").as_bytes()).ok();
            }
            Self::Syslog(socket) => {
                let text = format!("<{}>{ident}[{pid}]: {message}", FACILITY | severity);
                let sent = socket.send(text.as_bytes());
                // The system log may have been started anew.
                if sent.is_err_and(|cause| cause.kind() != io::ErrorKind::WouldBlock)
                    && let Ok(fresh) = connect_syslog()
                {
                    fresh.send(text.as_bytes()).ok();
                    *socket = fresh;
                }
            }
        }
    }
}

fn tinc_level(metadata: &Metadata<'_>) -> i32 {
    match metadata.target() {
        CONNECTIONS => 1,
        STATUS => 2,
        PROTOCOL => 3,
        REQUESTS => REQUESTS_LEVEL,
        PACKETS => packet_log::LEVEL,
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
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
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
        let priority = Priority::of(*metadata.level(), metadata.target() == NOTICE);
        self.write(Line { level: tinc_level, time: local_time::text(), priority, message: line::message(&text.0) });
    }
}
