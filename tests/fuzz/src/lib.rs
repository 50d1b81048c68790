//! What the targets share: the choices at the start of an input, the records, and what must
//! hold of framing and transcoding whatever the bytes.

pub mod choices;
pub mod framing;
pub mod records;
pub mod transcoding;

use zerobus::input::Format;

use choices::Choices;

/// Frames and transcodes the bytes behind the choices, and checks both.
pub fn check_rows(data: &[u8], format: impl Fn(&Choices) -> Format) {
    let Some((choices, input)) = Choices::split(data) else {
        return;
    };
    let format = format(&choices);
    let (framed, blocks) = framing::frame(input, format, &choices);
    framing::check_against_oracle(&framed, input, format, &choices);
    if !blocks.is_empty() {
        transcoding::check(&blocks, &choices);
    }
}
