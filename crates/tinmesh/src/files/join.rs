//! A new member: what an invitation becomes on the machine that joins.
//!
//! Everything in an invitation is the word of a stranger. Variables are filtered by the table, values are printed from
//! what was read, names are checked, nothing is written outside the directory of the instance, and nothing is seen of
//! it before the inviter has accepted. Source: spec cli B.11, invitations 5.

mod text;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::invite::MAX_FILE;
use tinmesh_core::name::NodeName;

use self::text::{Joining, Outcome};
use crate::files;
use crate::files::keys;
use crate::files::port;
use crate::files::staging::Staging;
use crate::files::statements::statements_file;
use crate::paths::{Netname, Paths};

/// How addresses and routes of the interface are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As `tinc join` does: in a script, which somebody has to enable.
    Script,
    /// As variables, which the daemon obeys.
    Variables,
}

/// An invitation that is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The file that the inviter sent.
    pub text: &'a [u8],
    /// The name that the inviter granted, if that is another than the file says.
    pub name: Option<&'a NodeName>,
    /// How addresses are kept.
    pub form: Form,
    /// Whether to obey even what could harm this machine.
    pub force: bool,
}

/// Why an invitation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It does not begin with a name.
    #[error("No Name found in invitation!")]
    NoName,
    /// It begins with something that is no name.
    #[error("Invalid Name found in invitation!")]
    BadName,
    /// Its netname could do harm.
    #[error("Unsafe NetName found in invitation!")]
    UnsafeNetname,
    /// There is a configuration already.
    #[error("Configuration file {} already exists!", .0.display())]
    Exists(PathBuf),
    /// It tells about us as if we were somebody else.
    #[error("Secondary chunk would overwrite our own host config file.")]
    OwnHostFile,
    /// It is longer than any invitation.
    #[error("The invitation is longer than {MAX_FILE} bytes!")]
    TooLong,
    /// The system failed.
    #[error("Could not write the configuration: {}", files::reason(.0))]
    Io(#[from] io::Error),
}

/// A configuration that is complete, but not in its place yet. Nothing is left of it unless [`Prepared::commit`] is
/// called.
#[derive(Debug)]
pub struct Prepared {
    staging: Staging,
    joined: Joined,
    statements: Vec<String>,
}

/// A configuration in its place.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Where it is.
    pub paths: Paths,
    /// This node's key.
    pub key: PublicKey,
    /// Whether a script waits to be enabled.
    pub has_script: bool,
    /// Whether the netname was drawn because the right one is in use.
    pub netname_is_random: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Makes a configuration of an invitation, without showing it. `paths` may still change by the invitation's netname.
///
/// # Errors
/// If the invitation cannot be used, or files cannot be written.
pub fn prepare(paths: &Paths, received: &Received<'_>, rng: &mut Rng) -> Result<Prepared, JoinError> {
    if received.text.len() > MAX_FILE {
        return Err(JoinError::TooLong);
    }
    let joining = Joining::parse(received)?;
    let (paths, netname_is_random) = place(paths, joining.netname(), rng)?;
    let outcome = joining.finish()?;
    let port = port::choose(rng);
    let key = SecretKey::generate(rng);
    let staging = Staging::begin(&paths, rng)?;
    write_all(&staging, &paths, received, &outcome)?;
    let own = format!("{}{}{}", outcome.own_host, keys::public_line(&key.public()), port.line());
    staging.write(&format!("hosts/{}", outcome.name), own.as_bytes(), 0o644)?;
    keys::stage_private(&staging, &paths, &key)?;
    let mut notes = outcome.notes;
    notes.extend(port.notice());
    let joined = Joined {
        paths,
        key: key.public(),
        has_script: received.form == Form::Script && !outcome.script.is_empty(),
        netname_is_random,
        notes,
    };
    Ok(Prepared { staging, joined, statements: outcome.statements })
}

fn write_all(staging: &Staging, paths: &Paths, received: &Received<'_>, outcome: &Outcome) -> io::Result<()> {
    // As in a network that is founded here; what the invitation says comes first, and counts.
    let own = if received.form == Form::Variables { "UPnP = udponly\n" } else { "" };
    staging.write("tinc.conf", format!("{}{own}", outcome.tinc_conf).as_bytes(), 0o644)?;
    staging.write("invitation-data", received.text, 0o644)?;
    for (name, text) in &outcome.hosts {
        staging.write(&format!("hosts/{name}"), text.as_bytes(), 0o644)?;
    }
    if received.form == Form::Variables {
        return Ok(());
    }
    let script = outcome.script.text();
    match outcome.script.is_empty() {
        false => staging.write("tinc-up.invitation", script.as_bytes(), 0o644),
        true if paths.confbase.join("tinc-up").exists() => Ok(()),
        true => staging.write("tinc-up", script.as_bytes(), 0o755),
    }
}

/// Where the configuration goes: where the operator says, else where the invitation says, else anywhere.
fn place(paths: &Paths, netname: Option<&str>, rng: &mut Rng) -> Result<(Paths, bool), JoinError> {
    let chosen = paths.explicit || paths.netname.is_some();
    let place = match netname {
        Some(name) if paths.netname.is_none() => {
            if Netname::judge(name) != Netname::Safe {
                return Err(JoinError::UnsafeNetname);
            }
            paths.with_netname(name)
        }
        Some(_) | None => paths.clone(),
    };
    match place.tinc_conf().exists() {
        false => Ok((place, false)),
        true if chosen => Err(JoinError::Exists(place.tinc_conf())),
        true => Ok((paths.with_netname(&files::unique("join_", rng)), true)),
    }
}

impl Prepared {
    /// The key to send to the inviter.
    pub const fn public_key(&self) -> &PublicKey {
        &self.joined.key
    }

    /// Puts the configuration into its place: the inviter has accepted.
    ///
    /// # Errors
    /// If files cannot be moved.
    pub fn commit(self) -> Result<Joined, JoinError> {
        self.staging.commit()?;
        if !self.statements.is_empty() {
            let path = statements_file(&self.joined.paths.confbase);
            files::make_dir(&self.joined.paths.confbase.join("fides"), 0o755)?;
            files::replace(&path, ".tmp", (self.statements.join("\n") + "\n").as_bytes(), 0o644)?;
        }
        Ok(self.joined)
    }
}
