//! The client's side of a stream as a state machine without I/O: no sockets, no tasks, no
//! clock. Time is an argument; what is to be done comes out of [`Stream::poll`].
//!
//! Whoever drives it connects, sends and sleeps; tests drive it on simulated time.

mod batch;
mod fault;
mod stream;
mod types;
mod window;

pub(crate) use batch::take_record;
pub use batch::{Batch, BatchPart};
pub use fault::{Fault, FaultClass};
pub use stream::Stream;
pub use types::{Action, Config, Counts, Now, State};
