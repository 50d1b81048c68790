//! The programs in `examples/`, run as they are. `cargo test` builds them.

use std::path::Path;
use std::process::Command;

use crate::rig::{Ran, Rig, ZEROBUS};

fn run(name: &str, more: &[&str]) -> (Ran, usize) {
    let rig = Rig::new();
    let server = rig.emulator(&[&["--auto-create"], more].concat());
    let program = Path::new(ZEROBUS).with_file_name("examples").join(name);
    let mut command = Command::new(&program);
    command
        .env_clear()
        .envs(server.env.clone())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}; `cargo test` builds it", program.display()));
    assert_eq!(server.terminate(), 0);
    (Ran::of(&output), rig.air_rows().len())
}

#[test]
fn blocking() {
    let (ran, rows) = run("blocking", &[]);
    let said = ran.exits(0).stdout;
    assert!(said.ends_with("record 100 is durable\n100 records are durable\n"));
    assert_eq!(rows, 100);
}

#[test]
fn non_blocking() {
    let (ran, rows) = run("non_blocking", &[]);
    assert!(
        ran.exits(0)
            .stdout
            .starts_with("100000 records are durable")
    );
    assert_eq!(rows, 100_000);
}

#[test]
fn callback() {
    let (ran, rows) = run("callback", &[]);
    let said = ran.exits(0).stdout;
    assert!(said.contains("durable up to offset 9999"), "{said}");
    assert!(said.ends_with("10000 records are durable\n"), "{said}");
    assert_eq!(rows, 10_000);
}
