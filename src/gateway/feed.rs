//! What lies in a table's spool goes into its stream.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::spool::{Chunk, Place, Spool};
use super::table::Table;
use crate::sdk::{Error, Stream};

/// As many records of the spool are in the stream, so that requests that wait for theirs find
/// room beside them.
const SENT_MAX: usize = 25_000;
/// The wait after a stream that could not be opened, or a file that could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// Records that were sent, and the place behind them.
struct Sent {
    offsets: Range<u64>,
    records: usize,
    end: Place,
}

/// Sends for as long as it is let.
pub(super) async fn feed(table: Arc<Table>, spool: Arc<Spool>) {
    loop {
        // A stream is opened once there is something to send.
        let first = match spool.next(spool.settled()).await {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::error!(table = table.key, %error, "the spool cannot be read");
                sleep(AGAIN).await;
                continue;
            }
        };
        let stream = match table.stream().await {
            Ok(stream) => stream,
            Err(_) => {
                sleep(AGAIN).await;
                continue;
            }
        };
        if let Err(error) = send(&stream, &spool, first).await {
            let error = error.to_string();
            tracing::warn!(
                table = table.key,
                error,
                "the spool is sent again from where it is settled"
            );
            sleep(AGAIN).await;
        }
    }
}

/// Sends until the stream fails.
async fn send(stream: &Stream, spool: &Spool, first: Chunk) -> Result<(), Error> {
    let (mut sent, mut outstanding) = (VecDeque::new(), 0);
    let mut at = take(stream, first, &mut sent).await?;
    outstanding += sent.iter().map(|s: &Sent| s.records).sum::<usize>();
    loop {
        let oldest = sent.front().map(|sent| sent.offsets.clone());
        tokio::select! {
            settled = stream.settle(oldest.unwrap_or_default()), if !sent.is_empty() => {
                // Those that were refused are in the dead letters.
                settled?;
                if let Some(Sent { records, end, .. }) = sent.pop_front() {
                    outstanding -= records;
                    spool.settle(end, records as u64);
                }
            }
            chunk = spool.next(at), if outstanding < SENT_MAX => {
                let Ok(chunk) = chunk else {
                    // It is read again, and told, once all of what is sent is settled.
                    match sent.is_empty() {
                        true => return Ok(()),
                        false => { sleep(AGAIN).await; continue; }
                    }
                };
                outstanding += chunk.records.len();
                at = take(stream, chunk, &mut sent).await?;
            }
        }
    }
}

/// Hands a chunk to the stream; the place behind it.
async fn take(stream: &Stream, chunk: Chunk, sent: &mut VecDeque<Sent>) -> Result<Place, Error> {
    let Chunk { records, end } = chunk;
    let offsets = stream.ingest_all(&records).await?;
    let records = records.len();
    sent.push_back(Sent {
        offsets,
        records,
        end,
    });
    Ok(end)
}
