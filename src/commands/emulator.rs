//! `zerobus emulator`: runs the embedded server until a signal.

use tokio::signal::unix::{SignalKind, signal};

use super::again::quote;
use crate::cli::EmulatorArgs;
use crate::client::Secret;
use crate::emulator::{Emulator, Options};
use crate::error::{Failure, Kind, exit};

pub(super) async fn run(args: EmulatorArgs) -> Result<u8, Failure> {
    let mut clients = args
        .clients
        .iter()
        .map(|c| client(c))
        .collect::<Result<Vec<_>, _>>()?;
    let made = clients.is_empty();
    if made {
        clients.push(("emulator".to_owned(), random_secret().expose().to_owned()));
    }
    let (id, secret) = clients[0].clone();
    // Before the address is printed: from then on a signal must be understood.
    let no_signals =
        |e: std::io::Error| Failure::new(Kind::Settings, format!("cannot listen for signals: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let emulator = Emulator::start(Options {
        dir: args.dir,
        listen: args.listen,
        clients,
        no_auth: args.no_auth,
        token_ttl: args.token_ttl,
        tls: args.tls,
        auto_create: args.auto_create,
        discard: args.discard,
        commit_interval: args.commit_interval,
        faults: args.faults,
        seed: args.seed,
    })
    .await?;
    let url = emulator.url();
    let ca = emulator.ca().map_or(String::new(), |ca| {
        let ca = quote(&ca.display().to_string());
        format!("export SSL_CERT_FILE={ca}\n")
    });
    let secret = match made {
        true => format!("export DATABRICKS_CLIENT_SECRET={secret}"),
        // One that was given is known to whom it concerns.
        false => "# DATABRICKS_CLIENT_SECRET: as given by --client".to_owned(),
    };
    super::print(&format!(
        "export ZEROBUS_ENDPOINT={url}\n\
         export DATABRICKS_HOST={url}\n\
         {ca}\
         export DATABRICKS_CLIENT_ID={id}\n\
         {secret}\n"
    ))?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    emulator.shutdown().await?;
    Ok(exit::OK)
}

fn client(text: &str) -> Result<(String, String), Failure> {
    match text.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
            Ok((id.to_owned(), secret.to_owned()))
        }
        // Without the text: it may be a secret.
        _ => Err(Failure::new(Kind::Usage, "--client expected ID:SECRET")),
    }
}

/// 122 bits that nobody guesses.
pub(super) fn random_secret() -> Secret {
    Secret::new(uuid::Uuid::new_v4().simple().to_string())
}
