//! A configuration in the making: nothing is seen of it until it is whole (spec: invitations 4, 5.2).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tinmesh_core::crypto::rng::Rng;

use crate::files;
use crate::paths::Paths;

/// Directories of an instance, besides its own.
const DIRECTORIES: [&str; 2] = ["hosts", "cache"];

/// A directory inside that of the instance. It vanishes with this value unless its files were moved to their places.
#[derive(Debug)]
pub struct Staging {
    directory: PathBuf,
    confbase: PathBuf,
}

impl Staging {
    /// Makes the directory of the instance, if it is not there, and one to work in.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn begin(paths: &Paths, rng: &mut Rng) -> io::Result<Self> {
        if !paths.explicit {
            files::make_dir(&paths.confdir, 0o755)?;
        }
        files::make_dir(&paths.confbase, 0o755)?;
        let directory = paths.confbase.join(files::unique(".staging-", rng));
        let staging = Self { directory: directory.clone(), confbase: paths.confbase.clone() };
        files::make_dir(&directory, 0o700)?;
        files::make_dir(&directory.join("hosts"), 0o755)?;
        Ok(staging)
    }

    /// Where a file is until it is moved.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn write(&self, name: &str, text: &[u8], mode: u32) -> io::Result<()> {
        files::write_new(&self.path(name), text, mode).map(drop)
    }

    /// Moves all files to their places; the main configuration file last, because it says that there is one.
    ///
    /// # Errors
    /// If one cannot be moved.
    pub fn commit(self) -> io::Result<()> {
        for name in DIRECTORIES {
            files::make_dir(&self.confbase.join(name), 0o755)?;
        }
        move_files(&self.path("hosts"), &self.confbase.join("hosts"))?;
        let main = self.path("tinc.conf");
        let held = self.path(".tinc.conf");
        fs::rename(&main, &held)?;
        move_files(&self.directory, &self.confbase)?;
        fs::rename(self.confbase.join(".tinc.conf"), self.confbase.join("tinc.conf"))
    }
}

fn move_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed does no harm: it is not read. A directory that others use is not empty and stays.
        fs::remove_dir_all(&self.directory).ok();
        fs::remove_dir(&self.confbase).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::PathOptions;

    fn paths(dir: &Path) -> Paths {
        Paths::for_control(&PathOptions { config: Some(dir.join("net")), ..PathOptions::default() }).unwrap()
    }

    fn list(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_together_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let staging = Staging::begin(&paths, &mut Rng::from_seed([1; 32])).unwrap();
        for name in ["tinc.conf", "hosts/me", "key"] {
            staging.write(name, b"x", 0o644).unwrap();
        }
        assert!(!paths.tinc_conf().exists());

        staging.commit().unwrap();

        assert_eq!(list(&paths.confbase), ["cache", "hosts", "key", "tinc.conf"]);
        assert_eq!(list(&paths.hosts()), ["me"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let staging = Staging::begin(&paths, &mut Rng::from_seed([1; 32])).unwrap();
        staging.write("tinc.conf", b"x", 0o644).unwrap();

        drop(staging);

        assert!(list(dir.path()).is_empty());
    }

    #[test]
    fn a_directory_that_was_there_before_stays() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        fs::create_dir(&paths.confbase).unwrap();
        fs::write(paths.confbase.join("note"), "mine").unwrap();

        drop(Staging::begin(&paths, &mut Rng::from_seed([1; 32])).unwrap());

        assert_eq!(list(&paths.confbase), ["note"]);
    }
}
