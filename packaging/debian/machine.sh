#!/bin/sh
# Makes a machine that is thrown away, and runs trial.sh on it: machine.sh DIRECTORY OURS THEIRS
# It has this machine's files, and keeps what is written in memory. Called in mount, network and process namespaces of
# its own; `cargo xtask deb-trial` does so.
set -eu
trial=$(dirname "$0")/trial.sh

mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs none "$1/root/tmp"
cp "$trial" "$1/root/tmp/trial.sh"
cp "$2" "$1/root/tmp/ours.deb"
cp "$3" "$1/root/tmp/theirs.deb"
cd /
exec chroot "$1/root" sh /tmp/trial.sh /tmp/ours.deb /tmp/theirs.deb
