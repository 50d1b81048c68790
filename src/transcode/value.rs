//! One scalar of a row → its bytes on the wire, or what is wrong with it.
//!
//! The rules are protobuf's JSON mapping with exact range checks; cells of a CSV and keys
//! of a map follow it too, except that their text has no type of its own.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::number::{self, Misfit};
use super::scanner::Number;
use super::time::{self, TimeRules};
use super::wire::{FIXED32, FIXED64, LENGTH, VARINT, put_bytes, put_varint};
use super::{Reason, ReasonKind};
use crate::schema::plan::{EnumPlan, Scalar, ValueType};

/// A scalar as the row gives it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'t> {
    /// A JSON number.
    Number(Number<'t>),
    /// A JSON string.
    Text(&'t str),
    /// `true` or `false`.
    Bool(bool),
    /// Text that may stand for any type: a CSV cell, a map's key.
    Untyped(&'t str),
}

impl<'t> Token<'t> {
    /// The text of a number or string.
    fn text(self) -> Option<&'t str> {
        match self {
            Self::Number(number) => Some(number.text),
            Self::Text(text) | Self::Untyped(text) => Some(text),
            Self::Bool(_) => None,
        }
    }

    /// The value of what is written as a plain integer, as nearly all integers are.
    #[inline]
    fn whole(self) -> Option<i64> {
        match self {
            Self::Number(number) => number.whole(),
            Self::Text(text) | Self::Untyped(text) => Number::parse(text)?.whole(),
            Self::Bool(_) => None,
        }
    }

    /// For messages: strings in quotes, long values cut.
    fn show(self) -> String {
        const SHOWN_MAX: usize = 60;
        let cut = |text: &str| match text.char_indices().nth(SHOWN_MAX) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.to_owned(),
        };
        match self {
            Self::Number(number) => cut(number.text),
            Self::Text(text) | Self::Untyped(text) => format!("{:?}", cut(text)),
            Self::Bool(value) => value.to_string(),
        }
    }
}

/// What a value needs to know beyond its type.
pub(super) struct Rules<'r> {
    pub enums: &'r [EnumPlan],
    pub time: &'r TimeRules,
}

/// What went wrong with a value; its field is added by the caller.
pub(super) struct Misread {
    kind: ReasonKind,
    message: String,
}

impl Misread {
    pub(super) fn new(kind: ReasonKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn in_field(self, field: String) -> Reason {
        Reason {
            field: Some(field),
            kind: self.kind,
            message: self.message,
        }
    }
}

/// What was noticed about a value that is good.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Digits past microseconds were cut.
    pub digits_cut: bool,
}

/// The wire type of a scalar.
pub(super) fn wire_type(scalar: Scalar) -> u32 {
    match scalar {
        Scalar::Int32
        | Scalar::Int64
        | Scalar::Uint32
        | Scalar::Uint64
        | Scalar::Sint32
        | Scalar::Sint64
        | Scalar::Bool => VARINT,
        Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => FIXED64,
        Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => FIXED32,
        Scalar::String | Scalar::Bytes => LENGTH,
    }
}

/// Writes a value of any type but a message.
pub(super) fn put(
    out: &mut Vec<u8>,
    ty: ValueType,
    token: Token<'_>,
    rules: &Rules<'_>,
) -> Result<Noticed, Misread> {
    let mut noticed = Noticed::default();
    match ty {
        ValueType::Scalar(scalar) => put_scalar(out, scalar, token)?,
        ValueType::Enum(index) => {
            let number = enum_number(&rules.enums[index], token)?;
            put_varint(out, i64::from(number) as u64);
        }
        ValueType::TinyInt => put_small(out, token, "TINYINT", -0x80, 0x7F)?,
        ValueType::SmallInt => put_small(out, token, "SMALLINT", -0x8000, 0x7FFF)?,
        ValueType::Date => {
            let days = match token {
                Token::Text(text) => time::date(text),
                Token::Untyped(text) if number::integer(text).is_err() => time::date(text),
                Token::Number(_) | Token::Untyped(_) => {
                    time::days_in_range(small(token, "date in days", i32::MIN, i32::MAX)?)
                }
                Token::Bool(_) => return Err(not_a(token, "date (YYYY-MM-DD)")),
            };
            let days = days.map_err(|e| is(token, e))?;
            put_varint(out, i64::from(days) as u64);
        }
        ValueType::Timestamp => {
            let from_text = |text: &str| time::timestamp(text, rules.time);
            let us = moment(token, "timestamp", rules.time, from_text, &mut noticed)?;
            put_varint(out, us as u64);
        }
        ValueType::TimestampNtz => {
            let us = moment(
                token,
                "timestamp",
                rules.time,
                time::wall_clock,
                &mut noticed,
            )?;
            put_varint(out, us as u64);
        }
        ValueType::Duration => {
            let (Token::Text(text) | Token::Untyped(text)) = token else {
                return Err(not_a(token, "duration (seconds such as \"1.5s\")"));
            };
            let (us, digits_cut) = time::duration(text).map_err(|e| is(token, e))?;
            noticed.digits_cut = digits_cut;
            put_varint(out, us as u64);
        }
        ValueType::Decimal { precision, scale } => {
            let Some(text) = token.text() else {
                return Err(not_a(token, "decimal number"));
            };
            let ty = format!("DECIMAL({precision},{scale})");
            let text = number::decimal(text, precision, scale).map_err(|misfit| match misfit {
                Misfit::NotANumber => not_a(token, &ty),
                Misfit::Fraction => out_of_range(
                    token,
                    &format!("has more than {scale} digits after the point, the scale of {ty}"),
                ),
                Misfit::Range => out_of_range(token, &format!("is out of range for {ty}")),
            })?;
            put_bytes(out, text.as_bytes());
        }
        ValueType::Varchar(limit) => {
            let text = text(token)?;
            let chars = text.chars().count();
            if chars > limit as usize {
                return Err(out_of_range(
                    token,
                    &format!("has {chars} characters, VARCHAR({limit}) takes {limit}"),
                ));
            }
            put_bytes(out, text.as_bytes());
        }
        // The caller hands over the JSON text of a VARIANT; a message is no scalar.
        ValueType::Variant(_) => match token {
            Token::Bool(value) => put_bytes(out, value.to_string().as_bytes()),
            other => put_bytes(out, other.text().unwrap_or_default().as_bytes()),
        },
        ValueType::Message(_) => return Err(not_a(token, "JSON object")),
    }
    Ok(noticed)
}

/// Writes a scalar as protobuf's JSON mapping reads it.
pub(super) fn put_scalar(
    out: &mut Vec<u8>,
    scalar: Scalar,
    token: Token<'_>,
) -> Result<(), Misread> {
    match scalar {
        Scalar::Bool => put_varint(out, u64::from(boolean(token)?)),
        Scalar::String => put_bytes(out, text(token)?.as_bytes()),
        Scalar::Bytes => put_bytes(out, &bytes(token)?),
        Scalar::Double => {
            let value: f64 = float(token, "double")?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::Float => {
            let value: f32 = float(token, "float")?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::Int32 => {
            let value = small(token, "int32", i32::MIN, i32::MAX)?;
            put_varint(out, i64::from(value) as u64);
        }
        Scalar::Sint32 => {
            let value = small(token, "sint32", i32::MIN, i32::MAX)?;
            put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
        }
        Scalar::Sfixed32 => {
            let value = small(token, "sfixed32", i32::MIN, i32::MAX)?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Scalar::Uint32 | Scalar::Fixed32 => {
            let value = whole(token, scalar.name(), 0, u32::MAX.into())? as u32;
            if scalar == Scalar::Uint32 {
                put_varint(out, value.into());
            } else {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        Scalar::Int64 => put_varint(out, long(token, "int64")? as u64),
        Scalar::Sint64 => {
            let value = long(token, "sint64")?;
            put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
        }
        Scalar::Sfixed64 => out.extend_from_slice(&long(token, "sfixed64")?.to_le_bytes()),
        Scalar::Uint64 | Scalar::Fixed64 => {
            let value = whole(token, scalar.name(), 0, u64::MAX.into())? as u64;
            if scalar == Scalar::Uint64 {
                put_varint(out, value);
            } else {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    Ok(())
}

fn put_small(
    out: &mut Vec<u8>,
    token: Token<'_>,
    ty: &str,
    min: i32,
    max: i32,
) -> Result<(), Misread> {
    let value = small(token, ty, min, max)?;
    put_varint(out, i64::from(value) as u64);
    Ok(())
}

#[inline]
fn small(token: Token<'_>, ty: &str, min: i32, max: i32) -> Result<i32, Misread> {
    if let Some(value) = token.whole().and_then(|value| i32::try_from(value).ok())
        && (min..=max).contains(&value)
    {
        return Ok(value);
    }
    Ok(whole(token, ty, min.into(), max.into())? as i32)
}

#[inline]
fn long(token: Token<'_>, ty: &str) -> Result<i64, Misread> {
    if let Some(value) = token.whole() {
        return Ok(value);
    }
    Ok(whole(token, ty, i64::MIN.into(), i64::MAX.into())? as i64)
}

/// A whole number between two bounds, however it is written.
#[cold]
fn whole(token: Token<'_>, ty: &str, min: i128, max: i128) -> Result<i128, Misread> {
    let Some(text) = token.text() else {
        return Err(not_a(token, ty));
    };
    match number::integer(text) {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        Ok(_) | Err(Misfit::Range) => Err(out_of_range(
            token,
            &format!("is out of range for {} ({min} to {max})", with_article(ty)),
        )),
        Err(Misfit::Fraction) => Err(Misread::new(
            ReasonKind::Type,
            format!(
                "{} is not a whole number, as {} must be",
                token.show(),
                with_article(ty)
            ),
        )),
        Err(Misfit::NotANumber) => {
            let mut misread = not_a(token, ty);
            if ty == "int64" && text.parse::<jiff::Timestamp>().is_ok() {
                let advice = " (--type FIELD=timestamp takes times, and writes microseconds)";
                misread.message.push_str(advice);
            }
            Err(misread)
        }
    }
}

fn float<F: std::str::FromStr + FloatLimits>(token: Token<'_>, ty: &str) -> Result<F, Misread> {
    let number = match token {
        Token::Number(number) => number,
        Token::Text(text) | Token::Untyped(text) => match text {
            "NaN" => return Ok(F::NAN),
            "Infinity" => return Ok(F::INFINITY),
            "-Infinity" => return Ok(F::NEG_INFINITY),
            text => Number::parse(text).ok_or_else(|| not_a(token, ty))?,
        },
        Token::Bool(_) => return Err(not_a(token, ty)),
    };
    if let Some(value) = F::exactly(&number) {
        return Ok(value);
    }
    let value: F = number.text.parse().map_err(|_| not_a(token, ty))?;
    if value.is_finite() {
        return Ok(value);
    }
    Err(out_of_range(
        token,
        &format!("is out of range for {}", with_article(ty)),
    ))
}

/// What [`float`] needs of both widths.
trait FloatLimits: Copy {
    const NAN: Self;
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    fn is_finite(self) -> bool;
    /// The nearest value, where one operation on values that are exact finds it: a mantissa
    /// and a power of ten that the type holds exactly (Clinger, "How to read floating point
    /// numbers accurately").
    fn exactly(number: &Number<'_>) -> Option<Self>;
}

macro_rules! float_limits {
    ($($float:ident $powers:ident),*) => {$(
        impl FloatLimits for $float {
            const NAN: Self = <$float>::NAN;
            const INFINITY: Self = <$float>::INFINITY;
            const NEG_INFINITY: Self = <$float>::NEG_INFINITY;
            fn is_finite(self) -> bool {
                <$float>::is_finite(self)
            }
            #[inline]
            fn exactly(number: &Number<'_>) -> Option<Self> {
                let mantissa = number.mantissa.filter(|m| m >> $float::MANTISSA_DIGITS == 0)?;
                let power = *number::$powers.get(number.exponent.unsigned_abs() as usize)?;
                let value = match number.exponent {
                    ..0 => mantissa as $float / power,
                    0.. => mantissa as $float * power,
                };
                Some(if number.negative { -value } else { value })
            }
        }
    )*};
}
float_limits!(f32 F32_POWERS, f64 F64_POWERS);

fn boolean(token: Token<'_>) -> Result<bool, Misread> {
    match token {
        Token::Bool(value) => Ok(value),
        Token::Untyped(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Token::Untyped(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(not_a(token, "bool (true or false)")),
    }
}

fn text(token: Token<'_>) -> Result<&str, Misread> {
    match token {
        Token::Text(text) | Token::Untyped(text) => Ok(text),
        Token::Number(_) | Token::Bool(_) => Err(not_a(token, "string")),
    }
}

/// base64, standard or URL-safe, padded or not.
fn bytes(token: Token<'_>) -> Result<Vec<u8>, Misread> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let (Token::Text(text) | Token::Untyped(text)) = token else {
        return Err(not_a(token, "base64 text, as bytes must be"));
    };
    let engine = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    engine
        .decode(text)
        .map_err(|_| not_a(token, "base64 text, as bytes must be"))
}

fn enum_number(plan: &EnumPlan, token: Token<'_>) -> Result<i32, Misread> {
    let by_number = |plan: &EnumPlan| {
        let number = small(
            token,
            &format!("value of {}", plan.name),
            i32::MIN,
            i32::MAX,
        )?;
        // A column holds the value's name: a number without one has no place in it.
        if !plan.numbers.values().any(|&n| n == number) {
            return Err(not_a(token, &format!("value of {}", plan.name)));
        }
        Ok(number)
    };
    match token {
        Token::Number(_) => by_number(plan),
        Token::Text(text) | Token::Untyped(text) => {
            if let Some(&number) = plan.numbers.get(text) {
                return Ok(number);
            }
            if matches!(token, Token::Untyped(_)) && super::scanner::is_number(text) {
                return by_number(plan);
            }
            let mut message = format!("{} is not a value of {}", token.show(), plan.name);
            let names = plan.names();
            match crate::schema::closest(text, names.iter().copied()) {
                Some(close) => message.push_str(&format!(" (did you mean {close}?)")),
                None => message.push_str(&format!(" ({})", list(&names))),
            }
            Err(Misread::new(ReasonKind::Type, message))
        }
        Token::Bool(_) => Err(not_a(token, &format!("value of {}", plan.name))),
    }
}

/// The first few names.
fn list(names: &[&str]) -> String {
    const LISTED_MAX: usize = 8;
    let more = if names.len() > LISTED_MAX {
        ", ..."
    } else {
        ""
    };
    let listed: Vec<&str> = names.iter().take(LISTED_MAX).copied().collect();
    format!("{}{more}", listed.join(", "))
}

fn moment(
    token: Token<'_>,
    ty: &str,
    rules: &TimeRules,
    from_text: impl Fn(&str) -> Result<(i64, bool), &'static str>,
    noticed: &mut Noticed,
) -> Result<i64, Misread> {
    let numeric = match token {
        Token::Number(_) => true,
        Token::Text(text) | Token::Untyped(text) => super::scanner::is_number(text),
        Token::Bool(_) => return Err(not_a(token, ty)),
    };
    if numeric {
        let value = whole(token, ty, i64::MIN.into(), i64::MAX.into())?;
        return time::from_number(value, rules).map_err(|e| is(token, e));
    }
    let (us, digits_cut) = from_text(text(token)?).map_err(|e| is(token, e))?;
    noticed.digits_cut = digits_cut;
    Ok(us)
}

fn is(token: Token<'_>, what: &str) -> Misread {
    Misread::new(ReasonKind::Type, format!("{} {what}", token.show()))
}

fn not_a(token: Token<'_>, ty: &str) -> Misread {
    Misread::new(
        ReasonKind::Type,
        format!("{} is not {}", token.show(), with_article(ty)),
    )
}

fn out_of_range(token: Token<'_>, what: &str) -> Misread {
    Misread::new(ReasonKind::Range, format!("{} {what}", token.show()))
}

/// `an int32`, `a double`, `a uint32`; SQL types and mass nouns stand alone.
fn with_article(ty: &str) -> String {
    match ty.as_bytes() {
        [b'A'..=b'Z', ..] if !ty.starts_with("JSON") => ty.to_owned(),
        _ if ty.starts_with("base64") => ty.to_owned(),
        [b'i', ..] => format!("an {ty}"),
        _ => format!("a {ty}"),
    }
}
