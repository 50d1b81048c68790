//! What is written down is true: the commands of the README run, the completions and the
//! help are those of the binary.

use std::path::Path;
use std::process::Command;

use crate::rig::{Rig, ZEROBUS};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The shell blocks of a document.
fn shell_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```sh\n") {
        let (block, after) = after.split_once("\n```").unwrap();
        blocks.push(block.to_owned());
        rest = after;
    }
    blocks
}

#[test]
fn every_command_of_the_readme_runs() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let blocks = shell_blocks(&readme);
    assert!(blocks.len() >= 5);
    let rig = Rig::new();
    let link = |name: &str| {
        std::os::unix::fs::symlink(Path::new(ROOT).join(name), rig.path().join(name)).unwrap()
    };
    link("samples");
    std::fs::create_dir(rig.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(ZEROBUS, rig.path().join("bin/zerobus")).unwrap();
    for block in blocks {
        // The tests themselves, and building what is being tested, are left out.
        let block = block.replace("cargo run --release -q --", "zerobus");
        if block.contains("cargo test") || block.contains("cargo install") {
            continue;
        }
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            rig.path().join("bin").display()
        );
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &block])
            .env_clear()
            .env("PATH", path)
            .current_dir(rig.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{stderr}");
    }
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
    insta::assert_snapshot!("ingest_help", rig.run(&["ingest", "-h"]).exits(0).stdout);
    insta::assert_snapshot!(
        "emulator_help",
        rig.run(&["emulator", "-h"]).exits(0).stdout
    );
}
