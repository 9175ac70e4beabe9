//! Addresses that worked: `cache/NAME`, in tinc's layout (spec: configuration 1, meta-protocol 14).

use std::net::SocketAddr;

use tinmesh_core::name::NodeName;
use tinmesh_core::wire::address_cache;

use crate::files;
use crate::paths::Paths;

/// The addresses at which a node was reached, the latest first; none if there is no such file.
pub fn read(paths: &Paths, name: &NodeName) -> Vec<SocketAddr> {
    let path = paths.cache().join(name.as_str());
    files::read(&path).map(|bytes| address_cache::decode(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::PathOptions;

    #[test]
    fn what_a_daemon_kept_is_read_and_a_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let options = PathOptions { config: Some(dir.path().to_owned()), ..PathOptions::default() };
        let paths = Paths::for_control(&options).unwrap();
        let addresses = ["10.0.0.1:655".parse().unwrap()];
        std::fs::create_dir(paths.cache()).unwrap();
        std::fs::write(paths.cache().join("bob"), address_cache::encode(&addresses)).unwrap();

        assert_eq!(read(&paths, &NodeName::parse("bob").unwrap()), addresses);
        assert!(read(&paths, &NodeName::parse("carol").unwrap()).is_empty());
    }
}
