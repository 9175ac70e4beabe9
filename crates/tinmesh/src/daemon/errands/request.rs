//! What servants are asked for: the words between the daemon and them, and which of those are agreed to at all (spec:
//! configuration 10.1).

use serde::{Deserialize, Serialize};
use tinmesh_core::crypto::keys::PublicKey;
use tinmesh_core::name::NodeName;

/// Longest value of a variable, in bytes.
const MAX_VALUE: usize = 4096;
/// Scripts that are not a node's own.
const SCRIPTS: [&str; 7] =
    ["tinc-up", "tinc-down", "host-up", "host-down", "subnet-up", "subnet-down", "invitation-accepted"];
/// What the caller may say about an event; everything else the servant knows itself.
const VARIABLES: [&str; 7] = ["NODE", "NAME", "REMOTEADDRESS", "REMOTEPORT", "SUBNET", "WEIGHT", "DEBUG"];

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Run a script.
    Script {
        /// Its name below confbase: one of tinc's.
        name: String,
        /// What it is told, under names that tinc uses.
        variables: Vec<(String, String)>,
    },
    /// Add a node's key to its host file, or make that file.
    Key {
        /// The node.
        name: NodeName,
        /// Its key.
        key: PublicKey,
        /// Whether the node was invited and has no file.
        invited: bool,
    },
    /// Open the log file.
    Log,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// It is no request.
    #[error("this is not done here")]
    Unknown,
    /// It would run another program, or say something else to it.
    #[error("this is no script of tinc's")]
    Script,
    /// It would write another file, or something else into it.
    #[error("this is no key of a node")]
    Key,
}

/// An errand as it is written.
#[derive(Serialize, Deserialize)]
enum Written {
    Script { name: String, variables: Vec<(String, String)> },
    Key { name: String, key: String, invited: bool },
    Log,
}

impl Errand {
    /// Reads a request, and refuses what no daemon in its right mind asks for.
    ///
    /// # Errors
    /// If it is not agreed to.
    pub fn parse(request: &[u8]) -> Result<Self, ErrandError> {
        match serde_json::from_slice(request).map_err(|_| ErrandError::Unknown)? {
            Written::Script { name, variables } => {
                let agreed = is_script(&name) && variables.iter().all(|(variable, value)| is_variable(variable, value));
                if agreed { Ok(Self::Script { name, variables }) } else { Err(ErrandError::Script) }
            }
            Written::Key { name, key, invited } => {
                let name = NodeName::parse(&name).map_err(|_| ErrandError::Key)?;
                let key = PublicKey::from_base64(&key).map_err(|_| ErrandError::Key)?;
                Ok(Self::Key { name, key, invited })
            }
            Written::Log => Ok(Self::Log),
        }
    }

    /// The request for this.
    pub fn encode(&self) -> Vec<u8> {
        let written = match self.clone() {
            Self::Script { name, variables } => Written::Script { name, variables },
            Self::Key { name, key, invited } => Written::Key { name: name.to_string(), key: key.to_base64(), invited },
            Self::Log => Written::Log,
        };
        serde_json::to_vec(&written).expect("strings and flags can be written")
    }
}

/// A node's host file is no script, because a node's name has no hyphen.
fn is_script(name: &str) -> bool {
    let node =
        name.strip_prefix("hosts/").and_then(|rest| rest.strip_suffix("-up").or_else(|| rest.strip_suffix("-down")));
    SCRIPTS.contains(&name) || node.is_some_and(|node| NodeName::parse(node).is_ok())
}

fn is_variable(name: &str, value: &str) -> bool {
    VARIABLES.contains(&name) && value.len() <= MAX_VALUE && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str, variables: &[(&str, &str)]) -> Errand {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Errand::Script { name: name.to_owned(), variables }
    }

    fn parsed(errand: &Errand) -> Result<Errand, ErrandError> {
        Errand::parse(&errand.encode())
    }

    #[test]
    fn every_script_of_tinc_is_run() {
        for name in SCRIPTS.into_iter().chain(["hosts/bob-up", "hosts/bob_2-down"]) {
            let errand = script(name, &[("NODE", "bob"), ("WEIGHT", "")]);
            assert_eq!(parsed(&errand), Ok(errand));
        }
    }

    #[test]
    fn no_other_program_is_run() {
        let names = ["", "tinc-up.bak", "hosts/../x-up", "hosts/-up", "hosts/bob", "../tinc-up", "hosts/a-b-up"];
        for name in names.into_iter().chain(["invitation-created", "/tinc-up"]) {
            assert_eq!(parsed(&script(name, &[])), Err(ErrandError::Script), "{name}");
        }
    }

    #[test]
    fn scripts_are_told_only_what_tinc_tells() {
        let long = "x".repeat(MAX_VALUE + 1);
        for (name, value) in [("LD_PRELOAD", "x"), ("PATH", "/tmp"), ("NODE", "a\0b"), ("NODE", &long)] {
            assert_eq!(parsed(&script("tinc-up", &[(name, value)])), Err(ErrandError::Script), "{name}");
        }
    }

    #[test]
    fn only_a_key_goes_only_into_the_host_file_of_a_node() {
        let key = "A".repeat(43);
        let write = |name: &str, key: &str| {
            let written = Written::Key { name: name.to_owned(), key: key.to_owned(), invited: true };
            Errand::parse(&serde_json::to_vec(&written).unwrap())
        };
        assert!(matches!(write("bob", &key), Ok(Errand::Key { invited: true, .. })));
        for (name, key) in [("bob-up", key.as_str()), ("../bob", &key), ("carol", "exit 0"), ("carol", "")] {
            assert_eq!(write(name, key), Err(ErrandError::Key), "{name} {key}");
        }
    }

    #[test]
    fn what_is_no_errand_is_refused() {
        let deep = "[".repeat(60_000);
        for text in ["", "\"log\"", "\"Log\"x", "{\"Script\":{}}", "{\"Remove\":{\"name\":\"/\"}}", "\0", &deep] {
            assert_eq!(Errand::parse(text.as_bytes()), Err(ErrandError::Unknown), "{text:.20}");
        }
    }
}
