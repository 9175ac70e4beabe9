//! `tinmesh help`: the help of a command, or what a variable of the configuration is for.

use std::io::Write;

use anyhow::{Result, bail};
use clap::{ColorChoice, CommandFactory as _};

use crate::cli::tinmesh::Cli;
use crate::config::variables::Variable;
use crate::tinc::describe_variables;

pub(super) fn run(topic: Option<&str>, color: ColorChoice, out: &mut dyn Write) -> Result<()> {
    let mut cli = Cli::command().color(color);
    cli.build();
    let Some(topic) = topic else { return Ok(write!(out, "{}", cli.render_long_help())?) };
    if let Some(command) = cli.find_subcommand_mut(topic) {
        return Ok(write!(out, "{}", command.render_long_help())?);
    }
    let known = describe_variables(topic, out)?;
    if !known {
        let like = Variable::like(topic).map(|like| format!(" Did you mean {}?", like.name)).unwrap_or_default();
        bail!(
            "{topic} is neither a command nor a variable.{like}\nAll of them: tinmesh --help, tinmesh help variables"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(topic: Option<&str>) -> Result<String> {
        let mut out = Vec::new();
        run(topic, ColorChoice::Never, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn commands_and_variables_have_help() {
        assert!(told(None).unwrap().contains("tinmesh up"));
        assert!(told(Some("disconnect")).unwrap().contains("AutoConnect"));
        assert!(told(Some("pinginterval")).unwrap().starts_with("PingInterval: "));
        assert!(told(Some("variables")).unwrap().contains("\nSubnet: "));
    }

    #[test]
    fn what_is_neither_is_answered_with_what_is_like_it() {
        let error = told(Some("PingIntervall")).unwrap_err().to_string();
        assert!(error.contains("Did you mean PingInterval?"), "{error}");
    }
}
