//! Files of the system that only programs in one namespace see.

use std::fs;
use std::path::PathBuf;

use super::namespace::Namespace;

/// Files in `/etc` of a namespace, in place of those of the system; those that are there when a program starts count.
pub(crate) struct Etc(PathBuf);

impl Etc {
    /// Names.
    pub(crate) fn with_hosts(namespace: &Namespace, text: &str) -> Self {
        let dir = PathBuf::from("/etc/netns").join(namespace.name());
        fs::create_dir_all(&dir).expect("we are root");
        let etc = Self(dir);
        etc.write("hosts", text);
        etc
    }

    /// Writes one, also while a program sees it.
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("the directory is ours");
    }

    /// Makes this host the only name server, and programs patient with it: a minute for each name.
    pub(crate) fn set_name_server(&self, address: &str) {
        self.write("resolv.conf", &format!("nameserver {address}\noptions timeout:30 attempts:2\n"))
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        // Only if nobody else uses it.
        let _ = fs::remove_dir("/etc/netns");
    }
}
