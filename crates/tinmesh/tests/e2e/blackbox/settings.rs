//! `init`, `get`, `set`, `add`, `del`, `config`, `fsck` (spec: cli B.1, B.2, B.13).

use super::case::{Aspect, Case, Fixture, all_same, same};

const ERR: &[Aspect] = &[Aspect::Err];
const FILES: &[Aspect] = &[Aspect::Files];

pub(super) fn cases() -> Vec<Case> {
    [init(), reading(), writing(), refusals(), fsck()].concat()
}

fn init() -> Vec<Case> {
    const MADE: &[Aspect] = &[Aspect::Err, Aspect::Files];
    vec![
        same("tinc -b init alice").on(Fixture::Bare).new_keys().differs("init-rsa", MADE),
        same("tinc -n other init carol").new_keys().differs("init-rsa", MADE),
        same("mkdir ../vpn2; echo mine > ../vpn2/tinc-up; tinc -n vpn2 init carol")
            .new_keys()
            .differs("init-rsa", MADE),
        same("tinc -b init alice; cat /etc/tinc/vpn/tinc.conf /etc/tinc/vpn/tinc-up")
            .on(Fixture::Bare)
            .new_keys()
            .differs("init-rsa", MADE),
        same("tinc init").on(Fixture::Bare),
        same("tinc init ''").on(Fixture::Bare),
        same("tinc init a-b").on(Fixture::Bare),
        same("tinc init a b").on(Fixture::Bare),
        same("tinc init alice"),
        same("tinc init a b c"),
        same("tinc -c /etc/tinc/a/b init alice").on(Fixture::Bare),
    ]
}

fn reading() -> Vec<Case> {
    all_same([
        "tinc get Name",
        "tinc get name",
        "tinc get ConnectTo",
        "tinc get alice.Port",
        "tinc get bob.Address",
        "tinc get Mode",
        "tinc get carol.Port",
        "tinc get a-b.Port",
        "tinc get Nonsense",
        "tinc get .",
        "tinc get alice.",
        "tinc get",
        "tinc get Ed25519PublicKey | wc -c",
        "tinc config get Name",
        "tinc config Name",
        "tinc config",
        "tinc config get",
        "tinc config replace Mode hub; tinc get Mode",
        "tinc config change Mode hub; tinc get Mode",
        "tinc config set Mode switch; tinc get Mode",
        "tinc config add ConnectTo dave; tinc get ConnectTo",
        "tinc config del ConnectTo; tinc get ConnectTo",
    ])
    .into_iter()
    .chain([
        same("tinc get Port").differs("get-port", ERR),
        same("rm hosts/alice; tinc get Port").differs("get-port", ERR),
        same("sed -i /Name/d tinc.conf; tinc get Port").differs("get-port", ERR),
        same("tinc get Subnet").differs("subnet-warning", ERR),
        same("tinc get bob.Subnet").differs("subnet-warning", ERR),
        same("tinc del bob.Subnet").differs("subnet-warning", ERR),
    ])
    .collect()
}

fn writing() -> Vec<Case> {
    all_same([
        "tinc set Mode=hub",
        "tinc set Mode = hub",
        "tinc set Mode hub",
        "tinc set mODE hub",
        "tinc get Mode hub",
        "tinc set Mode hub; tinc set Mode switch; tinc get Mode",
        "tinc set ConnectTo dave",
        "tinc add ConnectTo dave",
        "tinc add ConnectTo bob",
        "tinc add Mode hub; tinc add Mode switch",
        "tinc add Subnet 10.9.0.0/16",
        "tinc add bob.Subnet 10.9.0.0/16",
        "tinc set bob.Port 7100",
        "tinc set Port 7100",
        "tinc set Weight 5",
        "tinc set Compression 5",
        "tinc set alice.Compression 5",
        "tinc set Description 'two  words '",
        "tinc set PingInterval 10 x",
        "tinc del ConnectTo",
        "tinc del ConnectTo carol",
        "tinc del ConnectTo nobody",
        "tinc del Mode",
        "tinc del Subnet 10.1.0.0/16",
        "printf 'Mode = hub' >> tinc.conf; tinc set MaxTimeout 5",
        "printf '  Mode = hub\\n' >> tinc.conf; tinc get Mode; tinc set Mode switch",
        "tinc --force set Nonsense 5",
        "tinc --force set bob.Mode hub",
        "tinc --force set TunnelServer yes",
        "tinc del Nonsense",
        "mkdir conf.d; echo Mode=hub > conf.d/a.conf; tinc get Mode",
    ])
    .into_iter()
    .chain([
        same("chmod 600 tinc.conf; tinc set Mode hub").differs("set-mode", FILES),
        same("tinc add ConnectTo BOB").differs("add-case", FILES),
    ])
    .collect()
}

fn refusals() -> Vec<Case> {
    all_same([
        "tinc set",
        "tinc set Mode",
        "tinc set Mode=",
        "tinc add Mode",
        "tinc del",
        "tinc set . x",
        "tinc set alice. x",
        "tinc set carol.Port 5",
        "tinc set a-b.Port 5",
        "tinc set bob.Mode hub",
        "tinc set Nonsense 5",
        "tinc add Nonsense 5",
        "tinc set GraphDumpFile x",
        "tinc --force set GraphDumpFile x",
        "tinc set PrivateKey x",
        "tinc set Subnet 10.1.2.3/16",
        "rm tinc.conf; tinc get Mode",
        "rm hosts/alice; tinc set Port 5",
        "rm hosts/bob; tinc set bob.Port 5",
        "sed -i /Name/d tinc.conf; tinc get Mode",
    ])
    .into_iter()
    .chain([same("tinc set Subnet nonsense").differs("set-subnet", &[Aspect::Err, Aspect::Code, Aspect::Files])])
    .collect()
}

fn fsck() -> Vec<Case> {
    let modern = [sound(), unsound()].concat().into_iter().map(|case| case.on(Fixture::Modern));
    modern.chain(rsa()).collect()
}

/// What Debian's tinc says about the missing RSA key, in the words of its cryptographic library.
const NO_RSA: &str = "Unable to read RSA public key";

fn sound() -> Vec<Case> {
    all_same([
        "tinc fsck",
        "rm tinc.conf; tinc fsck",
        "rm -r ../vpn; tinc fsck",
        "cd /; tinc -n nowhere fsck",
        "cd /; tinc -c /etc/tinc/nowhere fsck",
        "sed -i /Name/d tinc.conf; tinc fsck",
        "sed -i s/alice/a-b/ tinc.conf; tinc fsck",
        "chmod 644 ed25519_key.priv; tinc fsck",
        "chmod 644 ed25519_key.priv; tinc --force fsck",
        "rm ed25519_key.priv; tinc fsck",
        "rm hosts/alice; tinc fsck",
        "sed -i /Ed25519PublicKey/d hosts/alice; tinc fsck",
        "sed -i /Ed25519PublicKey/d hosts/alice; tinc --force fsck",
        "echo > foo-up; tinc fsck",
        "echo > tinc-up; tinc fsck",
        "echo > tinc-up; tinc --force fsck",
        "echo > hosts/bob-up; tinc fsck",
        "echo > hosts/bob-down; tinc --force fsck",
        "echo 'GraphDumpFile = x' >> tinc.conf; tinc fsck",
        "echo 'Nonsense = 5' >> tinc.conf; tinc fsck",
    ])
    .into_iter()
    .map(|case| case.without(NO_RSA))
    .chain([same("tinc fsck x"), same("tinc fsck").differs("fsck-library", ERR)])
    .collect()
}

/// With the key pair of tinc 1.0 too.
fn rsa() -> Vec<Case> {
    const STATUS: &[Aspect] = &[Aspect::Err, Aspect::Code];
    vec![
        same("tinc fsck").differs("fsck-rsa", STATUS),
        same("chmod 644 rsa_key.priv; tinc fsck").differs("fsck-rsa", STATUS),
        same("chmod 644 rsa_key.priv; tinc --force fsck").differs("fsck-rsa", STATUS),
        same("rm rsa_key.priv; tinc fsck"),
        same("rm rsa_key.priv ed25519_key.priv; tinc fsck"),
        same("sed -i '/BEGIN/,/END/d' hosts/alice; tinc fsck").without(NO_RSA),
        same("sed -i '/BEGIN/,/END/d' hosts/alice; tinc --force fsck").without(NO_RSA),
        // Whether tinc fails depends on the number that it tries the keys with.
        same("cp ../peer/rsa_key.priv .; tinc fsck 2>/dev/null; true"),
    ]
}

fn unsound() -> Vec<Case> {
    const STATUS: &[Aspect] = &[Aspect::Err, Aspect::Code];
    const ALL: &[Aspect] = &[Aspect::Err, Aspect::Code, Aspect::Files];
    vec![
        same("cp ../peer/ed25519_key.priv .; tinc fsck").differs("fsck-mismatch", &[Aspect::Code]),
        same("cp ../peer/ed25519_key.priv .; tinc --force fsck").differs("fsck-mismatch", ALL),
        same("echo 'Weight = 5' >> tinc.conf; tinc fsck").differs("fsck-places", ERR),
        same("echo 'Mode = hub' >> hosts/bob; tinc fsck").differs("fsck-places", ERR),
        same("mkdir conf.d; echo 'Weight = 5' > conf.d/a.conf; tinc fsck").differs("fsck-places", ERR),
        same("printf 'Mode = hub\\nMode = hub\\n' >> tinc.conf; tinc fsck").differs("fsck-places", ERR),
        same("printf 'Weight = 5\\nWeight = 6\\n' >> hosts/bob; tinc fsck").differs("fsck-places", ERR),
        same("echo garbage >> tinc.conf; tinc fsck").differs("fsck-garbage", STATUS),
        same("echo garbage >> hosts/bob; tinc fsck").differs("fsck-garbage", ERR),
        same("echo garbage >> hosts/alice; tinc fsck").differs("fsck-garbage", STATUS),
        same("echo 'Nonsense = 5' >> hosts/bob; tinc fsck").differs("fsck-lines", ERR),
    ]
    .into_iter()
    .map(|case| case.without(NO_RSA))
    .collect()
}
