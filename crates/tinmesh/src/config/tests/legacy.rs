//! The variables of the protocol of tinc 1.0.

use tinmesh_core::node::config::Legacy;

use super::*;

const RSA_KEY: &str = include_str!("../../../../core/src/legacy/rsa/tests/private.pem");
const RSA_PUBLIC: &str = include_str!("../../../../core/src/legacy/rsa/tests/public.pem");
const RSA_MODULUS: &str = include_str!("../../../../core/src/legacy/rsa/tests/public.hex");
const RSA_EXPONENT: &str = include_str!("../../../../core/src/legacy/rsa/tests/private.hex");

/// An instance with an RSA key.
fn instance(tinc_conf: &str, host_file: &str) -> Instance {
    let instance = Instance::new(tinc_conf, host_file);
    instance.write("rsa_key.priv", RSA_KEY);
    instance
}

fn legacy(tinc_conf: &str, host_file: &str) -> Legacy {
    instance(tinc_conf, host_file).load().node.legacy.unwrap()
}

#[test]
fn the_protocol_of_tinc_1_0_is_off_without_an_rsa_key() {
    let loaded = Instance::new("Cipher = aes-256-cbc\nDigest = sha256\n", "").load();
    assert!(loaded.node.legacy.is_none());
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn an_rsa_key_switches_it_on_with_tincs_defaults() {
    let legacy = legacy("", "");
    assert_eq!(legacy.suite.cipher.unwrap().to_string(), "aes-256-cbc");
    assert_eq!(legacy.suite.digest.unwrap().to_string(), "sha256");
    assert_eq!((legacy.suite.mac_length, legacy.suite.compression), (4, 0));
    assert!(!legacy.weak && !legacy.only);
}

#[test]
fn the_key_may_be_in_another_file_or_in_tinc_conf() {
    let other = Instance::new("PrivateKeyFile = keys/other", "");
    fs::create_dir(other.dir.path().join("keys")).unwrap();
    other.write("keys/other", RSA_KEY);
    assert!(other.load().node.legacy.is_some());
    let digits = format!("PrivateKey = {}\nPublicKey = {}\n", RSA_EXPONENT.trim(), RSA_MODULUS.trim());
    assert!(Instance::new(&digits, "").load().node.legacy.is_some());
    let damaged = Instance::new("", "");
    damaged.write("rsa_key.priv", "nonsense");
    let loaded = damaged.load();
    assert!(loaded.node.legacy.is_none());
    assert!(loaded.warnings[0].starts_with("No protocol of tinc 1.0: "), "{:?}", loaded.warnings);
}

#[test]
fn packets_are_protected_as_the_host_file_says() {
    let suite = legacy("", "Cipher = camellia256\nDigest = sha1\nMACLength = 10\nCompression = 9\n").suite;
    assert_eq!(suite.cipher.unwrap().to_string(), "camellia-256-cbc");
    assert_eq!(suite.digest.unwrap().to_string(), "sha1");
    assert_eq!((suite.mac_length, suite.compression), (10, 9));
    assert_eq!(legacy("MACLength = 99", "").suite.mac_length, 32, "never longer than the digest");
    assert_eq!(legacy("Digest = none", "").suite.mac_length, 0);
    assert!(legacy("Cipher = none", "").suite.cipher.is_none());
}

#[test]
fn weak_ciphers_and_digests_need_to_be_allowed() {
    for line in ["Cipher = aes-256-cfb", "Cipher = blowfish", "Cipher = des3", "Digest = md5"] {
        let error = instance(line, "").error();
        assert!(error.contains("LegacyWeakCiphers = yes"), "{line}: {error}");
        assert!(legacy(&format!("{line}\nLegacyWeakCiphers = yes\n"), "").weak, "{line}");
        assert!(Instance::new(line, "").load().node.legacy.is_none(), "{line} matters to nobody without RSA key");
    }
}

#[test]
fn what_does_not_exist_is_told() {
    let cases = [
        ("Cipher = rot13", "Unrecognized cipher type!"),
        // tinc would lose most packets with these.
        ("Cipher = aes-256-ctr", "Unrecognized cipher type!"),
        ("Cipher = chacha20", "Unrecognized cipher type!"),
        ("Digest = crc32", "Unrecognized digest type!"),
        ("MACLength = -1", "Bogus MAC length!"),
    ];
    for (line, expected) in cases {
        let error = instance(line, "").error();
        assert!(error.starts_with(expected), "{line}: {error}");
    }
}

#[test]
fn keys_of_other_nodes_are_found_in_their_host_files() {
    let instance = instance("", "");
    instance.write("hosts/pem", RSA_PUBLIC);
    instance.write("hosts/digits", &format!("PublicKey = {}\n", RSA_MODULUS.trim()));
    instance.write("hosts/file", "PublicKeyFile = bob.pem\n");
    instance.write("bob.pem", RSA_PUBLIC);
    instance.write("hosts/none", "Subnet = 10.0.0.1\n");
    instance.write("hosts/bad", "PublicKey = nonsense\n");

    let loaded = instance.load();

    let has = |node: &str| loaded.node.hosts[&name(node)].rsa.is_some();
    assert!(has("pem") && has("digits") && has("file") && !has("none") && !has("bad"));
    assert!(loaded.warnings.iter().any(|text| text.starts_with("The RSA key of bad is not used")));
}

#[test]
fn without_the_experimental_protocol_only_rsa_counts() {
    let loaded = instance("ExperimentalProtocol = no", "").load();
    assert!(loaded.node.legacy.unwrap().only);
    assert_ne!(loaded.key.public(), SecretKey::from_seed(&[1; 32]).public(), "the Ed25519 key is not even read");
    let error = Instance::new("ExperimentalProtocol = no", "").error();
    assert!(error.contains("tinc generate-rsa-keys"), "{error}");
    assert!(!legacy("ExperimentalProtocol = yes", "").only);
}

#[test]
fn an_installation_of_tinc_1_0_goes_on_with_its_rsa_key_alone() {
    let old = instance("", "");
    fs::remove_file(old.paths.private_key()).unwrap();
    let loaded = old.load();
    assert!(loaded.node.legacy.unwrap().only);
    assert!(loaded.warnings[0].contains("Only the weak protocol of tinc 1.0 is spoken"), "{:?}", loaded.warnings);

    old.write("tinc.conf", "Name = me\nExperimentalProtocol = yes\n");
    assert!(old.error().contains("tinc generate-ed25519-keys"), "{}", old.error());
}

#[test]
fn a_damaged_ed25519_key_does_not_make_the_protocol_weaker() {
    let old = instance("", "");
    old.write("ed25519_key.priv", "nonsense");
    assert!(old.error().starts_with("No usable Ed25519 private key"), "{}", old.error());
}
