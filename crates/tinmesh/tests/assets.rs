//! Manual pages and completions as the program writes them, read by those who use them.
#![expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn assets() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_tinmesh")).arg("assets").arg(dir.path()).status().unwrap();
    assert!(status.success());
    dir
}

/// What bash offers for the last of `words`, sorted.
fn offered(dir: &Path, words: &[&str]) -> Vec<String> {
    let script = r#"
        source "$1/bash-completion/completions/$2"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        $(complete -p "$1" | grep -o -- '-F [^ ]*' | cut -c4-) "$1" "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["-c", script, "bash"]).arg(dir).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut offered: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    offered.sort();
    offered
}

#[test]
fn bash_completes_commands_options_and_lists_of_all_three_programs() {
    let dir = assets();
    let offered = |words: &[&str]| offered(dir.path(), words);
    assert_eq!(offered(&["tinmesh", "st"]), ["start", "status", "stop"]);
    assert_eq!(offered(&["tinmesh", "status", "--wa"]), ["--watch"]);
    assert_eq!(offered(&["tinc", "dump", "ed"]), ["edges"]);
    assert_eq!(offered(&["tinc", "generate-r"]), ["generate-rsa-keys"]);
    assert_eq!(offered(&["tinc", "--ba"]), ["--batch"]);
    assert_eq!(offered(&["tinc", "info", "--js"]), [""], "tinc has no JSON");
    assert_eq!(offered(&["tincd", "--no"]), ["--no-detach"]);
}

#[test]
fn every_shell_and_every_program_has_its_files() {
    let dir = assets();
    for path in [
        "bash-completion/completions/tinmesh",
        "bash-completion/completions/tinc",
        "bash-completion/completions/tincd",
        "zsh/vendor-completions/_tinmesh",
        "zsh/vendor-completions/_tinc",
        "zsh/vendor-completions/_tincd",
        "fish/vendor_completions.d/tinmesh.fish",
        "fish/vendor_completions.d/tinc.fish",
        "fish/vendor_completions.d/tincd.fish",
        "man/man1/tinmesh.1",
        "man/man1/tinmesh-join.1",
        "man/man5/tinc.conf.5",
        "man/man8/tinc.8",
        "man/man8/tincd.8",
    ] {
        assert!(fs::metadata(dir.path().join(path)).is_ok_and(|file| file.len() > 100), "{path}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_tinmesh")).args(["assets", "/dev/null/x"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Could not make /dev/null/x"));
}
