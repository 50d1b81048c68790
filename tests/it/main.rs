//! Tests by promise, through the binary and the wire: real files, pipes, sockets, signals
//! and tables. One binary, since linking each of them would cost more than running it.

#![cfg(feature = "emulator")]

mod compressed;
mod credentials;
mod decompress;
mod delta_bounds;
mod delta_upkeep;
mod docs;
mod doctor;
mod emulator;
mod emulator_faults;
mod errors;
mod faults;
mod flow;
#[cfg(feature = "gateway")]
mod gateway;
mod inputs;
mod load;
mod nasty;
mod options;
mod oracle;
mod peek;
mod poison;
mod random;
mod record;
mod refusals;
mod resume;
mod resume_edges;
mod rig;
mod sdk;
mod shutdown;
mod signals;
mod sql;
mod start;
mod status;
mod table;
mod table_check;
mod terminal;
mod tls;
mod token;
mod wire;
mod workspace;
