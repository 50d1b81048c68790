//! The server's end: what is stored is acknowledged, and nobody holds it up.

use std::io::Write as _;
use std::net::TcpStream;

use tempfile::TempDir;
use tokio::task::JoinSet;
use zerobus::emulator::Emulator;
use zerobus::wire::ephemeral_stream_request::Payload;
use zerobus::wire::{EphemeralStreamRequest, IngestRecordBatchRequest};

use crate::rig::{Rig, air_row};
use crate::wire::{Client, TABLE, json, json_stream, narrow, options, rows, token};

const STREAMS: usize = 6;
/// Records of each batch.
const RECORDS: i64 = 20;

/// A client that sends without end, and reads to the end: the records acknowledged to it.
async fn flood(mut client: Client) -> i64 {
    let requests = client.requests.take().unwrap();
    let row = format!("{{\"name\": \"{}\"}}", "x".repeat(4_000));
    let batch = json(&vec![row.as_str(); RECORDS as usize]);
    tokio::spawn(async move {
        for offset in 0.. {
            let payload = Payload::IngestRecordBatch(IngestRecordBatchRequest {
                offset_id: Some(offset),
                batch: Some(batch.clone()),
            });
            let payload = Some(payload);
            if requests
                .send(EphemeralStreamRequest { payload })
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let mut acked = 0;
    while let Ok(Some(offset)) = client.next_ack().await {
        acked = (offset + 1) * RECORDS;
    }
    acked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_is_stored_is_acknowledged_to_clients_that_go_on() {
    for _ in 0..6 {
        let dir = TempDir::new().unwrap();
        let server = Emulator::start(options(dir.path())).await.unwrap();
        let name = TABLE.parse().unwrap();
        assert!(server.create_table(&name, &narrow()).await.unwrap());
        let (_, granted) = token(&server, "secret", TABLE).await;
        let granted = granted["access_token"].as_str().unwrap();
        let mut floods = JoinSet::new();
        for _ in 0..STREAMS {
            let mut client = Client::connect(&server, granted, TABLE).await.unwrap();
            client.send(Payload::CreateStream(json_stream())).await;
            client.created().await;
            floods.spawn(flood(client));
        }
        // Rows have come from everybody, more or less.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.shutdown().await.unwrap();
        let acked: i64 = floods.join_all().await.into_iter().sum();
        assert_eq!(rows(dir.path()).await.len() as i64, acked);
        assert!(acked > 0);
    }
}

#[test]
fn peers_that_never_finish_hold_nobody_up_and_what_was_accepted_is_committed() {
    let rig = Rig::new();
    rig.file("rows.ndjson", (0..100).map(air_row).collect::<String>());
    let server = rig.emulator(&["--auto-create", "--fault", "delay:for=1h"]);
    let beginnings = [
        "GET / HTTP/1.1\r\nhost: localhost\r\n",
        "POST /oidc/v1/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\ngr",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "",
    ];
    let peers = beginnings.map(|text| {
        let mut peer = TcpStream::connect(server.address()).unwrap();
        peer.write_all(text.as_bytes()).unwrap();
        peer
    });
    let mut loader = rig.remote(&server, &["rows.ndjson"]).spawn().unwrap();
    rig.wait_for_version(1);
    assert_eq!(server.terminate(), 0);
    loader.kill().unwrap();
    loader.wait().unwrap();
    drop(peers);
    assert_eq!(rig.air_rows().len(), 100);
}
