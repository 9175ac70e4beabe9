//! Names of members in the system's hosts file, so that `ping bob` works (variable `HostsFile`).
//!
//! The daemon owns one marked block of the file. An entry is a single address that a member owns
//! inside this network's own ranges; names that the rest of the file uses are left alone, so a
//! member cannot take over a name that the operator gave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the system keeps names.
pub const HOSTS_FILE: &str = "/etc/hosts";
/// Most entries; a mesh that has more is better served by a name server.
const MAX_ENTRIES: usize = 10_000;
/// Longest name; a longer one is no host name.
const MAX_NAME: usize = 63;
/// Bare names by which programs find what they trust, so no member gets them.
const RESERVED: [&str; 4] = ["localhost", "wpad", "isatap", "broadcasthost"];

/// The block of one network in the hosts file.
#[derive(Debug)]
pub struct Names {
    path: PathBuf,
    network: String,
    ranges: Vec<(IpAddr, u8)>,
    entries: BTreeMap<IpAddr, String>,
    /// Members that are not to be found by their names.
    hidden: BTreeSet<String>,
    /// Opened while the daemon had the right to.
    file: Option<File>,
    dirty: bool,
}

impl Names {
    /// The block of `network` (also the domain of its names), for addresses inside `ranges`.
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn new(path: &Path, network: &str, ranges: Vec<(IpAddr, u8)>) -> io::Result<Self> {
        // Renaming must not put a file in the place of a link.
        let path = fs::canonicalize(path)?;
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let (entries, hidden) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { path, network: network.to_owned(), ranges, entries, hidden, file: Some(file), dirty: true })
    }

    fn admits(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|&(range, len)| covers(range, len, address))
    }

    /// A member owns an address.
    pub fn insert(&mut self, address: IpAddr, name: &str) {
        let room = self.entries.len() < MAX_ENTRIES || self.entries.contains_key(&address);
        if self.admits(address) && room && name.len() <= MAX_NAME {
            self.dirty |= self.entries.insert(address, name.to_owned()).as_deref() != Some(name);
        }
    }

    /// A member does not own an address any more.
    pub fn remove(&mut self, address: IpAddr, name: &str) {
        if self.entries.get(&address).is_some_and(|owner| owner == name) {
            self.entries.remove(&address);
            self.dirty = true;
        }
    }

    /// These members, and no others, are not to be found by their names.
    pub fn hide(&mut self, hidden: BTreeSet<String>) {
        self.dirty |= self.hidden != hidden;
        self.hidden = hidden;
    }

    /// Whether there is something to write.
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Writes the block if anything changed.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn write(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            let rest = self.rest()?;
            let block = self.block(&rest);
            self.replace(&format!("{rest}{block}"))?;
        }
        Ok(())
    }

    /// Takes the block out of the file.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn clear(&mut self) -> io::Result<()> {
        let rest = self.rest()?;
        self.replace(&rest)
    }

    fn markers(&self) -> [String; 2] {
        ["begin", "end"].map(|side| format!("# tinmesh {} {side}", self.network))
    }

    /// The file without our block.
    fn rest(&mut self) -> io::Result<String> {
        let text = match (fs::read_to_string(&self.path), &mut self.file) {
            (Ok(text), _) => text,
            (Err(_), Some(file)) => {
                let mut text = String::new();
                file.rewind()?;
                file.read_to_string(&mut text)?;
                text
            }
            (Err(error), None) => return Err(error),
        };
        Ok(strip(&text, &self.markers()))
    }

    fn block(&self, rest: &str) -> String {
        let shown: Vec<_> = self.entries.iter().filter(|(_, name)| !self.hidden.contains(*name)).collect();
        if shown.is_empty() {
            return String::new();
        }
        let taken: BTreeSet<String> = rest
            .lines()
            .filter_map(|line| line.split('#').next())
            .flat_map(|line| line.split_whitespace().skip(1))
            .chain(RESERVED)
            .map(str::to_ascii_lowercase)
            .collect();
        let [begin, end] = self.markers();
        let mut block = format!("{begin}\n");
        for (address, name) in shown {
            let bare = if taken.contains(&name.to_ascii_lowercase()) { "" } else { name };
            let line = format!("{address}\t{bare} {name}.{}", self.network);
            block.push_str(&line.replace("\t ", "\t"));
            block.push('\n');
        }
        block + &end + "\n"
    }

    /// Replaces the content at once where the directory allows it, else in place.
    fn replace(&self, text: &str) -> io::Result<()> {
        let fresh = self.path.with_extension("tinmesh-new");
        let renamed = fs::write(&fresh, text)
            .and_then(|()| fs::set_permissions(&fresh, fs::metadata(&self.path)?.permissions()))
            .and_then(|()| fs::rename(&fresh, &self.path));
        if renamed.is_ok() {
            return Ok(());
        }
        fs::remove_file(&fresh).ok();
        let opened = OpenOptions::new().write(true).open(&self.path);
        let mut file = match (opened, &self.file) {
            (Ok(file), _) => file,
            (Err(_), Some(file)) => file.try_clone()?,
            (Err(error), None) => return Err(error),
        };
        if file.metadata()?.ino() != fs::metadata(&self.path)?.ino() {
            return Err(io::Error::other("the file was replaced, and we may not open the new one"));
        }
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }
}

/// The text without what is between the markers. Without the second one nothing but the first is taken away: what
/// follows may be somebody else's.
fn strip(text: &str, [begin, end]: &[String; 2]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut ours: Option<usize> = None;
    for line in text.lines() {
        match ours {
            Some(start) if line == end => {
                rest.truncate(start);
                ours = None;
            }
            None if line == begin => ours = Some(rest.len()),
            Some(_) | None => rest.extend([line, "\n"]),
        }
    }
    rest
}

fn covers(range: IpAddr, len: u8, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let ((range, width), (address, other)) = (bits(range), bits(address));
    let mask = u128::MAX.checked_shl(128 - u32::from(len.min(width))).unwrap_or(0);
    width == other && range & mask == address & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Names {
        let ranges = vec![("10.1.0.0".parse().unwrap(), 16), ("fd00::".parse().unwrap(), 64)];
        Names::new(path, "home", ranges).unwrap()
    }

    #[test]
    fn members_appear_in_the_block_and_leave_no_trace_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let before = "127.0.0.1 localhost mail\n# tinmesh work begin\n10.9.0.1\tbob bob.work\n# tinmesh work end\n";
        fs::write(&path, before).unwrap();
        let mut names = names(&path);
        names.insert("10.1.0.7".parse().unwrap(), "bob");
        names.insert("fd00::7".parse().unwrap(), "mail");
        names.insert("192.0.2.1".parse().unwrap(), "outside");
        names.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(before), "{text}");
        assert!(text.contains("10.1.0.7\tbob.home\n"), "bob is taken by another network: {text}");
        assert!(text.contains("fd00::7\tmail.home\n"), "{text}");
        assert!(!text.contains("outside"), "{text}");
        names.clear().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn a_block_whose_end_is_lost_takes_nothing_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(&path, "# tinmesh home begin\n10.1.0.9\told.home\n192.0.2.1 precious\n").unwrap();
        let mut names = names(&path);
        names.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "10.1.0.9\told.home\n192.0.2.1 precious\n");
    }

    #[test]
    fn a_member_can_neither_take_over_a_trusted_name_nor_take_away_that_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(&path, "").unwrap();
        let mut names = names(&path);
        names.insert("10.1.0.7".parse().unwrap(), "bob");
        names.insert("10.1.0.66".parse().unwrap(), "WPAD");
        names.remove("10.1.0.7".parse().unwrap(), "WPAD");
        names.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("10.1.0.7\tbob bob.home\n") && text.contains("10.1.0.66\tWPAD.home\n"), "{text}");
    }

    #[test]
    fn a_hidden_member_is_not_found_until_it_is_shown_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(&path, "").unwrap();
        let mut names = names(&path);
        names.insert("10.1.0.7".parse().unwrap(), "bob");
        names.insert("10.1.0.8".parse().unwrap(), "carol");
        names.write().unwrap();
        names.hide(["bob".to_owned()].into());
        assert!(names.is_dirty());
        names.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("bob") && text.contains("10.1.0.8\tcarol carol.home\n"), "{text}");
        names.hide(BTreeSet::new());
        names.write().unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("10.1.0.7\tbob bob.home\n"));
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("hosts"), dir.path().join("real"));
        fs::write(&target, "192.0.2.1 precious\n").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut names = names(&path);
        names.insert("10.1.0.7".parse().unwrap(), "bob");
        names.write().unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert!(fs::read_to_string(&target).unwrap().contains("bob.home"));
    }

    #[test]
    fn a_block_left_by_a_killed_daemon_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(&path, "127.0.0.1 localhost\n# tinmesh home begin\n10.1.0.9\told old.home\n# tinmesh home end\n")
            .unwrap();
        let mut names = names(&path);
        names.insert("10.1.0.7".parse().unwrap(), "bob");
        names.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("begin").count(), 1);
        assert!(text.contains("10.1.0.7\tbob bob.home\n") && !text.contains("old"), "{text}");
    }
}
