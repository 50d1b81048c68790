//! Values of flags as people write them.

#[cfg(any(feature = "emulator", feature = "gateway"))]
use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::schema::{self, ColumnType};

pub(super) use crate::duration::parse as duration;

/// `4096`, `64KiB`, `10MB`, `1GiB`, in bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let expected = || format!("\"{text}\" is no size, expected such as 4096, 64KiB, 10MB or 1GiB");
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: usize = number.trim().parse().map_err(|_| expected())?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    number
        .checked_mul(factor)
        .filter(|&n| n > 0)
        .ok_or_else(expected)
}

/// A size of what is held in memory as a whole.
pub(super) fn held_size(text: &str) -> Result<usize, String> {
    const HELD_BYTES_MAX: usize = 1 << 30;
    size(text).and_then(|bytes| match bytes {
        ..=HELD_BYTES_MAX => Ok(bytes),
        _ => Err(format!(
            "\"{text}\" is too much to hold, expected at most 1GiB"
        )),
    })
}

/// `HOST:PORT`; a name stands for its first address.
#[cfg(any(feature = "emulator", feature = "gateway"))]
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || format!("\"{text}\" is no address, expected such as 127.0.0.1:8585");
    let addresses = text.to_socket_addrs();
    let addresses = addresses.map_err(|error| format!("{}: {error}", expected()))?;
    // IPv4 first, which is what others expect behind the name `localhost`.
    addresses
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(expected)
}

/// `NAME=TEXT`; the text may hold further `=`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=TEXT".to_owned()),
    }
}

/// `FIELD=TYPE`, where the type is one that hints know.
pub(super) fn column_type(text: &str) -> Result<(String, ColumnType), String> {
    let (field, ty) = pair(text)?;
    Ok((field, schema::column_type(&ty)?))
}

/// `--quote`: a character, or none.
pub(super) type Quote = Option<u8>;

/// One ASCII character that is no line's end; `\t` and `tab` for the tab.
pub(super) fn csv_character(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" | b"tab" => Ok(b'\t'),
        &[b] if b.is_ascii() && !matches!(b, b'\n' | b'\r' | 0) => Ok(b),
        _ => Err("expected one ASCII character, or \\t".to_owned()),
    }
}

/// The same, or nothing.
pub(super) fn csv_quote(text: &str) -> Result<Quote, String> {
    if text.is_empty() {
        Ok(None)
    } else {
        csv_character(text).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(held_size("1GiB"), Ok(1 << 30));
        assert!(held_size("1073741825").unwrap_err().contains("1GiB"));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("4096"), Ok(4096));
        for bad in ["", "0", "MB", "1.5MB", "-1", "99999999999999999999GB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
