//! What is about the whole process: detaching, privileges, signals, inherited descriptors.
//!
//! The program starts itself once per case, with the case's name as argument; the child does the deed and prints what
//! it sees, and the parent compares.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, though without the usual harness")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use tinmesh_os::device::Device;
use tinmesh_os::process::{self, Detached, User};
use tinmesh_os::sandbox::{self, Limits, Strength};
use tinmesh_os::servant::{Answer, MAX_MESSAGE, Servant};
use tinmesh_os::signals::{self, Signal, Signals};

/// The child's part in a case: takes the argument, returns what it saw.
type Part = fn(&str) -> String;

/// The parts by the name of the case.
const PARTS: [(&str, Part); 16] = [
    ("detach", detach),
    ("detach-with-threads", detach_with_threads),
    ("drop", drop_privileges),
    ("chroot", chroot),
    ("nice", nice),
    ("lock", lock),
    ("umask", umask),
    ("dumps", dumps),
    ("adopt", adopt),
    ("device", device),
    ("signals", signals),
    ("children", children),
    ("sandbox", sandbox),
    ("sandbox-with-programs", sandbox_with_programs),
    ("sandbox-with-threads", sandbox_with_threads),
    ("servant", servant),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some((_, part)) = PARTS.iter().find(|(name, _)| Some(*name) == args.get(1).map(String::as_str)) {
        let seen = part(args.get(2).map_or("", String::as_str));
        print!("{seen}");
        return;
    }
    assert!(process::is_root(), "these tests need root");
    check_detaching();
    check_privileges();
    check_limits();
    check_inherited_descriptors();
    check_signals();
    check_queries();
    check_sandbox();
    check_servant();
}

fn own(case: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([case, argument]);
    command
}

/// What the child's part saw.
fn run(case: &str, argument: &str) -> String {
    let output = own(case, argument).output().unwrap();
    assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The words behind `key` in the status of the calling thread.
fn status(key: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check_detaching() {
    // The former process ends with success, the other one goes on in its own session without standard streams.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(run("detach", path.to_str().unwrap()), "parent");
    let mut report = String::new();
    listener.accept().unwrap().0.read_to_string(&mut report).unwrap();
    assert_eq!(report, "session leader, /dev/null /dev/null /dev/null");

    assert_eq!(run("detach-with-threads", ""), "only a process with one thread can detach");
}

fn detach(path: &str) -> String {
    if process::detach().unwrap() == Detached::Parent {
        return "parent".to_owned();
    }
    let streams = [0, 1, 2].map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap().display().to_string());
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned();
    let leads = if session == std::process::id().to_string() { "session leader" } else { "no session leader" };
    let mut report = UnixStream::connect(path).unwrap();
    write!(report, "{leads}, {}", streams.join(" ")).unwrap();
    String::new()
}

fn detach_with_threads(_: &str) -> String {
    let (keep, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || wait.recv());
    let error = process::detach().unwrap_err().to_string();
    drop(keep);
    let _closed = thread.join().unwrap();
    error
}

fn check_privileges() {
    let ids = "65534 65534 65534 65534, 65534 65534 65534 65534, 65534, 0000000000000000";
    assert_eq!(run("drop", "nobody"), format!("{ids}; {ids}"));
    assert_eq!(User::find("no-such-user").unwrap_err().kind(), ErrorKind::NotFound);

    // The user was looked up before the root directory changed, and can be taken on afterwards.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("marker"), "").unwrap();
    assert_eq!(run("chroot", dir.path().to_str().unwrap()), "marker in /, marker in ., root: false");
}

/// Also in a thread that was there before.
fn drop_privileges(name: &str) -> String {
    let (go, wait) = mpsc::channel();
    let ids = || ["Uid:", "Gid:", "Groups:", "CapEff:"].map(status).join(", ");
    let thread = thread::spawn(move || {
        wait.recv().unwrap();
        ids()
    });
    process::drop_privileges(&User::find(name).unwrap()).unwrap();
    go.send(()).unwrap();
    format!("{}; {}", ids(), thread.join().unwrap())
}

fn chroot(dir: &str) -> String {
    let user = User::find("nobody").unwrap();
    process::chroot(Path::new(dir)).unwrap();
    process::drop_privileges(&user).unwrap();
    let first = |dir: &str| fs::read_dir(dir).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    format!("{} in /, {} in ., root: {}", first("/"), first("."), process::is_root())
}

fn check_limits() {
    assert_eq!(run("nice", "7"), "7 7");
    assert_eq!(run("nice", "-10"), "-10 -10");
    assert_ne!(run("lock", ""), "0 kB");
    assert_eq!(run("umask", ""), "former 22, now 77");
    assert_eq!(run("dumps", ""), "NotDumpable");
}

/// The nice values of the main thread and of another one.
fn nice(value: &str) -> String {
    let (keep, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || wait.recv());
    process::set_priority(value.parse().unwrap()).unwrap();
    let mut values = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        values.push(stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned());
    }
    drop(keep);
    let _closed = thread.join().unwrap();
    values.join(" ")
}

fn lock(_: &str) -> String {
    process::lock_memory().unwrap();
    status("VmLck:")
}

fn umask(_: &str) -> String {
    process::umask(0o22);
    format!("former {:o}, now {:o}", process::umask(0o77), process::umask(0o77))
}

fn dumps(_: &str) -> String {
    process::forbid_dumps().unwrap();
    format!("{:?}", rustix::process::dumpable_behavior().unwrap())
}

fn check_inherited_descriptors() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let number = theirs.as_raw_fd().to_string();
    inherit(&theirs);
    assert_eq!(run("adopt", &number), "refused twice, refused 2, refused what was opened here");
    let mut space = [0; 100];
    assert_eq!(ours.recv(&mut space).unwrap(), 5, "written through the adopted descriptor");

    ours.send(b"packet").unwrap();
    assert_eq!(run("device", &number), format!("fd/{number} read 6 bytes, then would block"));
    assert!(process::fd_is_open(ours.as_raw_fd()));
    assert!(!process::fd_is_open(1_000_000));
    assert!(!process::fd_is_open(-1));
}

/// Lets children have the descriptor, as the one who starts a daemon does.
fn inherit(fd: impl AsFd) {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
}

fn adopt(number: &str) -> String {
    let number = number.parse().unwrap();
    let socket = UnixDatagram::from(process::adopt_fd(number).unwrap());
    socket.send(b"hello").unwrap();
    let opened = fs::File::open("/dev/null").unwrap();
    assert!(process::adopt_fd(number).is_err());
    assert!(process::adopt_fd(2).is_err());
    assert!(process::adopt_fd(opened.as_raw_fd()).is_err());
    "refused twice, refused 2, refused what was opened here".to_owned()
}

fn device(number: &str) -> String {
    let device = Device::from_fd(number.parse().unwrap()).unwrap();
    let len = device.recv(&mut [0; 100]).unwrap();
    assert_eq!(device.recv(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
    format!("{} read {len} bytes, then would block", device.name())
}

fn check_signals() {
    assert_eq!(run("signals", ""), "[HangUp, Interrupt, Quit, Alarm, Terminate]");
    let without_hangup = Command::new("nohup").arg(std::env::current_exe().unwrap()).arg("signals").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&without_hangup.stdout), "[HangUp, Interrupt, Quit, Alarm, Terminate]");
    assert_eq!(run("children", ""), "blocked 0, ignored 0");
}

fn signals(_: &str) -> String {
    let signals = Signals::block().unwrap();
    assert_eq!(signals.next().unwrap(), None);
    let own = i32::try_from(std::process::id()).unwrap();
    let mut seen = Vec::new();
    for signal in [Signal::HangUp, Signal::Interrupt, Signal::Quit, Signal::Alarm, Signal::Terminate] {
        process::send_signal(own, signal).unwrap();
        seen.extend(signals.next().unwrap());
    }
    assert_eq!(signals.next().unwrap(), None);
    format!("{seen:?}")
}

/// What a program sees that was started by one that blocks and ignores.
fn children(_: &str) -> String {
    let _signals = Signals::block().unwrap();
    assert_eq!(bits(&status("SigIgn:")), IGNORED);
    assert_eq!(bits(&status("SigBlk:")), BLOCKED);
    assert_eq!(thread::spawn(|| status("SigBlk:")).join().unwrap(), status("SigBlk:"), "threads inherit it");

    let output = signals::restore_in(Command::new("cat").arg("/proc/self/status")).output().unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    let mask = |key| bits(text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim());
    format!("blocked {:x}, ignored {:x}", mask("SigBlk:"), mask("SigIgn:"))
}

/// `SIGPIPE`, `SIGUSR1`, `SIGUSR2`, `SIGWINCH`, as in the status of a process.
const IGNORED: u64 = (1 << 12) | (1 << 9) | (1 << 11) | (1 << 27);
/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGALRM`, `SIGTERM`.
const BLOCKED: u64 = 0b111 | (1 << 13) | (1 << 14);

/// A mask of signals, without those that whoever runs the tests has set.
fn bits(mask: &str) -> u64 {
    u64::from_str_radix(mask, 16).unwrap() & (IGNORED | BLOCKED)
}

fn check_queries() {
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(process::process_exists(own));
    assert!(process::process_exists(1));
    let mut child = Command::new("true").spawn().unwrap();
    let gone = i32::try_from(child.id()).unwrap();
    child.wait().unwrap();
    assert!(!process::process_exists(gone));
    assert!(process::send_signal(gone, Signal::HangUp).is_err());
    for nobody in [0, -1, i32::MIN] {
        assert!(!process::process_exists(nobody));
        assert_eq!(process::send_signal(nobody, Signal::Terminate).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(process::hostname().into_string().unwrap(), kernel.trim_end());

    let mut random = [[0; 1_000]; 2];
    for bytes in &mut random {
        process::random_bytes(bytes).unwrap();
        assert!(bytes.chunks(20).all(|chunk| chunk.iter().any(|byte| *byte != 0)), "all of it is filled");
    }
    assert_ne!(random[0], random[1]);
    process::random_bytes(&mut []).unwrap();
}

fn check_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("in/known"), "known").unwrap();
    fs::write(dir.path().join("beside"), "beside").unwrap();
    for case in ["sandbox", "sandbox-with-programs"] {
        let seen = run(case, dir.path().to_str().unwrap());
        let wrong: Vec<&str> = seen.lines().filter(|line| !line.ends_with(": as it should be")).collect();
        assert!(wrong.is_empty() && seen.lines().count() > 20, "{case}: {wrong:#?} of\n{seen}");
    }
    assert!(run("sandbox-with-threads", "").contains("before threads are started"));
    assert_eq!(fs::read_to_string(dir.path().join("beside")).unwrap(), "beside");
}

/// Enters a sandbox that may read and write in `dir/in`, and tries what is possible there and what is not.
fn try_sandbox(dir: &str, programs: bool) -> String {
    use rustix::net::{AddressFamily, Protocol, SocketType, netlink, socket};
    let inside = Path::new(dir).join("in");
    let limits =
        Limits { read: vec!["/proc/self".into(), "/etc/passwd".into()], write: vec![inside.clone()], programs };
    assert_eq!(sandbox::enter(&limits).unwrap(), Strength::Full);
    let beside = Path::new(dir).join("beside");
    let open = |family, kind, protocol| socket(family, kind, protocol).is_ok();
    let unshared = {
        #[expect(deprecated, reason = "no thread of this process shares anything")]
        rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).is_ok()
    };
    let tried = [
        ("reads what it may", true, fs::read_to_string(inside.join("known")).is_ok_and(|text| text == "known")),
        ("lists what it may", true, fs::read_dir(&inside).is_ok()),
        ("makes a file", true, fs::write(inside.join("fresh"), "fresh").is_ok()),
        ("renames it", true, fs::rename(inside.join("fresh"), inside.join("renamed")).is_ok()),
        ("removes it", true, fs::remove_file(inside.join("renamed")).is_ok()),
        ("reads a single file", true, fs::read("/etc/passwd").is_ok()),
        ("reads a secret", programs, fs::read("/etc/shadow").is_ok()),
        ("reads beside", programs, fs::read(&beside).is_ok()),
        ("writes beside", false, fs::write(&beside, "changed").is_ok()),
        ("makes a file beside", false, fs::write(Path::new(dir).join("fresh"), "").is_ok()),
        ("removes beside", false, fs::remove_file(&beside).is_ok()),
        ("moves something in", false, fs::rename(&beside, inside.join("moved")).is_ok()),
        (
            "makes a device",
            false,
            Command::new("/bin/mknod")
                .arg(inside.join("null"))
                .args(["c", "1", "3"])
                .status()
                .is_ok_and(|s| s.success()),
        ),
        ("starts a program", programs, Command::new("/bin/true").status().is_ok_and(|status| status.success())),
        (
            "starts a thread",
            true,
            thread::spawn(|| fs::read("/etc/group").is_ok()).join().is_ok_and(|read| read == programs),
        ),
        ("opens TCP", true, open(AddressFamily::INET, SocketType::STREAM, None)),
        ("opens UDP", true, open(AddressFamily::INET6, SocketType::DGRAM, None)),
        ("asks about routes", true, open(AddressFamily::NETLINK, SocketType::RAW, None)),
        ("asks about others", false, open(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::KOBJECT_UEVENT))),
        ("opens raw IP", false, open(AddressFamily::INET, SocketType::RAW, Some(rustix::net::ipproto::ICMP))),
        ("opens raw frames", false, open(AddressFamily::PACKET, SocketType::RAW, None)),
        (
            "opens old raw frames",
            false,
            open(AddressFamily::INET, SocketType::from_raw(10), Some(Protocol::from_raw(3.try_into().unwrap()))),
        ),
        ("leaves its network", false, unshared),
        ("changes its root", false, process::chroot(&inside).is_ok()),
        (
            "signals its parent",
            false,
            process::send_signal(rustix::process::getppid().unwrap().as_raw_pid(), Signal::HangUp).is_ok(),
        ),
        ("is filtered", true, status("Seccomp:") == "2" && status("NoNewPrivs:") == "1"),
    ];
    let line = |&(what, may, can): &(&str, bool, bool)| {
        format!("{what} {can}: {}\n", if may == can { "as it should be" } else { "wrong" })
    };
    tried.iter().map(line).collect()
}

fn sandbox(dir: &str) -> String {
    try_sandbox(dir, false)
}

fn sandbox_with_programs(dir: &str) -> String {
    try_sandbox(dir, true)
}

fn sandbox_with_threads(_: &str) -> String {
    let (keep, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || wait.recv());
    let error = sandbox::enter(&Limits::default()).unwrap_err().to_string();
    drop(keep);
    let _closed = thread.join().unwrap();
    error
}

fn check_servant() {
    assert_eq!(run("servant", ""), "olleh, nothing, a descriptor of 6 bytes, gone, as another process: true");
}

/// Asks a servant that turns words round, and opens a file if asked for nothing.
fn servant(_: &str) -> String {
    let own = std::process::id();
    let servant = Servant::start(move |request| match request {
        b"who" => Answer { bytes: std::process::id().to_string().into_bytes(), fd: None },
        b"die" => std::process::exit(0),
        b"file" => {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(b"packet").unwrap();
            Answer { bytes: Vec::new(), fd: Some(reader.into()) }
        }
        words => Answer { bytes: words.iter().rev().copied().collect(), fd: None },
    })
    .unwrap();
    let ask = |words: &[u8]| servant.ask(words).unwrap();
    let text = |words: &[u8]| String::from_utf8(ask(words).bytes).unwrap();
    let other = text(b"who") != own.to_string();
    let (turned, nothing) = (text(b"hello"), text(b"").len());
    assert_eq!(nothing, 0);
    let mut read = String::new();
    fs::File::from(ask(b"file").fd.unwrap()).read_to_string(&mut read).unwrap();
    assert!(servant.ask(&vec![0; MAX_MESSAGE + 1]).is_err());
    let gone = if servant.ask(b"die").is_err() && servant.ask(b"hello").is_err() { "gone" } else { "still there" };
    format!("{turned}, nothing, a descriptor of {} bytes, {gone}, as another process: {other}", read.len())
}
