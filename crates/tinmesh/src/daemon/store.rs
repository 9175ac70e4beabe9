//! What survives a restart: keys of peers in host files, addresses that worked, invitations used.
//!
//! Source: spec meta-protocol 5.6, 14, invitations 3.1, 3.2.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tinmesh_core::invite::MAX_FILE;
use tinmesh_core::node::io::Persist;
use tinmesh_core::wire::address_cache;

use crate::files::statements::{kept_statements, statements_file};
use crate::files::{self, keys};

/// The files below confbase that the daemon writes.
#[derive(Debug)]
pub struct Store {
    confbase: PathBuf,
}

impl Store {
    /// Files below `confbase`.
    pub const fn new(confbase: PathBuf) -> Self {
        Self { confbase }
    }

    fn host_file(&self, name: &str) -> PathBuf {
        self.confbase.join("hosts").join(name)
    }

    /// Writes what the node wants kept.
    ///
    /// # Errors
    /// With the path, if the file cannot be written.
    pub fn keep(&self, persist: &Persist) -> io::Result<()> {
        match persist {
            Persist::PublicKey { name, key } => {
                let path = self.host_file(name.as_str());
                let line = keys::public_line(key);
                append(&path, &format!("\n# The following line was automatically added by tinmesh\n{line}"))
                    .map_err(|error| at(&path, &error))
            }
            Persist::InvitedNode { name, key } => {
                let path = self.host_file(name.as_str());
                create(&path, keys::public_line(key).as_bytes()).map_err(|error| at(&path, &error))
            }
            Persist::Addresses { name, addresses } => {
                let path = self.confbase.join("cache").join(name.as_str());
                write_cache(&path, &address_cache::encode(addresses)).map_err(|error| at(&path, &error))
            }
            Persist::Statements(text) => {
                let path = statements_file(&self.confbase);
                write_cache(&path, text.as_bytes()).map_err(|error| at(&path, &error))
            }
        }
    }

    /// The statements that were kept; nothing if there are none.
    ///
    /// # Errors
    /// With the path, if the file cannot be read.
    pub fn kept_statements(&self) -> io::Result<String> {
        kept_statements(&self.confbase)
    }

    /// Takes an invitation away and gives its content: `None` if there is no such file, or it is
    /// older than `expire`. A file can be taken only once, because it is renamed first.
    pub fn redeem(&self, file_name: &str, expire: Duration) -> Option<Vec<u8>> {
        let path = self.confbase.join("invitations").join(file_name);
        let used = path.with_extension("used");
        fs::rename(&path, &used).ok()?;
        let content = read_invitation(&used, expire);
        fs::remove_file(&used).ok();
        content
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    files::write_new(path, bytes, 0o644).map(drop)
}

fn write_cache(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
        fs::create_dir(dir)?;
    }
    let fresh = path.with_extension("new");
    let kept = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if kept.is_err() {
        fs::remove_file(&fresh).ok();
    }
    kept
}

fn read_invitation(path: &Path, expire: Duration) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let age = file.metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default();
    if age > expire {
        return None;
    }
    let mut content = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= MAX_FILE).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_can_be_taken_once_and_only_while_it_is_young() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("invitations")).unwrap();
        let store = Store::new(dir.path().to_owned());
        let week = Duration::from_secs(604_800);
        for name in ["young", "old"] {
            fs::write(dir.path().join("invitations").join(name), "Name = bob\n").unwrap();
        }
        let old = File::options().write(true).open(dir.path().join("invitations/old")).unwrap();
        old.set_modified(std::time::SystemTime::now() - week - week).unwrap();
        assert_eq!(store.redeem("young", week).as_deref(), Some(b"Name = bob\n".as_slice()));
        assert_eq!(store.redeem("young", week), None);
        assert_eq!(store.redeem("old", week), None);
        assert_eq!(fs::read_dir(dir.path().join("invitations")).unwrap().count(), 0);
    }
}
