//! Reading an invitation: part by part, line by line, each line judged by itself (spec: invitations 5.1 to 5.4).

use std::collections::BTreeMap;

use fides::Unchecked;
use tinmesh_core::invite::rights::{ALLOW, ALLOW_FOR};
use tinmesh_core::name::NodeName;

use super::{Form, JoinError, Received};
use crate::config::kind::{self, Range};
use crate::config::syntax;
use crate::config::variables::Variable;
use crate::files::invitations::SEPARATOR;
use crate::files::script::Script;

/// Ranges that an inviter may use on a machine that joins: those that are nobody's on the Internet.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// Statements that are taken from an invitation.
const MAX_STATEMENTS: usize = 64;

/// An invitation whose first line is a name.
#[derive(Debug)]
pub(super) struct Joining<'a> {
    received: &'a Received<'a>,
    /// The name in the file.
    invited: NodeName,
    lines: Vec<(&'a str, &'a str, &'a str)>,
    outcome: Outcome,
}

/// What the invitation becomes.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: NodeName,
    pub(super) tinc_conf: String,
    pub(super) own_host: String,
    pub(super) hosts: BTreeMap<NodeName, String>,
    pub(super) script: Script,
    /// Lines that the new node knows from the start.
    pub(super) statements: Vec<String>,
    ifconfig: Vec<Range>,
    pub(super) notes: Vec<String>,
}

impl<'a> Joining<'a> {
    pub(super) fn parse(received: &'a Received<'a>) -> Result<Self, JoinError> {
        // What follows the first foreign byte is not looked at.
        let text = received.text.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(|line| (line, syntax::split(line))).collect();
        let (_, (variable, value)) = lines.first().ok_or(JoinError::NoName)?;
        if !variable.eq_ignore_ascii_case("Name") || value.is_empty() {
            return Err(JoinError::NoName);
        }
        let invited = NodeName::parse(value).map_err(|_| JoinError::BadName)?;
        let name = received.name.unwrap_or(&invited).clone();
        let lines = lines.into_iter().map(|(line, (variable, value))| (line, variable, value)).collect();
        let outcome = Outcome {
            tinc_conf: format!("Name = {name}\n"),
            name,
            own_host: String::new(),
            hosts: BTreeMap::new(),
            script: Script::default(),
            statements: Vec::new(),
            ifconfig: Vec::new(),
            notes: Vec::new(),
        };
        Ok(Self { received, invited, lines, outcome })
    }

    /// The netname that the invitation asks for.
    pub(super) fn netname(&self) -> Option<&'a str> {
        self.lines.iter().find(|(_, variable, _)| variable.eq_ignore_ascii_case("NetName")).map(|(_, _, value)| *value)
    }

    /// Reads the rest.
    pub(super) fn finish(mut self) -> Result<Outcome, JoinError> {
        let lines = std::mem::take(&mut self.lines);
        let is_next = |(_, variable, value): &(&str, &str, &str)| {
            variable.eq_ignore_ascii_case("Name") && *value != self.invited.as_str()
        };
        let end = lines.iter().position(is_next).unwrap_or(lines.len());
        let (own, others) = lines.split_at(end);
        for (line, variable, value) in own.iter().skip(1) {
            if !line.starts_with('#') && !variable.is_empty() {
                self.own_line(variable, value);
            }
        }
        self.own_subnets();
        let mut host: Option<HostFile> = None;
        for (line, variable, value) in others {
            if variable.eq_ignore_ascii_case("Name") {
                self.keep(host.take());
                host = Some(self.begin_host(value)?);
            } else if let Some(host) = &mut host {
                host.line(line, variable, value);
            }
        }
        self.keep(host);
        Ok(self.outcome)
    }

    fn begin_host(&self, value: &str) -> Result<HostFile, JoinError> {
        let name = NodeName::parse(value).map_err(|_| JoinError::BadName)?;
        if name == self.outcome.name || name == self.invited {
            return Err(JoinError::OwnHostFile);
        }
        Ok(HostFile { name, text: String::new(), in_block: false, notes: Vec::new() })
    }

    fn keep(&mut self, host: Option<HostFile>) {
        if let Some(host) = host {
            self.outcome.notes.extend(host.notes);
            self.outcome.hosts.insert(host.name, host.text);
        }
    }

    fn note(&mut self, text: String) {
        self.outcome.notes.push(text);
    }

    fn own_line(&mut self, variable: &str, value: &str) {
        let is = |name: &str| variable.eq_ignore_ascii_case(name);
        match Variable::find(variable) {
            _ if is("Name") || is("NetName") || is("NameChoice") || is(ALLOW) || is(ALLOW_FOR) => {}
            _ if is("Statement") => self.statement(value),
            Some(_) if is("Ifconfig") || is("Route") => self.interface_line(is("Route"), value),
            Some(known) if known.class.safe => self.own_setting(known, value),
            Some(known) if self.received.force => {
                self.note(format!("Warning: unsafe variable '{}' in invitation.", known.name));
                self.own_setting(known, value);
            }
            Some(known) => self.note(format!("Ignoring unsafe variable '{}' in invitation.", known.name)),
            None => self.note(format!("Ignoring unknown variable '{}' in invitation.", printable(variable))),
        }
    }

    /// Whoever reads it verifies it.
    fn statement(&mut self, line: &str) {
        match Unchecked::parse(line) {
            Ok(_) if self.outcome.statements.len() < MAX_STATEMENTS => self.outcome.statements.push(line.to_owned()),
            Ok(_) => {}
            Err(error) => self.note(format!("Ignoring a statement in the invitation: {error}")),
        }
    }

    fn own_setting(&mut self, known: &Variable, value: &str) {
        let Some(value) = known.kind.canonical(value) else {
            return self.note(format!("Ignoring invalid value of variable '{}' in invitation.", known.name));
        };
        let file = if known.class.host { &mut self.outcome.own_host } else { &mut self.outcome.tinc_conf };
        file.push_str(&format!("{} = {value}\n", known.name));
    }

    fn interface_line(&mut self, is_route: bool, value: &str) {
        let read = match (self.received.form, is_route) {
            (Form::Script, false) => self.outcome.script.ifconfig(value),
            (Form::Script, true) => self.outcome.script.route(value),
            (Form::Variables, false) => self.ifconfig_variable(value),
            (Form::Variables, true) => self.route_variable(value),
        };
        if let Err(problem) = read {
            self.note(problem.to_owned());
        }
    }

    fn ifconfig_variable(&mut self, value: &str) -> Result<(), &'static str> {
        if ["dhcp", "dhcp6", "slaac"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
            return Err("Ignoring Ifconfig in invitation: only addresses can be set without a script");
        }
        let range = kind::range(value).ok_or("Could not parse address in Ifconfig statement")?;
        self.require_private(&range)?;
        self.outcome.ifconfig.push(range);
        self.outcome.tinc_conf.push_str(&format!("Ifconfig = {}\n", kind::print_range(&range)));
        Ok(())
    }

    fn route_variable(&mut self, value: &str) -> Result<(), &'static str> {
        let (destination, gateway) =
            kind::route(value).ok_or("Could not parse subnet or gateway in Route statement")?;
        self.require_private(&destination)?;
        self.outcome.tinc_conf.push_str(&format!("Route = {}\n", kind::print_route(&destination, gateway)));
        Ok(())
    }

    /// An inviter must not be able to draw a machine's traffic with the Internet to itself.
    fn require_private(&self, range: &Range) -> Result<(), &'static str> {
        let inside = |outer: &&str| kind::range(outer).is_some_and(|outer| holds(&outer, range));
        if self.received.force || PRIVATE.iter().any(inside) {
            return Ok(());
        }
        Err("Ignoring an address range of the Internet in invitation; --force would accept it")
    }

    /// A node without subnets of its own would not be reached at its addresses.
    fn own_subnets(&mut self) {
        if self.received.form == Form::Variables && !self.outcome.own_host.contains("Subnet = ") {
            for (address, _) in &self.outcome.ifconfig {
                self.outcome.own_host.push_str(&format!("Subnet = {address}\n"));
            }
        }
    }
}

/// Whether `outer` holds all of `inner`.
fn holds(outer: &Range, inner: &Range) -> bool {
    outer.1 <= inner.1 && crate::files::addresses::overlap(outer, inner)
}

/// A stranger's word, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Another node's host file in the making.
#[derive(Debug)]
struct HostFile {
    name: NodeName,
    text: String,
    in_block: bool,
    notes: Vec<String>,
}

impl HostFile {
    /// Takes over key blocks, and settings that a host file may have. File names are not a stranger's business.
    fn line(&mut self, line: &str, variable: &str, value: &str) {
        if self.in_block || line.starts_with("-----BEGIN ") {
            self.in_block = !line.starts_with("-----END ");
            if line.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
                self.text.push_str(&format!("{line}\n"));
            }
            return;
        }
        if line == SEPARATOR || line.starts_with('#') || variable.is_empty() {
            return;
        }
        let known = Variable::find(variable).filter(|known| known.class.host && !known.name.ends_with("File"));
        match known.and_then(|known| known.kind.canonical(value).map(|value| (known.name, value))) {
            Some((name, value)) => self.text.push_str(&format!("{name} = {value}\n")),
            None => {
                let name = &self.name;
                self.notes
                    .push(format!("Ignoring '{}' in the host file of {name} in invitation.", printable(variable)));
            }
        }
    }
}
