//! The protocol of tinc 1.0: spoken if there is an RSA key (spec: legacy-1.0 2 and 5.3, configuration 4).

use std::path::Path;
use std::sync::Arc;

use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;
use tinmesh_core::legacy::rsa::{PrivateKey, PublicKey};
use tinmesh_core::legacy::session::{Suite, Weakness};
use tinmesh_core::name::NodeName;
use tinmesh_core::node::config::Legacy;

use super::ConfigError;
use super::reader::Reader;
use crate::files::{self, keys};
use crate::paths::Paths;

const DEFAULT_KEY_FILE: &str = "rsa_key.priv";
const DEFAULT_MAC_LENGTH: i32 = 4;

/// How this node speaks it; nothing without an RSA key.
pub(super) fn own(paths: &Paths, compression: u8, reader: &mut Reader<'_>) -> Result<Option<Legacy>, ConfigError> {
    let suite = suite(compression, reader)?;
    let weak = reader.bool("LegacyWeakCiphers").unwrap_or(false);
    let Some(key) = private_key(paths, reader) else { return Ok(None) };
    if let Some(weakness @ (Weakness::Cipher(_) | Weakness::Digest(_))) = suite.weakness().filter(|_| !weak) {
        let variable = if matches!(weakness, Weakness::Cipher(_)) { "Cipher" } else { "Digest" };
        let right = "take aes-256-cbc and sha256, or set LegacyWeakCiphers = yes".to_owned();
        return Err(reader.invalid(variable, format!("Packets would be protected by {weakness}!"), right));
    }
    Ok(Some(Legacy { key: Arc::new(key), suite, weak, only: false }))
}

/// The key of the newer protocol, which is not spoken if that is wanted, or if there is no key but an RSA key. What the
/// node then has instead is shown to nobody.
pub(super) fn node_key(
    experimental: Option<bool>,
    file: &Path,
    legacy: &mut Option<Legacy>,
    warnings: &mut Vec<String>,
) -> Result<SecretKey, ConfigError> {
    if experimental != Some(false) {
        match keys::read_private(file, warnings) {
            Err(error) if experimental.is_none() && legacy.is_some() && error.is_absent() => {
                warnings.push(format!("{error}. Only the weak protocol of tinc 1.0 is spoken (docs/legacy.md)"));
            }
            found => return Ok(found?),
        }
    }
    legacy.as_mut().ok_or(ConfigError::NoRsaKey)?.only = true;
    let mut rng = files::rng().map_err(ConfigError::NoRandomness)?;
    Ok(SecretKey::generate(&mut rng))
}

fn suite(compression: u8, reader: &mut Reader<'_>) -> Result<Suite, ConfigError> {
    let cipher = match reader.text("Cipher").unwrap_or("aes-256-cbc") {
        none if none.eq_ignore_ascii_case("none") => None,
        name => Some(Cipher::by_name(name).filter(|cipher| cipher.is_for_packets()).ok_or_else(|| {
            let right = "it is none, or a cipher of OpenSSL such as aes-256-cbc (docs/legacy.md)".to_owned();
            reader.invalid("Cipher", "Unrecognized cipher type!".to_owned(), right)
        })?),
    };
    let digest = match reader.text("Digest").unwrap_or("sha256") {
        none if none.eq_ignore_ascii_case("none") => None,
        name => Some(Digest::by_name(name).ok_or_else(|| {
            let right = "it is none, or a digest of OpenSSL such as sha256 (docs/legacy.md)".to_owned();
            reader.invalid("Digest", "Unrecognized digest type!".to_owned(), right)
        })?),
    };
    let wanted = reader.int("MACLength").unwrap_or(DEFAULT_MAC_LENGTH);
    let longest = digest.map_or(0, Digest::size);
    let Ok(length) = usize::try_from(wanted) else {
        let right = "it is the number of bytes of each digest that are sent, from 0 on".to_owned();
        return Err(reader.invalid("MACLength", "Bogus MAC length!".to_owned(), right));
    };
    Ok(Suite { cipher, digest, mac_length: u8::try_from(length.min(longest)).unwrap_or(u8::MAX), compression })
}

/// The key of tinc.conf's digits, or of the key file.
fn private_key(paths: &Paths, reader: &mut Reader<'_>) -> Option<PrivateKey> {
    if let Some(setting) = reader.setting("PrivateKey") {
        let modulus = reader.text("PublicKey").unwrap_or_default();
        return PrivateKey::parse_hex(&setting.value, modulus)
            .map_err(|error| reader.warn(format!("PrivateKey in {} is not used: {error}", setting.place)))
            .ok();
    }
    let path = paths.confbase.join(reader.text("PrivateKeyFile").unwrap_or(DEFAULT_KEY_FILE));
    let text = match files::read(&path) {
        Ok(text) => text,
        Err(cause) => {
            if cause.kind() != std::io::ErrorKind::NotFound || reader.setting("PrivateKeyFile").is_some() {
                let reason = files::reason(&cause);
                reader.warn(format!("No protocol of tinc 1.0: cannot read {}: {reason}", path.display()));
            }
            return None;
        }
    };
    PrivateKey::parse_file(&String::from_utf8_lossy(&text))
        .map_err(|error| reader.warn(format!("No protocol of tinc 1.0: {}: {error}", path.display())))
        .ok()
}

/// The RSA key of another node, from its host file.
pub(super) fn host_key(paths: &Paths, name: &NodeName, host_file: &[u8], reader: &mut Reader<'_>) -> Option<PublicKey> {
    let found = match (reader.text("PublicKey"), reader.text("PublicKeyFile")) {
        (Some(modulus), _) => PublicKey::parse_hex(modulus),
        (None, Some(file)) => {
            let text = files::read(&paths.confbase.join(file)).unwrap_or_default();
            PublicKey::parse_file(&String::from_utf8_lossy(&text))
        }
        // `tinc fsck` tells of damaged blocks; here they concern nobody who does not speak the old protocol.
        (None, None) => return PublicKey::parse_file(&String::from_utf8_lossy(host_file)).ok(),
    };
    found.map_err(|error| reader.warn(format!("The RSA key of {name} is not used: {error}"))).ok()
}
