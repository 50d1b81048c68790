//! The progress bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar with a line of text, or a spinner where the end is not known.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {wide_msg}"));
        Self { bar }
    }

    pub(super) fn show(&self, done: u64, total: Option<u64>, line: String) {
        if let Some(total) = total
            && self.bar.length().is_none()
        {
            self.bar.set_style(style("[{bar:20}] {wide_msg}"));
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        self.bar.set_message(line);
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
