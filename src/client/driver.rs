//! The loop of each stream: takes batches, drives the state machine, reports what happens.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Streaming};

use super::codec::Request;
use super::connect::{Connection, Connector};
use super::supply::{Source, Supply};
use crate::protocol::{Action, Batch, BatchPart, Config, Counts, Fault, State, Stream};
use crate::wire::EphemeralStreamResponse;
use crate::wire::ephemeral_stream_response::Payload;

/// What a stream reports while it runs.
#[derive(Debug, Clone)]
pub enum Event {
    /// A connection is open.
    Opened {
        /// The id that the server gave the stream.
        stream_id: String,
        /// What is counted so far, this connection included.
        counts: Counts,
    },
    /// The service closes the connection as a routine.
    Rotating {
        /// How long it serves on.
        grace: Duration,
    },
    /// A batch has entered the window.
    Sent {
        /// What is counted so far.
        counts: Counts,
    },
    /// The oldest unacknowledged batches are durable.
    Acknowledged {
        /// Which.
        parts: Vec<BatchPart>,
        /// What is counted so far.
        counts: Counts,
    },
    /// The service has refused this.
    Refused {
        /// One record, or a whole batch.
        batch: Batch,
        /// Why.
        fault: Fault,
    },
    /// A fault is being recovered from.
    Recovering {
        /// What happened.
        fault: Fault,
        /// How long until the next attempt.
        wait: Duration,
    },
}

/// How a stream has ended.
#[derive(Debug)]
pub struct Ended {
    /// Ok: everything accepted is acknowledged. An interrupted stream has no fault.
    pub outcome: Result<(), Option<Fault>>,
    /// What it has counted.
    pub counts: Counts,
    /// What was sent and is not known to be durable.
    pub in_doubt: Vec<BatchPart>,
}

/// What the loop waits for.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
enum Happened {
    Interrupted,
    Connected(Result<Connection, Fault>),
    Message(Result<Option<EphemeralStreamResponse>, tonic::Status>),
    /// The transport takes another request.
    Room,
    Input(Option<Batch>),
    Time,
}

type Attempt<'c> = Pin<Box<dyn Future<Output = Result<Connection, Fault>> + Send + 'c>>;

/// Runs streams, one for each configuration, until all batches are acknowledged, all streams
/// have failed, or `interrupt` completes. What a failed stream has in hand goes to the
/// others. Events come with the stream's index.
pub async fn run(
    connector: Connector,
    configs: Vec<Config>,
    batches: mpsc::Receiver<Batch>,
    interrupt: impl Future<Output = ()>,
    observe: impl Fn(usize, Event),
) -> Ended {
    let supply = Supply::new(batches);
    let (interrupted, _) = watch::channel(false);
    let alive = Cell::new(configs.len());
    let observe = &observe;
    let streams = configs.into_iter().enumerate().map(|(index, config)| {
        let mut interrupted = interrupted.subscribe();
        let interrupt = async move {
            // The sender outlives the streams.
            let _ = interrupted.wait_for(|set| *set).await;
        };
        let observe = move |event| observe(index, event);
        let stream = run_one(&connector, config, &supply, interrupt, observe);
        async { settle(stream.await, &supply, &alive) }
    });
    let streams = join_all(streams);
    let interrupt = async {
        interrupt.await;
        interrupted.send_replace(true);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = streams => ended,
        () = interrupt => unreachable!("it waits for the streams"),
    };
    let mut all = Ended {
        outcome: Ok(()),
        counts: Counts::default(),
        in_doubt: Vec::new(),
    };
    let untaken = supply.untaken();
    for (ended, fatal) in ended {
        all.counts = all.counts.plus(ended.counts);
        all.in_doubt.extend(ended.in_doubt);
        // A stream that failed has stopped nobody, unless its batches found no other.
        if (fatal || !untaken.is_empty()) && all.outcome.is_ok() {
            all.outcome = ended.outcome;
        }
    }
    let sent = untaken.into_iter().filter(|(_, sent)| *sent);
    all.in_doubt.extend(sent.map(|(part, _)| part));
    all
}

/// What a stream leaves that has stopped.
pub(crate) struct Stopped {
    /// As in [`Ended`].
    pub outcome: Result<(), Option<Fault>>,
    /// With what it has counted and what is not settled.
    pub stream: Stream,
    /// A batch that had no room in its window yet.
    pub held: Option<Batch>,
}

/// Gives what a failed stream of several has in hand to the others; says whether its failure
/// is the load's.
fn settle(stopped: Stopped, supply: &Supply, alive: &Cell<usize>) -> (Ended, bool) {
    let Stopped {
        outcome,
        stream,
        held,
    } = stopped;
    alive.set(alive.get() - 1);
    let mut ended = Ended {
        counts: stream.counts(),
        in_doubt: stream.in_doubt(),
        outcome,
    };
    let fatal = match &ended.outcome {
        Ok(()) => false,
        Err(Some(fault))
            if fault.is_retryable() && alive.get() > 0 && stream.refused().is_empty() =>
        {
            // What was sent goes out again, by another stream.
            let doubtful = ended.in_doubt.drain(..);
            ended.counts.resent += doubtful.map(|part| u64::from(part.records)).sum::<u64>();
            supply.give_back(stream.unsettled());
            supply.give_back(held.map(|batch| (batch, false)));
            false
        }
        Err(Some(_)) => {
            supply.close();
            true
        }
        Err(None) => true,
    };
    (ended, fatal)
}

/// Runs one stream until all that its source gives is acknowledged and the source has ended,
/// until the stream has failed, or `interrupt` completes.
pub(crate) async fn run_one(
    connector: &Connector,
    config: Config,
    source: &impl Source,
    interrupt: impl Future<Output = ()>,
    observe: impl Fn(Event),
) -> Stopped {
    let start = Instant::now();
    let kind = connector.kind();
    let mut stream = Stream::new(config, start.elapsed());
    let mut attempt: Option<Attempt<'_>> = None;
    let mut connection: Option<Connection> = None;
    // Taken from the queue, waiting for room in the window.
    let mut held: Option<Batch> = None;
    let mut input_ended = false;
    let mut interrupt = pin!(interrupt);

    let outcome = loop {
        if let Some(batch) = held.take_if(|batch| stream.has_room(batch)) {
            stream.push(batch);
            observe(Event::Sent {
                counts: stream.counts(),
            });
        }
        if input_ended && held.is_none() {
            stream.finish(start.elapsed());
        }
        while let Some(action) = stream.poll(start.elapsed(), can_send(connection.as_ref())) {
            match action {
                Action::Connect => {
                    attempt = Some(Box::pin(connector.connect()));
                }
                Action::Send { offset, batch } => {
                    let body = batch.body;
                    if let Some(requests) = connection.as_ref().and_then(|c| c.requests.as_ref()) {
                        // There is room. A queue that closes meanwhile belongs to a call that
                        // has ended, which the responses will tell.
                        let _ = requests.try_send(Request::Batch { offset, kind, body });
                    }
                }
                Action::HalfClose => {
                    if let Some(connection) = &mut connection {
                        connection.requests = None;
                    }
                }
                Action::Disconnect => {
                    connection = None;
                    attempt = None;
                }
                Action::Acknowledged { parts } => observe(Event::Acknowledged {
                    parts,
                    counts: stream.counts(),
                }),
                Action::Refused { batch, fault } => observe(Event::Refused { batch, fault }),
                Action::Recovering { fault, wait } => observe(Event::Recovering { fault, wait }),
            }
        }
        match stream.state() {
            State::Closed => break Ok(()),
            State::Failed(fault) => break Err(Some(fault.clone())),
            State::Connecting { .. }
            | State::Open
            | State::Draining { .. }
            | State::Closing { .. }
            | State::Waiting { .. } => {}
        }

        let wakeup = stream.next_wakeup().map(|at| start + at);
        let send_blocked = stream.wants_to_send() && !can_send(connection.as_ref());
        // What cannot be sent yet stays with its source, which may still add to it.
        let may_take = held.is_none() && !input_ended && !stream.is_held_up();
        let (responses, requests) = match &mut connection {
            Some(c) => (Some(&mut c.responses), c.requests.as_ref()),
            None => (None, None),
        };
        let happened = tokio::select! {
            // What has arrived counts before time does: after a pause of this process an
            // acknowledgement that waits must not be taken for one that is missing.
            biased;
            () = &mut interrupt => Happened::Interrupted,
            message = or_never(responses.map(Streaming::message)) => Happened::Message(message),
            result = or_never(attempt.as_mut()) => Happened::Connected(result),
            () = or_never(wakeup.map(sleep_until)) => Happened::Time,
            // The permit is given back: the next round sends.
            _ = or_never(requests.map(mpsc::Sender::reserve)), if send_blocked => Happened::Room,
            batch = source.take(), if may_take => Happened::Input(batch),
        };
        let now = start.elapsed();
        match happened {
            Happened::Interrupted => break Err(None),
            Happened::Connected(Ok(opened)) => {
                attempt = None;
                stream.on_opened(now);
                observe(Event::Opened {
                    stream_id: opened.stream_id.clone(),
                    counts: stream.counts(),
                });
                connection = Some(opened);
            }
            Happened::Connected(Err(fault)) => {
                attempt = None;
                stream.on_fault(now, fault);
            }
            Happened::Message(Err(status)) if status.code() == Code::Unauthenticated => {
                // The token has expired under an open stream. With a fresh one the next
                // attempt tells whether it is the credentials.
                if let Some(Connection { shown, .. }) = &connection {
                    connector.forget_token(&shown.token);
                    stream.on_fault(now, Fault::transient(shown.fault(&status).message));
                }
            }
            Happened::Message(Err(status)) => {
                if let Some(Connection { shown, .. }) = &connection {
                    stream.on_fault(now, shown.fault(&status));
                }
            }
            Happened::Message(Ok(message)) => {
                if let Some(grace) = on_message(&mut stream, now, message) {
                    observe(Event::Rotating { grace });
                }
            }
            Happened::Room => {}
            Happened::Input(Some(batch)) => held = Some(batch),
            Happened::Input(None) => input_ended = true,
            Happened::Time => stream.on_time(now),
        }
    };
    Stopped {
        outcome,
        stream,
        held,
    }
}

/// Waits for what there may be to wait for.
async fn or_never<T>(future: Option<impl Future<Output = T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn can_send(connection: Option<&Connection>) -> bool {
    let requests = connection.and_then(|c| c.requests.as_ref());
    requests.is_some_and(|r| r.capacity() > 0)
}

/// Tells how long the server serves on, if it closes the stream.
fn on_message(
    stream: &mut Stream,
    now: Duration,
    message: Option<EphemeralStreamResponse>,
) -> Option<Duration> {
    match message {
        Some(response) => match response.payload {
            Some(Payload::IngestRecordResponse(ack)) => match ack.durability_ack_up_to_offset {
                Some(offset) => stream.on_ack(now, offset),
                None => stream.on_fault(
                    now,
                    Fault::transient("an acknowledgement without an offset"),
                ),
            },
            Some(Payload::CloseStreamSignal(signal)) => {
                let grace = signal.duration.unwrap_or_default();
                let grace = Duration::try_from(grace).unwrap_or_default();
                stream.on_close_signal(now, grace);
                return Some(grace);
            }
            // A second answer to the creation, or a kind of response from the future.
            Some(Payload::CreateStreamResponse(_)) | None => {}
        },
        None => stream.on_fault(now, Fault::transient("the server ended the stream")),
    }
    None
}
