//! The `zerobus` binary: parse, run, render the error, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use zerobus::cli::Cli;
use zerobus::error::{Failure, Kind};
use zerobus::{commands, report};

/// What is still under way when a command has ended, such as the look-up of a name, is not
/// waited for.
const RUNTIME_END_MAX: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    keep_secrets_out_of_core_dumps();
    let cli = Cli::parse();
    let result = commands::runtime(&cli)
        .map_err(|e| Failure::new(Kind::Settings, format!("cannot start: {e}")))
        .and_then(|runtime| {
            let result = runtime.block_on(commands::run(cli));
            runtime.shutdown_timeout(RUNTIME_END_MAX);
            result
        });
    let code = result.unwrap_or_else(|failure| {
        report::write_line(&failure.to_string());
        failure.kind.exit_code()
    });
    ExitCode::from(code)
}

/// The memory of this process holds secrets. Nobody is to find them in a file, should it crash.
fn keep_secrets_out_of_core_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Where the kernel does not know how, the process is as any other.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
