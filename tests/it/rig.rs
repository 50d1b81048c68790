//! Runs the binary in a directory of its own with a cleared environment.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const ZEROBUS: &str = env!("CARGO_BIN_EXE_zerobus");

pub struct Rig {
    dir: TempDir,
}

/// How a command has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// The JSON summary.
    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl Rig {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(ZEROBUS);
        command.env_clear().current_dir(self.path()).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// Runs the binary with these arguments.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs the binary with this standard input through a pipe.
    pub fn pipe(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let ran = Ran::of(&child.wait_with_output().unwrap());
        // A loader that stops early closes the pipe.
        let _ = writer.join().unwrap();
        ran
    }

    /// A load into the local table `main.default.air_quality`, with a JSON summary.
    pub fn local(&self, more: &[&str]) -> Command {
        let proto = sample("air_quality.proto");
        let mut command = self.command(["ingest", "--local", "wh", "--table", AIR]);
        command.args(["--proto", &proto, "-o", "json", "--progress", "none"]);
        command
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same into the table of a server.
    pub fn remote(&self, server: &Server, more: &[&str]) -> Command {
        let proto = sample("air_quality.proto");
        let mut command = self.command(["ingest", "--table", AIR, "--proto", &proto]);
        command.args(["-o", "json", "--progress", "none"]);
        command
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.envs(server.env.clone());
        command
    }

    /// Runs a load into the local table.
    pub fn ingest(&self, more: &[&str]) -> Ran {
        Ran::of(&self.local(more).output().unwrap())
    }

    /// Waits until the local table has this version.
    pub fn wait_for_version(&self, version: u64) {
        let log = self.path().join("wh/main/default/air_quality/_delta_log");
        // Far more than it takes: a load that has ended will not bring it any more.
        for _ in 0..30_000 {
            if log.join(format!("{version:020}.json")).exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("the table never came to version {version}");
    }

    /// Rows of the local table `main.default.air_quality`.
    pub fn air_rows(&self) -> Vec<Value> {
        crate::table::rows(&self.path().join("wh/main/default/air_quality"))
    }

    /// The same; none where the table does not exist yet.
    pub fn air_rows_or_none(&self) -> Vec<Value> {
        let table = self.path().join("wh/main/default/air_quality");
        match table.join("_delta_log/00000000000000000000.json").exists() {
            true => crate::table::rows(&table),
            false => Vec::new(),
        }
    }

    /// Starts a server as a process of its own.
    pub fn emulator(&self, more: &[&str]) -> Server {
        let mut args = vec!["emulator"];
        if !more.contains(&"--dir") {
            args.extend(["--dir", "wh"]);
        }
        if !more.contains(&"--listen") {
            args.extend(["--listen", "127.0.0.1:0"]);
        }
        args.extend(more);
        let mut child = self.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut env = Vec::new();
        for line in lines.map(Result::unwrap) {
            let export = line.strip_prefix("export ");
            if let Some((name, value)) = export.and_then(|export| export.split_once('=')) {
                env.push((name.to_owned(), value.to_owned()));
            }
            // The last line; a secret that was given is not printed.
            if line.contains("DATABRICKS_CLIENT_SECRET") {
                break;
            }
        }
        assert!(!env.is_empty(), "the server did not start");
        Server { child, env }
    }
}

pub const AIR: &str = "main.default.air_quality";

/// The path of a sample.
pub fn sample(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A running `zerobus emulator`.
pub struct Server {
    child: Child,
    /// The lines that it prints to be exported.
    pub env: Vec<(String, String)>,
}

impl Server {
    /// `host:port`.
    pub fn address(&self) -> String {
        self.url().split_once("://").unwrap().1.to_owned()
    }

    /// The URL that it prints.
    pub fn url(&self) -> &str {
        self.env("ZEROBUS_ENDPOINT")
    }

    /// A value that it prints.
    pub fn env(&self, name: &str) -> &str {
        let mut env = self.env.iter();
        &env.find(|(given, _)| given == name).expect(name).1
    }

    /// Its process, for signals.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Ends it with SIGTERM and returns its exit code.
    pub fn terminate(mut self) -> i32 {
        signal(&self.child, "TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A narrow row.
pub fn air_row(i: u64) -> String {
    format!(
        "{{\"device_name\": \"sensor-{}\", \"temp\": {}, \"humidity\": {i}}}\n",
        i % 7,
        i % 50
    )
}

/// The `humidity` of each row, in order.
pub fn numbers(rows: &[Value]) -> Vec<u64> {
    rows.iter()
        .map(|r| r["humidity"].as_u64().unwrap())
        .collect()
}

/// The same sorted, where many commits were made: a file that small ones were merged into
/// stands behind those that came after them.
pub fn sorted_numbers(rows: &[Value]) -> Vec<u64> {
    let mut numbers = numbers(rows);
    numbers.sort_unstable();
    numbers
}
