//! `tinmesh auth`: who may do what.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::commands::Form;

/// What was typed after `tinmesh auth`.
#[derive(Args, Clone, Debug)]
#[command(
    subcommand_value_name = "COMMAND",
    after_help = "A network is open, as tinc's are, until somebody founds it:\n\n\
    sudo tinmesh auth found                       from here on, members are let in by founders\n\
    sudo tinmesh auth allow bob for 7d            bob may join, with the addresses in his host file\n\
    sudo tinmesh auth allow bob own 10.1.0.0/16   bob may announce these addresses\n\
    sudo tinmesh auth deny bob                    at once, everywhere\n\
    tinmesh auth why bob join                     who said so, until when, and how to change it\n\n\
    Topics:      join [NAME], own PREFIX|MAC|any, relay, rate N, reach [GROUP [tcp|udp|icmp|other|any [PORT]]],\n             \
    tag GROUP, name NAME, invite, found\n\
    Subjects:    the name of a node, a key, or @GROUP\n\
    Validity:    for 30m|12h|7d, or until 2027-01-31 or 2027-01-31T12:00 (UTC); 90 days without either\n\n\
    What was signed is printed as a line. It can be pasted anywhere and counts where `tinmesh auth import` reads it."
)]
pub struct Auth {
    /// What to do.
    #[command(subcommand)]
    pub command: AuthCommand,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthCommand {
    /// Close this network: this node becomes its founder
    #[command(
        after_help = "This node says that it and the nodes of its hosts directory may join, with the addresses of \
        their host files. Who is not among them is cut off, until it is allowed.\n\n\
        Other nodes learn who the founder is by: sudo tinmesh auth founder add NAME\n\
        Nodes that are invited later know it from the invitation."
    )]
    Found(Consent),
    /// Choose who else is a founder
    Founder {
        /// What to do.
        #[command(subcommand)]
        change: FounderChange,
    },
    /// Say that a node may do something
    #[command(after_help = "Without a topic: that it may join, with the addresses of its host file.\n\n\
        Examples:  sudo tinmesh auth allow bob for 7d\n           \
        sudo tinmesh auth allow bob own 10.1.0.0/16 10.2.0.0/16 until 2027-06-30\n           \
        sudo tinmesh auth allow bob relay with mbday 500\n           \
        sudo tinmesh auth allow bob rate 2000\n           \
        sudo tinmesh auth allow @laptops reach servers tcp 22")]
    Allow(Words),
    /// Say that a node may not do something; acts at once
    #[command(after_help = "Without a topic: that it may not join, under any name.\n\n\
        Examples:  sudo tinmesh auth deny mallory\n           sudo tinmesh auth deny bob own 10.9.0.0/16\n\n\
        Take it back: tinmesh auth forget NODE")]
    Deny(Words),
    /// Take back what this node said of another
    #[command(after_help = "Examples:  sudo tinmesh auth forget bob         all of it\n           \
        sudo tinmesh auth forget bob join    only in this topic")]
    Forget(Words),
    /// Say that the word of a node counts
    #[command(after_help = "Examples:  sudo tinmesh auth trust bob for join\n           \
        sudo tinmesh auth trust bob for join own depth 1   and it may introduce others")]
    Trust(Words),
    /// Say that the word of a node does not count
    #[command(after_help = "Example:  sudo tinmesh auth distrust bob for join")]
    Distrust(Words),
    /// Show what is not decided, and vote on it
    #[command(after_help = "Examples:  tinmesh auth vote            what is open, with numbers\n           \
        sudo tinmesh auth vote yes 1")]
    Vote {
        /// `yes` or `no`, and the number of the question.
        #[arg(value_name = "yes|no N")]
        words: Vec<String>,
        #[command(flatten)]
        form: Form,
    },
    /// List statements
    List {
        /// Only those about this node, or by it.
        node: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Tell whether a node may do something, and why
    #[command(after_help = "Examples:  tinmesh auth why bob join\n           tinmesh auth why bob own 10.1.2.0/24")]
    Why {
        /// NODE TOPIC ARGS…
        #[arg(value_name = "NODE TOPIC ARGS", required = true, num_args = 2..)]
        words: Vec<String>,
        #[command(flatten)]
        form: Form,
    },
    /// List the nodes that may do something
    #[command(after_help = "Example:  tinmesh auth who-can own 10.1.2.0/24")]
    WhoCan {
        /// TOPIC ARGS…
        #[arg(value_name = "TOPIC ARGS", required = true)]
        words: Vec<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Try statements without taking them in, and test what follows
    #[command(after_help = "A file (or standard input) has statements, which are only tried, and cases:\n\n  \
        alice may join: yes\n  mallory may own 10.1.0.0/16: no\n\n\
        It is told what the statements would change. Exit code 1: a case fails, or a line is wrong.")]
    Check {
        /// The file; standard input without it, or with `-`.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Take in statements: lines that somebody exported, mailed or pasted
    Import {
        /// The file; standard input without it, or with `-`.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print all statements, to be imported elsewhere
    Export {
        /// The file; standard output without it.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print the statements that match a pattern
    #[command(after_help = "A pattern is ISSUER SIGN VERB WORDS…, with * for any word; it may end early.\n\n\
        Example:  tinmesh auth find 'alice + allow bob'")]
    Find {
        /// The pattern, as one word or several.
        #[arg(required = true, allow_hyphen_values = true)]
        pattern: Vec<String>,
    },
    /// Look for mistakes in what this node knows
    Fsck,
    /// Declare a key void, for ever: all it said, and all it may do
    #[command(
        after_help = "Without --with it is this node's own key. With the private key of a stolen machine, from its \
        backup: sudo tinmesh auth revoke --with ed25519_key.priv"
    )]
    Revoke {
        /// File with the private key that is to be revoked.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        with: Option<PathBuf>,
        #[command(flatten)]
        consent: Consent,
    },
    /// Give this node another key; the old one vouches for it, and is revoked with --finish
    #[command(after_help = "In two steps, because a revoked key vouches for nobody:\n\n  \
        sudo tinmesh auth rekey             a new key; the old one says that it may do the same\n  \
        sudo tinmesh auth rekey --finish    once the others have the new host file: the old key is revoked")]
    Rekey {
        /// Revoke the old key.
        #[arg(long)]
        finish: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

/// Who else is a founder.
#[derive(Clone, Debug, Subcommand)]
pub enum FounderChange {
    /// Believe this node from here on, and vote for it if this node is a founder
    Add {
        /// The node, or its key.
        node: String,
    },
    /// Believe it no longer, and vote against it if this node is a founder
    Remove {
        /// The node, or its key.
        node: String,
    },
}

/// Whether to ask before something that has consequences.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Consent {
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// A sentence.
#[derive(Args, Clone, Debug)]
pub struct Words {
    /// NODE, and what is said of it
    #[arg(value_name = "NODE WORDS", required = true)]
    pub words: Vec<String>,
    /// Only print the signed line: it acts where somebody imports it.
    #[arg(long)]
    pub print: bool,
}
