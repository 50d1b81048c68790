//! Callbacks: one for each offset, in order.

use std::sync::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Call>>>);

/// An offset, and the error if that is what was told.
type Call = (i64, Option<String>);

impl Told {
    fn options(&self, options: StreamOptions) -> StreamOptions {
        let (acks, errors) = (self.clone(), self.clone());
        options
            .ack_callback(move |ack| acks.tell(ack.durability_ack_up_to_offset, None))
            .error_callback(move |offset, e| errors.tell(offset, Some(e.message().to_owned())))
    }

    fn tell(&self, offset: i64, error: Option<String>) {
        self.0.lock().unwrap().push((offset, error));
    }

    fn offsets(&self) -> Vec<i64> {
        self.0.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    fn errors(&self) -> Vec<i64> {
        let told = self.0.lock().unwrap();
        let errors = told.iter().filter(|(_, error)| error.is_some());
        errors.map(|(at, _)| *at).collect()
    }
}

#[tokio::test]
async fn each_offset_is_told_once_and_in_order() {
    let rig = Rig::new().await;
    let told = Told::default();
    let stream = rig.stream(told.options(quick())).await.unwrap();
    ingest(&stream, 0, 500).await;
    stream.ingest_records([json(500), json(501)]).await.unwrap();
    ingest(&stream, 502, 499).await;
    stream.close().await.unwrap();
    // The batch has one.
    assert_eq!(told.offsets(), (0..1_000).collect::<Vec<i64>>());
    assert!(told.errors().is_empty());
}

#[tokio::test]
async fn what_is_refused_is_told_in_its_place() {
    let rig = Rig::with(&["refuse-row:contains=poison"]).await;
    let told = Told::default();
    let stream = rig.stream(told.options(quick())).await.unwrap();
    ingest(&stream, 0, 5).await;
    let poison = Json(r#"{"device_name": "poison"}"#);
    stream.ingest_record(poison).await.unwrap();
    ingest(&stream, 6, 5).await;
    assert!(stream.close().await.is_err());
    assert_eq!(told.offsets(), (0..11).collect::<Vec<i64>>());
    assert_eq!(told.errors(), [5]);
}

#[tokio::test]
async fn a_failure_is_told_for_all_that_is_unacknowledged() {
    let rig = Rig::with(&["delay:for=1h,after=3"]).await;
    let told = Told::default();
    let options = quick().recovery(false).server_lack_of_ack_timeout_ms(100);
    let stream = rig.stream(told.options(options)).await.unwrap();
    for ack in ingest(&stream, 0, 2).await {
        ack.await.unwrap();
    }
    ingest(&stream, 2, 8).await;
    stream.close().await.unwrap_err();
    assert_eq!(told.offsets(), (0..10).collect::<Vec<i64>>());
    let left = stream.unacknowledged().unwrap();
    let left: Vec<_> = left.iter().map(|item| item.offset).collect();
    assert_eq!(told.errors(), left);
}

/// Neither a slow callback nor one that panics holds up the stream.
#[tokio::test]
async fn callbacks_stand_in_nobodys_way() {
    let rig = Rig::new().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let options = quick().ack_callback(move |ack| {
        if ack.durability_ack_up_to_offset == 0 {
            released.lock().unwrap().recv().unwrap();
        }
        *counted.lock().unwrap() += 1;
        if ack.durability_ack_up_to_offset == 1 {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    });
    let stream = rig.stream(options).await.unwrap();
    let acks = ingest(&stream, 0, 10).await;
    for ack in acks {
        ack.await.unwrap();
    }
    stream.flush().await.unwrap();
    assert_eq!(*count.lock().unwrap(), 0);
    release.send(()).unwrap();
    stream.close().await.unwrap();
    assert_eq!(*count.lock().unwrap(), 10);
}
