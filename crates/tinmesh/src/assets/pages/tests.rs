//! The pages are whole.

use super::*;

fn text_of(path: &str) -> String {
    let page = all().unwrap().into_iter().find(|asset| asset.path.ends_with(path)).unwrap();
    String::from_utf8(page.text).unwrap().replace("\\-", "-").replace("\\*(Aq", "'")
}

#[test]
fn every_command_has_a_page_with_its_examples() {
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let text = text_of(&format!("tinmesh-{}.1", command.get_name()));
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines() {
            assert!(text.contains(line.trim()), "{}: {line}\n{text}", command.get_name());
        }
    }
    assert!(text_of("tinmesh.1").contains("tinmesh-join(1)"));
}

#[test]
fn every_option_and_command_of_tinc_is_in_its_page() {
    let (tinc_text, tincd_text) = (text_of("tinc.8"), text_of("tincd.8"));
    for command in tinc::commands().filter(|command| *command != "connect") {
        assert!(tinc_text.contains(command), "{command}");
    }
    for (text, usage) in [(tinc_text, tinc::usage("tinc")), (tincd_text, tincd::usage("tincd"))] {
        for entry in entries(&usage) {
            assert!(text.contains(&entry.term) && text.contains(&entry.about), "{entry:?}");
        }
    }
}

#[test]
fn every_variable_is_in_its_page() {
    let text = text_of("tinc.conf.5");
    for variable in VARIABLES {
        assert!(text.contains(&format!("\\fB{}\\fR", variable.name)), "{}", variable.name);
        assert!(text.contains(variable.about), "{}", variable.about);
    }
}
