//! A walk through the specification of the daemon as a process: command line, start, signals, log, scripts, service
//! managers (spec: configuration 6 to 9, 11). Mostly one daemon with a dummy device.

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use crate::lab::namespace::Namespace;
use crate::lab::{Daemon, Kind, Lab, secs, tinc11, wait_until};

/// A node without a network: its files, and what it says on standard error.
pub(crate) struct Site<'a> {
    lab: &'a Lab,
    pub(crate) daemon: Daemon,
    namespace: Arc<Namespace>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(lab: &'a Lab, name: &str) -> Self {
        let namespace = Namespace::new(name);
        let daemon = Daemon::init(lab, name, Kind::Ours, &namespace);
        daemon.config("DeviceType = dummy").host("Port = 0");
        fs::remove_file(daemon.dir.join("tinc-up")).expect("it is for real devices");
        Self { lab, daemon, namespace }
    }

    /// `tincd` for this node with more options, its words going to [`Site::said`].
    pub(crate) fn tincd(&self, options: &[&str]) -> Command {
        let mut command = self.bare_tincd();
        command.arg("-c").arg(&self.daemon.dir).arg(format!("--pidfile={}", self.daemon.pidfile().display()));
        command.args(options);
        command
    }

    fn bare_tincd(&self) -> Command {
        let mut command = self.namespace.command(self.lab.ours("tincd"));
        let said = fs::File::create(self.said_path()).expect("the directory is there");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        command
    }

    fn said_path(&self) -> PathBuf {
        self.lab.path(&format!("{}.said", self.daemon.name))
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.said_path()).unwrap_or_default()
    }

    /// Starts it in the foreground and waits until it is ready.
    pub(crate) fn start(&self, options: &[&str]) -> Running {
        self.start_command(self.tincd(&[&["-D"], options].concat()), "Ready")
    }

    /// Starts it and waits until it has said `word`.
    pub(crate) fn start_command(&self, mut command: Command, word: &str) -> Running {
        let running = Running(command.spawn().expect("the program is there"));
        wait_until(secs(10), &format!("{word:?} is said:\n{}", self.said()), || self.said().contains(word));
        running
    }

    /// Runs it to its end.
    pub(crate) fn fails(&self, options: &[&str]) -> String {
        let status = self.tincd(&[&["-D"], options].concat()).status().expect("the program is there");
        assert_eq!(status.code(), Some(1), "{options:?}: {}", self.said());
        self.said()
    }

    /// Makes a script.
    pub(crate) fn script(&self, name: &str, lines: &str) {
        write_script(&self.daemon.dir.join(name), lines);
    }
}

fn write_script(path: &Path, lines: &str) {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).expect("the directory is there");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}

/// A process that ends with its value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program is there"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        crate::lab::run(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()));
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_none()
    }

    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        wait_until(secs(10), "it ends after SIGTERM", || !self.lives());
        self.0.wait().expect("our child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

// 6: the command line.

#[test]
fn section_6_wrong_options_are_told_as_getopt_tells_them_and_end_with_1() {
    let lab = Lab::new();
    let tincd = lab.ours("tincd");
    let name = tincd.display();
    let tried = format!("Try `{name} --help' for more information.\n");
    for (words, message) in [
        (vec!["foo"], "unrecognized argument 'foo'"),
        (vec!["-x"], "invalid option -- 'x'"),
        (vec!["--nonsense"], "unrecognized option '--nonsense'"),
        (vec!["-c"], "option requires an argument -- 'c'"),
        (vec!["--no-detach=1"], "option '--no-detach' doesn't allow an argument"),
        (vec!["--help", "-x"], "invalid option -- 'x'"),
    ] {
        let output = Command::new(&tincd).args(&words).output().expect("the program is there");
        let (out, err) = text(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{words:?}");
        assert_eq!(err, format!("{name}: {message}\n{tried}"), "{words:?}");
    }
}

#[test]
fn section_6_the_same_wrong_options_are_told_by_tinc_in_the_same_words() {
    let lab = Lab::new();
    let lines = |program: &Path, words: &[&str]| {
        let output = Command::new(program).args(words).output().expect("the program is there");
        // The program's own name differs.
        let err = text(&output).1;
        let messages: Vec<String> =
            err.lines().take(1).filter_map(|line| line.split_once(": ")).map(|(_, m)| m.into()).collect();
        (output.status.code(), messages)
    };
    for words in ["foo", "-x", "--nonsense", "-c", "--help=1"] {
        assert_eq!(lines(&lab.ours("tincd"), &[words]), lines(&tinc11("tincd"), &[words]), "{words}");
    }
}

#[test]
fn section_6_help_and_version_go_to_standard_output() {
    let lab = Lab::new();
    let ask = |words: &[&str]| Command::new(lab.ours("tincd")).args(words).output().expect("the program is there");
    let help = ask(&["--he", "-D"]);
    assert!(help.status.success() && text(&help).0.starts_with("Usage: "), "{help:?}");
    let version = ask(&["--help", "--version"]);
    let (out, err) = text(&version);
    let first = out.lines().next().unwrap_or_default();
    assert!(first.starts_with("tinc version ") && first.ends_with("protocol 17.7)"), "{out}");
    assert!(out.contains("\nFeatures: ") && err.is_empty());
}

#[test]
fn section_6_a_setting_without_value_and_an_option_that_is_refused_say_so() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    assert_eq!(site.fails(&["-o", "Foo"]), "No value for variable `Foo' in command line option 1\n");
    assert!(site.fails(&["--bypass-security"]).contains("--bypass-security is refused"));
    assert!(site.fails(&["-U", "no-such-user"]).contains("unknown user `no-such-user'"));
    assert!(site.fails(&["-n", "a/b"]).contains("Invalid character in netname!"));
    assert!(site.fails(&["-o", "Sandbox = much"]).contains("Bad sandbox value much!"));
    let status = site.bare_tincd().args(["-D", "-c", "/nonexistent"]).status().expect("the program is there");
    assert_eq!(status.code(), Some(1));
    assert!(site.said().starts_with("Could not change to configuration directory"), "{}", site.said());
}

#[test]
fn section_6_settings_of_the_command_line_win_and_a_negative_level_silences() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.daemon.config("LogLevel = 5");
    let quiet = site.start_command(site.tincd(&["-D", "-o", "LogLevel=0", "--opt", "alice.Port=0"]), "debug level 0");
    assert!(quiet.stop().success());

    let mut silent = Running(site.tincd(&["-D", "--debug=-1"]).spawn().expect("the program is there"));
    wait_until(secs(5), "it is there", || site.daemon.try_tinc(&["pid"]).status.success());
    assert_eq!(site.said(), "");
    assert!(silent.lives() && silent.stop().success());
}

// 6.1, 11: start and umbilical.

/// Our `tincd` started with an umbilical, in the background; what came through it.
fn umbilical_talk(site: &Site<'_>, options: &[&str]) -> String {
    let (mut reader, writer) = std::io::pipe().expect("descriptors are free");
    inherit(&writer);
    let mut command = site.tincd(options);
    command.env("TINC_UMBILICAL", format!("{} 0", writer.as_raw_fd()));
    let status = command.status().expect("the program is there");
    drop(writer);
    assert!(status.success(), "the process that was started ends with 0 at once, whatever becomes of the daemon");
    let mut talk = String::new();
    reader.read_to_string(&mut talk).expect("it is closed in the end");
    talk
}

fn inherit(fd: &impl AsFd) {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).expect("an open descriptor");
}

/// Each line without the time, which stands in front.
fn without_times(text: &str) -> Vec<String> {
    text.lines().map(|line| line.get(20..).unwrap_or(line).to_owned()).collect()
}

#[test]
fn section_11_the_umbilical_carries_the_start_in_pretty_format_and_one_zero_byte() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let log = format!("--logfile={}", site.daemon.dir.join("log").display());

    let talk = umbilical_talk(&site, &[&log]);

    let pid: u32 = site.daemon.tinc(&["pid"]).trim().parse().expect("a number");
    site.daemon.tinc(&["stop"]);
    let (lines, end) = talk.split_at(talk.len() - 1);
    assert_eq!(end, "\0");
    let lines = without_times(lines);
    assert!(lines[0].starts_with("NOTICE  tincd ") && lines[0].ends_with(" starting, debug level 0"), "{lines:?}");
    assert_eq!(lines[1..], ["INFO    dummy (dummy) is a dummy device", "NOTICE  Ready"]);
    // 8.2: the same in a file, with ident and process; and the end.
    let file = fs::read_to_string(site.daemon.dir.join("log")).expect("it was written");
    assert_eq!(without_times(&file)[1], format!("tinc[{pid}]: dummy (dummy) is a dummy device"));
    assert!(file.trim_end().ends_with(&format!("tinc[{pid}]: Terminating")), "{file}");
}

#[test]
fn section_11_a_start_that_fails_tells_why_and_sends_no_zero_byte() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    drop(taken);
    site.daemon.config("BindToAddress = 198.51.100.77 7");

    let talk = umbilical_talk(&site, &["--logfile=/dev/null"]);

    assert!(talk.contains("Unable to create any listening socket!"), "{talk}");
    assert!(talk.ends_with("NOTICE  Terminating\n"), "{talk:?}");
    assert!(!site.daemon.pidfile().exists() && !site.daemon.socket().exists());
}

#[test]
fn section_11_the_start_of_tinc_starts_our_daemon() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let dir = lab.path("mixed");
    fs::create_dir(&dir).expect("the directory is fresh");
    let real = tinc11("tinc").parent().and_then(Path::parent).expect("it is below").join("tree");
    std::os::unix::fs::symlink(real.join("usr/sbin/tinc"), dir.join("tinc")).expect("fresh");
    std::os::unix::fs::symlink(lab.ours("tincd"), dir.join("tincd")).expect("fresh");
    let libraries =
        ["usr/lib", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|lib| real.join(lib).display().to_string());
    let theirs = |words: &[&str]| {
        let mut command = site.namespace.command(dir.join("tinc"));
        command.arg("-c").arg(&site.daemon.dir).arg(format!("--pidfile={}", site.daemon.pidfile().display()));
        command.env("LD_LIBRARY_PATH", libraries.join(":")).args(words).output().expect("the program is there")
    };

    let started = theirs(&["start", "--logfile=/dev/null"]);

    assert!(started.status.success(), "{started:?}");
    assert!(text(&started).1.contains("Ready"), "{started:?}");
    let stopped = theirs(&["stop"]);
    assert!(stopped.status.success(), "{stopped:?}");
}

#[test]
fn section_13_7_a_second_daemon_leaves_the_first_in_control() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let first = site.start(&[]);

    let said = site.fails(&[]);

    assert!(said.contains("is still in use"), "{said}");
    assert_eq!(site.daemon.tinc(&["pid"]).trim(), first.pid().to_string());
    assert!(first.stop().success());
}

// 7: signals.

#[test]
fn section_7_signals_do_what_they_do_for_tinc() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let mut running = site.start(&[]);

    for ignored in ["USR1", "USR2", "WINCH", "PIPE"] {
        running.signal(ignored);
    }
    running.signal("ALRM");
    wait_until(secs(5), "ALRM is told", || site.said().contains("Got Alarm clock signal"));
    fs::rename(site.daemon.dir.join("tinc.conf"), site.daemon.dir.join("tinc.away")).expect("it is there");
    running.signal("HUP");
    wait_until(secs(5), "HUP is told", || site.said().contains("Got Hangup signal"));
    wait_until(secs(5), "the mistake is told", || site.said().contains("Unable to reread"));
    assert!(running.lives() && site.daemon.try_tinc(&["pid"]).status.success());

    running.signal("INT");
    wait_until(secs(5), "it ends", || !running.lives());
    assert!(
        site.said().contains("Got Interrupt signal") && site.said().ends_with("NOTICE  Terminating\n"),
        "{}",
        site.said()
    );
}

// 8: the log.

#[test]
fn section_8_the_log_file_is_opened_anew_by_hup() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let (log, old) = (lab.path("log"), lab.path("log.1"));
    let option = format!("--logfile={}", log.display());
    let mut command = site.tincd(&["-D", &option]);
    let running = Running(command.spawn().expect("the program is there"));
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    wait_until(secs(5), "it is ready", || read(&log).contains("Ready"));

    fs::rename(&log, &old).expect("it is there");
    running.signal("HUP");

    wait_until(secs(5), "the new file is there", || log.exists());
    assert!(running.stop().success());
    assert!(read(&log).ends_with(": Terminating\n") && !read(&old).contains("Terminating"), "{}", read(&log));
    assert_eq!(site.said(), "", "nothing goes to standard error");
}

#[test]
fn section_8_without_its_log_file_the_daemon_says_so_and_runs() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let mut running = site.start_command(site.tincd(&["-D", "--logfile=/nonexistent/log"]), "Could not open log file");
    wait_until(secs(5), "it is there", || site.daemon.try_tinc(&["pid"]).status.success());
    assert!(
        site.said().contains("Could not open log file /nonexistent/log: No such file or directory"),
        "{}",
        site.said()
    );
    assert_eq!(site.said().lines().count(), 1, "it goes on without a log");
    assert!(running.lives() && running.stop().success());
}

#[test]
fn section_8_the_journal_gets_priorities_and_no_times() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let mut command = site.tincd(&["-D"]);
    let found = fs::metadata(site.said_path()).expect("just made");
    command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()));

    let running = site.start_command(command, "Ready");

    assert!(running.stop().success());
    let said = site.said();
    assert!(
        said.contains("\n<5>Ready\n") && said.contains("<6>dummy (dummy)") && said.ends_with("<5>Terminating\n"),
        "{said}"
    );
}

#[test]
fn section_8_requests_appear_in_full_from_level_4_on_and_to_whoever_asks_for_it() {
    let lab = Lab::new();
    let [alice, bob] = pair(&lab);
    let running = alice.start(&["-d3"]);
    let _other = bob.start(&["-d4"]);

    wait_until(secs(10), "they are connected", || bob.said().contains("Got ADD_EDGE from alice ("));
    for request in [
        "Sending ID to alice (127.0.0.1 port ",
        ": 0 bob 17.7\n",
        "Got ACK from alice (",
        "Sending ADD_EDGE to alice (",
    ] {
        assert!(bob.said().contains(request), "{request}:\n{}", bob.said());
    }
    assert!(!alice.said().contains("ADD_EDGE") && alice.said().contains("activated"), "{}", alice.said());

    // One who follows the log sees more than the daemon's own log shows, in colour if wished.
    let mut follow = alice.daemon.tinc_command(&["log", "4"]);
    let followed = lab.path("followed");
    follow.stdin(Stdio::null()).stdout(fs::File::create(&followed).expect("fresh"));
    let follower = Running(follow.spawn().expect("the program is there"));
    wait_until(secs(10), "requests are seen", || {
        alice.daemon.try_tinc(&["retry"]);
        bob.daemon.try_tinc(&["disconnect", "alice"]);
        fs::read_to_string(&followed).unwrap_or_default().contains(" DEBUG   Got ID from ")
    });
    drop(follower);
    assert!(!alice.said().contains("Got ID"), "the daemon's own log is as before");
    assert!(running.stop().success());
}

/// Two nodes on one loopback; bob dials.
pub(crate) fn pair(lab: &Lab) -> [Site<'_>; 2] {
    let [mut alice, bob] = ["alice", "bob"].map(|name| Site::new(lab, name));
    alice.namespace = Arc::clone(&bob.namespace);
    alice.daemon.host("Address = 127.0.0.1");
    for (site, port) in [(&alice, 7101), (&bob, 7102)] {
        let path = site.daemon.host_file(&site.daemon.name);
        let hosts = fs::read_to_string(&path).expect("it is there").replace("Port = 0", &format!("Port = {port}"));
        fs::write(&path, hosts).expect("it is ours");
        site.daemon.config("AutoConnect = no").config("UDPDiscovery = no");
    }
    bob.daemon.config("ConnectTo = alice");
    alice.daemon.knows(&bob.daemon);
    bob.daemon.knows(&alice.daemon);
    [alice, bob]
}

// 9: scripts.

#[test]
fn section_9_the_end_of_a_script_is_told_and_has_no_other_consequence() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.daemon.host("Subnet = 10.1.0.0/16");
    site.script("tinc-up", "exit 3");
    site.script("subnet-up", "kill -9 $$");
    fs::write(site.daemon.dir.join("tinc-down"), "#!/bin/sh\n").expect("the directory is there");

    let running = site.start(&["-d2"]);
    assert!(running.stop().success());

    let said = without_times(&site.said());
    let place = |line: &str| said.iter().position(|l| l.ends_with(line)).unwrap_or_else(|| panic!("{line}: {said:#?}"));
    let order = [
        "DEBUG   Executing script tinc-up",
        "ERROR   Script tinc-up exited with non-zero status 3",
        "DEBUG   Executing script subnet-up",
        "NOTICE  Ready",
        "DEBUG   Executing script tinc-down",
        "ERROR   Script tinc-down exited with non-zero status 126",
    ]
    .map(place);
    assert!(order.is_sorted(), "{said:#?}");
    assert!(
        said.iter().any(|line| line.contains("Script subnet-up ") && line.contains('9') || line.contains("137")),
        "{said:#?}"
    );
}

/// What a script of these tests notes of each run.
const NOTE: &str = "{ echo \"== ${0##*/} in $PWD\"; env | grep -E '^(NETNAME|NAME|DEVICE|INTERFACE|DEBUG|NODE|REMOTEADDRESS|REMOTEPORT|SUBNET|WEIGHT|LISTEN_FDS|NOTIFY_SOCKET)=' | sort; } >>../runs";

#[test]
fn section_9_2_scripts_run_in_the_order_and_with_the_variables_of_tinc() {
    let runs = [Kind::Ours, Kind::Tinc11].map(script_runs);
    assert_eq!(runs[0], runs[1], "ours and tinc's");
    for name in ["tinc-up", "subnet-up", "host-up", "bob-up", "subnet-down", "host-down", "bob-down", "tinc-down"] {
        assert!(runs[0].contains(&format!("== {name} in ")), "{name} ran:\n{}", runs[0]);
    }
}

/// All script runs of a daemon that meets and loses a neighbour.
fn script_runs(kind: Kind) -> String {
    let lab = Lab::new();
    let [mut alice, bob] = pair(&lab);
    let program = |name: &str| if kind == Kind::Ours { lab.ours(name) } else { tinc11(name) };
    alice.daemon.host("Subnet = 10.1.0.0/16").host("Subnet = fd00:1::/64#77");
    bob.daemon.host("Subnet = 10.2.0.0/16").host("Subnet = 10.2.0.1#5");
    for name in
        ["tinc-up", "tinc-down", "host-up", "host-down", "subnet-up", "subnet-down", "hosts/bob-up", "hosts/bob-down"]
    {
        alice.script(name, if name.starts_with("hosts") { &NOTE } else { NOTE });
    }
    let dir = alice.daemon.dir.clone();
    let mut command = alice.namespace.command(program("tincd"));
    command.args(["-D", "-d2", "-n", "net1", "-c"]).arg(&dir);
    command.arg(format!("--pidfile={}", alice.daemon.pidfile().display()));
    command.stdin(Stdio::null()).stderr(fs::File::create(alice.said_path()).expect("the directory is there"));
    let running = alice.start_command(command, "Ready");
    alice.daemon.kind = kind;

    let other = bob.start(&[]);
    wait_until(secs(10), "bob's subnets came", || alice.said().matches("Executing script subnet-up").count() == 4);
    drop(other);
    wait_until(secs(10), "bob's subnets went", || alice.said().matches("Executing script subnet-down").count() == 2);
    assert!(running.stop().success());
    let runs = fs::read_to_string(lab.path("runs")).expect("scripts ran");
    runs.replace(&lab.path("").display().to_string(), "LAB/")
}

// 11: service managers.

/// What a service manager hears, datagram by datagram.
struct Overseer {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
}

impl Overseer {
    fn new(lab: &Lab) -> Self {
        let path = lab.path("notify");
        let socket = UnixDatagram::bind(&path).expect("the directory is fresh");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, path, heard: Vec::new() }
    }

    fn waits_for(&mut self, wanted: &str) {
        wait_until(secs(5), &format!("the service manager hears {wanted}"), || {
            let mut space = [0; 512];
            while let Ok(len) = self.socket.recv(&mut space) {
                self.heard.push(String::from_utf8_lossy(&space[..len]).into_owned());
            }
            self.heard.iter().any(|heard| heard.starts_with(wanted))
        });
    }

    fn count(&self, wanted: &str) -> usize {
        self.heard.iter().filter(|heard| heard.as_str() == wanted).count()
    }
}

#[test]
fn section_11_a_service_manager_hears_of_start_life_reload_and_end() {
    let lab = Lab::new();
    let mut manager = Overseer::new(&lab);
    let site = Site::new(&lab, "alice");
    site.script("tinc-up", "env | grep -cE '^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)' >../seen");
    let mut command = site.tincd(&["-D"]);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "400000");

    let running = site.start_command(command, "Watchdog started");

    manager.waits_for("READY=1");
    manager.waits_for("WATCHDOG=1");
    let start = std::time::Instant::now();
    wait_until(secs(5), "signs of life come twice per period", || {
        manager.waits_for("WATCHDOG=1");
        manager.count("WATCHDOG=1") >= 6
    });
    assert!(start.elapsed() > std::time::Duration::from_millis(700), "and not more often");
    assert!(site.said().contains("Watchdog period 400 ms is short"), "{}", site.said());
    assert_eq!(fs::read_to_string(lab.path("seen")).expect("the script ran").trim(), "0", "scripts see none of it");

    running.signal("HUP");
    manager.waits_for("RELOADING=1\nMONOTONIC_USEC=");
    wait_until(secs(5), "it is ready again", || {
        manager.waits_for("READY=1");
        manager.count("READY=1") == 2
    });
    assert!(running.stop().success());
    manager.waits_for("STOPPING=1");
}

#[test]
fn section_11_sockets_of_the_service_manager_are_used_and_those_of_the_configuration_not() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    site.daemon.config("BindToAddress = 198.51.100.77 7");
    // Opened inside the namespace by a thread that enters it, as a service manager does before it starts the daemon.
    let listener = crate::lab::traffic::inside(&site.namespace, || {
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free")
    });
    let port = listener.local_addr().expect("bound").port();
    inherit(&listener);
    let line = format!(
        "exec 3<&{}; export LISTEN_PID=$$ LISTEN_FDS=1; exec '{}' -c '{}' --pidfile='{}' -d1",
        listener.as_raw_fd(),
        lab.ours("tincd").display(),
        site.daemon.dir.display(),
        site.daemon.pidfile().display()
    );
    // Not every `sh` copies descriptors above 9.
    let mut command = site.namespace.command("bash");
    command.args(["-c", &line]).stderr(fs::File::create(site.said_path()).expect("the directory is there"));

    let log = "the control socket";
    let mut running = Running(command.spawn().expect("bash is there"));

    wait_until(secs(5), log, || site.daemon.try_tinc(&["pid"]).status.success());
    assert_eq!(site.daemon.tinc(&["pid"]).trim(), running.pid().to_string(), "it did not detach:\n{}", site.said());
    let pid_file = fs::read_to_string(site.daemon.pidfile()).expect("it is there");
    assert!(pid_file.trim_end().ends_with(&format!(" 127.0.0.1 port {port}")), "{pid_file}");
    let taken =
        crate::lab::traffic::inside(&site.namespace, || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err());
    assert!(taken, "a UDP socket is open beside it");
    assert!(running.lives() && running.stop().success());
}

#[test]
fn section_11_too_many_inherited_sockets_are_refused() {
    let lab = Lab::new();
    let site = Site::new(&lab, "alice");
    let mut command = site.tincd(&["-D"]);
    let status = command.env("LISTEN_FDS", "9").status().expect("the program is there");
    assert_eq!(status.code(), Some(1));
    assert!(site.said().contains("Too many listening sockets"), "{}", site.said());
}

#[test]
fn section_11_the_units_are_valid_and_call_options_that_exist() {
    let lab = Lab::new();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let (tincd, tinc) = (lab.ours("tincd").display().to_string(), lab.ours("tinc").display().to_string());
    for (from, to) in [("tinc.service", "tinc.service"), ("tinc@.service", "tinc@net1.service")] {
        let unit = fs::read_to_string(units.join(from)).expect("it is there");
        let unit =
            unit.replace("/usr/sbin/tincd ", &format!("{tincd} ")).replace("/usr/sbin/tinc ", &format!("{tinc} "));
        fs::write(lab.path(to), unit).expect("the directory is fresh");
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args([lab.path("tinc.service"), lab.path("tinc@net1.service")])
        .output()
        .expect("systemd-analyze is installed: the package systemd has it");
    let said = text(&verified);
    assert!(verified.status.success() && said.1.is_empty(), "{said:?}");
    let help = Command::new(&tincd).arg("--help").output().expect("the program is there");
    assert!(["-n, --net=", "-D, --no-detach"].iter().all(|option| text(&help).0.contains(option)));
}
