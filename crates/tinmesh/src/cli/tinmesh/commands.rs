//! tinc's commands as commands of `tinmesh`: each with its own help, and the words that tinc has for it
//! (spec: cli B).

use clap::{Args, Subcommand};

pub mod questions;

pub use self::questions::{Form, Question};

/// A command that tinc has too.
#[derive(Clone, Debug, Subcommand)]
pub enum TincCommand {
    /// Make the files of a new node, without starting anything
    #[command(after_help = "`tinmesh up` does this too, and chooses addresses and starts the daemon.\n\n\
        Example:  sudo tinmesh -n vpn init alice")]
    Init {
        /// Name of the node: letters, digits and underscores
        name: Option<String>,
    },
    /// Those that programs ask too.
    #[command(flatten)]
    Question(Question),
    /// Give a variable one value, instead of those it has
    #[command(after_help = "The running daemon reads its files again.\n\n\
        Example:  sudo tinmesh set PingInterval 30\n\nWhat a variable is for: tinmesh help PingInterval")]
    Set(Setting),
    /// Give a variable one more value
    #[command(after_help = "Example:  sudo tinmesh add ConnectTo bob\n\nRemove it again: tinmesh del ConnectTo bob")]
    Add(Setting),
    /// Remove a variable, or only its lines with one value
    #[command(after_help = "Example:  sudo tinmesh del ConnectTo bob")]
    Del {
        /// The variable, with NODE. in front for that node's host file
        variable: String,
        /// Only lines with this value
        value: Vec<String>,
    },
    /// Start the daemon unless it runs
    #[command(after_help = "Options of tincd may follow.\n\nExample:  sudo tinmesh start -d3")]
    Start(DaemonWords),
    /// Stop the daemon; `down` waits until everything is gone
    Stop,
    /// Stop the daemon and start it
    Restart(DaemonWords),
    /// Let the daemon read its files again
    #[command(
        after_help = "docs/configuration.md says which variables count after a reload, and which need a restart."
    )]
    Reload,
    /// Make new keys, for tinc 1.1 and for tinc 1.0
    #[command(after_help = "The other nodes must get the new host file: tinmesh export")]
    GenerateKeys(Bits),
    /// Make a new RSA key, for tinc 1.0
    GenerateRsaKeys(Bits),
    /// Make a new Ed25519 key
    GenerateEd25519Keys,
    /// Forget nodes that cannot be reached
    Purge,
    /// Set how much the daemon logs: 0 little, 5 everything
    #[command(after_help = "To look on without changing the log: tinmesh log 5")]
    Debug {
        /// The level
        #[arg(allow_negative_numbers = true)]
        level: String,
    },
    /// Try all connections now that wait for another attempt
    Retry,
    /// Close the connection with a node
    #[command(after_help = "Nodes connect again by themselves if ConnectTo or AutoConnect says so.")]
    Disconnect {
        /// The node
        node: String,
    },
    /// Watch traffic by node, until q is pressed
    Top,
    /// Write packets of the network to standard output, in the format of tcpdump
    #[command(after_help = "Example:  sudo tinmesh pcap | tcpdump -r -")]
    Pcap {
        /// Bytes of each packet; all without it
        snaplen: Option<String>,
    },
    /// Follow what the daemon logs
    #[command(after_help = "Example:  sudo tinmesh log 3")]
    Log {
        /// Level, 0 to 5; that of the daemon without it
        #[arg(allow_negative_numbers = true)]
        level: Option<String>,
    },
    /// Print this node's host file, for other nodes to import
    #[command(after_help = "Example:  tinmesh export | ssh bob sudo tinmesh import")]
    Export,
    /// Print all host files
    ExportAll,
    /// Read host files from standard input
    #[command(after_help = "Files that are there already are kept, unless --force is given.")]
    Import,
    /// Export, then import
    #[command(after_help = "Example:  ssh bob tinmesh exchange <<< \"$(tinmesh export)\" | tinmesh import")]
    Exchange,
    /// Export all, then import
    ExchangeAll,
    /// Edit a file of the configuration, and let the daemon read it
    #[command(after_help = "Examples:  sudo tinmesh edit tinc.conf\n           sudo tinmesh edit hosts/bob\n\n\
        The editor is that of VISUAL or EDITOR.")]
    Edit {
        /// tinc.conf, a script, or a node's host file
        file: String,
    },
    /// Sign a file with this node's key
    #[command(
        after_help = "Example:  tinmesh sign letter > letter.signed\n\nElsewhere: tinmesh verify alice letter.signed"
    )]
    Sign {
        /// The file; standard input without it
        file: Option<String>,
    },
    /// Check a signature and print what was signed
    Verify {
        /// Who must have signed; . for this node, * for any
        node: String,
        /// The file; standard input without it
        file: Option<String>,
    },
}

/// A variable and its value.
#[derive(Args, Clone, Debug)]
pub struct Setting {
    /// The variable, with NODE. in front for that node's host file
    variable: String,
    /// The value
    #[arg(required = true, allow_negative_numbers = true)]
    value: Vec<String>,
}

/// Options for the daemon.
#[derive(Args, Clone, Debug, Default)]
pub struct DaemonWords {
    /// Options of tincd: tincd --help
    #[arg(value_name = "TINCD OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// The size of a key.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Bits {
    /// Size of the RSA key
    bits: Option<u32>,
}

impl TincCommand {
    /// How tinc is told the same.
    pub fn words(&self) -> Vec<String> {
        let (name, arguments) = self.parts();
        std::iter::once(name.to_owned()).chain(arguments).collect()
    }

    fn parts(&self) -> (&'static str, Vec<String>) {
        let pair =
            |first: &str, rest: &[String]| std::iter::once(first.to_owned()).chain(rest.iter().cloned()).collect();
        let one = |word: &String| vec![word.clone()];
        let perhaps = |word: &Option<String>| word.iter().cloned().collect();
        let size = |bits: &Bits| bits.bits.iter().map(u32::to_string).collect();
        match self {
            Self::Init { name } => ("init", perhaps(name)),
            Self::Question(question) => question.parts(),
            Self::Set(setting) => ("set", pair(&setting.variable, &setting.value)),
            Self::Add(setting) => ("add", pair(&setting.variable, &setting.value)),
            Self::Del { variable, value } => ("del", pair(variable, value)),
            Self::Start(daemon) => ("start", daemon.words.clone()),
            Self::Stop => ("stop", Vec::new()),
            Self::Restart(daemon) => ("restart", daemon.words.clone()),
            Self::Reload => ("reload", Vec::new()),
            Self::GenerateKeys(bits) => ("generate-keys", size(bits)),
            Self::GenerateRsaKeys(bits) => ("generate-rsa-keys", size(bits)),
            Self::GenerateEd25519Keys => ("generate-ed25519-keys", Vec::new()),
            Self::Purge => ("purge", Vec::new()),
            Self::Debug { level } => ("debug", one(level)),
            Self::Retry => ("retry", Vec::new()),
            Self::Disconnect { node } => ("disconnect", one(node)),
            Self::Top => ("top", Vec::new()),
            Self::Pcap { snaplen } => ("pcap", perhaps(snaplen)),
            Self::Log { level } => ("log", perhaps(level)),
            Self::Export => ("export", Vec::new()),
            Self::ExportAll => ("export-all", Vec::new()),
            Self::Import => ("import", Vec::new()),
            Self::Exchange => ("exchange", Vec::new()),
            Self::ExchangeAll => ("exchange-all", Vec::new()),
            Self::Edit { file } => ("edit", one(file)),
            Self::Sign { file } => ("sign", perhaps(file)),
            Self::Verify { node, file } => ("verify", pair(node, file.as_slice())),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.parts().0
    }

    /// Whether it is of no use without a running daemon.
    pub fn needs_daemon(&self) -> bool {
        ["reload", "pid", "info", "purge", "debug", "retry", "disconnect", "top", "pcap", "log"].contains(&self.name())
    }

    /// Whether it is about a network that exists on this machine.
    pub fn needs_network(&self) -> bool {
        !["init", "network", "version"].contains(&self.name())
    }
}
