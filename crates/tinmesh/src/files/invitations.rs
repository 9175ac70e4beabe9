//! Outstanding invitations on disk: their key, their files, and the script that follows (spec: invitations 2).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tinmesh_core::crypto::base64;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::invite::{self, COOKIE, MAX_FILE};
use tinmesh_core::name::NodeName;

use crate::config::edit;
use crate::config::kind::{self, Endpoint};
use crate::config::syntax;
use crate::files::{self, keys};
use crate::paths::{Netname, Paths};

#[cfg(test)]
mod tests;

/// The line between the parts of an invitation, and between exported hosts.
pub const SEPARATOR: &str = "#---------------------------------------------------------------#";
/// Characters of the name of an invitation's file.
const FILE_NAME: usize = 24;
/// What the file is called once it was used.
const USED: &str = ".used";
/// Older files are removed when the next invitation is made.
const LIFETIME: Duration = Duration::from_secs(604_800);

/// Why there is no invitation.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// The name belongs to somebody.
    #[error("A host config file for {0} already exists!")]
    HostExists(NodeName),
    /// The own host file is missing, so the invited node could not know us.
    #[error("Could not open configuration file {}: {}", path.display(), files::reason(cause))]
    NoHostFile {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The key of invitations is damaged.
    #[error("{0}")]
    Key(#[from] keys::KeyError),
    /// What the invitation would say does not fit.
    #[error("The invitation would be longer than {MAX_FILE} bytes: the host file {} is too long", .0.display())]
    TooLong(PathBuf),
    /// The system failed.
    #[error("{}: {}", path.display(), files::reason(cause))]
    Io {
        /// What could not be read or written.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> InvitationError {
    let path = path.to_owned();
    move |cause| InvitationError::Io { path, cause }
}

/// An invitation that somebody may still use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Name of its file.
    pub file_name: String,
    /// Whom it invites; `None` if the file does not begin as it must.
    pub node: Option<NodeName>,
    /// What the file says.
    pub text: Vec<u8>,
}

impl Outstanding {
    /// The part that is about the invited node.
    pub fn own_part(&self) -> &[u8] {
        let mut length = 0;
        for (index, line) in self.text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if index > 0 && !edit::values(line, "Name").is_empty() {
                break;
            }
            length += line.len();
        }
        self.text.get(..length).unwrap_or_default()
    }
}

/// Every outstanding invitation, by file name. Files that are no invitations are left out.
///
/// # Errors
/// If the directory exists and cannot be read.
pub fn outstanding(paths: &Paths) -> io::Result<Vec<Outstanding>> {
    let mut found = Vec::new();
    for (file_name, path) in files_in(&paths.invitations())? {
        if is_invitation(&file_name) {
            let text = files::read(&path)?.to_vec();
            let node = invite::invitee(&text).ok();
            found.push(Outstanding { file_name, node, text });
        }
    }
    Ok(found)
}

fn files_in(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file name begins with 24 characters that stand for 18 bytes.
fn is_invitation(file_name: &str) -> bool {
    let digits = file_name.as_bytes().get(..FILE_NAME).and_then(base64::decode);
    digits.is_some_and(|bytes| bytes.len() == COOKIE)
}

/// What a new invitation is to say.
#[derive(Clone, Debug)]
pub struct NewInvitation<'a> {
    /// This node.
    pub own: &'a NodeName,
    /// Who is invited.
    pub invitee: &'a NodeName,
    /// Lines about the invited node, for example its addresses: variable and value.
    pub lines: &'a [(&'a str, String)],
    /// Where the joiner connects to.
    pub host: &'a str,
    /// At which port.
    pub port: u16,
}

/// An invitation that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What the joiner needs to know.
    pub url: InviteUrl,
    /// The file.
    pub path: PathBuf,
    /// Whether the daemon does not know the key of invitations yet, and must read its configuration anew.
    pub key_is_new: bool,
}

/// Refuses the name of somebody who is a member already.
///
/// # Errors
/// If there is a host file of that name.
pub fn check_free(paths: &Paths, invitee: &NodeName) -> Result<(), InvitationError> {
    if paths.host_file(invitee).exists() { Err(InvitationError::HostExists(invitee.clone())) } else { Ok(()) }
}

/// Makes an invitation.
///
/// # Errors
/// If the name is taken, or files cannot be read or written; then no invitation is left behind.
pub fn make(paths: &Paths, new: &NewInvitation<'_>, rng: &mut Rng) -> Result<Made, InvitationError> {
    check_free(paths, new.invitee)?;
    let text = text(paths, new)?;
    let directory = paths.invitations();
    files::make_dir(&directory, 0o700).map_err(at(&directory))?;
    // Two at the same time would each make a key, and one of the invitations would be good for nothing.
    let alone = fs::File::open(&directory).map_err(at(&directory))?;
    alone.lock().map_err(at(&directory))?;
    let (key, key_is_new) = key(paths, rng)?;
    let cookie = rng.bytes::<COOKIE>();
    let path = paths.invitations().join(invite::file_name(&cookie, &key));
    files::write_new(&path, text.as_bytes(), 0o600).map_err(at(&path))?;
    let url = InviteUrl { host: new.host.to_owned(), port: new.port, key_hash: invite::key_hash(&key), cookie };
    Ok(Made { url, path, key_is_new })
}

/// The key of invitations, and whether it was made just now. Without outstanding invitations the old one goes.
fn key(paths: &Paths, rng: &mut Rng) -> Result<(PublicKey, bool), InvitationError> {
    let directory = paths.invitations();
    let path = paths.invitation_key();
    if count_young(&directory, SystemTime::now()).map_err(at(&directory))? == 0 {
        fs::remove_file(&path).or_else(ignore_missing).map_err(at(&path))?;
    }
    if path.exists() {
        return Ok((keys::read_private(&path, &mut Vec::new())?.public(), false));
    }
    let key = SecretKey::generate(rng);
    keys::append_private(&path, &key).map_err(at(&path))?;
    Ok((key.public(), true))
}

fn ignore_missing(cause: io::Error) -> io::Result<()> {
    if cause.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(cause) }
}

/// Removes invitations that nobody may use any more, used ones too; gives the number of the others.
fn count_young(directory: &Path, now: SystemTime) -> io::Result<usize> {
    let mut count = 0;
    for (name, path) in files_in(directory)? {
        let used = name.strip_suffix(USED);
        if !is_invitation(&name) || used.unwrap_or(&name).len() != FILE_NAME {
            continue;
        }
        let age = now.duration_since(fs::metadata(&path)?.modified()?).unwrap_or_default();
        if age > LIFETIME {
            fs::remove_file(&path).or_else(ignore_missing)?;
        } else if used.is_none() {
            count += 1;
        }
    }
    Ok(count)
}

fn text(paths: &Paths, new: &NewInvitation<'_>) -> Result<String, InvitationError> {
    let mut text = format!("Name = {}\n", new.invitee);
    if let Some(netname) = paths.netname.as_deref().filter(|name| Netname::judge(name) == Netname::Safe) {
        text.push_str(&format!("NetName = {netname}\n"));
    }
    text.push_str(&format!("ConnectTo = {}\n", new.own));
    for (variable, value) in new.lines {
        text.push_str(&format!("{variable} = {value}\n"));
    }
    let main = paths.tinc_conf();
    let settings = files::read(&main).map_err(at(&main))?;
    for variable in ["Mode", "Broadcast"] {
        for value in edit::values(&settings, variable) {
            text.push_str(&format!("{variable} = {value}\n"));
        }
    }
    let path = paths.host_file(new.own);
    let host = files::read(&path).map_err(|cause| InvitationError::NoHostFile { path: path.clone(), cause })?;
    text.push_str(&format!("{SEPARATOR}\nName = {}\n{}", new.own, host_part(&host, new)));
    if text.len() > MAX_FILE { Err(InvitationError::TooLong(path)) } else { Ok(text) }
}

/// The inviter's host file, with the address of the URL, because there the new node reaches this one; and with that
/// port in place of "any".
fn host_part(host_file: &[u8], new: &NewInvitation<'_>) -> String {
    let mut text = String::new();
    let endpoints = edit::values(host_file, "Address");
    if !endpoints.iter().filter_map(|value| Endpoint::parse(value)).any(|endpoint| endpoint.host == new.host) {
        text.push_str(&format!("Address = {} {}\n", new.host, new.port));
    }
    for line in String::from_utf8_lossy(host_file).lines() {
        let (variable, value) = syntax::split(line);
        if variable.eq_ignore_ascii_case("Port") && kind::port(value).is_none_or(|port| port == 0) {
            text.push_str(&format!("Port = {}\n", new.port));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Where the configuration says that this node is reached from outside: the first `Address`.
pub fn configured_address(paths: &Paths, own: &NodeName) -> Option<Endpoint> {
    own_values(paths, own, "Address").iter().find_map(|value| Endpoint::parse(value))
}

/// The port that the configuration says; `None` if it says nothing or that any will do.
pub fn configured_port(paths: &Paths, own: &NodeName) -> Option<u16> {
    own_values(paths, own, "Port").first().and_then(|value| kind::port(value)).filter(|port| *port != 0)
}

/// Whether the configuration has a port at all.
pub fn is_port_configured(paths: &Paths, own: &NodeName) -> bool {
    !own_values(paths, own, "Port").is_empty()
}

fn own_values(paths: &Paths, own: &NodeName, variable: &str) -> Vec<String> {
    let sources = [paths.host_file(own), paths.tinc_conf()];
    let texts = sources.iter().filter_map(|path| files::read(path).ok());
    texts.flat_map(|text| edit::values(&text, variable)).collect()
}

/// Runs the script `invitation-created`, if there is one; the text says what went wrong with it.
pub fn run_script(paths: &Paths, own: &NodeName, invitee: &NodeName, made: &Made) -> Option<String> {
    let script = paths.confbase.join("invitation-created");
    if !script.exists() {
        return None;
    }
    let mut command = Command::new(&script);
    command.env("NAME", own.as_str()).env("NODE", invitee.as_str());
    command.env("INVITATION_FILE", &made.path).env("INVITATION_URL", made.url.to_string());
    if let Some(netname) = &paths.netname {
        command.env("NETNAME", netname);
    }
    match command.status() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("Script invitation-created failed: {status}")),
        Err(cause) => Some(format!("Script invitation-created could not be run: {}", files::reason(&cause))),
    }
}
