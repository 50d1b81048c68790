//! `zerobus completions SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{Failure, exit};

/// Prints a shell's completions.
pub(super) fn run(shell: Shell) -> Result<u8, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "zerobus", &mut out);
    super::print(&String::from_utf8_lossy(&out))?;
    Ok(exit::OK)
}
