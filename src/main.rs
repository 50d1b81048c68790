//! The `zerobus` binary: parse, run, render the error, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use zerobus::cli::Cli;
use zerobus::error::Failure;
use zerobus::{commands, report};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = commands::run(cli).await.unwrap_or_else(|failure: Failure| {
        report::write_line(&failure.to_string());
        failure.kind.exit_code()
    });
    ExitCode::from(code)
}
