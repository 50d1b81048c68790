//! Flags that say where the service is and who asks: those of a load, and of `zerobus doctor`.

use std::path::PathBuf;

use clap::Args;

/// All of them but `--allow-plaintext`: a load into a local directory takes none.
#[cfg(feature = "emulator")]
pub(super) const SERVICE_FLAGS: [&str; 13] = [
    "endpoint",
    "workspace_url",
    "workspace_id",
    "client_id",
    "client_secret",
    "client_secret_file",
    "token",
    "token_file",
    "token_command",
    "federated_token_file",
    "profile",
    "ca_cert",
    "headers",
];

/// The service, the workspace, and credentials.
#[derive(Debug, Default, Args)]
pub struct ServiceArgs {
    /// The Zerobus endpoint [env: ZEROBUS_ENDPOINT]
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub endpoint: Option<String>,
    /// The workspace, which hands out tokens [env: DATABRICKS_HOST]
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub workspace_url: Option<String>,
    /// The service principal's application id [env: DATABRICKS_CLIENT_ID]
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub client_id: Option<String>,
    /// Its OAuth secret; other users of the machine can read it here [env: DATABRICKS_CLIENT_SECRET]
    #[arg(
        long,
        value_name = "SECRET",
        help_heading = "Target",
        group = "credentials"
    )]
    pub client_secret: Option<String>,
    /// A file that holds the secret
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Target",
        group = "credentials"
    )]
    pub client_secret_file: Option<PathBuf>,
    /// A token, instead of id and secret [env: ZEROBUS_TOKEN]
    #[arg(
        long,
        value_name = "TOKEN",
        help_heading = "Target",
        group = "credentials",
        conflicts_with = "client_id"
    )]
    pub token: Option<String>,
    /// A file that holds the token; read again when it is refused
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Target",
        group = "credentials",
        conflicts_with = "client_id"
    )]
    pub token_file: Option<PathBuf>,
    /// A command that prints a token, or JSON with access_token and expires_in or expiry; run again when the token expires
    #[arg(
        long,
        value_name = "CMD",
        help_heading = "Target",
        group = "credentials",
        conflicts_with = "client_id"
    )]
    pub token_command: Option<String>,
    /// Workload identity: a file with a JWT to exchange for a token, in place of a secret [env: DATABRICKS_OIDC_TOKEN_FILEPATH]
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Target",
        group = "credentials"
    )]
    pub federated_token_file: Option<PathBuf>,
    /// Take what is not given from this profile of ~/.databrickscfg; here it beats the environment [env: DATABRICKS_CONFIG_PROFILE] [default: DEFAULT]
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    pub profile: Option<String>,
    /// The workspace's id [env: DATABRICKS_WORKSPACE_ID] [default: from the endpoint]
    #[arg(long, value_name = "ID", help_heading = "Target")]
    pub workspace_id: Option<String>,
    /// A PEM file of CAs to trust besides the system's
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub ca_cert: Option<PathBuf>,
    /// A header to send with each request, for a gateway in between; repeatable
    #[arg(long = "header", value_name = "NAME=VALUE", help_heading = "Target")]
    pub headers: Vec<String>,
    /// Allow http:// to another host than this one
    #[arg(long, help_heading = "Target")]
    pub allow_plaintext: bool,
}
