//! The server's start: where it listens, and the lines that it prints.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::rig::{Ran, Rig, air_row, signal};

#[test]
fn what_is_printed_is_what_a_loader_can_use() {
    let rig = Rig::new();
    rig.file("rows.ndjson", air_row(1));
    for (listen, url) in [
        ("0.0.0.0:0", "http://127.0.0.1:"),
        ("localhost:0", "http://127.0.0.1:"),
        ("127.0.0.2:0", "http://127.0.0.2:"),
    ] {
        let server = rig.emulator(&["--listen", listen, "--auto-create"]);
        assert!(server.url().starts_with(url), "{}", server.url());
        let mut command = rig.remote(&server, &["rows.ndjson"]);
        Ran::of(&command.output().unwrap()).exits(0);
        assert_eq!(server.terminate(), 0);
    }
    let ran = rig.run(&["emulator", "--dir", "wh", "--listen", "localhost"]);
    assert!(
        ran.stderr.contains("expected such as 127.0.0.1:8585"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, 2);
}

#[test]
fn a_clients_id_is_quoted_and_its_secret_earns_a_warning() {
    let rig = Rig::new();
    let args = ["emulator", "--dir", "wh", "--listen", "127.0.0.1:0"];
    let mut command = rig.command(args);
    command.args(["--client", "it's me;:s3cret"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let id = lines.find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("export DATABRICKS_CLIENT_ID=")
            .map(str::to_owned)
    });
    assert_eq!(id.unwrap(), r"'it'\''s me;'");
    signal(&child, "TERM");
    let ran = Ran::of(&child.wait_with_output().unwrap()).exits(0);
    assert!(
        ran.stderr.starts_with("warning: the secret in --client "),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn an_output_that_cannot_be_written_does_not_end_it() {
    let rig = Rig::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let args = ["emulator", "--dir", "wh", "--listen", "127.0.0.1:0"];
    let mut child = rig
        .command(args)
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert!(
        said.starts_with("warning: cannot write to standard output"),
        "{said}"
    );
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
