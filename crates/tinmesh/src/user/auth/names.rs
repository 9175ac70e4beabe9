//! Names of nodes, and the keys that are meant.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use fides::{About, Key, Ledger, Sign, Subject, Word};
use tinmesh_core::name::NodeName;
use tinmesh_core::trust::{self, topics};

use crate::files::{self, keys};
use crate::paths::Paths;

/// Names that an error lists at most.
const LISTED: usize = 12;

/// Which name belongs to which key: by the host files, and where those are silent by the statements about who may join.
#[derive(Clone, Debug, Default)]
pub(in crate::user) struct Names {
    keys: BTreeMap<String, BTreeSet<Key>>,
    names: BTreeMap<Key, String>,
    /// Names that have a host file without a key.
    keyless: BTreeSet<String>,
}

impl Names {
    /// The names of the host files.
    pub(in crate::user) fn of_hosts(paths: &Paths) -> Self {
        let mut names = Self::default();
        for entry in std::fs::read_dir(paths.hosts()).into_iter().flatten().flatten() {
            let Some(name) = entry.file_name().to_str().and_then(|name| NodeName::parse(name).ok()) else { continue };
            let key = files::read(&entry.path()).ok().and_then(|text| keys::public_in(&text));
            match key {
                Some(key) => names.add(name.as_str(), trust::key(&key)),
                None => _ = names.keyless.insert(name.to_string()),
            }
        }
        names
    }

    /// This name belongs to this key.
    pub(in crate::user) fn add(&mut self, name: &str, key: Key) {
        self.keys.entry(name.to_owned()).or_default().insert(key);
        self.names.entry(key).or_insert_with(|| name.to_owned());
    }

    /// Adds the names under which somebody says that keys may join, unless a host file says whose they are.
    pub(in crate::user) fn learn(&mut self, ledger: &Ledger) {
        let hosts: BTreeSet<String> = self.keys.keys().cloned().collect();
        for statement in ledger.statements() {
            let claim = statement.claim();
            if let About::Allow { subject: Subject::Key(key), topic, args } = &claim.about
                && let (Sign::Yes, topics::JOIN, [name]) = (claim.sign, topic.as_str(), args.as_slice())
                && NodeName::parse(name.as_str()).is_ok()
                && !hosts.contains(name.as_str())
            {
                self.add(name.as_str(), *key);
            }
        }
    }

    /// Every name with a key.
    pub(in crate::user) fn all(&self) -> impl Iterator<Item = (&str, Key)> {
        self.keys.iter().flat_map(|(name, keys)| keys.iter().map(|key| (name.as_str(), *key)))
    }

    /// The name of a key, if it has one.
    pub(in crate::user) fn name(&self, key: &Key) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }

    /// The name of a key, or the key.
    pub(in crate::user) fn show(&self, key: &Key) -> String {
        self.name(key).map_or_else(|| key.to_string(), str::to_owned)
    }

    /// The same, for a subject.
    pub(in crate::user) fn show_subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Key(key) => self.show(key),
            Subject::Group(group) => format!("@{group}"),
        }
    }

    /// The key that is meant by a name or a key.
    ///
    /// # Errors
    /// If it is neither, or several keys have that name.
    pub(in crate::user) fn key(&self, text: &str) -> Result<Key> {
        match self.keys.get(text).map(|keys| keys.iter().collect::<Vec<_>>()).as_deref() {
            Some([key]) => return Ok(**key),
            Some(several) => {
                let several: Vec<String> = several.iter().map(|key| format!("  {key}")).collect();
                bail!(
                    "Several keys are said to be {text}: write the one that you mean instead\n\n{}",
                    several.join("\n")
                )
            }
            None => {}
        }
        if let Ok(key) = text.parse() {
            return Ok(key);
        }
        if self.keyless.contains(text) {
            bail!(
                "There is no Ed25519 key in the host file of {text}: write its key instead, or get its host file anew"
            );
        }
        Err(anyhow!("There is no node `{text}' here: write one of {}, or a key (43 characters)", self.listed()))
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.keys.keys().map(String::as_str).take(LISTED).collect();
        let more = if self.keys.len() > LISTED { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    }

    /// The subject that is meant by a name, a key or `@GROUP`.
    ///
    /// # Errors
    /// If it is none.
    pub(in crate::user) fn subject(&self, text: &str) -> Result<Subject> {
        match text.strip_prefix('@') {
            Some(group) => match Word::new(group) {
                Ok(group) => Ok(Subject::Group(group)),
                Err(_) => bail!("`@' needs the name of a group behind it, for example @servers"),
            },
            None => self.key(text).map(Subject::Key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_bytes([byte; 32])
    }

    #[test]
    fn a_name_or_a_key_is_meant() {
        let mut names = Names::default();
        names.add("alice", key(1));
        assert_eq!(names.key("alice").unwrap(), key(1));
        assert_eq!(names.key(&key(7).to_string()).unwrap(), key(7));
        assert_eq!((names.show(&key(1)), names.show(&key(7))), ("alice".to_owned(), key(7).to_string()));
        assert_eq!(names.subject("@servers").unwrap(), Subject::Group(topics::word("servers")));
        assert!(names.key("bob").unwrap_err().to_string().contains("alice"));
        assert!(names.subject("@").is_err());
    }

    #[test]
    fn a_name_of_two_keys_is_not_guessed() {
        let mut names = Names::default();
        names.add("alice", key(1));
        names.add("alice", key(2));
        let error = names.key("alice").unwrap_err().to_string();
        assert!(error.contains(&key(1).to_string()) && error.contains(&key(2).to_string()), "{error}");
    }
}
