//! JSON rows, from the bytes to records.
#![no_main]

use zerobus::input::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    zerobus_fuzz::check_rows(data, |_| Format::Json);
});
