//! Values as they stand in reasons and in rows.

use zerobus::transcode::Reason;

/// The value that a reason begins with, as it is shown.
pub fn shown(reason: &Reason) -> &str {
    let message = reason.message.as_str();
    let end = match message.strip_prefix('"') {
        Some(rest) => rest.find('"').map_or(message.len(), |n| n + 2),
        None => message.find(' ').unwrap_or(message.len()),
    };
    &message[..end]
}

pub fn unquoted(reason: &Reason) -> Option<&str> {
    shown(reason).strip_prefix('"')?.strip_suffix('"')
}

/// Whether a reason says that its value is not of a type whose name begins so.
pub fn is_not_a(reason: &Reason, ty: &str) -> bool {
    let rest = reason.message[shown(reason).len()..].strip_prefix(" is not a");
    rest.is_some_and(|rest| rest.trim_start_matches('n').trim_start().starts_with(ty))
}

/// Where the last token begins of text that ends behind a string or a number.
pub fn last_token(text: &str) -> usize {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    let mut before = b',';
    for (at, byte) in text.bytes().enumerate() {
        let number = byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => quoted = false,
            (true, _) => {}
            (false, b'"') => (quoted, start) = (true, at),
            (false, _) if number && !(before.is_ascii_digit() || b"+-.eE".contains(&before)) => {
                start = at;
            }
            (false, _) => {}
        }
        before = if quoted { b'"' } else { byte };
    }
    start
}

/// The plain digits of a whole number in any form, exactly.
pub fn whole(text: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Number>(text).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = whole.len() as i64 + exponent.parse::<i64>().ok()?;
    let mut digits = format!("{whole}{fraction}");
    let zeros = usize::try_from(point - digits.len() as i64).unwrap_or(0);
    digits.push_str(&"0".repeat(zeros.min(400)));
    let rest = digits.split_off(usize::try_from(point).unwrap_or(0).min(digits.len()));
    let digits = digits.trim_start_matches('0');
    let integer = if digits.is_empty() {
        "0".to_owned()
    } else {
        format!("{sign}{digits}")
    };
    rest.bytes().all(|b| b == b'0').then_some(integer)
}
