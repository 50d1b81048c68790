//! What goes on in the server, for whoever looks at `/` and `/status.json`.
//!
//! The JSON is [`Report`], made when it is asked for; `_ms` are milliseconds since 1970:
//!
//! ```json
//! {"now_ms": 0,
//!  "server": {"version": "0.1.0", "directory": "/wh", "started_ms": 0, "modes": ["tls"]},
//!  "tables": {"shown": [{"name": "a.b.c", "open": true, "version": 1, "rows": 9, "files": 1,
//!                        "bytes": 700, "problem": ""}], "more": false},
//!  "streams_created": 1, "streams_live": 1,
//!  "streams": [{"stream_id": "...", "table": "a.b.c", "client": "zerobus/0.1.0", "age_s": 3,
//!               "records_received": 9, "records_acked": 5, "last_received": 2,
//!               "last_acked": null, "records_per_s": 3}],
//!  "refusals": [{"at_ms": 0, "table": "a.b.c", "client": "", "code": "NotFound", "reason": "..."}],
//!  "received_by_second": [0, 9]}
//! ```
//!
//! A table that cannot be read has a `problem` and no figures; `rows` is null where a file
//! does not say how many it holds. What clients have sent stands there in their words, cut
//! to a bound; secrets and tokens never do.

mod page;
mod seconds;
mod tables;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::requests::Chunk;
use super::{Options, TOKEN_TTL};

use self::seconds::Seconds;
use self::tables::Tables;

pub(super) use self::page::router;

/// Refusals that are remembered.
const REFUSALS_MAX: usize = 50;
/// Streams that are shown; all are counted.
const STREAMS_SHOWN_MAX: usize = 200;
/// What is kept of a client's or a table's name, in characters.
const NAME_CHARS_MAX: usize = 200;
/// What is kept of a reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// The seconds that the chart shows, and the one under way.
const HISTORY_SECONDS: usize = 121;
/// The seconds over which a stream's rate is taken, and the one under way.
const RATE_SECONDS: usize = 6;

/// What goes on in a server.
pub(super) struct Activity {
    started: Instant,
    server: Server,
    live: Mutex<Live>,
    refusals: Mutex<VecDeque<Refusal>>,
    received: Mutex<Seconds<HISTORY_SECONDS>>,
}

#[derive(Default)]
struct Live {
    streams: BTreeMap<u64, Arc<StreamActivity>>,
    /// Streams that were ever created.
    created: u64,
}

/// All of it at one moment.
#[derive(Serialize)]
struct Report {
    now_ms: u64,
    server: Server,
    tables: Tables,
    streams_created: u64,
    streams_live: usize,
    /// The oldest of those that are live.
    streams: Vec<StreamReport>,
    /// The latest, newest first.
    refusals: VecDeque<Refusal>,
    /// Records that came in each of the last 120 seconds, oldest first.
    received_by_second: Vec<u64>,
}

/// What stays the same while a server runs.
#[derive(Clone, Serialize)]
struct Server {
    version: &'static str,
    directory: String,
    started_ms: u64,
    /// What is not as by default, in the words of the flags.
    modes: Vec<String>,
}

#[derive(Serialize)]
struct StreamReport {
    stream_id: String,
    table: String,
    /// How the client names itself.
    client: String,
    age_s: u64,
    records_received: u64,
    records_acked: u64,
    last_received: Option<i64>,
    last_acked: Option<i64>,
    /// Records received over the last five seconds.
    records_per_s: u64,
}

/// Something that a client was refused.
#[derive(Clone, Serialize)]
struct Refusal {
    at_ms: u64,
    /// Empty where none was named.
    table: String,
    client: String,
    /// A gRPC code, an HTTP status, or `TLS`.
    code: String,
    reason: String,
}

impl Activity {
    pub(super) fn new(options: &Options, dir: &Path, now: Instant) -> Arc<Self> {
        let interval = options.commit_interval;
        let modes = [
            options.tls.then(|| "tls".to_owned()),
            options.no_auth.then(|| "no-auth".to_owned()),
            options.enforce_grants.then(|| "enforce-grants".to_owned()),
            (options.token_ttl != TOKEN_TTL).then(|| format!("token-ttl {:?}", options.token_ttl)),
            options.auto_create.then(|| "auto-create".to_owned()),
            options.discard.then(|| "discard".to_owned()),
            (interval > Duration::ZERO).then(|| format!("commit-interval {interval:?}")),
            (!options.faults.is_empty())
                .then(|| format!("faults {}, seed {}", options.faults.len(), options.seed)),
        ];
        Arc::new(Self {
            started: now,
            server: Server {
                version: env!("CARGO_PKG_VERSION"),
                directory: dir.display().to_string(),
                started_ms: unix_ms(),
                modes: modes.into_iter().flatten().collect(),
            },
            live: Mutex::default(),
            refusals: Mutex::default(),
            received: Mutex::new(Seconds::new(0)),
        })
    }

    /// A stream was created; it is live until what is returned is dropped.
    pub(super) fn stream(
        self: &Arc<Self>,
        stream_id: &str,
        table: &str,
        client: &str,
        now: Instant,
    ) -> LiveStream {
        let second = self.second(now);
        let stream = Arc::new(StreamActivity {
            activity: self.clone(),
            stream_id: stream_id.to_owned(),
            table: cut(table, NAME_CHARS_MAX),
            client: cut(client, NAME_CHARS_MAX),
            created: second,
            progress: Mutex::new(Progress {
                records_received: 0,
                records_acked: 0,
                last_received: None,
                last_acked: None,
                unacked: VecDeque::new(),
                received: Seconds::new(second),
            }),
        });
        let mut live = lock(&self.live);
        let number = live.created;
        live.created += 1;
        live.streams.insert(number, stream.clone());
        LiveStream { number, stream }
    }

    /// A client was refused something.
    pub(super) fn refused(&self, table: &str, client: &str, code: &str, reason: &str) {
        let refusal = Refusal {
            at_ms: unix_ms(),
            table: cut(table, NAME_CHARS_MAX),
            client: cut(client, NAME_CHARS_MAX),
            code: code.to_owned(),
            reason: cut(reason, REASON_CHARS_MAX),
        };
        let mut refusals = lock(&self.refusals);
        refusals.truncate(REFUSALS_MAX - 1);
        refusals.push_front(refusal);
    }

    fn report(&self, tables: Tables, now: Instant) -> Report {
        let second = self.second(now);
        let live = lock(&self.live);
        let shown = live.streams.values().take(STREAMS_SHOWN_MAX);
        Report {
            now_ms: unix_ms(),
            server: self.server.clone(),
            tables,
            streams_created: live.created,
            streams_live: live.streams.len(),
            streams: shown.map(|stream| stream.report(second)).collect(),
            refusals: lock(&self.refusals).clone(),
            received_by_second: lock(&self.received).complete(second).collect(),
        }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

/// Keeps a stream among the live ones.
pub(super) struct LiveStream {
    number: u64,
    pub(super) stream: Arc<StreamActivity>,
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        lock(&self.stream.activity.live)
            .streams
            .remove(&self.number);
    }
}

/// What goes on in a stream.
pub(super) struct StreamActivity {
    activity: Arc<Activity>,
    stream_id: String,
    table: String,
    client: String,
    created: u64,
    /// Locked once for each chunk of requests and for each acknowledgement.
    progress: Mutex<Progress>,
}

struct Progress {
    records_received: u64,
    records_acked: u64,
    last_received: Option<i64>,
    last_acked: Option<i64>,
    /// The last offset and the records of each chunk that is not acknowledged; as many as
    /// the server's queues hold.
    unacked: VecDeque<(i64, u64)>,
    received: Seconds<RATE_SECONDS>,
}

impl StreamActivity {
    /// Requests have come.
    pub(super) fn received(&self, chunk: &Chunk, now: Instant) {
        let Some((offset, _)) = chunk.requests.last() else {
            return;
        };
        let second = self.activity.second(now);
        lock(&self.activity.received).add(second, chunk.records);
        let mut progress = lock(&self.progress);
        progress.records_received += chunk.records;
        progress.last_received = Some(*offset);
        progress.unacked.push_back((*offset, chunk.records));
        progress.received.add(second, chunk.records);
    }

    /// An acknowledgement goes out, whether it is right or not.
    pub(super) fn acked(&self, offset: i64) {
        let mut progress = lock(&self.progress);
        progress.last_acked = Some(offset);
        while let Some((_, records)) = progress.unacked.pop_front_if(|(last, _)| *last <= offset) {
            progress.records_acked += records;
        }
    }

    fn report(&self, second: u64) -> StreamReport {
        let mut progress = lock(&self.progress);
        let age = second.saturating_sub(self.created);
        // The young have fewer seconds to look back on.
        let seconds = age.clamp(1, RATE_SECONDS as u64 - 1);
        let received: u64 = progress.received.complete(second).sum();
        StreamReport {
            stream_id: self.stream_id.clone(),
            table: self.table.clone(),
            client: self.client.clone(),
            age_s: age,
            records_received: progress.records_received,
            records_acked: progress.records_acked,
            last_received: progress.last_received,
            last_acked: progress.last_acked,
            records_per_s: received / seconds,
        }
    }
}

/// The beginning of a text that somebody else has written.
fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// A panic elsewhere does not make figures wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
