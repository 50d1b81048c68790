use super::super::incoming::Records;
use super::*;

fn activity(now: Instant) -> Arc<Activity> {
    let client = ("id".into(), "secret".into());
    let options = Options::new("wh", ([127, 0, 0, 1], 0).into(), client);
    Activity::new(&options, Path::new("/wh"), now)
}

/// Requests of so many records each, from this offset on.
fn chunk(offset: i64, requests: &[usize]) -> Chunk {
    let mut chunk = Chunk::default();
    for (offset, records) in (offset..).zip(requests) {
        chunk.push((offset, Records::json(&vec!["{}".to_owned(); *records])));
    }
    chunk
}

fn only(activity: &Activity, now: Instant) -> StreamReport {
    let tables = Tables::default();
    let mut streams = activity.report(tables, now).streams;
    assert_eq!(streams.len(), 1);
    streams.remove(0)
}

#[test]
fn what_was_received_waits_until_its_offset_is_acknowledged() {
    let now = Instant::now();
    let activity = activity(now);
    let live = activity.stream("s", "a.b.c", "test", now);
    let fresh = only(&activity, now);
    assert_eq!((fresh.last_received, fresh.last_acked), (None, None));
    live.stream.received(&chunk(0, &[10, 20]), now);
    live.stream.received(&chunk(2, &[5]), now);
    live.stream.received(&chunk(3, &[0]), now);
    let counts = || {
        let stream = only(&activity, now);
        let records = (stream.records_received, stream.records_acked);
        (records, stream.last_received, stream.last_acked)
    };
    assert_eq!(counts(), ((35, 0), Some(3), None));
    live.stream.acked(1);
    assert_eq!(counts(), ((35, 30), Some(3), Some(1)));
    live.stream.acked(3);
    assert_eq!(counts(), ((35, 35), Some(3), Some(3)));
    // A wrong one is shown as it went out, and changes no count.
    live.stream.acked(2);
    assert_eq!(counts(), ((35, 35), Some(3), Some(2)));
    drop(live);
    let report = activity.report(Tables::default(), now);
    assert_eq!((report.streams_live, report.streams_created), (0, 1));
}

#[test]
fn rates_are_those_of_the_seconds_that_are_over() {
    let now = Instant::now();
    let activity = activity(now);
    let at = |s| now + Duration::from_secs(s);
    let live = activity.stream("s", "a.b.c", "test", at(10));
    live.stream.received(&chunk(0, &[100]), at(10));
    let per_s = |s| only(&activity, at(s)).records_per_s;
    assert_eq!((per_s(10), per_s(11), per_s(12)), (0, 100, 50));
    live.stream.received(&chunk(1, &[900]), at(14));
    assert_eq!((per_s(15), per_s(16), per_s(20)), (200, 180, 0));
    let report = activity.report(Tables::default(), at(20));
    let seconds = report.received_by_second;
    assert_eq!(seconds.len(), 120);
    assert_eq!(&seconds[110..], [100, 0, 0, 0, 900, 0, 0, 0, 0, 0]);
    assert_eq!(seconds.iter().sum::<u64>(), 1_000);
}

#[test]
fn what_is_remembered_of_clients_is_bounded() {
    let now = Instant::now();
    let activity = activity(now);
    let long = "ä".repeat(10_000);
    for n in 0..REFUSALS_MAX + 10 {
        activity.refused(&long, &long, "NotFound", &format!("{n} {long}"));
    }
    let refusals = activity.report(Tables::default(), now).refusals;
    assert_eq!(refusals.len(), REFUSALS_MAX);
    assert!(refusals[0].reason.starts_with("59 "), "the latest is first");
    assert_eq!(refusals[0].reason.chars().count(), REASON_CHARS_MAX + 1);
    assert_eq!(refusals[0].table.chars().count(), NAME_CHARS_MAX + 1);
    let streams = (0..STREAMS_SHOWN_MAX + 1).map(|_| activity.stream("s", &long, &long, now));
    let streams: Vec<_> = streams.collect();
    let report = activity.report(Tables::default(), now);
    assert_eq!(report.streams.len(), STREAMS_SHOWN_MAX);
    assert_eq!(report.streams_live, streams.len());
}
