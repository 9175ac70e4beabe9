#!/bin/sh
# A trial of the package on a machine that is thrown away. `cargo xtask deb-trial` starts it inside of one:
#     trial.sh OURS THEIRS
# OURS is the package of tinmesh, THEIRS one of tinc. What is wrong ends it.
set -eu

ours=$1
theirs=$2
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Everything that packages may change, but the records of dpkg.
machine() {
    find /etc /usr /lib /var \
        -path /var/lib/dpkg -prune -o -path /var/log -prune -o -path /var/cache -prune -o \
        ! -name ld.so.cache ! -name '*.pyc' -printf '%p %y %m %l\n' | LC_ALL=C sort
}

same() {
    machine >/tmp/now
    diff "$1" /tmp/now || fail "$2"
}

install() {
    # Debian's tinc 1.1 takes it for granted.
    mkdir -p /etc/tinc
    # The libraries of tinc are not needed: only files are looked at.
    dpkg --force-depends -i "$1" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail "cannot install $1"; }
}

expect_ours() {
    tinc --version | grep -q '^tinc version tinmesh-' || fail "$1: tinc is not ours"
    tincd --version | grep -q '^tinc version tinmesh-' || fail "$1: tincd is not ours"
    tinmesh version --json | grep -q '"protocol": "17.7"' || fail "$1: tinmesh does not run"
    grep -q '^Type=notify' /lib/systemd/system/tinc@.service || fail "$1: tinc@.service is not ours"
    for page in man5/tinc.conf.5 man8/tinc.8 man8/tincd.8 man1/tinmesh.1; do
        zgrep -q tinmesh "/usr/share/man/$page.gz" || fail "$1: $page is not ours"
    done
    grep -q invitations /usr/share/bash-completion/completions/tinc || fail "$1: no completion of tinc"
    [ -z "$(dpkg --verify tinmesh)" ] || fail "$1: $(dpkg --verify tinmesh)"
}

expect_theirs() {
    [ -z "$(dpkg --verify tinc)" ] || fail "$1: tinc's files are not as they were: $(dpkg --verify tinc)"
    [ -z "$(dpkg-divert --list | grep tinmesh)" ] || fail "$1: files are still kept aside"
    [ "$(readlink /usr/sbin/tincd)" != ../bin/tinmesh ] || fail "$1: tincd is still ours"
}

echo "without tinc: install, upgrade beside a running daemon, remove, purge"
mkdir -p /etc/tinc
machine >/tmp/bare
install "$ours"
expect_ours "installed"
mkdir -p /tmp/net
tinc -c /tmp/net --pidfile=/tmp/pid init alice 2>/dev/null
printf 'DeviceType = dummy\n' >>/tmp/net/tinc.conf
tinc -c /tmp/net --pidfile=/tmp/pid start
daemon=$(tinc -c /tmp/net --pidfile=/tmp/pid pid)
install "$ours"
expect_ours "upgraded"
[ "$(tinc -c /tmp/net --pidfile=/tmp/pid pid)" = "$daemon" ] || fail "the upgrade restarted the daemon"
grep -q "go on as they are" /tmp/dpkg.log || fail "the upgrade does not tell of the daemon"
tinmesh -c /tmp/net --pidfile /tmp/pid down
mkdir -p /etc/tinc/vpn
dpkg --remove tinmesh >/dev/null
for name in /usr/sbin/tinc /usr/sbin/tincd /usr/bin/tinmesh; do
    [ ! -e "$name" ] || fail "$name is left behind"
done
dpkg --purge tinmesh >/dev/null
[ -d /etc/tinc/vpn ] || fail "a network's configuration was removed"
rmdir /etc/tinc/vpn
mkdir -p /etc/tinc
same /tmp/bare "purging leaves something behind"
[ ! -e /var/lib/dpkg/info/tinmesh.list ] || fail "dpkg still knows tinmesh"

echo "over tinc: install, upgrade, remove, purge"
install "$theirs"
machine >/tmp/with-tinc
expect_theirs "tinc alone"
install "$ours"
expect_ours "over tinc"
install "$ours"
expect_ours "over tinc and itself"
dpkg --remove tinmesh >/dev/null
expect_theirs "removed"
dpkg --purge tinmesh >/dev/null
expect_theirs "purged"
same /tmp/with-tinc "tinc is not left as it was"

echo "tinc comes later, is upgraded, and goes"
dpkg --purge tinc >/dev/null 2>&1
install "$ours"
install "$theirs"
expect_ours "under tinc"
install "$theirs"
expect_ours "under a newer tinc"
dpkg --remove tinmesh >/dev/null
expect_theirs "tinc that came later"
install "$ours"
dpkg --purge tinc >/dev/null 2>&1
expect_ours "tinc is gone"
dpkg --purge tinmesh >/dev/null
[ -z "$(find /usr /lib -name '*.tinc')" ] || fail "files are still kept aside"
[ -z "$(dpkg-divert --list | grep tinmesh)" ] || fail "diversions are left"
