//! Faults read from text, and what is said of text that is none.

use super::*;

fn parse(text: &str) -> Fault {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_kind_place_and_trigger() {
    let plain = Fault {
        kind: Kind::Drop,
        at: Place::Stream,
        after: 0,
        every: 1,
        p: 1.0,
        times: u64::MAX,
    };
    assert_eq!(parse("drop"), plain);
    let all = Fault {
        after: 20_000,
        every: 3,
        p: 0.5,
        times: 2,
        ..plain.clone()
    };
    assert_eq!(
        parse("drop:after=20000,p=0.5,times=2,every=3,at=stream"),
        all
    );
    assert_eq!(parse("stall:at=token").at, Place::Token);
    assert_eq!(parse("expire-tokens:at=create").kind, Kind::ExpireTokens);
    assert_eq!(
        parse("delay:at=create,for=3s").kind,
        Kind::Delay(Duration::from_secs(3))
    );
    assert_eq!(parse("close").kind, Kind::Close(GRACE));
    assert_eq!(parse("close:grace=0s").kind, Kind::Close(Duration::ZERO));
    assert_eq!(parse("wrong-ack").kind, Kind::WrongAck(WrongAck::Beyond));
    assert_eq!(
        parse("wrong-ack:offset=back").kind,
        Kind::WrongAck(WrongAck::Back)
    );
    let row = Kind::RefuseRow("a,b=\\c".into());
    assert_eq!(parse("refuse-row:contains=a\\,b=\\c,times=1").kind, row);
    for form in FORMS {
        let keys = match form.name {
            "delay" => "for=1s,",
            "refuse-row" => "contains=x,",
            _ => "",
        };
        for place in form.places {
            parse(&format!("{}:{keys}at={place}", form.name));
        }
    }
}

#[test]
fn a_refusal_is_told_on_grpc_and_on_http() {
    let refusal = |text: &str| match parse(text).kind {
        Kind::Refuse(refusal) => refusal,
        kind => panic!("{kind:?}"),
    };
    assert_eq!(refusal("fail").code, Code::Unavailable);
    assert_eq!(refusal("fail:at=token").http, 503);
    assert_eq!(refusal("fail:status=internal").code, Code::Internal);
    assert_eq!(refusal("fail:at=token,status=500").http, 500);
    let throttle = refusal("throttle:retry-after=2s,message=slow\\, please");
    assert_eq!(
        (throttle.code, throttle.http),
        (Code::ResourceExhausted, 429)
    );
    assert_eq!(throttle.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(throttle.message, "slow, please");
    for (name, code) in CODES {
        let spec = format!("fail:at=create,status={name}");
        assert_eq!(refusal(&spec).code, *code);
    }
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    for (text, told) in [
        (
            "",
            "\"\" is no kind of fault: the kinds are fail, throttle, delay, drop, stall, close, refuse-row, wrong-ack, expire-tokens",
        ),
        (
            "thottle:after=1",
            "\"thottle\" is no kind of fault, did you mean throttle? (the kinds are ",
        ),
        (
            "drop:atfer=1",
            "drop has no key \"atfer\", did you mean after? (it takes at, after, every, p, times)",
        ),
        (
            "drop:grace=1s",
            "drop has no key \"grace\": it takes at, after, every, p, times",
        ),
        ("drop:times", "\"times\" is no KEY=VALUE"),
        ("drop:", ""),
        ("drop:times=1,", "\"\" is no KEY=VALUE"),
        ("drop:times=1,times=2", "times is given twice"),
        (
            "drop:times=0",
            "times=0: expected a whole number of at least 1",
        ),
        (
            "drop:after=-1",
            "after=-1: expected a whole number of at least 0",
        ),
        (
            "drop:at=create,after=5",
            "after=N counts the records of a stream, it needs at=stream",
        ),
        (
            "drop:every=often",
            "every=often: expected a whole number of at least 1",
        ),
        (
            "drop:p=1.5",
            "p=1.5: expected a probability above 0 and up to 1, such as 0.1",
        ),
        ("drop:p=NaN", "p=NaN: expected a probability"),
        ("close:at=create", "at=create: close strikes at=stream only"),
        (
            "expire-tokens:at=token",
            "at=token: expire-tokens strikes at=stream or at=create only",
        ),
        (
            "fail:status=UNAVAILBLE",
            "status=UNAVAILBLE is no gRPC status, did you mean UNAVAILABLE? (there are OK, ",
        ),
        (
            "fail:at=token,status=UNAVAILABLE",
            "status=UNAVAILABLE: at=token it is an HTTP status from 400 to 599",
        ),
        (
            "throttle:retry-after=100ms",
            "retry-after=100ms: it is told in whole seconds",
        ),
        ("delay", "delay needs for=DURATION, such as for=500ms"),
        ("delay:for=5", "\"5\" is no duration"),
        (
            "refuse-row",
            "refuse-row needs contains=TEXT, which a record holds",
        ),
        ("refuse-row:contains=", "refuse-row needs contains=TEXT"),
        (
            "wrong-ack:offset=ahead",
            "offset=ahead: expected beyond, back or repeat",
        ),
    ] {
        match text.parse::<Fault>() {
            Ok(_) => assert_eq!(told, "", "{text} is taken"),
            Err(error) => assert!(
                !told.is_empty() && error.starts_with(told),
                "{text}: {error}"
            ),
        }
    }
}
