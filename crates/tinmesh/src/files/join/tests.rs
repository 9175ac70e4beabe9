//! Invitations, honest and hostile.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use tempfile::TempDir;

use super::*;
use crate::config;
use crate::files::invitations::SEPARATOR;
use crate::files::script;
use crate::paths::PathOptions;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn machine() -> (TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let options = PathOptions { config: Some(dir.path().join("net")), ..PathOptions::default() };
    let paths = Paths::for_control(&options).unwrap();
    (dir, paths)
}

fn honest() -> String {
    format!(
        "Name = bob\nNetName = vpn\nConnectTo = alice\nIfconfig = 10.9.0.7/16\nRoute = 10.10.0.0/16 10.9.0.1\n\
         Subnet = 10.9.0.7\nmode = ROUTER\nHostsFile = yes\nInterfaceMTU = 1400\nNameChoice = yes\n\
         {SEPARATOR}\nName = alice\nAddress = 192.0.2.7\nSubnet = 10.9.0.1\nEd25519PublicKey = {KEY}\n\
         {SEPARATOR}\nName = carol\n-----BEGIN RSA PUBLIC KEY-----\nabc+/=\n-----END RSA PUBLIC KEY-----\nPort = 656\n"
    )
}

fn received(text: &str, form: Form) -> Received<'_> {
    Received { text: text.as_bytes(), name: None, form, force: false }
}

fn rng() -> Rng {
    Rng::from_seed([1; 32])
}

fn join(paths: &Paths, text: &str, form: Form) -> Joined {
    prepare(paths, &received(text, form), &mut rng()).unwrap().commit().unwrap()
}

fn read(paths: &Paths, name: &str) -> String {
    fs::read_to_string(paths.confbase.join(name)).unwrap()
}

/// Every file below a directory with its text.
fn tree(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn an_honest_invitation_becomes_a_configuration_with_variables() {
    let (_dir, paths) = machine();

    let joined = join(&paths, &honest(), Form::Variables);

    let expected = "Name = bob\nConnectTo = alice\nIfconfig = 10.9.0.7/16\nRoute = 10.10.0.0/16 10.9.0.1\n\
                    Mode = router\nHostsFile = yes\nInterfaceMTU = 1400\nUPnP = udponly\n";
    assert_eq!(read(&joined.paths, "tinc.conf"), expected);
    let own = read(&joined.paths, "hosts/bob");
    assert!(own.starts_with(&format!("Subnet = 10.9.0.7\n{}", keys::public_line(&joined.key))), "{own}");
    let alice = format!("Address = 192.0.2.7\nSubnet = 10.9.0.1\nEd25519PublicKey = {KEY}\n");
    assert_eq!(read(&joined.paths, "hosts/alice"), alice);
    let carol = "-----BEGIN RSA PUBLIC KEY-----\nabc+/=\n-----END RSA PUBLIC KEY-----\nPort = 656\n";
    assert_eq!(read(&joined.paths, "hosts/carol"), carol);
    assert_eq!(read(&joined.paths, "invitation-data"), honest());
    assert_eq!(fs::metadata(joined.paths.private_key()).unwrap().mode() & 0o777, 0o600);
    assert!(!joined.paths.confbase.join("tinc-up").exists());
    let loaded = config::load(&joined.paths, &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.key.public(), joined.key);
    assert!(!loaded.daemon.ifconfig.is_empty());
}

#[test]
fn an_honest_invitation_becomes_a_configuration_with_a_script() {
    let (_dir, paths) = machine();

    let joined = join(&paths, &honest(), Form::Script);

    let text = read(&joined.paths, "tinc.conf");
    assert!(joined.has_script && !text.contains("Ifconfig") && !text.contains("Route"), "{text}");
    assert!(!joined.paths.confbase.join("tinc-up").exists());
    script::enable(&joined.paths).unwrap();
    let up = read(&joined.paths, "tinc-up");
    assert!(up.contains("ip addr replace 10.9.0.7/16 dev \"$INTERFACE\"\n"), "{up}");
    assert_eq!(fs::metadata(joined.paths.confbase.join("tinc-up")).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn without_statements_a_placeholder_becomes_the_script() {
    let (_dir, paths) = machine();
    let joined = join(&paths, "Name = bob\nConnectTo = alice\n", Form::Script);
    assert!(!joined.has_script);
    assert!(read(&joined.paths, "tinc-up").contains("Unconfigured tinc-up script"));
}

#[test]
fn nothing_is_seen_before_the_inviter_has_accepted() {
    let (dir, paths) = machine();

    let prepared = prepare(&paths, &received(&honest(), Form::Variables), &mut rng()).unwrap();
    assert!(!paths.tinc_conf().exists() && !paths.hosts().exists());
    drop(prepared);

    assert!(tree(dir.path()).is_empty());
    assert!(!paths.confbase.exists());
}

#[test]
fn a_granted_name_replaces_the_one_in_the_file() {
    let (_dir, paths) = machine();
    let name = NodeName::parse("bob_2").unwrap();
    let text = honest();
    let received = Received { name: Some(&name), ..received(&text, Form::Variables) };

    prepare(&paths, &received, &mut rng()).unwrap().commit().unwrap();

    assert!(read(&paths, "tinc.conf").starts_with("Name = bob_2\n"));
    assert!(paths.host_file(&name).exists() && paths.hosts().join("alice").exists());
}

#[test]
fn unsafe_variables_are_obeyed_only_by_force() {
    let text = "Name = bob\nScriptsInterpreter = /bin/evil\nFoo = 1\nFoo\u{7} = 1\nPort = 1\nWeight = heavy\n";
    let (_dir, paths) = machine();
    let joined = join(&paths, text, Form::Script);
    assert_eq!(read(&paths, "tinc.conf"), "Name = bob\n");
    assert_eq!(
        joined.notes[..5],
        [
            "Ignoring unsafe variable 'ScriptsInterpreter' in invitation.",
            "Ignoring unknown variable 'Foo' in invitation.",
            "Ignoring unknown variable 'Foo?' in invitation.",
            "Ignoring unsafe variable 'Port' in invitation.",
            "Ignoring invalid value of variable 'Weight' in invitation.",
        ]
    );

    let (_dir, paths) = machine();
    let received = Received { force: true, ..received(text, Form::Script) };
    let joined = prepare(&paths, &received, &mut rng()).unwrap().commit().unwrap();
    assert_eq!(read(&paths, "tinc.conf"), "Name = bob\nScriptsInterpreter = /bin/evil\n");
    assert_eq!(joined.notes[0], "Warning: unsafe variable 'ScriptsInterpreter' in invitation.");
}

#[test]
fn an_inviter_cannot_draw_the_traffic_of_the_internet_to_itself() {
    let (_dir, paths) = machine();
    let lines =
        ["Route = 0.0.0.0/0", "Route = 8.8.8.8", "Ifconfig = 8.0.0.1/8", "Ifconfig = 10.0.0.1/0", "Route = 2000::/3"];
    let joined = join(&paths, &format!("Name = bob\n{}\n", lines.join("\n")), Form::Variables);
    assert_eq!(read(&paths, "tinc.conf"), "Name = bob\nUPnP = udponly\n");
    let told = joined.notes.iter().filter(|note| note.starts_with("Ignoring an address range of the Internet"));
    assert_eq!(told.count(), 5);
}

#[test]
fn a_node_without_subnets_owns_its_addresses() {
    let (_dir, paths) = machine();
    join(&paths, "Name = bob\nIfconfig = 10.9.0.7/16\nIfconfig = fd00::7/64\n", Form::Variables);
    assert!(read(&paths, "hosts/bob").starts_with("Subnet = 10.9.0.7\nSubnet = fd00::7\n"));
}

#[test]
fn host_files_get_only_what_host_files_may_have() {
    let (_dir, paths) = machine();
    let text = "Name = bob\nName = alice\nProxy = exec evil\nEd25519PublicKeyFile = /etc/shadow\nSubnet = 10.0.0.1/8\n\
                Address = a;reboot 1\n\u{1b}[2J = x\nPort=1\n";
    let joined = join(&paths, text, Form::Script);
    assert_eq!(read(&paths, "hosts/alice"), "Address = a;reboot 1\nPort = 1\n");
    assert_eq!(joined.notes.iter().filter(|note| note.contains("host file of alice")).count(), 4);
    assert!(joined.notes.iter().all(|note| !note.contains('\u{1b}')));
}

#[test]
fn hostile_names_write_nothing_at_all() {
    for (text, error) in [
        ("", "No Name found in invitation!"),
        ("Mode = hub\n", "No Name found in invitation!"),
        ("Name = ../x\n", "Invalid Name found in invitation!"),
        ("Name = bob\nName = ../../x\n", "Invalid Name found in invitation!"),
        ("Name = bob\nName = alice\nName = bob\n", "Secondary chunk would overwrite our own host config file."),
        ("Name = bob\nNetName = ../x\n", "Unsafe NetName found in invitation!"),
        ("Name = bob\nNetName = a b\n", "Unsafe NetName found in invitation!"),
    ] {
        let (dir, paths) = machine();
        let told = prepare(&paths, &received(text, Form::Script), &mut rng()).unwrap_err().to_string();
        assert_eq!(told, error, "{text:?}");
        assert!(tree(dir.path()).is_empty(), "{text:?}");
    }
}

#[test]
fn a_configuration_is_never_overwritten() {
    let (_dir, paths) = machine();
    join(&paths, &honest(), Form::Variables);
    let before = tree(&paths.confbase);

    let error = prepare(&paths, &received(&honest(), Form::Variables), &mut rng()).unwrap_err();

    assert!(matches!(error, JoinError::Exists(_)));
    assert_eq!(tree(&paths.confbase), before);
}

#[test]
fn the_netname_of_the_invitation_chooses_the_directory_and_is_replaced_if_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (_other, explicit) = machine();
    let paths = Paths { confdir: dir.path().to_owned(), confbase: dir.path().to_owned(), explicit: false, ..explicit };

    let first = join(&paths, &honest(), Form::Variables);
    let second = join(&paths, &honest(), Form::Variables);

    assert_eq!(first.paths.confbase, dir.path().join("vpn"));
    assert!(!first.netname_is_random && second.netname_is_random);
    assert!(second.paths.netname.unwrap().starts_with("join_"));
}

proptest! {
    // Each case writes files and waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_invitation_leads_out_of_the_directory(
        text in "(Name|NetName|Subnet|Ifconfig|Route|Foo|-----BEGIN x|-----END x)( = |=)[a-z./\\\\ 0-9$]{0,12}\n",
        rest in "((Name|Name|Port|Address) ?= ?[a-c./]{0,3}\n){0,8}",
    ) {
        let (dir, paths) = machine();
        let text = format!("Name = bob\n{text}{rest}");
        if let Ok(prepared) = prepare(&paths, &received(&text, Form::Script), &mut rng()) {
            prepared.commit().unwrap();
            let inside = paths.confbase.display().to_string();
            prop_assert!(tree(dir.path()).iter().all(|(path, _)| path.starts_with(&inside)));
            prop_assert!(config::load(&paths, &[]).is_ok());
        } else {
            prop_assert!(tree(dir.path()).is_empty());
        }
    }

    #[test]
    fn any_bytes_are_used_or_refused(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_dir, paths) = machine();
        let text = [b"Name = bob\n".as_slice(), &text].concat();
        let received = Received { text: &text, name: None, form: Form::Variables, force: true };
        prepare(&paths, &received, &mut rng()).ok();
    }
}
