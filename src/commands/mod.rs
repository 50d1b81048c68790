//! The verbs, one file each.

use std::io::Write as _;

use crate::cli::{Cli, Command};
use crate::error::{Failure, Kind};

mod again;
mod checkpoint;
mod completions;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod fetch;
mod flags;
#[cfg(feature = "gateway")]
mod gateway;
mod grants;
#[cfg(feature = "emulator")]
mod grid;
mod ingest;
#[cfg(feature = "emulator")]
mod local;
#[cfg(feature = "gateway")]
mod log;
mod outputs;
#[cfg(feature = "emulator")]
mod peek;
mod record;
mod schema;
mod table;
mod told;

use record::record_plan;

/// What a command runs on. A load has threads of its own for the work on rows; what is left is
/// one connection, whose parts wake each other for less on one thread. A server has many.
///
/// # Errors
/// The system gives no threads or no means to wait for sockets.
pub fn runtime(cli: &Cli) -> std::io::Result<tokio::runtime::Runtime> {
    let serves = match &cli.command {
        #[cfg(feature = "emulator")]
        Command::Ingest(args) => args.local.is_some(),
        #[cfg(not(feature = "emulator"))]
        Command::Ingest(_) => false,
        #[cfg(feature = "emulator")]
        Command::Emulator(_) | Command::Peek(_) => true,
        #[cfg(feature = "gateway")]
        Command::Gateway(_) => true,
        Command::Schema(_) | Command::Doctor(_) | Command::Completions(_) | Command::Man(_) => {
            false
        }
    };
    let mut builder = match serves {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// Runs the command and returns its exit code.
///
/// # Errors
/// A failure that the command has not told by itself.
pub async fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Ingest(args) => ingest::run(*args).await,
        Command::Schema(command) => schema::run(&command),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::run(args).await,
        #[cfg(feature = "gateway")]
        Command::Gateway(args) => gateway::run(args).await,
        #[cfg(feature = "emulator")]
        Command::Peek(args) => peek::run(args).await,
        Command::Doctor(args) => doctor::run(*args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
    }
}

/// Writes to standard output. A reader that has gone away is no failure: what the output
/// tells is told by the exit code, too.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Kind::Output,
            format!("cannot write to standard output: {e}"),
        )),
        _ => Ok(()),
    }
}
