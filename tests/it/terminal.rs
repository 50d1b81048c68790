//! The bar on a terminal of several widths, and while one changes its width.

use std::io::Read as _;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::rig::{AIR, Rig, ZEROBUS, air_row, sample};

const LINES: u16 = 12;

/// A load on a terminal, and what the terminal shows of it.
struct Terminal {
    rig: Rig,
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

fn nonzero(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

fn size(cols: u16) -> PtySize {
    PtySize {
        rows: LINES,
        cols,
        ..PtySize::default()
    }
}

impl Terminal {
    /// A load of two files at a limited rate, with some bad rows.
    fn new(cols: u16, more: &[(&str, &str)]) -> Self {
        let rig = Rig::new();
        for (name, first) in [("one.ndjson", 0), ("two.ndjson", 15_000)] {
            let mut rows: String = (first..first + 15_000).map(air_row).collect();
            rows.push_str("{\"temp\": \"x\"}\n");
            rig.file(name, rows);
        }
        let pair = native_pty_system().openpty(size(cols)).unwrap();
        let mut command = CommandBuilder::new(ZEROBUS);
        command.env_clear();
        command.cwd(rig.path());
        for (name, value) in more {
            command.env(name, value);
        }
        command.args(["ingest", "--local", "wh", "--table", AIR, "--proto"]);
        command.args([&sample("air_quality.proto"), "--max-errors", "9"]);
        command.args(["--rate-limit", "10000", "one.ndjson", "two.ndjson"]);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of the last process on a terminal is an error.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            rig,
            master: pair.master,
            child,
            output,
            screen: vt100::Parser::new(nonzero(LINES), nonzero(cols), 0),
        }
    }

    fn lines(&self) -> Vec<String> {
        let contents = self.screen.screen().contents();
        contents.lines().map(|l| l.trim_end().to_owned()).collect()
    }

    /// Goes on until the screen is as wanted. The last lines that were seen, if it never is.
    fn until(&mut self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        loop {
            let lines = self.lines();
            if wanted(&lines) {
                return lines;
            }
            match self.output.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("never seen: {lines:#?}")
                }
            }
        }
    }

    /// The one line with the bar, once it is as wanted.
    fn until_bar(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let is_bar = |line: &&String| line.starts_with('[') && line.contains(" rows/s");
        let lines = self.until(|lines| {
            let bars: Vec<_> = lines.iter().filter(is_bar).collect();
            bars.len() == 1 && wanted(bars[0])
        });
        lines.into_iter().find(|line| is_bar(&line)).unwrap()
    }

    /// The same once it shows a bad row.
    fn bar(&mut self) -> String {
        self.until_bar(|bar| bar.contains("1 rejected"))
    }

    fn resize(&mut self, cols: u16) {
        self.master.resize(size(cols)).unwrap();
        self.screen
            .screen_mut()
            .set_size(nonzero(LINES), nonzero(cols));
    }

    /// The screen once the load has ended.
    fn end(mut self) -> Vec<String> {
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(60)) {
            self.screen.process(&bytes);
        }
        assert_eq!(self.child.wait().unwrap().exit_code(), 3);
        assert_eq!(self.rig.air_rows().len(), 30_000);
        self.lines()
    }
}

const XTERM: (&str, &str) = ("TERM", "xterm-256color");

#[test]
fn the_bar_fits_terminals_of_every_width() {
    for (cols, told, untold) in [
        (60, &[" %", "rejected"][..], &["in flight", "MB of"][..]),
        (80, &[" %", "rejected", "left"], &["in flight"]),
        (
            160,
            &[
                " %",
                "rejected",
                "B/s",
                "left",
                "in flight",
                "input 2 of 2",
                "two.ndjson",
            ],
            &[],
        ),
    ] {
        let mut terminal = Terminal::new(cols, &[XTERM]);
        let bar = match cols {
            160 => terminal.until_bar(|bar| bar.contains("two.ndjson")),
            _ => terminal.bar(),
        };
        assert!(bar.chars().count() <= usize::from(cols), "{cols}: {bar}");
        for part in told {
            assert!(bar.contains(part), "{cols}: {part}: {bar}");
        }
        for part in untold {
            assert!(!bar.contains(part), "{cols}: {part}: {bar}");
        }
        let lines = terminal.end();
        // The bar is gone; warnings and the summary stay.
        assert!(!lines.iter().any(|l| l.starts_with('[')), "{lines:#?}");
        let text = lines.join("\n");
        assert!(text.contains("field \"temp\""), "{text}");
        assert!(text.contains("finished, with rejected rows"), "{text}");
    }
}

#[test]
fn the_bar_follows_a_terminal_that_changes_its_width() {
    let mut terminal = Terminal::new(160, &[XTERM, ("NO_COLOR", "1")]);
    let wide = terminal.bar();
    terminal.resize(60);
    // What was on its way when the width changed may stay above.
    let is_bar = |line: &&String| line.starts_with('[') && line.contains(" rows/s");
    let fits = |bar: &str| bar.chars().count() <= 60 && bar.contains("rejected");
    let lines = terminal.until(|lines| lines.iter().rfind(is_bar).is_some_and(|bar| fits(bar)));
    let narrow = lines.iter().rfind(is_bar).unwrap();
    assert!(
        wide.chars().count() > 80 && narrow.contains("rejected"),
        "{wide}\n{narrow}"
    );
    terminal.end();
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_lines() {
    let terminal = Terminal::new(80, &[("TERM", "dumb")]);
    let lines = terminal.end();
    assert!(!lines.iter().any(|l| l.starts_with('[')), "{lines:#?}");
}
