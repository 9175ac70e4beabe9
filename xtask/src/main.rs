//! Tasks for people who build tinmesh: `cargo xtask demo`, `test`, `check`, `bench`, `peers`. They need nothing but cargo;
//! what else they want from the system they install, and they say so.
#![expect(clippy::print_stdout, reason = "telling a person what happens is what this program is for")]

use std::process::ExitCode;

mod apt;
mod arm;
mod bench;
mod check;
mod deb;
mod demo;
mod fuzz;
mod instructions;
mod lab;
mod peers;
mod scoreboard;
mod shell;
mod suite;

const USAGE: &str = "\
usage: cargo xtask TASK

  demo    three machines, two of them behind NATs, become one private network; then all is taken away (root)
  test    everything: check, unit and scenario tests, fuzz corpora, real daemons in namespaces (root)
  check   [NAME...]: format, lints, docs, house rules, layers, licences
  arm     the cipher's tests for 64-bit ARM, in an emulator (root, to install it)
  deb     a Debian package, in target/deb; `deb-trial` installs and removes it where nothing is kept (root)
  bench   [--quick] [--only NAME,...] [--rounds N] [--json FILE] [--plain-card] [--debug]: tinmesh, tinc, wireguard-go,
          boringtun and nebula in turn: speed, processor time, round trips, memory, as a table and a picture (root)
  flame   [--only NAME] [--publish] [--debug]: where the time of both daemons goes during a TCP stream, as a picture (root)
  instructions  how many instructions the steps of a packet take, with a limit for each (callgrind)
  lab     [--quick] [--only TEXT] [--json] [--simulated] [--peer NAME]: NATs, firewalls and providers of every kind, in
          virtual time and around real daemons; docs/lab.md and docs/lab.svg (root, but with --simulated)
  peers   fetch Debian's tinc 1.1, 1.0 and miniupnpd into target/peers, for the tests
  fuzz    TARGET [SECONDS]: run one fuzz target (needs a nightly compiler and cargo-fuzz)
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run_all(),
        // What the demonstration calls inside its namespaces.
        ["demo-inside", program] => demo::run_inside(program),
        ["demo-send", host, port, file] => demo::carry::sender(host, port, file),
        ["demo-receive", port, file] => demo::carry::receiver(port, file),
        ["test"] => suite::run_all(),
        ["check", wanted @ ..] => check::run_all(wanted),
        ["arm"] => arm::run_all(),
        ["deb"] => deb::build(deb::Profile::Release).map(|_| ()),
        ["deb-trial"] => deb::try_out(),
        ["bench", rest @ ..] => bench::run_all(rest),
        // What the benchmark calls inside its namespaces.
        ["bench-inside", rest @ ..] => bench::run_inside(rest),
        ["bench-send", to, size, rate, milliseconds] => bench::flood::sender(to, size, rate, milliseconds),
        ["bench-count", port] => bench::flood::receiver(port),
        [bench::refused::WITHOUT_UDP, program, words @ ..] => bench::refused::without_udp(program, words),
        ["flame", rest @ ..] => bench::flame::run_all(rest),
        ["flame-inside", rest @ ..] => bench::flame::run_inside(rest),
        ["instructions"] => instructions::run_all(),
        ["lab", rest @ ..] => scoreboard::run_all(rest),
        ["peers"] => peers::fetch().map(|_| ()),
        ["fuzz", target, rest @ ..] => fuzz::run_one(target, rest),
        _ => {
            print!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nFAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
