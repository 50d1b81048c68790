//! What faults do to an open stream: one half stands where requests are read, the other
//! where acknowledgements are sent.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::schema::TableName;
use crate::wire::ephemeral_stream_response::Payload as Answer;
use crate::wire::{CloseStreamSignal, IngestRecordResponse};

use super::super::incoming::Records;
use super::{Cut, Fault, Faults, Kind, Place, WrongAck};

/// How far a wrong acknowledgement is beyond the right one: further than any client sends.
const BEYOND: i64 = 1_000_000;

type Durable = mpsc::UnboundedReceiver<Result<i64, String>>;

/// The half where requests are read.
#[derive(Default)]
pub(in super::super) struct Reading(Option<Box<Upsetting>>);

struct Upsetting {
    faults: Arc<Faults>,
    /// For messages.
    table: TableName,
    cut: Cut,
    /// What is due on this stream and has not struck yet.
    due: Vec<(usize, Arc<Fault>)>,
    /// Records that have come.
    records: u64,
    upsets: mpsc::UnboundedSender<Upset>,
    /// When a close signal's time is up.
    closes_at: Option<Instant>,
    has_stalled: bool,
}

/// What the reading half tells the answering one.
enum Upset {
    Delay(Duration),
    Close(Duration),
    Wrong(WrongAck),
    Stall,
}

/// The half where acknowledgements are sent.
pub(in super::super) struct Answering {
    durable: Durable,
    upset: Option<Box<Upsets>>,
}

struct Upsets {
    heard: mpsc::UnboundedReceiver<Upset>,
    stopped: watch::Receiver<bool>,
    delay: Duration,
    /// Acknowledgements that are late, and when they are due.
    late: VecDeque<(Instant, i64)>,
    /// What goes out next.
    ready: VecDeque<Answer>,
    /// What is wrong with the next acknowledgement.
    wrong: Option<WrongAck>,
    /// No more acknowledgements will come.
    has_ended: bool,
}

/// The halves of a stream that nothing happens to.
pub(in super::super) fn faultless(durable: Durable) -> (Reading, Answering) {
    let upset = None;
    (Reading::default(), Answering { durable, upset })
}

impl Faults {
    /// The halves of a stream that was just opened.
    pub(in super::super) fn open(
        self: &Arc<Self>,
        table: &TableName,
        cut: Cut,
        durable: Durable,
    ) -> (Reading, Answering) {
        let (upsets, heard) = mpsc::unbounded_channel();
        let reading = Upsetting {
            faults: self.clone(),
            table: table.clone(),
            cut,
            due: self.occasion(Place::Stream, |_| true),
            records: 0,
            upsets,
            closes_at: None,
            has_stalled: false,
        };
        let answering = Upsets {
            heard,
            stopped: self.stopped.clone(),
            delay: Duration::ZERO,
            late: VecDeque::new(),
            ready: VecDeque::new(),
            wrong: None,
            has_ended: false,
        };
        (
            Reading(Some(Box::new(reading))),
            Answering {
                durable,
                upset: Some(Box::new(answering)),
            },
        )
    }
}

impl Reading {
    /// Refuses a request with a poisoned record.
    pub(in super::super) fn admit(&mut self, offset: i64, records: &Records) -> Result<(), Status> {
        match &mut self.0 {
            Some(upsetting) => upsetting.admit(offset, records),
            None => Ok(()),
        }
    }

    /// So many more records have come; an error ends the stream behind them.
    pub(in super::super) fn count(&mut self, records: usize) -> Result<(), Status> {
        match &mut self.0 {
            Some(upsetting) => upsetting.count(records as u64),
            None => Ok(()),
        }
    }

    /// Nothing may be read any more, and nothing closed.
    pub(in super::super) fn has_stalled(&self) -> bool {
        self.0.as_ref().is_some_and(|reading| reading.has_stalled)
    }

    /// Ends when the time after a close signal is up.
    pub(in super::super) async fn closed(&self) {
        match self.0.as_ref().and_then(|reading| reading.closes_at) {
            Some(closes_at) => sleep_until(closes_at).await,
            None => pending().await,
        }
    }
}

impl Upsetting {
    fn admit(&mut self, offset: i64, records: &Records) -> Result<(), Status> {
        for (index, fault) in &self.due {
            let Kind::RefuseRow(text) = &fault.kind else {
                continue;
            };
            if self.records >= fault.after
                && let Some(record) = records.position_containing(text.as_bytes())
                && self.faults.strikes(*index)
            {
                let table = &self.table;
                return Err(Status::invalid_argument(format!(
                    "table {table}, offset {offset}, record {record}: refused on purpose, it holds \"{text}\""
                )));
            }
        }
        Ok(())
    }

    fn count(&mut self, records: u64) -> Result<(), Status> {
        self.records += records;
        let so_far = self.records;
        let is_due = |(_, fault): &mut (usize, Arc<Fault>)| {
            fault.after <= so_far && !matches!(fault.kind, Kind::RefuseRow(_))
        };
        for (index, fault) in self.due.extract_if(.., is_due).collect::<Vec<_>>() {
            if self.faults.strikes(index) {
                self.strike(&fault.kind)?;
            }
        }
        Ok(())
    }

    fn strike(&mut self, kind: &Kind) -> Result<(), Status> {
        let upset = match kind {
            Kind::Refuse(refusal) => return Err(refusal.status()),
            Kind::ExpireTokens => {
                self.faults.auth.forget_all();
                return Err(Status::unauthenticated("the token has expired on purpose"));
            }
            Kind::Drop => {
                self.cut.cut();
                return Err(Status::unavailable("the connection is cut"));
            }
            Kind::Stall => {
                self.has_stalled = true;
                Upset::Stall
            }
            Kind::Close(grace) => {
                self.closes_at = Some(Instant::now() + *grace);
                Upset::Close(*grace)
            }
            Kind::Delay(delay) => Upset::Delay(*delay),
            Kind::WrongAck(wrong) => Upset::Wrong(*wrong),
            // Strikes when its row comes.
            Kind::RefuseRow(_) => return Ok(()),
        };
        // The other half has ended: so does this one.
        let _ = self.upsets.send(upset);
        Ok(())
    }
}

impl Answering {
    /// The next thing to say; none: everything is said.
    ///
    /// # Errors
    /// Rows could not be stored, or the server stops while the stream has stalled.
    pub(in super::super) async fn next(&mut self) -> Option<Result<Answer, Status>> {
        let Some(upsets) = &mut self.upset else {
            let heard = self.durable.recv().await?;
            return Some(heard.map(ack).map_err(Status::internal));
        };
        loop {
            if let Some(answer) = upsets.ready.pop_front() {
                return Some(Ok(answer));
            }
            let due = upsets.late.front().map(|(due, _)| *due);
            tokio::select! {
                biased;
                Some(upset) = upsets.heard.recv() => match upset {
                    Upset::Delay(delay) => upsets.delay = delay,
                    Upset::Wrong(wrong) => upsets.wrong = Some(wrong),
                    Upset::Close(grace) => upsets.ready.push_back(close_signal(grace)),
                    Upset::Stall => {
                        // An error means that the server is gone.
                        let _ = upsets.stopped.wait_for(|stop| *stop).await;
                        return Some(Err(Status::unavailable("the server is shutting down")));
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some((_, offset)) = upsets.late.pop_front() {
                        upsets.acknowledge(offset);
                    }
                }
                heard = self.durable.recv(), if !upsets.has_ended => match heard {
                    Some(Ok(offset)) if upsets.delay.is_zero() => upsets.acknowledge(offset),
                    Some(Ok(offset)) => {
                        upsets.late.push_back((Instant::now() + upsets.delay, offset));
                    }
                    Some(Err(reason)) => return Some(Err(Status::internal(reason))),
                    None => upsets.has_ended = true,
                },
                else => return None,
            }
        }
    }
}

impl Upsets {
    fn acknowledge(&mut self, offset: i64) {
        match self.wrong {
            // There must be something to go back behind.
            Some(WrongAck::Back) if offset == 0 => self.ready.push_back(ack(offset)),
            Some(wrong) => {
                self.wrong = None;
                self.ready.extend(match wrong {
                    WrongAck::Beyond => vec![ack(offset + BEYOND)],
                    WrongAck::Back => vec![ack(offset), ack(offset - 1)],
                    WrongAck::Repeat => vec![ack(offset), ack(offset)],
                });
            }
            None => self.ready.push_back(ack(offset)),
        }
    }
}

fn ack(offset: i64) -> Answer {
    Answer::IngestRecordResponse(IngestRecordResponse {
        durability_ack_up_to_offset: Some(offset),
    })
}

fn close_signal(grace: Duration) -> Answer {
    Answer::CloseStreamSignal(CloseStreamSignal {
        duration: grace.try_into().ok(),
    })
}

#[cfg(test)]
mod tests;
