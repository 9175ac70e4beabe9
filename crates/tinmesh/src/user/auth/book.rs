//! What a command of `auth` works with: the statements of this node, judged as its daemon judges them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow, bail};
use fides::{Claim, Item, Key, Report, Time};
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::name::NodeName;
use tinmesh_core::time::Instant;
use tinmesh_core::trust::{self, Trust, TrustConfig};
use tinmesh_os::clock;

use super::names::Names;
use crate::config::{self, ConfigError};
use crate::control::client::{Client, ClientError};
use crate::control::encode;
use crate::files::statements::{kept_statements, statements_file};
use crate::files::{self, keys};
use crate::user::place::Place;

/// The moment of a command: nothing takes long enough to be another one.
pub(in crate::user) const NOW: Instant = Instant::ZERO;

/// The statements of this node, and who is who.
#[derive(Debug)]
pub(in crate::user) struct Book<'a> {
    /// Which network.
    pub(in crate::user) place: &'a Place,
    /// Name of this node.
    pub(in crate::user) own: NodeName,
    /// Its key.
    pub(in crate::user) me: Key,
    /// What the operator wants of trust.
    pub(in crate::user) config: TrustConfig,
    /// Names and keys.
    pub(in crate::user) names: Names,
    /// The statements, judged.
    pub(in crate::user) trust: Trust,
    /// What was wrong with the statements that were kept.
    pub(in crate::user) report: Report,
    /// Whether what is said is only signed, and does not act here.
    pub(in crate::user) only_sign: bool,
    secret: Option<SecretKey>,
    client: Option<Client>,
}

impl<'a> Book<'a> {
    /// Reads all that this node knows: from its daemon, or from its files if that does not run.
    ///
    /// # Errors
    /// If there is no network here, or its files or its daemon cannot be read.
    pub(in crate::user) fn open(place: &'a Place) -> Result<Self> {
        if !place.is_configured() {
            bail!("This machine is in no network yet. Make one first:\n\n  {}", place.sudo("up"));
        }
        let (own, config, secret, me) = identity(place)?;
        let mut client = connect(place)?;
        let text = match client.as_mut() {
            Some(client) => client.statements().map_err(|error| explain(place, error))?.join("\n"),
            None => kept_statements(&place.paths.confbase).context("Could not read the statements of this node")?,
        };
        let mut trust = judge(&config, me);
        let report = trust.import(&text, NOW);
        let mut names = Names::of_hosts(&place.paths);
        names.add(own.as_str(), me);
        names.learn(trust.ledger());
        Ok(Self { place, own, me, config, names, trust, report, only_sign: false, secret, client })
    }

    /// What time it is.
    pub(in crate::user) fn now(&self) -> Time {
        Time(clock::unix_seconds())
    }

    /// Whether a daemon runs.
    pub(in crate::user) const fn has_daemon(&self) -> bool {
        self.client.is_some()
    }

    /// Whether this node is a founder.
    pub(in crate::user) fn is_founder(&mut self) -> bool {
        self.trust.is_founder(self.me, NOW)
    }

    /// A copy of the judge, to try things with.
    pub(in crate::user) fn trial(&self) -> Trust {
        let mut trial = judge(&self.config, self.me);
        trial.import(&self.trust.lines().join("\n"), NOW);
        trial
    }

    /// Every key that this node knows of: of host files, of statements, and of founders.
    pub(in crate::user) fn known_keys(&mut self) -> BTreeSet<Key> {
        let mut keys: BTreeSet<Key> = self.names.all().map(|(_, key)| key).collect();
        keys.extend(self.trust.founders(NOW));
        keys.extend(self.config.founders.iter().copied());
        for statement in self.trust.ledger().statements() {
            match &statement.claim().about {
                fides::About::Allow { subject: fides::Subject::Key(key), .. } | fides::About::Trust { key, .. } => {
                    keys.insert(*key);
                }
                fides::About::Allow { .. } | fides::About::Revoke => {}
            }
        }
        keys
    }

    /// Signs claims with this node's key and lets them act; gives the statements.
    ///
    /// # Errors
    /// If the key cannot be read, a claim is none, or the daemon refuses it.
    pub(in crate::user) fn say(&mut self, claims: Vec<Claim>) -> Result<Vec<std::sync::Arc<fides::Statement>>> {
        let secret = self.secret.clone().ok_or_else(|| {
            let path = self.place.paths.private_key();
            anyhow!("This node's private key, {}, cannot be read: run it with sudo", path.display())
        })?;
        self.say_with(&secret, claims)
    }

    /// The same, with another key.
    ///
    /// # Errors
    /// As [`Book::say`].
    pub(in crate::user) fn say_with(
        &mut self,
        secret: &SecretKey,
        claims: Vec<Claim>,
    ) -> Result<Vec<std::sync::Arc<fides::Statement>>> {
        let mut statements = Vec::new();
        for claim in claims {
            match self.trust.say(secret, claim, NOW)? {
                Item::Statement(statement) => statements.push(statement),
                Item::Evidence(_) => {}
            }
        }
        if self.only_sign {
            return Ok(statements);
        }
        let lines: Vec<String> = statements.iter().map(ToString::to_string).collect();
        for outcome in self.hand_in(&lines)? {
            outcome.map_err(|why| anyhow!("The daemon refuses it: {why}"))?;
        }
        self.names.learn(self.trust.ledger());
        Ok(statements)
    }

    /// Lets lines act: by the daemon, or by the file if that does not run. Gives in one word what became of each, or why
    /// it was refused.
    ///
    /// # Errors
    /// If neither can be done.
    pub(in crate::user) fn hand_in(&mut self, lines: &[String]) -> Result<Vec<Result<String, String>>> {
        if let Some(client) = self.client.as_mut() {
            let outcomes: Result<Vec<_>, ClientError> = lines.iter().map(|line| client.accept(line)).collect();
            return outcomes.map_err(|error| explain(self.place, error));
        }
        let path = statements_file(&self.place.paths.confbase);
        let directory = path.parent().context("The file of statements is in no directory")?;
        files::make_dir(directory, 0o755)?;
        // Two commands at the same time must not undo each other.
        let alone =
            files::lock_directory_of(&path).with_context(|| format!("Could not lock {}", directory.display()))?;
        let mut trust = judge(&self.config, self.me);
        trust.import(&kept_statements(&self.place.paths.confbase)?, NOW);
        let take = |line: &String| match trust.accept(line, None, NOW) {
            Ok(accepted) => Ok(encode::word(&accepted).to_owned()),
            Err(refused) => Err(refused.to_string()),
        };
        let outcomes = lines.iter().map(take).collect();
        let text: String = trust.lines().iter().map(|line| format!("{line}\n")).collect();
        files::replace(&path, ".tmp", text.as_bytes(), 0o644)
            .map_err(|cause| anyhow!("Could not write {}: {}", path.display(), files::reason(&cause)))?;
        drop(alone);
        Ok(outcomes)
    }

    /// Lets the daemon read its settings anew, if it runs.
    pub(in crate::user) fn reload(&mut self) {
        let Some(client) = self.client.as_mut() else { return };
        if !matches!(client.ask(&crate::control::request::ControlRequest::Reload), Ok(0)) {
            eprintln!("The daemon could not read its configuration anew. Try: {}", self.place.sudo("reload"));
        }
    }
}

fn judge(config: &TrustConfig, me: Key) -> Trust {
    let mut trust = Trust::new(config.clone(), &trust::public_key(&me));
    trust.clock_mut().tell(NOW, clock::unix_millis());
    trust
}

/// Name, settings and key of this node. The private key is not needed for looking on.
fn identity(place: &Place) -> Result<(NodeName, TrustConfig, Option<SecretKey>, Key)> {
    match config::load(&place.paths, &[]) {
        Ok(loaded) => {
            let me = trust::key(&loaded.key.public());
            Ok((loaded.node.name, loaded.node.trust, Some(loaded.key), me))
        }
        Err(ConfigError::Key(_)) => {
            let read = config::reread(&place.paths, &[], None)?;
            let path = place.paths.host_file(&read.node.name);
            let told = files::read(&path).ok().and_then(|text| keys::public_in(&text));
            let key = told.ok_or_else(|| {
                let private = place.paths.private_key();
                anyhow!("Neither {} nor {} tells this node's key: run it with sudo", private.display(), path.display())
            })?;
            Ok((read.node.name, read.node.trust, None, trust::key(&key)))
        }
        Err(error) => Err(error.into()),
    }
}

fn connect(place: &Place) -> Result<Option<Client>> {
    match Client::connect(&place.paths) {
        Ok(client) => Ok(Some(client)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) if error.is_permission() => bail!("Only root may speak with the daemon: run it with sudo ({error})"),
        Err(error) => Err(error.into()),
    }
}

fn explain(place: &Place, error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Unexpected => anyhow!(
            "The daemon that runs does not know statements: it is an older one, or tinc's. Restart it:\n\n  {}",
            place.sudo("restart")
        ),
        ClientError::Timeout | ClientError::Closed | ClientError::Io(_) | ClientError::Dump(_) => error.into(),
    }
}
