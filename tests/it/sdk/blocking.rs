//! The blocking face.

use zerobus::blocking;
use zerobus::{ErrorKind, StreamState};

use super::*;
use crate::rig::{Rig, Server, sorted_numbers};

fn connect(server: &Server) -> (blocking::Sdk, Credentials) {
    let sdk = blocking::Sdk::new(server.url(), server.url()).unwrap();
    let id = server.env("DATABRICKS_CLIENT_ID");
    let secret = server.env("DATABRICKS_CLIENT_SECRET");
    (sdk, Credentials::client(id, secret))
}

#[test]
fn a_program_without_async_ingests() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let (sdk, credentials) = connect(&server);
    let stream = sdk.create_stream(credentials, &air(), quick()).unwrap();
    assert_eq!(stream.state(), StreamState::Opened);
    assert!(!stream.stream_id().is_empty());
    for n in 0..100 {
        let mut ack = stream.ingest_record(json(n)).unwrap();
        ack.wait_for_ack(None).unwrap();
        assert!(ack.is_done());
        assert_eq!(ack.offset(), n);
    }
    let batch = stream.ingest_records([json(100), json(101)]).unwrap();
    let (told, tell) = std::sync::mpsc::channel();
    batch
        .unwrap()
        .add_done_callback(move |known| told.send(known).unwrap());
    tell.recv().unwrap().unwrap();
    stream.try_ingest_record(json(102)).unwrap();
    stream.flush().unwrap();
    stream.ingest_record(json(103)).unwrap();
    stream.close().unwrap();
    stream.close().unwrap();
    assert_eq!(stream.state(), StreamState::Closed);
    assert!(stream.unacknowledged().unwrap().is_empty());
    let error = stream.ingest_record(json(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(sorted_numbers(&rig.air_rows()), each(0..104));
}

#[test]
fn waiting_has_its_time_out() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--fault", "delay:for=300ms"]);
    let (sdk, credentials) = connect(&server);
    let options = quick().max_inflight_records(1);
    let stream = sdk.create_stream(credentials, &air(), options).unwrap();
    let mut ack = stream.ingest_record(json(0)).unwrap();
    assert_eq!(
        stream.try_ingest_record(json(1)).unwrap_err().kind(),
        ErrorKind::Full
    );
    let late = ack
        .wait_for_ack(Some(Duration::from_millis(20)))
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    // Blocks until there is room.
    let next = stream.ingest_record(json(1)).unwrap();
    assert!(ack.is_done() && !next.is_done());
    stream.close().unwrap();
}

/// Handles may be dropped in any order; what was accepted is sent nevertheless.
#[test]
fn dropped_handles_leave_nothing_unsent() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--fault", "delay:for=100ms"]);
    let (sdk, credentials) = connect(&server);
    let stream = sdk.create_stream(credentials, &air(), quick()).unwrap();
    let mut acks: Vec<_> = (0..50)
        .map(|n| stream.ingest_record(json(n)).unwrap())
        .collect();
    drop(sdk);
    drop(stream);
    for ack in &mut acks {
        ack.wait_for_ack(Some(LONG)).unwrap();
    }
    assert_eq!(sorted_numbers(&rig.air_rows()), each(0..50));
}

#[test]
fn threads_share_a_stream() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let (sdk, credentials) = connect(&server);
    let stream = sdk.create_stream(credentials, &air(), quick()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let stream = &stream;
            scope.spawn(move || {
                for n in 0..200 {
                    stream.ingest_record(json(thread * 200 + n)).unwrap();
                }
            });
        }
    });
    stream.close().unwrap();
    assert_eq!(sorted_numbers(&rig.air_rows()), each(0..1_600));
}

/// Whatever else is gone: who asked to be called is called.
#[test]
fn every_callback_is_called_although_all_handles_are_dropped() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create"]);
    let (sdk, credentials) = connect(&server);
    let stream = sdk.create_stream(credentials, &air(), quick()).unwrap();
    let (told, tell) = std::sync::mpsc::channel();
    let call = |ack: &blocking::Ack| {
        let told = told.clone();
        ack.add_done_callback(move |known| told.send(known.is_ok()).unwrap());
    };
    let acks: Vec<_> = (0..2_000)
        .map(|n| stream.ingest_record(json(n)).unwrap())
        .collect();
    acks.iter().for_each(call);
    stream.close().unwrap();
    drop((sdk, stream));
    let late = acks.last().unwrap().clone();
    drop(acks);
    call(&late);
    drop((late, told));
    let told: Vec<bool> = tell.iter().collect();
    assert_eq!(told.len(), 2_001);
    assert!(told.iter().all(|ok| *ok));
}

#[test]
fn a_failed_stream_is_made_anew() {
    let rig = Rig::new();
    let server = rig.emulator(&["--auto-create", "--fault", "stall:after=1,times=1"]);
    let (sdk, credentials) = connect(&server);
    let options = quick().recovery(false).server_lack_of_ack_timeout_ms(100);
    let stream = sdk.start_stream(credentials, &air(), options).unwrap();
    stream.opened().unwrap();
    assert_eq!(stream.table().table_name(), AIR);
    for n in 0..5 {
        stream.ingest_record(json(n)).unwrap();
    }
    assert!(stream.close().unwrap_err().is_retryable());
    sdk.recreate_stream(&stream).unwrap().close().unwrap();
    let mut landed = sorted_numbers(&rig.air_rows());
    landed.dedup();
    assert_eq!(landed, each(0..5));
}
