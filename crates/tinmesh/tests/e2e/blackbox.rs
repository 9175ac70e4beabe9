//! The same command line on Debian's tinc 1.1~pre18 and on ours, side by side: output, exit code and files are equal, or
//! `docs/differences.md` says why not.

mod case;
mod control;
mod corners;
mod coverage;
mod daemon;
mod differences;
mod exchange;
mod general;
mod invitations;
mod keys;
mod normal;
mod options;
mod prompts;
mod settings;
mod signatures;
mod world;

use std::collections::BTreeSet;
use std::path::Path;

use case::{ASPECTS, Aspect, Case, Fixture};
use world::{Outcome, Pairing, World};

use crate::lab::Lab;

/// Every table of cases.
fn tables() -> Vec<Vec<Case>> {
    vec![
        general::cases(),
        settings::cases(),
        keys::cases(),
        exchange::cases(),
        invitations::cases(),
        signatures::cases(),
        daemon::cases(),
        control::cases(),
        corners::cases(),
        options::cases(),
        prompts::cases(),
    ]
}

/// Carries out cases in the world of tinc and in those of `pairings`, and fails with everything that differs and should
/// not, or should and does not.
fn compare(cases: &[Case], pairings: &[Pairing]) {
    let lab = Lab::new();
    let theirs = World::new(&lab, Pairing::THEIRS);
    let model = theirs.make_model();
    let worlds: Vec<World> = pairings.iter().map(|pairing| World::new(&lab, *pairing)).collect();
    let mut problems = Vec::new();
    let mut live = false;
    for case in cases {
        let fresh = case.fresh || case.fixture != Fixture::Live || !live;
        live = case.fixture == Fixture::Live;
        let expected = outcome(&theirs, case, fresh, &model);
        if let Some(succeeds) = coverage::expectation(case)
            && succeeds != (expected.code == Some(0))
        {
            problems.push(format!("── {} ── ends with {:?} for tinc\n{}", case.script, expected.code, expected.err));
        }
        for world in &worlds {
            let found = outcome(world, case, fresh, &model);
            problems.extend(judge(case, world.pairing, &expected, &found));
        }
    }
    let count = problems.len();
    assert!(count == 0, "{count} problems in {} cases:\n\n{}", cases.len(), problems.join("\n"));
}

fn outcome(world: &World, case: &Case, fresh: bool, model: &Path) -> Outcome {
    if fresh {
        world.reset(case.fixture, model);
    }
    world.run(case)
}

/// What is wrong with the results of a case.
fn judge(case: &Case, pairing: Pairing, expected: &Outcome, found: &Outcome) -> Vec<String> {
    let marks: Vec<_> = case.marks.iter().filter(|mark| mark.applies(pairing)).collect();
    let mut problems = Vec::new();
    for aspect in ASPECTS {
        let (expected, found) = (part(expected, aspect), part(found, aspect));
        let mark = marks.iter().find(|mark| mark.aspects.contains(&aspect));
        let start = format!("── {} ── {aspect:?} with {:?} and {:?}", case.script, pairing.tool, pairing.daemon);
        match mark {
            None if expected != found => problems.push(format!("{start}\n{}", difference(&expected, &found))),
            Some(mark) if expected == found => problems.push(format!("{start}: equal, though marked {}\n", mark.id)),
            None | Some(_) => {}
        }
    }
    problems
}

fn part(outcome: &Outcome, aspect: Aspect) -> String {
    match aspect {
        Aspect::Out => outcome.out.clone(),
        Aspect::Err => outcome.err.clone(),
        Aspect::Code => format!("{:?}", outcome.code),
        Aspect::Files => outcome.files.clone(),
    }
}

/// The lines that only one of two texts has; both texts whole if they differ in order or ends only.
fn difference(expected: &str, found: &str) -> String {
    let only = |text: &str, other: &str| -> Vec<String> {
        let other: BTreeSet<&str> = other.lines().collect();
        text.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
    };
    let (theirs, ours) = (only(expected, found), only(found, expected));
    if theirs.is_empty() && ours.is_empty() {
        let equal = expected.bytes().zip(found.bytes()).take_while(|(theirs, ours)| theirs == ours).count();
        let tail = |text: &str| text.as_bytes().escape_ascii().to_string().chars().rev().take(200).collect::<String>();
        let [theirs, ours] = [expected, found].map(|text| tail(text.get(..equal + 20).unwrap_or(text)));
        let turned = |text: String| text.chars().rev().collect::<String>();
        return format!("  tinc: …{}\n  ours: …{}\n", turned(theirs), turned(ours));
    }
    let lines = theirs.iter().map(|line| format!("  tinc: {line}\n"));
    lines.chain(ours.iter().map(|line| format!("  ours: {line}\n"))).collect()
}

#[test]
fn general_behaviour_equals_tincs() {
    compare(&general::cases(), &[Pairing::OURS]);
}

#[test]
fn commands_on_settings_equal_tincs() {
    compare(&settings::cases(), &[Pairing::OURS]);
}

#[test]
fn commands_on_keys_equal_tincs() {
    compare(&keys::cases(), &[Pairing::OURS]);
}

#[test]
fn commands_that_exchange_host_files_equal_tincs() {
    compare(&exchange::cases(), &[Pairing::OURS]);
}

#[test]
fn commands_on_invitations_equal_tincs() {
    compare(&invitations::cases(), &[Pairing::OURS]);
}

#[test]
fn commands_on_signatures_equal_tincs() {
    compare(&signatures::cases(), &[Pairing::OURS]);
}

#[test]
fn odd_files_and_names_are_treated_as_tinc_treats_them() {
    compare(&corners::cases(), &[Pairing::OURS]);
}

#[test]
fn questions_and_answers_equal_tincs() {
    compare(&prompts::cases(), &[Pairing::OURS]);
}

#[test]
fn options_equal_tincs() {
    compare(&options::cases(), &[Pairing::OURS]);
}

#[test]
fn starting_and_stopping_equals_tincs() {
    compare(&daemon::cases(), &[Pairing::OURS]);
}

#[test]
fn either_tool_starts_the_daemon_that_it_finds_ours_or_tincs() {
    compare(&daemon::starts(), &[Pairing::OUR_TOOL, Pairing::OUR_DAEMON]);
}

#[test]
fn either_tool_with_either_daemon_equals_tincs() {
    compare(&control::cases(), &[Pairing::OURS, Pairing::OUR_TOOL, Pairing::OUR_DAEMON]);
}

#[test]
fn every_difference_is_listed_and_every_listed_difference_is_shown() {
    let named: BTreeSet<String> =
        tables().concat().iter().flat_map(|case| &case.marks).map(|mark| mark.id.to_owned()).collect();
    let shown: BTreeSet<String> =
        differences::entries().into_iter().filter(|entry| entry.shown_here).map(|entry| entry.id).collect();

    let unlisted: Vec<_> = named.difference(&differences::ids()).cloned().collect();
    let unused: Vec<_> = shown.difference(&named).cloned().collect();

    assert!(unlisted.is_empty(), "docs/differences.md lacks {unlisted:?}");
    assert!(unused.is_empty(), "docs/differences.md has what no case shows: {unused:?}");
}
