//! The files of an instance besides its settings: keys, host files, invitations, addresses that worked.

pub mod addresses;
pub mod cache;
pub mod found;
pub mod invitations;
pub mod join;
pub mod keys;
pub mod port;
pub mod script;
pub mod staging;
pub mod statements;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tinmesh_core::crypto::rng::Rng;
use zeroize::Zeroizing;

/// Longest file that is read, in bytes: far more than anybody writes by hand.
const MAX_FILE: u64 = 16 << 20;

/// An error of the system in the system's words, without number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Reads a whole file. What was read is wiped when dropped, since it may hold a key.
///
/// # Errors
/// If it cannot be read, or is longer than any sensible file.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let room = usize::try_from(size.min(MAX_FILE)).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "File too large"));
    }
    Ok(text)
}

/// Reads a file that need not exist.
///
/// # Errors
/// As [`read`], but a missing file is empty.
pub fn read_or_empty(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Zeroizing::default()),
        other => other,
    }
}

/// Keeps other programs of this kind from changing the files of a directory while the result exists.
///
/// # Errors
/// If the directory cannot be opened.
pub fn lock_directory_of(path: &Path) -> io::Result<File> {
    let directory = File::open(path.parent().ok_or(io::ErrorKind::NotFound)?)?;
    directory.lock()?;
    Ok(directory)
}

/// Replaces a file at one stroke, by way of a temporary file beside it; mode and owner stay as they were, and a symbolic
/// link stays one.
///
/// # Errors
/// If that cannot be done; then the old file is still there.
pub fn replace(path: &Path, suffix: &str, text: &[u8], mode_if_new: u32) -> io::Result<()> {
    let target = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    let path = target.as_path();
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    let temporary = PathBuf::from(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let old = fs::metadata(path).ok();
    let mode = if old.is_some() { 0o600 } else { mode_if_new };
    let written = write_new(&temporary, text, mode).and_then(|file| match old {
        Some(old) => imitate(&file, &old),
        None => Ok(()),
    });
    let replaced = written.and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        fs::remove_file(&temporary).ok();
    }
    replaced
}

/// Gives a file the owner and mode of another.
fn imitate(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// If it exists or cannot be written; then nothing of it is left.
pub fn write_new(path: &Path, text: &[u8], mode: u32) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    match file.write_all(text).and_then(|()| file.sync_all()) {
        Ok(()) => Ok(file),
        Err(cause) => {
            fs::remove_file(path).ok();
            Err(cause)
        }
    }
}

/// Makes a directory; one that exists keeps its mode.
///
/// # Errors
/// With tinc's text, if it cannot be made.
pub fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => {
            let text = format!("Could not create directory {}: {}", path.display(), reason(&error));
            Err(io::Error::new(error.kind(), text))
        }
        Ok(()) => Ok(()),
    }
}

/// A generator seeded by the system.
///
/// # Errors
/// If the system gives no randomness.
pub fn rng() -> io::Result<Rng> {
    let mut seed = Zeroizing::new([0; 32]);
    tinmesh_os::process::random_bytes(seed.as_mut_slice())?;
    Ok(Rng::from_seed(*seed))
}

/// A name that no other file has: `PREFIX` and eight hexadecimal digits.
pub fn unique(prefix: &str, rng: &mut Rng) -> String {
    format!("{prefix}{:08x}", rng.next_u32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tinc.conf");
        write_new(&path, b"old", 0o640).unwrap();
        fs::write(dir.path().join("tinc.conf.tmp"), "left over").unwrap();

        replace(&path, ".tmp", b"new", 0o644).unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_are_told_without_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}
