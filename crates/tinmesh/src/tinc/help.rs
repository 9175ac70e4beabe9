//! `help`: all commands, or what a configuration variable is for.

use std::io::Write;

use anyhow::Result;

use super::print;
use crate::cli::tinc::usage;
use crate::config::variables::{Reload, Support, VARIABLES, Variable};
use crate::tinc_daemon::Tool;

/// `help`, `help VARIABLE`, `help variables`; as in tinc, other words do not matter.
pub(super) fn run(tool: &Tool<'_>, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    let topic = arguments.first().map(String::as_str).unwrap_or_default();
    if describe_variables(topic, out)? { Ok(()) } else { print(out, usage(tool.program)) }
}

/// Tells of the variable `topic`, of all if it is `variables`; says whether there is such a variable.
pub fn describe_variables(topic: &str, out: &mut dyn Write) -> Result<bool> {
    if topic.eq_ignore_ascii_case("variables") {
        VARIABLES.iter().try_for_each(|variable| print(out, format_args!("{}\n", describe(variable))))?;
        return Ok(true);
    }
    let found = Variable::find(topic);
    found.map(describe).iter().try_for_each(|text| print(out, text))?;
    Ok(found.is_some())
}

/// What is to be known of a variable.
pub fn describe(variable: &Variable) -> String {
    let class = &variable.class;
    let place = match (class.server, class.host) {
        (true, true) => "tinc.conf or a host file",
        (_, false) => "tinc.conf",
        (false, true) => "a host file",
    };
    let often = if class.multiple { ", any number of times" } else { "" };
    let default = if variable.default.is_empty() { "none" } else { variable.default };
    let reload = match variable.reload {
        Reload::Yes | Reload::Keep | Reload::On => "counts after a reload",
        Reload::Use => "is looked up when it is used",
        Reload::No => "counts after a restart",
    };
    let mut text = format!("{}: {}\n", variable.name, variable.about);
    text.push_str(&format!("  In {place}{often}. Default: {default}. A change {reload}.\n"));
    text.push_str(match variable.support {
        Support::Honoured => "",
        Support::Pointless => "  It has no effect.\n",
    });
    if !variable.tinc {
        text.push_str("  tinc does not know it and ignores it.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_described_with_all_that_a_user_needs() {
        let text = describe(Variable::find("Ifconfig").unwrap());
        assert_eq!(
            text,
            "Ifconfig: Address of the interface, with the length of the network's prefix.\n  In tinc.conf, any number of \
             times. Default: none. A change counts after a restart.\n  tinc does not know it and ignores it.\n"
        );
        let text = describe(Variable::find("IffOneQueue").unwrap());
        assert!(text.ends_with("  It has no effect.\n"), "{text}");
    }
}
