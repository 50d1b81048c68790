//! `zerobus gateway`: serves HTTP until a signal.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::cli::GatewayArgs;
use crate::client::Secret;
use crate::error::{Failure, Kind, exit};
use crate::gateway::config::{Config, Databricks, Record, TableConfig};
use crate::gateway::{Ending, Gateway, Options, Served, Setup, Token, Unusable};
use crate::load::Signals;
use crate::sdk::{Credentials, Error, ErrorKind, Sdk, TableProperties};
use crate::settings::{self, Dotenv};

/// How often the catalog is asked for a table, and the wait before it is asked again.
const CATALOG_TRIES: u32 = 4;
const CATALOG_AGAIN: Duration = Duration::from_secs(2);

pub(super) async fn run(args: GatewayArgs) -> Result<u8, Failure> {
    let mut signals = Signals::listen();
    // From here on it does not end the process.
    let mut hangup = signal(SignalKind::hangup()).ok();
    super::log::start(args.log_format);
    if args.deadline.is_zero() {
        let message = "--deadline 0s leaves a request no time";
        return Err(Failure::new(Kind::Usage, message));
    }
    let source = Source::of(&args).await?;
    let setup = signals.unless_interrupted(source.setup()).await?;
    let gateway = Gateway::new(setup, options(&args)).map_err(|why| match why {
        Unusable::Locked(message) => Failure::new(Kind::Locked, message)
            .hint("end the other process, or use another directory"),
        Unusable::Other(message) => Failure::new(Kind::Output, message)
            .hint("check the directory, its permissions and its space; --spool and --dead-letters give others"),
    })?;
    let cannot = |e: std::io::Error| {
        let message = format!("cannot listen on {}", args.listen);
        Failure::new(Kind::Settings, message).caused_by(e)
    };
    let listener = TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    super::print(&format!("listening on http://{address}\n"))?;
    let (end, ending) = watch::channel(Ending::No);
    tokio::spawn(async move {
        for how in [Ending::Soon, Ending::Now] {
            signals.next().await;
            end.send_replace(how);
        }
        // Whoever looks must not take this for the end of all signals.
        std::future::pending::<()>().await;
    });
    let (setups, given) = mpsc::channel(1);
    let reading_again = async {
        while let Some(hangup) = &mut hangup
            && hangup.recv().await.is_some()
        {
            match source.setup().await {
                Ok(setup) => {
                    let _ = setups.send(setup).await;
                }
                Err(failure) => {
                    let error = failure.to_string();
                    tracing::error!(
                        error,
                        "cannot serve what is configured now; serving as before"
                    );
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let served = tokio::select! {
        served = gateway.serve(listener, given, ending) => served,
        () = reading_again => Ok(()),
    };
    source.end().await?;
    served.map_err(|failures| Failure::new(Kind::Unavailable, failures.join("; ")))?;
    Ok(exit::OK)
}

fn options(args: &GatewayArgs) -> Options {
    let beside = || beside(&args.config, "dead-letters.ndjson");
    let in_spool = || Some(args.spool.as_ref()?.join("dead-letters.ndjson"));
    let dead_letters = args.dead_letters.clone().or_else(in_spool);
    Options {
        deadline: args.deadline,
        body_bytes_max: args.max_body,
        dead_letters: dead_letters.unwrap_or_else(beside),
        spool: args.spool.clone().map(|dir| (dir, args.spool_max as u64)),
        log_requests: args.log_requests,
        is_local: args.listen.ip().is_loopback(),
    }
}

fn beside(config: &Path, name: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(name)
}

/// Where the setup comes from, each time that it is made.
struct Source<'a> {
    args: &'a GatewayArgs,
    /// What was made of this part of the configuration last.
    made: Mutex<Option<(Databricks, Sdk)>>,
    #[cfg(feature = "emulator")]
    local: Option<Local>,
}

impl<'a> Source<'a> {
    async fn of(args: &'a GatewayArgs) -> Result<Self, Failure> {
        Ok(Self {
            args,
            made: Mutex::default(),
            #[cfg(feature = "emulator")]
            local: match &args.local {
                Some(dir) => Some(Local::start(dir).await?),
                None => None,
            },
        })
    }

    /// What configuration, variables and catalog say now.
    async fn setup(&self) -> Result<Setup, Failure> {
        let args = self.args;
        let place = args.config.display().to_string();
        let config = Config::read(&args.config).map_err(|why| {
            Failure::new(Kind::Settings, why)
                .at(place.clone(), None)
                .hint("it is as the config.json of Zerobus Station; the README has an example")
        })?;
        let file = beside(&args.config, ".env");
        let variables = settings::dotenv(&file).map_err(|why| {
            Failure::new(Kind::Settings, why).at(file.display().to_string(), None)
        })?;
        let tokens = tokens(&config, &variables)?;
        let is_open = !args.listen.ip().is_loopback() && !args.allow_anonymous;
        if is_open && tokens.iter().any(Option::is_none) {
            let message = format!("--listen {} is open to other machines", args.listen);
            return Err(Failure::new(Kind::Usage, message).hint(
                "set GATEWAY_TOKEN, which callers must then show, or a token_env for each table; --allow-anonymous lets anybody write who can reach it",
            ));
        }
        let (sdk, credentials) = self.upstream(&config.databricks, &place, &variables)?;
        let resolved = config.tables.into_iter().zip(tokens).map(|(table, token)| {
            let (sdk, credentials) = (&sdk, &credentials);
            async move {
                let TableConfig { key, record, .. } = table;
                let properties = match record {
                    Record::Known(properties) => properties,
                    Record::OfCatalog(name) => {
                        let fetched = of_catalog(sdk, credentials, &name).await;
                        fetched.map_err(|e| of_table(&key, &name, &e))?
                    }
                };
                Ok::<_, Failure>(Served {
                    key,
                    properties,
                    token,
                })
            }
        });
        Ok(Setup {
            tables: try_join_all(resolved).await?,
            sdk: sdk.clone(),
            credentials: credentials.clone(),
        })
    }

    fn upstream(
        &self,
        databricks: &Databricks,
        place: &str,
        variables: &Dotenv,
    ) -> Result<(Sdk, Credentials), Failure> {
        #[cfg(feature = "emulator")]
        if let Some(local) = &self.local {
            return Ok((local.sdk.clone(), local.credentials.clone()));
        }
        let of = |name: &str| {
            variables.get(name).ok_or_else(|| {
                Failure::new(Kind::Settings, format!("{name} is not set"))
                    .hint("set it in the environment, or in a file .env beside the configuration")
            })
        };
        let credentials =
            Credentials::client(of("DATABRICKS_CLIENT_ID")?, of("DATABRICKS_CLIENT_SECRET")?);
        // Whatever a panic has left, it is replaced as a whole.
        let mut made = self
            .made
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((before, sdk)) = &*made
            && before == databricks
        {
            return Ok((sdk.clone(), credentials));
        }
        let mut sdk =
            Sdk::builder(&databricks.server_endpoint).workspace_url(&databricks.workspace_url);
        if let Some(id) = &databricks.workspace_id {
            sdk = sdk.workspace_id(id);
        }
        let sdk = sdk
            .build()
            .map_err(|e| Failure::new(Kind::Settings, e.to_string()).at(place.to_owned(), None))?;
        *made = Some((databricks.clone(), sdk.clone()));
        Ok((sdk, credentials))
    }

    async fn end(self) -> Result<(), Failure> {
        #[cfg(feature = "emulator")]
        if let Some(local) = self.local {
            local.emulator.shutdown().await?;
        }
        Ok(())
    }
}

/// The token of each table: its own, or that of all.
fn tokens(config: &Config, variables: &Dotenv) -> Result<Vec<Option<Token>>, Failure> {
    let token = |name: &str| {
        let Some(token) = variables.get(name) else {
            return Ok(None);
        };
        let token = token.trim();
        match !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            true => Ok(Some(Token::new(&Secret::new(token)))),
            false => Err(Failure::new(
                Kind::Settings,
                format!("{name} is no token that a header can carry"),
            )
            .hint("use letters, digits and punctuation, such as openssl rand -hex 32 makes")),
        }
    };
    let common = token("GATEWAY_TOKEN")?;
    let tables = config.tables.iter();
    let of = |table: &TableConfig| match &table.token_env {
        None => Ok(common.clone()),
        Some(name) => token(name)?.map(Some).ok_or_else(|| {
            let message = format!(
                "{name} is not set, the token_env of table \"{}\"",
                table.key
            );
            Failure::new(Kind::Settings, message)
                .hint("set it in the environment, or in a file .env beside the configuration")
        }),
    };
    tables.map(of).collect()
}

async fn of_catalog(
    sdk: &Sdk,
    credentials: &Credentials,
    name: &str,
) -> Result<TableProperties, Error> {
    let mut tries = 1;
    loop {
        match sdk.fetch_table(credentials, name).await {
            Err(error) if error.is_retryable() && tries < CATALOG_TRIES => {
                tracing::warn!(table_name = name, %error, "the catalog is asked again");
            }
            fetched => return fetched,
        }
        tries += 1;
        tokio::time::sleep(CATALOG_AGAIN).await;
    }
}

fn of_table(key: &str, name: &str, error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Credentials => Kind::Credentials,
        _ if error.is_retryable() => Kind::Unavailable,
        _ => Kind::Settings,
    };
    let message = format!("table \"{key}\": the columns of {name} cannot be fetched: {error}");
    Failure::new(kind, message).hint("with fields or proto in the configuration they need not be")
}

/// The embedded server; tables are made by their first stream.
#[cfg(feature = "emulator")]
struct Local {
    emulator: crate::emulator::Emulator,
    sdk: Sdk,
    credentials: Credentials,
}

#[cfg(feature = "emulator")]
impl Local {
    async fn start(dir: &Path) -> Result<Self, Failure> {
        use crate::emulator::{Emulator, Options};

        let secret = super::emulator::random_secret();
        let client = ("gateway".to_owned(), secret.expose().to_owned());
        let mut options = Options::new(dir, ([127, 0, 0, 1], 0).into(), client);
        options.auto_create = true;
        let emulator = Emulator::start(options).await?;
        let sdk = Sdk::new(emulator.url(), emulator.url());
        Ok(Self {
            sdk: sdk.map_err(|e| Failure::new(Kind::Settings, e.to_string()))?,
            credentials: Credentials::client("gateway", secret.expose()),
            emulator,
        })
    }
}
