//! `tinmesh` alone: how things are on this machine, and what to type next.

use std::io::Write;

use anyhow::Result;

use super::place::Place;
use super::status::Status;
use crate::control::client::{Client, ConnectError};

pub(super) fn run(place: &Place, out: &mut dyn Write) -> Result<()> {
    let status =
        Client::connect(&place.paths).map(|mut client| Status::read(&mut client, place.paths.netname.as_deref()));
    let text = match status {
        Ok(Ok(status)) => running(place, &status),
        Ok(Err(error)) => format!("The daemon runs, but does not answer as it should: {error}\n"),
        Err(error) => not_running(place, &error),
    };
    Ok(write!(out, "{text}")?)
}

fn running(place: &Place, status: &Status) -> String {
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    let (reachable, all) = (status.reachable(), status.peers.len());
    let known = if all == 0 {
        "No other node is known yet.".to_owned()
    } else {
        format!("{reachable} of {all} other nodes reachable.")
    };
    let rows = [
        (place.command("status"), "who is reachable, and how"),
        (place.sudo("invite"), "a line with which another machine joins"),
        (place.sudo("down"), "leave for now"),
    ];
    let with = if addresses.is_empty() { String::new() } else { format!(", with {}", addresses.join(" and ")) };
    format!("{} is up{with}. {known}\n{}", status.node, menu(&rows))
}

fn not_running(place: &Place, error: &ConnectError) -> String {
    if error.is_permission() {
        let rows = [(place.sudo("status"), "who is reachable, and how")];
        return format!("The daemon runs; only root may speak with it.\n{}", menu(&rows));
    }
    if !place.is_configured() {
        let rows = [
            (place.sudo("up"), "make a network, with this machine as its first member"),
            ("sudo tinmesh join URL".to_owned(), "become a member; `sudo tinmesh invite` on a member prints the URL"),
            ("tinmesh --help".to_owned(), "everything else"),
        ];
        return format!("This machine is in no network yet.\n{}", menu(&rows));
    }
    let rows = [(place.sudo("up"), "start it"), ("tinmesh --help".to_owned(), "everything else")];
    let problem = if error.is_absence() { "" } else { &format!(" ({error})") };
    format!("The network in {} is down{problem}.\n{}", place.paths.confbase.display(), menu(&rows))
}

fn menu(rows: &[(String, &str)]) -> String {
    let width = rows.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    rows.iter().fold("\n".to_owned(), |text, (command, what)| format!("{text}  {command:<width$}   {what}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tinmesh::Network;
    use crate::control::fake_daemon::FakeDaemon;

    fn place_in(dir: &std::path::Path) -> Place {
        let network = Network {
            config: Some(dir.to_owned()),
            net: Some(String::new()),
            pidfile: Some(dir.join("pid")),
            ..Network::default()
        };
        Place::named(&network).unwrap()
    }

    fn printed(place: &Place) -> String {
        let mut out = Vec::new();
        run(place, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_machine_without_a_network_is_told_how_to_get_one() {
        let dir = tempfile::tempdir().unwrap();
        let text = printed(&place_in(dir.path()));
        assert!(text.starts_with("This machine is in no network yet.\n\n  sudo tinmesh up"), "{text}");
        assert!(text.contains("sudo tinmesh join URL"));
    }

    #[test]
    fn a_network_that_is_down_is_told_from_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tinc.conf"), "Name = alice\n").unwrap();
        let text = printed(&place_in(dir.path()));
        assert!(text.contains(" is down.\n\n  sudo tinmesh up --config "), "{text}");
    }

    #[test]
    fn a_network_that_is_up_shows_the_way_on() {
        let daemon = FakeDaemon::answering(&[
            "18 3\n",
            "18 5 10.9.0.1 alice\n18 5 fd00::1 alice\n18 5\n",
            "18 6\n",
            "18 67\n",
            "18 68\n",
        ]);
        let text = printed(&place_in(&daemon.paths().confbase));
        assert!(text.starts_with("alice is up, with 10.9.0.1 and fd00::1. No other node is known yet.\n"), "{text}");
        assert!(text.contains("sudo tinmesh invite"), "{text}");
    }
}
