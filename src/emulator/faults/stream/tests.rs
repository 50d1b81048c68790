//! The two halves of a stream under each fault, without a socket.

use tonic::Code;

use super::super::super::auth::Auth;
use super::super::super::grants::Grants;
use super::*;

struct Rig {
    auth: Arc<Auth>,
    reading: Reading,
    answering: Answering,
    /// Dropped when everything is stored.
    durable: Option<mpsc::UnboundedSender<Result<i64, String>>>,
    stop: watch::Sender<bool>,
}

impl Rig {
    fn new(faults: &[&str]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let ttl = Duration::from_secs(60);
        let auth = Arc::new(Auth::new(Vec::new(), ttl, false, Grants::default()));
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let faults = Faults::new(faults, 0, auth.clone(), stopped).unwrap();
        let (durable, heard) = mpsc::unbounded_channel();
        let (reading, answering) = faults.open(&"a.b.c".parse().unwrap(), Cut::default(), heard);
        Self {
            auth,
            reading,
            answering,
            durable: Some(durable),
            stop,
        }
    }

    fn store(&self, offset: i64) {
        self.durable.as_ref().unwrap().send(Ok(offset)).unwrap();
    }

    async fn says(&mut self) -> Option<Answer> {
        self.answering.next().await.map(Result::unwrap)
    }

    /// The stream has ended for its client: what is still said.
    async fn ends(mut self) -> Vec<Answer> {
        self.durable = None;
        self.reading = Reading::default();
        let mut said = Vec::new();
        while let Some(answer) = self.says().await {
            said.push(answer);
        }
        said
    }
}

fn records(texts: &[&str]) -> Records {
    Records::json(
        &texts
            .iter()
            .map(|text| text.to_string())
            .collect::<Vec<_>>(),
    )
}

#[tokio::test]
async fn nothing_strikes_before_its_record_has_come() {
    let mut rig = Rig::new(&["fail:after=10,status=ABORTED", "expire-tokens:after=12"]);
    assert!(rig.reading.count(0).is_ok());
    assert!(rig.reading.count(9).is_ok());
    assert_eq!(rig.reading.count(1).unwrap_err().code(), Code::Aborted);
    let token = rig.auth.mint("id", None, std::time::Instant::now());
    let table = "a.b.c".parse().unwrap();
    let known = |rig: &Rig| {
        let now = std::time::Instant::now();
        rig.auth.may_read(&token, &table, now).is_ok()
    };
    assert!(rig.reading.count(1).is_ok(), "once on a stream");
    assert!(known(&rig));
    assert_eq!(
        rig.reading.count(1).unwrap_err().code(),
        Code::Unauthenticated
    );
    assert!(!known(&rig));
}

#[tokio::test]
async fn a_close_signal_ends_the_reading_and_no_acknowledgement() {
    let mut rig = Rig::new(&["close:after=5,grace=0s"]);
    rig.reading.count(5).unwrap();
    rig.reading.closed().await;
    assert_eq!(rig.says().await, Some(close_signal(Duration::ZERO)));
    rig.store(0);
    rig.store(1);
    assert_eq!(rig.ends().await, [ack(0), ack(1)]);
}

#[tokio::test]
async fn late_acknowledgements_come_in_their_order() {
    let mut rig = Rig::new(&["delay:after=1,for=20ms"]);
    rig.store(0);
    assert_eq!(rig.says().await, Some(ack(0)));
    rig.reading.count(1).unwrap();
    rig.store(1);
    rig.store(2);
    assert_eq!(rig.ends().await, [ack(1), ack(2)]);
}

#[tokio::test]
async fn one_acknowledgement_is_wrong_and_the_others_are_right() {
    for (offset, said) in [
        ("beyond", vec![0, 1 + BEYOND, 2]),
        ("back", vec![0, 1, 0, 2]),
        ("repeat", vec![0, 1, 1, 2]),
    ] {
        let mut rig = Rig::new(&[&format!("wrong-ack:after=1,offset={offset}")]);
        rig.store(0);
        assert_eq!(rig.says().await, Some(ack(0)));
        rig.reading.count(1).unwrap();
        rig.store(1);
        rig.store(2);
        let acks: Vec<_> = said.into_iter().skip(1).map(ack).collect();
        assert_eq!(rig.ends().await, acks, "{offset}");
    }
    // Nothing is below the first.
    let mut rig = Rig::new(&["wrong-ack:offset=back"]);
    rig.reading.count(0).unwrap();
    rig.store(0);
    rig.store(1);
    assert_eq!(rig.ends().await, [ack(0), ack(1), ack(0)]);
}

#[tokio::test]
async fn a_stalled_stream_says_nothing_until_the_server_ends() {
    let mut rig = Rig::new(&["stall:after=3"]);
    rig.reading.count(2).unwrap();
    assert!(!rig.reading.has_stalled());
    rig.reading.count(1).unwrap();
    assert!(rig.reading.has_stalled());
    rig.store(0);
    let silence = Duration::from_millis(20);
    let said = tokio::time::timeout(silence, rig.answering.next()).await;
    assert!(said.is_err(), "{said:?}");
    let mut rig = Rig::new(&["stall"]);
    rig.reading.count(0).unwrap();
    rig.store(0);
    rig.stop.send_replace(true);
    let status = rig.answering.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_poison_row_is_named_by_its_place() {
    let mut rig = Rig::new(&["refuse-row:contains=bad,after=1,times=2"]);
    let batch = records(&["good", "a bad one", "bad"]);
    rig.reading.admit(0, &batch).unwrap();
    rig.reading.count(1).unwrap();
    rig.reading.admit(1, &records(&["good"])).unwrap();
    for _ in 0..2 {
        let status = rig.reading.admit(2, &batch).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let told = "table a.b.c, offset 2, record 1: refused on purpose, it holds \"bad\"";
        assert_eq!(status.message(), told);
    }
    rig.reading.admit(2, &batch).unwrap();
    let proto = Records::proto(&[b"x".as_slice().into(), b"\x0a\x03bad".as_slice().into()]);
    assert_eq!(proto.position_containing(b"bad"), Some(1));
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let (durable, heard) = mpsc::unbounded_channel();
    let (mut reading, mut answering) = faultless(heard);
    reading.count(1_000_000).unwrap();
    reading.admit(0, &records(&["any"])).unwrap();
    assert!(!reading.has_stalled());
    durable.send(Ok(7)).unwrap();
    durable.send(Err("lost".into())).unwrap();
    drop(durable);
    assert_eq!(answering.next().await.unwrap().unwrap(), ack(7));
    assert_eq!(
        answering.next().await.unwrap().unwrap_err().code(),
        Code::Internal
    );
    assert!(answering.next().await.is_none());
}
