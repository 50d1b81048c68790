//! The progress bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with a line of text, or a spinner where the end is not known.
pub(super) struct Bar {
    bar: ProgressBar,
}

/// The columns of the bar itself, on a terminal of so many: what matters is the text.
fn bar_columns(terminal: usize) -> usize {
    match terminal {
        0..50 => 0,
        50..80 => 6,
        80..120 => 12,
        _ => 20,
    }
}

/// The columns of the terminal.
fn terminal_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    match size.map_or(0, |size| usize::from(size.ws_col)) {
        // One that does not know is as wide as most.
        0 => 80,
        columns => columns,
    }
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar }
    }

    /// Draws the bar and the line made for the columns that are left.
    pub(super) fn show(&self, done: u64, total: Option<u64>, line: impl FnOnce(usize) -> String) {
        let terminal = terminal_columns();
        let (template, beside) = match (total, bar_columns(terminal)) {
            (None, _) => ("{spinner} {wide_msg}".to_owned(), 2),
            (Some(_), 0) => ("{wide_msg}".to_owned(), 0),
            (Some(_), columns) => (format!("[{{bar:{columns}}}] {{wide_msg}}"), columns + 3),
        };
        self.bar.set_style(style(&template));
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        self.bar.set_message(line(terminal.saturating_sub(beside)));
        self.bar.tick();
    }

    pub(super) fn above(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
