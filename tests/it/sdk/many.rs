//! Many tasks on one stream.

use super::*;

async fn by_many(rig: &Rig, stream: Stream, tasks: i64, each: i64) {
    let stream = shared(stream);
    let one = |stream: Arc<Stream>, task: i64| async move {
        let mut offsets = Vec::new();
        let mut acks = Vec::new();
        for n in 0..each {
            let ack = stream.ingest_record(json(task * each + n)).await.unwrap();
            offsets.push(ack.offset());
            acks.push(ack);
        }
        for ack in acks {
            ack.await.unwrap();
        }
        assert!(offsets.is_sorted(), "a task's records keep their order");
        offsets
    };
    let tasks: Vec<_> = (0..tasks)
        .map(|task| tokio::spawn(one(Arc::clone(&stream), task)))
        .collect();
    let count = tasks.len() as i64 * each;
    let mut offsets = Vec::new();
    for task in tasks {
        offsets.extend(task.await.unwrap());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..count).collect::<Vec<_>>());
    stream.close().await.unwrap();
    let mut landed = rig.landed();
    landed.sort_unstable();
    landed.dedup();
    assert_eq!(landed, super::each(0..count as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_share_a_stream() {
    let rig = Rig::new().await;
    let stream = rig.open().await;
    by_many(&rig, stream, 64, 500).await;
}

/// The same with little room, lost connections and rotations.
#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_lose_nothing_whatever_happens() {
    let faults = [
        "drop:after=3000,p=0.5",
        "close:after=5000,grace=100ms,p=0.5",
    ];
    let rig = Rig::with(&faults).await;
    let options = quick().max_inflight_records(100).recovery_retries(50);
    let stream = rig.stream(options).await.unwrap();
    by_many(&rig, stream, 16, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_many_tasks_stay_batches() {
    let rig = Rig::new().await;
    let stream = shared(rig.open().await);
    let one = |stream: Arc<Stream>, task: i64| async move {
        let rows = (0..10).map(move |n| json(task * 10 + n));
        let ack = stream.ingest_records(rows).await.unwrap().unwrap();
        let offset = ack.offset();
        ack.await.unwrap();
        offset
    };
    let tasks: Vec<_> = (0..5)
        .map(|task| tokio::spawn(one(Arc::clone(&stream), task)))
        .collect();
    let mut offsets = Vec::new();
    for task in tasks {
        offsets.push(task.await.unwrap());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    let landed = rig.landed();
    for batch in landed.chunks(10) {
        assert_eq!(batch, each(batch[0]..batch[0] + 10));
    }
    assert_eq!(landed.len(), 50);
}
