//! What is written down is true: the commands of the README run, the completions and the
//! help are those of the binary.

use std::path::Path;
use std::process::Command;

use crate::rig::{Rig, ZEROBUS};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The blocks of a document in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&format!("```{language}\n")) {
        let (block, after) = after.split_once("\n```").unwrap();
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

/// What the README shows of the library is a piece of a program that runs.
#[test]
fn the_library_in_the_readme_is_that_of_an_example() {
    let read = |name: &str| std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap();
    let flat = |text: &str| {
        let lines = text.lines().map(str::trim).collect::<Vec<_>>();
        lines.join("\n")
    };
    let program = flat(&read("examples/non_blocking.rs"));
    let shown = blocks(&read("README.md"), "rust");
    assert_eq!(shown.len(), 1);
    assert!(program.contains(&flat(&shown[0])), "{}", shown[0]);
}

#[test]
fn every_command_of_the_readme_runs() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let blocks = blocks(&readme, "sh");
    assert!(blocks.len() >= 5);
    let rig = Rig::new();
    let link = |name: &str| {
        std::os::unix::fs::symlink(Path::new(ROOT).join(name), rig.path().join(name)).unwrap()
    };
    link("samples");
    std::fs::create_dir(rig.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(ZEROBUS, rig.path().join("bin/zerobus")).unwrap();
    // One shell runs them all, as a reader's would.
    // A server that it has started ends with it, or this test would wait for its output.
    let mut script = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for (index, block) in blocks.iter().enumerate() {
        // The tests themselves, and building what is being tested, are left out.
        let block = block.replace("cargo run --release -q --", "zerobus");
        if !block.contains("cargo test") && !block.contains("cargo install") {
            script.push_str(&format!("echo block {index} >&2\n{block}\n"));
        }
    }
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        rig.path().join("bin").display()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env_clear()
        .env("PATH", path)
        .current_dir(rig.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    // What the tour has loaded is there: three rows and one of the pipe, and two again.
    let readings = crate::table::rows(&rig.path().join("shop/main/default/readings"));
    assert_eq!(readings.len(), 6, "{stdout}");
    assert!(stdout.contains("2026-01-31T23:59:59.250Z"), "{stdout}");
    // Interrupted or not, 40,000 rows were settled in two runs.
    let checkpoint = std::fs::read_to_string(rig.path().join("many.cp")).unwrap();
    assert!(checkpoint.contains("40000"), "{checkpoint}");
}

/// The commands of the samples for cron and systemd name flags that there are.
#[test]
fn the_samples_for_cron_and_systemd_are_commands() {
    let help = Rig::new().run(&["ingest", "--help"]).exits(0).stdout;
    for sample in ["cron/zerobus", "systemd/zerobus-air.service"] {
        let text = std::fs::read_to_string(Path::new(ROOT).join("samples").join(sample)).unwrap();
        let (_, command) = text.split_once("zerobus ingest ").unwrap();
        let mut command = command.replace("\\\n", " ");
        command.truncate(command.find('\n').unwrap());
        let words = command.split_whitespace();
        let flags: Vec<&str> = words.filter(|w| w.starts_with("--")).collect();
        assert!(flags.len() > 5, "{sample}: {flags:?}");
        for flag in flags {
            assert!(
                help.contains(&format!("{flag} <")) || help.contains(&format!("{flag}\n")),
                "{sample}: {flag}"
            );
        }
    }
}

#[test]
fn manual_pages_are_made_for_every_command() {
    let rig = Rig::new();
    assert!(rig.run(&["man"]).exits(0).stdout.contains(".TH zerobus 1"));
    let page = rig.run(&["man", "schema", "show"]).exits(0).stdout;
    assert!(page.contains("descriptor"), "{page}");
    rig.run(&["man", "none"]).exits(2);
    rig.run(&["man", "--dir", "man"]).exits(0);
    for page in [
        "zerobus",
        "zerobus-ingest",
        "zerobus-doctor",
        "zerobus-schema-show",
    ] {
        let text = std::fs::read_to_string(rig.path().join(format!("man/{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn completions_are_installed_where_shells_look() {
    let rig = Rig::new();
    for (shell, place) in [
        ("bash", ".local/share/bash-completion/completions/zerobus"),
        ("zsh", ".local/share/zsh/site-functions/_zerobus"),
        ("fish", ".config/fish/completions/zerobus.fish"),
        ("elvish", ".config/elvish/lib/zerobus.elv"),
        ("powershell", ".config/powershell/zerobus.ps1"),
    ] {
        let mut command = rig.command(["completions", "--install", shell]);
        let ran = crate::rig::Ran::of(&command.env("HOME", rig.path()).output().unwrap()).exits(0);
        let installed = std::fs::read_to_string(rig.path().join(place)).unwrap();
        assert_eq!(installed, rig.run(&["completions", shell]).stdout);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(place),
            "{ran:#?}"
        );
    }
    // The shell that runs it, if none is named.
    let mut command = rig.command(["completions"]);
    let ran = crate::rig::Ran::of(&command.env("SHELL", "/usr/bin/fish").output().unwrap());
    assert!(ran.exits(0).stdout.contains("complete -c zerobus"));
    rig.run(&["completions"]).exits(2);
    rig.run(&["completions", "bash", "--install"]).exits(1);
}

#[test]
fn the_completions_in_the_tree_are_those_of_the_binary() {
    let rig = Rig::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let made = rig.run(&["completions", shell]).exits(0).stdout;
        let path = Path::new(ROOT)
            .join("completions")
            .join(format!("zerobus.{shell}"));
        if std::env::var_os("UPDATE_COMPLETIONS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "{} differs: UPDATE_COMPLETIONS=1 cargo test writes it anew",
            path.display()
        );
    }
}

#[test]
fn help_has_examples_groups_and_defaults() {
    let rig = Rig::new();
    insta::assert_snapshot!("help", rig.run(&["--help"]).exits(0).stdout);
    insta::assert_snapshot!("doctor_help", rig.run(&["doctor", "-h"]).exits(0).stdout);
    insta::assert_snapshot!("ingest_help", rig.run(&["ingest", "-h"]).exits(0).stdout);
    insta::assert_snapshot!(
        "emulator_help",
        rig.run(&["emulator", "-h"]).exits(0).stdout
    );
}
