//! `zerobus emulator`: runs the embedded server until a signal.

use std::fs::File;
use std::io::Read as _;

use tokio::signal::unix::{SignalKind, signal};

use super::again::quote;
use crate::cli::{EmulatorArgs, SqlArg};
use crate::client::Secret;
use crate::emulator::{Emulator, Options, SqlScript};
use crate::error::{Failure, Kind, exit};
use crate::report::write_line;

/// More SQL than any guide has.
const SQL_BYTES_MAX: u64 = 1 << 20;

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
    let scripts = args.sql.given.into_iter().map(script);
    let scripts = scripts.collect::<Result<_, _>>()?;
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
        federated: args.federated_token_file,
        no_auth: args.no_auth,
        token_ttl: args.token_ttl,
        tls: args.tls,
        auto_create: args.auto_create,
        discard: args.discard,
        enforce_grants: args.enforce_grants,
        scripts,
        commit_interval: args.commit_interval,
        faults: args.faults,
        seed: args.seed,
    })
    .await?;
    if !args.clients.is_empty() {
        write_line(
            "warning: the secret in --client on the command line can be read by every user of this machine; \
             without --client one is made and printed",
        );
    }
    let url = quote(emulator.url());
    let id = quote(&id);
    let ca = emulator.ca().map_or(String::new(), |ca| {
        let ca = quote(&ca.display().to_string());
        format!("export SSL_CERT_FILE={ca}\n")
    });
    let secret = match made {
        true => format!("export DATABRICKS_CLIENT_SECRET={secret}"),
        // One that was given is known to whom it concerns.
        false => "# DATABRICKS_CLIENT_SECRET: as given by --client".to_owned(),
    };
    let exports = format!(
        "export ZEROBUS_ENDPOINT={url}\n\
         export DATABRICKS_HOST={url}\n\
         {ca}\
         export DATABRICKS_CLIENT_ID={id}\n\
         {secret}\n"
    );
    // Whoever does not see them may know them: the server serves all the same.
    if let Err(failure) = super::print(&exports) {
        write_line(&format!("warning: {}", failure.message));
    }
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    signalled().await;
    emulator.shutdown_or(signalled()).await?;
    Ok(exit::OK)
}

/// The statements that a flag brings.
fn script(given: SqlArg) -> Result<SqlScript, Failure> {
    let path = match given {
        SqlArg::File(path) => path,
        SqlArg::Statements(text) => {
            let origin = "--create".to_owned();
            return Ok(SqlScript { origin, text });
        }
    };
    let origin = path.display().to_string();
    let unreadable = |what: &str| Failure::new(Kind::Input, format!("{what} --sql {origin}"));
    let file = File::open(&path).map_err(|e| unreadable("cannot read").caused_by(e))?;
    let mut text = Vec::new();
    file.take(SQL_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|e| unreadable("cannot read").caused_by(e))?;
    if text.len() as u64 > SQL_BYTES_MAX {
        let what = format!("more than {SQL_BYTES_MAX} bytes in");
        return Err(unreadable(&what));
    }
    match String::from_utf8(text) {
        Ok(text) => Ok(SqlScript { origin, text }),
        Err(error) => Err(unreadable("no UTF-8 in").caused_by(error)),
    }
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
