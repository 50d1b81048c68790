//! `zerobus emulator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{SqlArgs, parse};
use crate::emulator::Fault;

pub(super) const EXAMPLES: &str = "\
Examples:
  Tables under ./wh are made from the first stream's descriptor:
    zerobus emulator --dir wh --auto-create
  Tables are made as in Databricks, by CREATE TABLE and GRANT:
    zerobus emulator --dir wh --sql tables.sql --enforce-grants
  Every stream is closed after 50,000 records, as routine, and one in ten breaks off:
    zerobus emulator --dir wh --auto-create --fault close:after=50000 --fault drop:after=9000,p=0.1

It prints the lines to export for a loader in another shell. SIGTERM or Ctrl-C commits what
was accepted and ends it, the second one without waiting for clients to take their answers.";

/// At most 90 columns, so that nothing is wrapped.
const FAULTS: &str = "\
A fault on purpose, repeatable: KIND[:KEY=VALUE[,KEY=VALUE...]]; a comma in a value is \\,

Kinds:
fail           ends with status=CODE and message=TEXT; a stream first acknowledges all that
               came. CODE is a gRPC status, default UNAVAILABLE; at=token it is an HTTP
               status, default 503
throttle       the same with RESOURCE_EXHAUSTED or HTTP 429, and retry-after=DURATION
delay          answers for=DURATION too late; at=stream all acknowledgements from then on
drop           cuts the TCP connection
stall          neither reads nor answers nor closes; HTTP/2 pings are answered still
close          sends a close signal, and ends the stream after grace=DURATION (default 1s)
refuse-row     refuses a batch with a record that holds the bytes contains=TEXT
wrong-ack      acknowledges once an offset=beyond all that was sent (default), offset=back
               below the one before, or offset=repeat the one before again
expire-tokens  forgets all tokens: at=create before that call's own is checked; at=stream
               that stream ends with UNAUTHENTICATED

Where:
at=stream      an open stream (default), once after=N records have come on it (default 0);
               the batch that completes them is still taken
at=create      the creation of a stream
at=token       a request for a token

How often, of the streams, creations or requests that it may strike; unless told, always:
every=N        each Nth
p=P            each with this probability, drawn by --seed
times=N        no more than N times in all";

/// Arguments of `zerobus emulator`.
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// Where the Delta tables are: DIR/CATALOG/SCHEMA/TABLE
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8585", value_parser = parse::address)]
    pub listen: SocketAddr,
    /// Accepted credentials, repeatable [default: a pair made at start and printed]
    #[arg(long = "client", value_name = "ID:SECRET")]
    pub clients: Vec<String>,
    /// Exchange the JWT in this file for tokens, too, as workload identity federation does
    #[arg(long, value_name = "FILE", conflicts_with = "no_auth")]
    pub federated_token_file: Option<PathBuf>,
    /// Take any token, or none
    #[arg(long, conflicts_with = "clients")]
    pub no_auth: bool,
    /// How long a token is valid
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "1h")]
    pub token_ttl: Duration,
    /// Speak TLS with a certificate for localhost; clients must trust the CA in DIR/ca.pem
    #[arg(long)]
    pub tls: bool,
    /// Statements to carry out before the server listens.
    #[command(flatten)]
    pub sql: SqlArgs,
    /// Let a client write only where its --client ID, as principal, was granted USE CATALOG, USE SCHEMA, SELECT and MODIFY
    #[arg(long, conflicts_with = "no_auth")]
    pub enforce_grants: bool,
    /// Make a table that does not exist from the first stream's descriptor
    #[arg(long)]
    pub auto_create: bool,
    /// Check records and acknowledge them, store nothing: a sink for measuring
    #[arg(long)]
    pub discard: bool,
    /// The least spacing of a table's Delta commits; 0s: as soon as rows wait
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "0s")]
    pub commit_interval: Duration,
    /// A fault on purpose, repeatable: KIND[:KEY=VALUE,...], see --help
    #[arg(long = "fault", value_name = "SPEC", long_help = FAULTS)]
    pub faults: Vec<Fault>,
    /// Settles what faults do by chance: same seed, same order of connections, same faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}
