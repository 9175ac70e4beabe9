//! Commands of tinc that only answer, for people or for programs (`docs/json.md`).

use clap::{Args, Subcommand};

/// A command of tinc that changes nothing, unless `--force` lets `fsck` mend something.
#[derive(Clone, Debug, Subcommand)]
pub enum Question {
    /// Print the value of a variable
    #[command(
        after_help = "Examples:  tinmesh get Port\n           tinmesh get bob.Address   from bob's host file\n\n\
        All variables: tinmesh help variables"
    )]
    Get {
        /// The variable, with NODE. in front for that node's host file
        #[arg(value_parser = variable_name)]
        variable: String,
        #[command(flatten)]
        form: Form,
    },
    /// Tell all that is known of a node, a subnet or an address
    #[command(after_help = "Examples:  tinmesh info bob\n           tinmesh info 10.0.0.7     who owns this address")]
    Info {
        /// The node, subnet or address
        #[arg(value_name = "NODE|SUBNET|ADDRESS")]
        item: String,
        #[command(flatten)]
        form: Form,
    },
    /// Print the number of the daemon's process
    Pid(Form),
    /// List the networks of this machine
    Network {
        /// Whether this could be a network's name
        #[arg(value_name = "NET", conflicts_with = "json")]
        network: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Look for mistakes in the files
    #[command(after_help = "With --force, what can be mended is mended; else each question is asked on a terminal.")]
    Fsck(Form),
    /// Tell the version
    Version(Form),
}

/// Whether a person or a program reads.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Form {
    /// Print JSON instead of text (docs/json.md says which)
    #[arg(long)]
    pub json: bool,
}

/// The name of a variable; `get` with a value would set it.
fn variable_name(word: &str) -> Result<String, &'static str> {
    let name = !word.contains(|c: char| c == '=' || c.is_whitespace());
    name.then(|| word.to_owned()).ok_or("this is not the name of a variable; `tinmesh set` gives one a value")
}

impl Question {
    /// How tinc is asked the same.
    pub fn words(&self) -> Vec<String> {
        let (name, arguments) = self.parts();
        std::iter::once(name.to_owned()).chain(arguments).collect()
    }

    /// Its name and arguments, as tinc is told.
    pub(super) fn parts(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::Get { variable, .. } => ("get", vec![variable.clone()]),
            Self::Info { item, .. } => ("info", vec![item.clone()]),
            Self::Pid(_) => ("pid", Vec::new()),
            Self::Network { network, .. } => ("network", network.iter().cloned().collect()),
            Self::Fsck(_) => ("fsck", Vec::new()),
            Self::Version(_) => ("version", Vec::new()),
        }
    }

    /// Whether a program asks.
    pub const fn json(&self) -> bool {
        match self {
            Self::Get { form, .. }
            | Self::Info { form, .. }
            | Self::Network { form, .. }
            | Self::Pid(form)
            | Self::Fsck(form)
            | Self::Version(form) => form.json,
        }
    }
}
