//! What lies in a table's spool goes into its stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::spool::{Chunk, Spool};
use super::table::Table;
use crate::sdk::{Error, Stream};

/// As much of the spool is in the stream, so that requests that wait for their records find room
/// beside it: half of what may be in flight.
const SENT_RECORDS_MAX: usize = 25_000;
const SENT_BYTES_MAX: usize = 32 << 20;
/// The wait after a stream that could not be opened, or a file that could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// Records that are in the stream.
struct Sent {
    chunk: Chunk,
    /// The offset of the first.
    first: u64,
    /// So many of them are settled.
    settled: usize,
}

impl Sent {
    fn end(&self) -> u64 {
        self.first + self.chunk.records.len() as u64
    }
}

/// Sends for as long as it is let.
pub(super) async fn feed(table: Arc<Table>, spool: Arc<Spool>) {
    loop {
        // A stream is opened once there is something to send.
        spool.is_filled().await;
        let Ok(stream) = table.keeper.stream().await else {
            sleep(AGAIN).await;
            continue;
        };
        let mut feeder = Feeder {
            stream: &stream,
            spool: &spool,
            sent: VecDeque::new(),
        };
        let ended = feeder.run().await;
        // What is settled of it need not be sent again.
        feeder.settle(stream.settled());
        if let Err(error) = ended {
            let error = error.to_string();
            tracing::warn!(
                table = table.key,
                error,
                "the spool is sent again from where it is settled"
            );
        }
        sleep(AGAIN).await;
    }
}

struct Feeder<'s> {
    stream: &'s Stream,
    spool: &'s Spool,
    sent: VecDeque<Sent>,
}

impl Feeder<'_> {
    /// Sends until the stream fails, or the spool cannot be read.
    async fn run(&mut self) -> Result<(), Error> {
        let mut at = self.spool.settled();
        let mut is_readable = true;
        while is_readable || !self.sent.is_empty() {
            let oldest = self.sent.front().map(|sent| sent.first..sent.end());
            let oldest = oldest.unwrap_or_default();
            tokio::select! {
                settled = self.stream.settle(oldest), if !self.sent.is_empty() => {
                    // Those that were refused are in the dead letters.
                    settled?;
                    self.settle(self.stream.settled());
                }
                chunk = self.spool.next(at), if is_readable && self.has_room() => {
                    // The trouble is told, and it is tried again once what is sent is settled.
                    let Some(chunk) = chunk else {
                        is_readable = false;
                        continue;
                    };
                    let offsets = self.stream.ingest_all(&chunk.records).await?;
                    at = chunk.end();
                    self.sent.push_back(Sent { chunk, first: offsets.start, settled: 0 });
                }
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let chunks = || self.sent.iter().map(|sent| &sent.chunk);
        let records: usize = chunks().map(|chunk| chunk.records.len()).sum();
        let bytes: usize = chunks().map(|chunk| chunk.bytes).sum();
        records < SENT_RECORDS_MAX && bytes < SENT_BYTES_MAX
    }

    /// All offsets of the stream below this one are settled.
    fn settle(&mut self, below: u64) {
        while let Some(sent) = self.sent.front_mut() {
            let settled = below.min(sent.end()).saturating_sub(sent.first) as usize;
            if settled > sent.settled {
                let place = sent.chunk.place_behind(settled - 1);
                self.spool.settle(place, (settled - sent.settled) as u64);
                sent.settled = settled;
            }
            if settled < sent.chunk.records.len() {
                return;
            }
            self.sent.pop_front();
        }
    }
}
