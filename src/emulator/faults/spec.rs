//! Faults as they are written: `KIND[:KEY=VALUE[,KEY=VALUE...]]`. In a value, `\,` is a
//! comma.

use std::str::FromStr;
use std::time::Duration;

use tonic::Code;

use crate::duration;
use crate::schema::closest;

use super::{Fault, Kind, Place, Refusal, WrongAck};

/// A kind as it is written.
struct Form {
    name: &'static str,
    /// Where it may strike.
    places: &'static [&'static str],
    /// What it takes besides where and how often.
    keys: &'static [&'static str],
}

const EVERYWHERE: &[&str] = &["stream", "create", "token"];

#[rustfmt::skip]
const FORMS: &[Form] = &[
    Form { name: "fail", places: EVERYWHERE, keys: &["status", "message"] },
    Form { name: "throttle", places: EVERYWHERE, keys: &["retry-after", "message"] },
    Form { name: "delay", places: EVERYWHERE, keys: &["for"] },
    Form { name: "drop", places: EVERYWHERE, keys: &[] },
    Form { name: "stall", places: EVERYWHERE, keys: &[] },
    Form { name: "close", places: &["stream"], keys: &["grace"] },
    Form { name: "refuse-row", places: &["stream"], keys: &["contains"] },
    Form { name: "wrong-ack", places: &["stream"], keys: &["offset"] },
    Form { name: "expire-tokens", places: &["stream", "create"], keys: &[] },
];

/// What every kind takes.
const TRIGGERS: &[&str] = &["at", "after", "every", "p", "times"];

const CODES: &[(&str, Code)] = &[
    ("OK", Code::Ok),
    ("CANCELLED", Code::Cancelled),
    ("UNKNOWN", Code::Unknown),
    ("INVALID_ARGUMENT", Code::InvalidArgument),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ("NOT_FOUND", Code::NotFound),
    ("ALREADY_EXISTS", Code::AlreadyExists),
    ("PERMISSION_DENIED", Code::PermissionDenied),
    ("RESOURCE_EXHAUSTED", Code::ResourceExhausted),
    ("FAILED_PRECONDITION", Code::FailedPrecondition),
    ("ABORTED", Code::Aborted),
    ("OUT_OF_RANGE", Code::OutOfRange),
    ("UNIMPLEMENTED", Code::Unimplemented),
    ("INTERNAL", Code::Internal),
    ("UNAVAILABLE", Code::Unavailable),
    ("DATA_LOSS", Code::DataLoss),
    ("UNAUTHENTICATED", Code::Unauthenticated),
];

/// What a close signal announces unless told otherwise.
const GRACE: Duration = Duration::from_secs(1);

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pairs) = text.split_once(':').unwrap_or((text, ""));
        let names = || FORMS.iter().map(|form| form.name);
        let form = FORMS.iter().find(|form| form.name == name).ok_or_else(|| {
            let known = list(names());
            unknown(
                &format!("\"{name}\" is no kind of fault"),
                name,
                names(),
                &format!("the kinds are {known}"),
            )
        })?;
        let mut pairs = Pairs::parse(form, pairs)?;
        let at = pairs
            .take("at")
            .map_or(Ok(Place::Stream), |at| place(form, &at))?;
        let after = match pairs.take("after") {
            Some(_) if at != Place::Stream => {
                return Err("after=N counts the records of a stream, it needs at=stream".into());
            }
            after => number("after", after, 0, 0)?,
        };
        let fault = Self {
            at,
            after,
            every: number("every", pairs.take("every"), 1, 1)?,
            p: pairs.take("p").map_or(Ok(1.0), |p| probability(&p))?,
            times: number("times", pairs.take("times"), 1, u64::MAX)?,
            kind: kind(form, at, &mut pairs)?,
        };
        debug_assert!(pairs.0.is_empty(), "every key that is known is taken");
        Ok(fault)
    }
}

fn kind(form: &Form, at: Place, pairs: &mut Pairs) -> Result<Kind, String> {
    let message = pairs.take("message");
    let message = message.unwrap_or_else(|| format!("--fault {}, on purpose", form.name));
    let kind = match form.name {
        "fail" => {
            let status = pairs.take("status");
            Kind::Refuse(Refusal {
                code: match (&status, at) {
                    (Some(status), Place::Create | Place::Stream) => code(status)?,
                    _ => Code::Unavailable,
                },
                http: match (&status, at) {
                    (Some(status), Place::Token) => http(status)?,
                    _ => 503,
                },
                retry_after: None,
                message,
            })
        }
        "throttle" => Kind::Refuse(Refusal {
            code: Code::ResourceExhausted,
            http: 429,
            retry_after: pairs
                .take("retry-after")
                .map(|t| whole_seconds(&t))
                .transpose()?,
            message,
        }),
        "delay" => match pairs.take("for") {
            Some(text) => Kind::Delay(duration::parse(&text)?),
            None => return Err("delay needs for=DURATION, such as for=500ms".into()),
        },
        "drop" => Kind::Drop,
        "stall" => Kind::Stall,
        "close" => {
            let grace = pairs.take("grace").map(|text| duration::parse(&text));
            Kind::Close(grace.transpose()?.unwrap_or(GRACE))
        }
        "refuse-row" => match pairs.take("contains") {
            Some(text) if !text.is_empty() => Kind::RefuseRow(text),
            _ => return Err("refuse-row needs contains=TEXT, which a record holds".into()),
        },
        "wrong-ack" => Kind::WrongAck(match pairs.take("offset").as_deref() {
            None | Some("beyond") => WrongAck::Beyond,
            Some("back") => WrongAck::Back,
            Some("repeat") => WrongAck::Repeat,
            Some(other) => {
                return Err(format!("offset={other}: expected beyond, back or repeat"));
            }
        }),
        _ => Kind::ExpireTokens,
    };
    Ok(kind)
}

/// Keys and values that have not been taken yet.
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn parse(form: &Form, text: &str) -> Result<Self, String> {
        let known = || TRIGGERS.iter().chain(form.keys).copied();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in split(text) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("\"{pair}\" is no KEY=VALUE"));
            };
            if !known().any(|k| k == key) {
                let what = format!("{} has no key \"{key}\"", form.name);
                return Err(unknown(
                    &what,
                    key,
                    known(),
                    &format!("it takes {}", list(known())),
                ));
            }
            if pairs.iter().any(|(k, _)| k == key) {
                return Err(format!("{key} is given twice"));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(pairs))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(index).1)
    }
}

/// Cuts at commas that stand alone.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    if text.is_empty() {
        return parts;
    }
    let mut part = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' if characters.peek() == Some(&',') => part.extend(characters.next()),
            ',' => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

fn place(form: &Form, text: &str) -> Result<Place, String> {
    if !form.places.contains(&text) {
        let places = form.places.iter().map(|place| format!("at={place}"));
        let places = places.collect::<Vec<_>>().join(" or ");
        return Err(format!("at={text}: {} strikes {places} only", form.name));
    }
    Ok(match text {
        "token" => Place::Token,
        "create" => Place::Create,
        _ => Place::Stream,
    })
}

fn code(text: &str) -> Result<Code, String> {
    let names = || CODES.iter().map(|(name, _)| *name);
    let code = CODES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    code.map(|(_, code)| *code).ok_or_else(|| {
        let what = format!("status={text} is no gRPC status");
        unknown(
            &what,
            text,
            names(),
            &format!("there are {}", list(names())),
        )
    })
}

fn http(text: &str) -> Result<u16, String> {
    let status = text
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status));
    status.ok_or_else(|| format!("status={text}: at=token it is an HTTP status from 400 to 599"))
}

fn number(key: &str, text: Option<String>, least: u64, unset: u64) -> Result<u64, String> {
    let Some(text) = text else { return Ok(unset) };
    let number = text.parse().ok().filter(|&number| number >= least);
    number.ok_or_else(|| format!("{key}={text}: expected a whole number of at least {least}"))
}

fn probability(text: &str) -> Result<f64, String> {
    let p = text.parse().ok().filter(|&p| p > 0.0 && p <= 1.0);
    p.ok_or_else(|| format!("p={text}: expected a probability above 0 and up to 1, such as 0.1"))
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    match time.subsec_nanos() {
        0 => Ok(time),
        _ => Err(format!("retry-after={text}: it is told in whole seconds")),
    }
}

fn unknown<'a>(
    what: &str,
    given: &str,
    candidates: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match closest(given, candidates) {
        Some(candidate) => format!("{what}, did you mean {candidate}? ({otherwise})"),
        None => format!("{what}: {otherwise}"),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
