//! When the interface is set up, and `tinc-up` and `tinc-down` run: at start and at the end, or with `DeviceStandby`
//! while another node can be reached (spec: routing 2.7, configuration 9.3).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tinmesh_core::node::io::Event;
use tracing::error;

use crate::config::DaemonSettings;
use crate::daemon::interface;
use crate::daemon::scripts::{Script, ScriptSettings, Scripts};

/// The interface as the machine sees it: in use or not. Clones share that.
#[derive(Clone, Debug)]
pub struct Standby {
    /// The interface that is ours to set up.
    interface: Option<String>,
    settings: DaemonSettings,
    up: Arc<AtomicBool>,
    /// Other nodes that can be reached.
    reachable: usize,
}

impl Standby {
    /// An interface that is not in use yet; `None` if the kernel knows none.
    pub fn new(interface: Option<&str>, settings: &DaemonSettings) -> Self {
        let up = Arc::new(AtomicBool::new(false));
        Self { interface: interface.map(str::to_owned), settings: settings.clone(), up, reachable: 0 }
    }

    /// The daemon starts: uses the interface, unless it has to stand by.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn start(&self, scripts: &ScriptSettings) -> io::Result<()> {
        if !self.settings.device_standby {
            self.set_up()?;
            scripts.run(&Script::plain("tinc-up"));
            self.up.store(true, Relaxed);
        }
        Ok(())
    }

    /// Counts nodes.
    pub fn note(&mut self, event: &Event) {
        if matches!(event, Event::NodeUp { .. }) {
            self.reachable += 1;
        } else if matches!(event, Event::NodeDown { .. }) {
            self.reachable = self.reachable.saturating_sub(1);
        }
    }

    /// Standing by, uses the interface or leaves it, as nodes came or went; their own scripts are queued before.
    pub fn follow(&self, scripts: &Scripts) {
        let wanted = self.reachable > 0;
        if !self.settings.device_standby || self.up.swap(wanted, Relaxed) == wanted {
            return;
        }
        let changed = if wanted { self.set_up() } else { self.set_down() };
        if let Err(cause) = changed {
            error!("Could not change the network interface; it needs the rights that the daemon gave up: {cause}");
        }
        scripts.queue(Script::plain(if wanted { "tinc-up" } else { "tinc-down" }));
    }

    /// The daemon ends.
    pub fn finish(&self, scripts: &ScriptSettings) {
        if self.up.swap(false, Relaxed) {
            scripts.run(&Script::plain("tinc-down"));
        }
    }

    fn set_up(&self) -> io::Result<()> {
        self.interface.as_deref().map_or(Ok(()), |name| interface::set_up(name, &self.settings))
    }

    fn set_down(&self) -> io::Result<()> {
        self.interface.as_deref().map_or(Ok(()), |name| interface::set_down(name, &self.settings))
    }
}
