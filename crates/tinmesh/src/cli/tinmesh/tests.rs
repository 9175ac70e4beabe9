use super::*;
use crate::cli::tinc;
use clap::CommandFactory as _;

fn read(text: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(text.split_ascii_whitespace())
}

fn words(text: &str) -> Vec<String> {
    match read(text).unwrap().command {
        Some(Command::Tinc(command)) => command.words(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn nothing_but_the_name_is_a_call() {
    assert!(read("tinmesh").unwrap().command.is_none());
}

#[test]
fn the_network_may_stand_before_or_after_the_command() {
    for text in ["tinmesh -n vpn status --json", "tinmesh status --net vpn --json"] {
        let cli = read(text).unwrap();
        assert_eq!(cli.network.net.as_deref(), Some("vpn"));
        let Some(Command::Status(options)) = cli.command else { panic!("{text}") };
        assert!(options.form.json && !options.watch);
    }
}

#[test]
fn every_command_of_tinc_has_a_definition_with_help() {
    let cli = Cli::command();
    // tinc has it for its shell, and always fails.
    for name in tinc::commands().filter(|name| *name != "connect") {
        let found = cli.find_subcommand(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found.get_about().is_some(), "{name} has no help");
    }
}

#[test]
fn what_tinc_would_have_been_told_follows_from_what_was_typed() {
    for text in [
        "init alice",
        "set Port 655",
        "add bob.Address 192.0.2.1 655",
        "del ConnectTo",
        "del ConnectTo bob",
        "start -d3 --logfile",
        "restart",
        "generate-rsa-keys 2048",
        "info 10.0.0.0/8",
        "debug -1",
        "log 3",
        "pcap 100",
        "verify . file",
        "exchange-all",
        "network",
    ] {
        let expected: Vec<&str> = text.split(' ').collect();
        assert_eq!(words(&format!("tinmesh {text}")), expected);
    }
    assert_eq!(words("tinmesh -b get Port --json"), ["get", "Port"]);
}

#[test]
fn batch_force_and_the_network_reach_tincs_commands() {
    let options = read("tinmesh import --force -n vpn -b").unwrap().network.tinc_options(Vec::new());
    assert!(options.force && options.batch);
    assert_eq!(options.net.as_deref(), Some("vpn"));
}

#[test]
fn misuse_is_told_from_failure_by_its_exit_code() {
    for text in ["join", "up --json --foreground", "frobnicate", "get", "set Port", "reload now", "status --color blue"]
    {
        assert_eq!(read(&format!("tinmesh {text}")).unwrap_err().exit_code(), 2, "{text}");
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    let error = read("tinmesh statsu").unwrap_err().to_string();
    assert!(error.contains("status"), "{error}");
}
