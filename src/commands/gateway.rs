//! `zerobus gateway`: serves HTTP until a signal.

use std::path::Path;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::GatewayArgs;
use crate::client::Secret;
use crate::error::{Failure, Kind, exit};
use crate::gateway::config::Config;
use crate::gateway::{Ending, Limits, Token, serve};
use crate::load::Signals;
use crate::sdk::{Credentials, Sdk};
use crate::settings::{self, Dotenv};

pub(super) async fn run(args: GatewayArgs) -> Result<u8, Failure> {
    let mut signals = Signals::listen();
    let place = args.config.display().to_string();
    let config = Config::read(&args.config).map_err(|why| {
        Failure::new(Kind::Settings, why)
            .at(place.clone(), None)
            .hint("it is the config.json of Zerobus Station: databricks and tables")
    })?;
    if args.deadline.is_zero() {
        let message = "--deadline 0s leaves a request no time";
        return Err(Failure::new(Kind::Usage, message));
    }
    let file = args.config.parent().unwrap_or(Path::new(".")).join(".env");
    let variables = settings::dotenv(&file)
        .map_err(|why| Failure::new(Kind::Settings, why).at(file.display().to_string(), None))?;
    let token = variables.get("GATEWAY_TOKEN").map(Secret::new);
    if !args.listen.ip().is_loopback() && token.is_none() && !args.allow_anonymous {
        let message = format!("--listen {} is open to other machines", args.listen);
        return Err(Failure::new(Kind::Usage, message).hint(
            "set GATEWAY_TOKEN, which callers must then show; --allow-anonymous lets anybody write who can reach it",
        ));
    }
    #[cfg(feature = "emulator")]
    let upstream = match &args.local {
        Some(dir) => Upstream::local(dir).await?,
        None => Upstream::of(&config, &place, &variables)?,
    };
    #[cfg(not(feature = "emulator"))]
    let upstream = Upstream::of(&config, &place, &variables)?;
    let cannot = |e: std::io::Error| {
        let message = format!("cannot listen on {}", args.listen);
        Failure::new(Kind::Settings, message).caused_by(e)
    };
    let listener = TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    super::print(&format!("listening on http://{address}\n"))?;
    let limits = Limits {
        token: token.as_ref().map(Token::new),
        deadline: args.deadline,
        body_bytes_max: args.max_body,
    };
    let (end, ending) = watch::channel(Ending::No);
    tokio::spawn(async move {
        for how in [Ending::Soon, Ending::Now] {
            signals.next().await;
            end.send_replace(how);
        }
        // Whoever looks must not take this for the end of all signals.
        std::future::pending::<()>().await;
    });
    let Upstream {
        sdk, credentials, ..
    } = &upstream;
    let served = serve(
        listener,
        config,
        sdk.clone(),
        credentials.clone(),
        limits,
        ending,
    );
    let served = served.await;
    upstream.end().await?;
    served.map_err(|failures| Failure::new(Kind::Unavailable, failures.join("; ")))?;
    Ok(exit::OK)
}

/// Where streams go.
struct Upstream {
    sdk: Sdk,
    credentials: Credentials,
    #[cfg(feature = "emulator")]
    local: Option<crate::emulator::Emulator>,
}

impl Upstream {
    /// The service that the configuration names.
    fn of(config: &Config, place: &str, variables: &Dotenv) -> Result<Self, Failure> {
        let databricks = &config.databricks;
        let mut sdk =
            Sdk::builder(&databricks.server_endpoint).workspace_url(&databricks.workspace_url);
        if let Some(id) = &databricks.workspace_id {
            sdk = sdk.workspace_id(id);
        }
        let sdk = sdk
            .build()
            .map_err(|e| Failure::new(Kind::Settings, e.to_string()).at(place.to_owned(), None))?;
        let of = |name: &str| {
            variables.get(name).ok_or_else(|| {
                Failure::new(Kind::Settings, format!("{name} is not set"))
                    .hint("set it in the environment, or in a file .env beside the configuration")
            })
        };
        let credentials =
            Credentials::client(of("DATABRICKS_CLIENT_ID")?, of("DATABRICKS_CLIENT_SECRET")?);
        Ok(Self {
            sdk,
            credentials,
            #[cfg(feature = "emulator")]
            local: None,
        })
    }

    /// The embedded server; tables are made by their first stream.
    #[cfg(feature = "emulator")]
    async fn local(dir: &Path) -> Result<Self, Failure> {
        use crate::emulator::{Emulator, Options};

        let secret = super::emulator::random_secret();
        let client = ("gateway".to_owned(), secret.expose().to_owned());
        let mut options = Options::new(dir, ([127, 0, 0, 1], 0).into(), client);
        options.auto_create = true;
        let local = Emulator::start(options).await?;
        let sdk = Sdk::new(local.url(), local.url());
        Ok(Self {
            sdk: sdk.map_err(|e| Failure::new(Kind::Settings, e.to_string()))?,
            credentials: Credentials::client("gateway", secret.expose()),
            local: Some(local),
        })
    }

    async fn end(self) -> Result<(), Failure> {
        #[cfg(feature = "emulator")]
        if let Some(local) = self.local {
            local.shutdown().await?;
        }
        Ok(())
    }
}
