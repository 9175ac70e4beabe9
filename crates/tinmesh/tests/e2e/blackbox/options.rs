//! Every option of `tinc` and of `tincd`, short and long, and commands that need more than a line to succeed (spec: cli
//! A.1, configuration 6).

use super::case::{Aspect, Case, Fixture, all_same, same};

const OUT: &[Aspect] = &[Aspect::Out];
const ERR: &[Aspect] = &[Aspect::Err];

/// A daemon that is started with these options, answers, and is stopped; what it leaves behind is told.
macro_rules! runs {
    ($options:literal) => {
        concat!(
            "tincd ",
            $options,
            " >/dev/null 2>&1; echo $?; for i in $(seq 80); do tinc pid >/dev/null 2>&1 && break; sleep 0.1; done; ",
            "tinc stop && rm -f /run/tinc.vpn.pid /run/tinc.vpn.socket"
        )
    };
}

pub(super) fn cases() -> Vec<Case> {
    [of_tinc(), of_tincd(), refused(), commands()].concat()
}

fn of_tinc() -> Vec<Case> {
    let mut cases = all_same([
        "tinc -b get Name",
        "tinc -bx get Name",
        "tinc --batch get Name",
        "tinc --batch=yes get Name",
        "tinc -c",
        "tinc --config=/etc/tinc/peer get Name",
        "tinc --conf /etc/tinc/peer get Name",
        "tinc --net",
        "tinc --help=x",
        "tinc --version=x",
        "tinc --pidfile",
        "tinc --force",
        "tinc --force get Nothing",
        "tinc -nvpn -c/etc/tinc/peer get Name",
    ]);
    cases.push(same("tinc --pidfile=/run/tinc.vpn.pid pid | wc -l").on(Fixture::Live));
    cases.push(same("tinc --pidfile /run/tinc.vpn.pid pid | wc -l").on(Fixture::Live));
    cases
}

fn of_tincd() -> Vec<Case> {
    let mut cases = all_same([
        runs!("-n vpn"),
        runs!("--net=vpn"),
        runs!("-c /etc/tinc/vpn"),
        runs!("--config=/etc/tinc/vpn"),
        runs!("-d"),
        runs!("-d 5"),
        runs!("-d5"),
        runs!("-ddd"),
        runs!("-d nonsense"),
        runs!("--debug"),
        runs!("--debug=5"),
        runs!("-L"),
        runs!("--mlock"),
        runs!("--logfile"),
        runs!("--logf"),
        runs!("--logfile=/var/log/x"),
        runs!("--logfile /var/log/x"),
        runs!("-s"),
        runs!("--syslog"),
        runs!("--pidfile=/run/tinc.vpn.pid"),
        runs!("-o PingTimeout=3"),
        runs!("-oPingTimeout=3 -o 'bob.Port 700'"),
        runs!("--option=PingTimeout=3"),
        runs!("-R"),
        runs!("--chroot"),
        runs!("-U nobody"),
        runs!("--user=nobody"),
        "(tincd -D >/dev/null 2>&1; echo $?) & for i in $(seq 80); do tinc pid >/dev/null 2>&1 && break; sleep 0.1; done; \
         tinc stop; wait",
        "(tincd --no-detach >/dev/null 2>&1; echo $?) & for i in $(seq 80); do tinc pid >/dev/null 2>&1 && break; \
         sleep 0.1; done; tinc stop; wait",
    ]);
    let insecure = same(
        "tincd --bypass-security >/dev/null 2>&1; echo $?; \
                         for i in $(seq 30); do tinc pid >/dev/null 2>&1 && break; sleep 0.1; done; tinc stop",
    )
    .daemon_differs("bypass-security", &[Aspect::Out, Aspect::Err, Aspect::Code]);
    cases.push(insecure);
    cases
}

fn refused() -> Vec<Case> {
    let mut cases = all_same([
        "tincd --config=/etc/tinc/vpn extra",
        "tincd -c",
        "tincd -n",
        "tincd --net",
        "tincd --net=a/b -D",
        "tincd -Dx",
        "tincd --no-detach=x",
        "tincd -dx extra",
        "tincd --debug=5 extra",
        "tincd -Lx",
        "tincd --mlock=x",
        "tincd --logfile=x extra words",
        "tincd -sx",
        "tincd --syslog=x",
        "tincd --pidfile",
        "tincd --bypass-security=x",
        "tincd -o",
        "tincd --option",
        "tincd -Rx",
        "tincd --chroot=x",
        "tincd -U",
        "tincd --user",
        "tincd --help=x",
        "tincd --version=x",
    ]);
    let nowhere = same("tincd -c /etc/tinc/nowhere -D").daemon_differs("start-errors", ERR);
    cases.push(nowhere);
    for script in ["tincd -D -U nobody_of_this_name 2>/dev/null", "tincd -D -o Foo 2>/dev/null"] {
        cases.push(same(script));
    }
    cases
}

fn commands() -> Vec<Case> {
    let mut cases = all_same([
        "tinc start --foo >/dev/null 2>&1",
        "tinc start >/dev/null 2>&1 && tinc stop",
        "tinc restart >/dev/null 2>&1 && tinc stop",
        "tinc restart --foo >/dev/null 2>&1",
        "tinc list x",
        "printf 'Name = dave\\nPort = 5\\n' | tinc import",
        "printf 'Name = dave\\nPort = 5\\n' | tinc exchange",
        "rm hosts/bob; printf 'Name = dave\\nPort = 5\\n' | tinc exchange-all",
    ]);
    cases.push(
        same("printf q | TERM=vt100 script -qec 'tinc top' /dev/null >/run/screen 2>&1; code=$?; rm /run/screen; exit $code")
            .on(Fixture::Live),
    );
    let joins = "tinc -n third -b join $(tinc invite dave); ls ../third ../third/hosts; \
                 grep -c ConnectTo ../third/tinc.conf; cut -d' ' -f1,2 hosts/dave; tinc -n third get Name; \
                 rm -r ../third invitations hosts/dave";
    cases.push(same(joins).on(Fixture::Live).fresh().new_keys().differs("init-rsa", OUT));
    cases
}
