//! Files and lines that are not as the manual shows them: blanks, blocks without end, links, other ends of lines, names
//! that lead elsewhere (spec: cli B.2, B.8 to B.10, B.13; configuration 3).

use super::case::{Aspect, Case, Fixture, all_same, same};

const ERR: &[Aspect] = &[Aspect::Err];
const ALL_BUT_FILES: &[Aspect] = &[Aspect::Out, Aspect::Err, Aspect::Code];
/// What Debian's tinc says about a missing RSA key, in the words of its cryptographic library.
const NO_RSA: &str = "Unable to read RSA public key";

pub(super) fn cases() -> Vec<Case> {
    [places(), named_places(), blocks(), blanks(), links(), ends(), guesses(), old_invitations()].concat()
}

/// `edit` with names that lead out of the configuration.
fn places() -> Vec<Case> {
    let elsewhere = [
        "EDITOR=echo tinc edit ../x",
        "EDITOR=echo tinc edit hosts/../x",
        "EDITOR=echo tinc edit ../vpn/tinc.conf",
        "EDITOR=echo tinc edit ''",
        "EDITOR=echo tinc edit hosts/",
        "EDITOR=echo tinc edit hosts/tinc.conf",
        "EDITOR=echo tinc edit Tinc.conf",
    ];
    let mut cases = elsewhere.map(|script| same(script).differs("edit-places", ALL_BUT_FILES)).to_vec();
    cases.extend(all_same([
        "EDITOR=echo tinc edit ../x-up",
        "EDITOR=echo tinc edit tinc-sideways",
        "EDITOR=echo tinc edit nobody",
    ]));
    cases
}

/// Blocks of keys, also one that nobody closed.
fn blocks() -> Vec<Case> {
    const TOLD: &[Aspect] = &[Aspect::Out, Aspect::Err, Aspect::Files];
    let mut cases = all_same([
        "echo '-----BEGIN X-----' >> tinc.conf; tinc get ConnectTo",
        "echo '-----BEGIN X-----' >> tinc.conf; tinc del ConnectTo",
    ]);
    cases.extend([
        same("echo '-----BEGIN X-----' >> tinc.conf; tinc set Mode hub")
            .differs("set-block", &[Aspect::Err, Aspect::Code, Aspect::Files]),
        same("echo '-----BEGIN X-----' >> tinc.conf; tinc add ConnectTo dave; tinc get ConnectTo")
            .differs("set-block", TOLD),
        same("echo '-----BEGIN X-----' >> hosts/bob; tinc set bob.Port 5; tinc get bob.Port")
            .differs("set-block", TOLD),
        same("echo '-----BEGIN X-----' >> tinc.conf; tinc fsck")
            .on(Fixture::Modern)
            .without(NO_RSA)
            .differs("set-block", &[Aspect::Err, Aspect::Code]),
        same(
            "printf -- '-----BEGIN X-----\\nMode = hub\\n-----END X-----\\n' >> tinc.conf; tinc get Mode; \
              tinc set Mode switch",
        )
        .differs("set-block", TOLD),
    ]);
    cases
}

/// A key in another place, and settings that came with the command line.
fn named_places() -> Vec<Case> {
    vec![
        same("mv ed25519_key.priv x; tinc set Ed25519PrivateKeyFile x; echo text | tinc sign"),
        same("timeout 3 tincd -D -o Hostnames=maybe 2>&1 | sed -n 's/.* for conf/conf/p'")
            .daemon_differs("place-of-options", &[Aspect::Out]),
        same("timeout 3 tincd -D -o PingTimeout=x 2>&1 | sed -n 's/.* for conf/conf/p'")
            .daemon_differs("place-of-options", &[Aspect::Out]),
        same("echo 'Hostnames = maybe' >> tinc.conf; timeout 3 tincd -D 2>&1 | sed -n 's/.* for conf/conf/p'"),
    ]
}

fn blanks() -> Vec<Case> {
    let mut cases = all_same([
        "printf '   \\n' >> tinc.conf; tinc start > /dev/null 2>&1",
        "printf 'Mode = hub   \\n' >> tinc.conf; tinc get Mode | od -c",
        "printf 'Mode = hub   \\n' >> tinc.conf; tinc del Mode hub",
        "printf 'Mode = hub \\t\\n' >> tinc.conf; tinc add Mode hub",
        "printf 'Mode = hub   \\n' >> tinc.conf; tinc set MaxTimeout 5",
        "printf 'Mode\\t=\\thub\\n' >> tinc.conf; tinc get Mode; tinc set Mode switch",
        "printf 'Mode hub\\n' >> tinc.conf; tinc get Mode; tinc set Mode switch",
        "tinc set Interface ' vpn'; tinc get Interface",
        "tinc set Interface '= vpn'; tinc get Interface",
        "tinc set 'Mode ' hub; tinc get Mode",
        "tinc set 'Mode=hub'; tinc get 'Mode '",
    ]);
    let fsck = |script: &'static str| same(script).on(Fixture::Modern).without(NO_RSA);
    cases.extend([
        fsck("printf '\\n\\n' >> tinc.conf; tinc fsck"),
        fsck("printf '   \\n' >> tinc.conf; tinc fsck").differs("fsck-garbage", &[Aspect::Err, Aspect::Code]),
        fsck("printf '\\t\\n' >> hosts/bob; tinc fsck").differs("fsck-garbage", ERR),
        fsck("printf ' Mode = hub\\n' >> tinc.conf; tinc fsck").differs("fsck-indent", ERR),
        fsck("sed -i 's/$/\\r/' tinc.conf; tinc fsck"),
        same("tinc set Interface 'vpn '; tinc get Interface | od -c").differs("set-blanks", &[Aspect::Files]),
    ]);
    cases
}

fn links() -> Vec<Case> {
    const SEEN: &[Aspect] = &[Aspect::Out, Aspect::Files];
    let mut cases = all_same([
        "mv hosts real; ln -s real hosts; tinc set Port 5; tinc get alice.Port",
        "ln -s /nowhere hosts/dave; tinc get dave.Port",
        "ln -s /nowhere hosts/dave; tinc set dave.Port 5",
        "rm hosts/alice hosts/bob; ln -s /nowhere hosts/dave; tinc export-all",
        "ln -s /nowhere hosts/dave; tinc import; ls /nowhere",
        "rm tinc.conf; ln -s tinc.conf tinc.conf; tinc get Mode",
        "rm tinc.conf; mkdir tinc.conf; tinc get Mode",
        "mkdir hosts/dave; tinc get dave.Port",
    ]);
    cases.extend([
        same("mv tinc.conf real; ln -s real tinc.conf; tinc set Mode hub; tinc get Mode; ls -l tinc.conf | cut -c1")
            .differs("set-link", SEEN),
        same("mv hosts/bob real; ln -s ../real hosts/bob; tinc set bob.Port 5; ls -l hosts/bob | cut -c1")
            .differs("set-link", SEEN),
        same("ln -s /nowhere hosts/dave; tinc fsck").on(Fixture::Modern).without(NO_RSA),
    ]);
    cases
}

/// Lines that end as on other systems.
fn ends() -> Vec<Case> {
    let mut cases = all_same([
        "printf 'Mode = hub\\r\\n' >> tinc.conf; tinc get Mode | od -c",
        "printf 'Mode = hub\\r\\n' >> tinc.conf; tinc set Mode switch",
        "printf 'Mode = hub\\r\\nMaxTimeout = 5\\r\\n' >> tinc.conf; tinc del Mode hub",
        "sed -i 's/$/\\r/' hosts/alice; tinc export | od -c",
    ]);
    let inputs = [
        "Name = dave\r\nPort = 5\r\n",
        "Name = dave\r\nPort = 5\r\n#---------------------------------------------------------------#\r\nName = eve\r\nPort = 6\r\n",
        "\r\nName = dave\r\n",
    ];
    cases.extend(inputs.map(|input| same("tinc import; cat -A hosts/dave").input(input)));
    cases
}

/// Names that look like others.
fn guesses() -> Vec<Case> {
    let mut cases = ["tinc set Mde hub", "tinc get Mde", "tinc --force set Mde hub"]
        .map(|script| same(script).differs("did-you-mean", ERR))
        .to_vec();
    let fsck = |script: &'static str| same(script).on(Fixture::Modern).without(NO_RSA);
    cases.push(fsck("echo 'Mde = hub' >> tinc.conf; tinc fsck").differs("did-you-mean", ERR));
    cases.push(fsck("echo 'Mde = hub' >> hosts/bob; tinc fsck").differs("fsck-lines", ERR));
    cases
}

fn old_invitations() -> Vec<Case> {
    let old = "mkdir -m 700 invitations; echo 'Name = dave' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA; \
               touch -d '8 days ago' invitations/*; tinc dump invitations";
    let kept = "mkdir -m 700 invitations; echo 'Name = dave' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA; \
                touch -d '6 days ago' invitations/*; tinc invite eve | wc -l; ls invitations | wc -l; \
                cat invitations/AAAAAAAAAAAAAAAAAAAAAAAA; rm -r invitations";
    let removed = "mkdir -m 700 invitations; echo 'Name = dave' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA; \
                   touch -d '8 days ago' invitations/*; tinc invite eve | wc -l; ls invitations | wc -l; \
                   cat invitations/AAAAAAAAAAAAAAAAAAAAAAAA; rm -r invitations";
    let used = "mkdir -m 700 invitations; echo 'Name = dave' > invitations/AAAAAAAAAAAAAAAAAAAAAAAA.used; \
                touch -d '8 days ago' invitations/*; tinc invite eve | wc -l; ls invitations | wc -l; rm -r invitations";
    vec![
        same(old),
        same(kept).differs("invite-silent", ERR),
        same(removed).differs("invite-silent", ERR),
        same(used).differs("invite-silent", ERR).differs("invite-used", &[Aspect::Out]),
        same("sed -i /Address/d hosts/alice; tinc -b invite dave; ls invitations | wc -l; rm -rf invitations")
            .differs("invite-address", ERR)
            .differs("invite-leaves-nothing", &[Aspect::Out]),
        same(
            "echo 'Address = vpn.example 700' >> tinc.conf; sed -i /Address/d hosts/alice; \
              tinc -b invite dave | cut -d/ -f1; rm -rf invitations",
        )
        .differs("invite-silent", ERR),
    ]
}
