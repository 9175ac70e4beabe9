//! Which network of this machine a command is about, and its daemon.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use clap::ColorChoice;

use crate::cli::tinc::TincOptions;
use crate::cli::tinmesh::Network;
use crate::control::client::{Client, ConnectError};
use crate::paths::Paths;
use crate::tinc_daemon::launch::Launch;

/// One network of this machine, whether it exists or is about to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// How tinc's tools would be called for it.
    pub(crate) options: TincOptions,
    /// Where everything is.
    pub(crate) paths: Paths,
    /// Whether to use colours.
    pub(crate) color: ColorChoice,
}

impl Place {
    /// The network that was named, or the only one there is.
    ///
    /// # Errors
    /// If none was named and there are several, or the name cannot be one.
    pub(crate) fn find(network: &Network) -> Result<Self> {
        let place = Self::named(network)?;
        let chosen = network.config.is_some() || network.net.is_some() || place.paths.netname.is_some();
        if chosen || place.is_configured() {
            return Ok(place);
        }
        match &networks(&place.paths.confdir)[..] {
            [] => Ok(place),
            [only] => Self::named(&Network { net: Some(only.clone()), ..network.clone() }),
            several => bail!("This machine is in several networks: say which one, with --net {}", several.join("|")),
        }
    }

    /// The network that was named, or the nameless one.
    ///
    /// # Errors
    /// If the name cannot be one.
    pub(crate) fn named(network: &Network) -> Result<Self> {
        let options = network.tinc_options(Vec::new());
        let paths = Paths::for_control(&options.path_options())?;
        let net = options.net.clone().or_else(|| paths.netname.clone());
        Ok(Self { options: TincOptions { net, ..options }, paths, color: network.color })
    }

    /// The same, where an invitation chose the network's name.
    pub(crate) fn moved_to(&self, paths: &Paths) -> Self {
        let options = TincOptions { net: paths.netname.clone(), ..self.options.clone() };
        Self { options, paths: paths.clone(), color: self.color }
    }

    /// Whether the network exists on this machine.
    pub(crate) fn is_configured(&self) -> bool {
        self.paths.tinc_conf().exists()
    }

    /// How a command for this network is typed.
    pub(crate) fn command(&self, words: &str) -> String {
        let mut text = format!("tinmesh {words}");
        if let Some(config) = &self.options.config {
            text.push_str(&format!(" --config {}", config.display()));
        } else if let Some(net) = &self.paths.netname {
            text.push_str(&format!(" --net {net}"));
        }
        text
    }

    /// The same, for what only root may do.
    pub(crate) fn sudo(&self, words: &str) -> String {
        format!("sudo {}", self.command(words))
    }

    /// Refuses what only root can do, before anything is begun.
    ///
    /// # Errors
    /// If this is not root, unless the place was chosen by hand.
    pub(crate) fn require_root(&self, words: &str) -> Result<()> {
        if tinmesh_os::process::is_root() || self.paths.explicit {
            return Ok(());
        }
        bail!("Only root can do this: run it with sudo:\n\n  {}", self.sudo(words))
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    /// If that does not work, with what to do about it.
    pub(crate) fn connect(&self) -> Result<Client> {
        Client::connect(&self.paths).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: ConnectError) -> anyhow::Error {
        if !self.is_configured() && error.is_absence() {
            return anyhow!(
                "This machine is in no network yet. Make one, or join one:\n\n  {}\n  sudo tinmesh join URL",
                self.sudo("up")
            );
        }
        if error.is_permission() {
            return anyhow!("Only root may speak with the daemon: run it with sudo ({error})");
        }
        if error.is_absence() {
            return anyhow!("The daemon does not run. Start it:\n\n  {}", self.sudo("up"));
        }
        error.into()
    }

    /// The daemon of this network, to be started with further options.
    ///
    /// # Errors
    /// If the system does not tell where this program is.
    pub(crate) fn launch(&self, further: &[&str]) -> Result<Launch> {
        let mut words = self.options.daemon_words();
        words.extend(further.iter().map(|word| (*word).to_owned()));
        Launch::own(words)
    }
}

/// The names of the networks that are configured below `confdir`.
fn networks(confdir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(confdir).into_iter().flatten().flatten();
    let configured = entries.filter(|entry| entry.path().join("tinc.conf").exists());
    let mut names: Vec<String> = configured.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_directory_with_a_configuration() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["vpn", "empty", "home", ".hidden"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in ["vpn", "home", ".hidden"] {
            std::fs::write(dir.path().join(name).join("tinc.conf"), "").unwrap();
        }
        assert_eq!(networks(dir.path()), ["home", "vpn"]);
        assert_eq!(networks(&dir.path().join("missing")), [] as [&str; 0]);
    }

    #[test]
    fn hints_name_the_network_as_it_was_named() {
        let vpn = Network { net: Some("vpn".to_owned()), ..Network::default() };
        assert_eq!(Place::named(&vpn).unwrap().sudo("up"), "sudo tinmesh up --net vpn");
        let dir = Network { config: Some("/tmp/x".into()), ..vpn };
        assert_eq!(Place::named(&dir).unwrap().command("status"), "tinmesh status --config /tmp/x");
    }
}
