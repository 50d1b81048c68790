//! What an input is compressed with, told by its first bytes, and the decoders. A decoder is
//! handed bytes and hands back what they hold; it reads nothing itself, so that a read can be
//! interrupted anywhere and nothing is lost.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdFrames, Operation as _};

/// How an input is decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As its first bytes say.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// It must be gzip.
    Gzip,
    /// It must be zstd.
    Zstd,
}

/// What an input is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
}

/// How far back zstd data may refer, which has to be kept: as far as `zstd --ultra -22` does,
/// and as the command decompresses without being asked.
const WINDOW_BYTES_MAX: u64 = 1 << WINDOW_LOG_MAX;
const WINDOW_LOG_MAX: u32 = 27;
/// The largest that deflate knows.
const GZIP_WINDOW_LOG: u8 = 15;

/// The first bytes of compressed data: a range for the first one, and the others. A zstd
/// file may begin with a frame to be skipped, of 16 kinds.
const MAGICS: [(Codec, RangeInclusive<u8>, &[u8]); 3] = [
    (Codec::Gzip, 0x1F..=0x1F, b"\x8B"),
    (Codec::Zstd, 0x28..=0x28, b"\xB5\x2F\xFD"),
    (Codec::Zstd, 0x50..=0x5F, b"\x2A\x4D\x18"),
];
/// As many bytes as tell what an input is.
pub(super) const MAGIC_BYTES_MAX: usize = 4;

/// What first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    With(Codec),
    /// Too few of them.
    Open,
    Otherwise,
}

pub(super) fn begins(head: &[u8]) -> Begins {
    let Some((first, others)) = head.split_first() else {
        return Begins::Open;
    };
    for (codec, range, rest) in MAGICS {
        let seen = others.len().min(rest.len());
        if range.contains(first) && others[..seen] == rest[..seen] {
            return match seen == rest.len() {
                true => Begins::With(codec),
                false => Begins::Open,
            };
        }
    }
    Begins::Otherwise
}

impl Codec {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What is wrong with compressed data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Damage {
    /// It ends where it must not.
    Cut,
    Corrupt(String),
    /// Something else follows it.
    Followed,
    WindowTooLarge,
}

impl Damage {
    /// What to say of data of this kind, found after so many of its bytes.
    pub(super) fn message(&self, codec: Codec, at: u64) -> String {
        let codec = codec.name();
        match self {
            Self::Cut => format!("the {codec} data ends in the middle, after {at} bytes"),
            Self::Corrupt(why) => format!("the {codec} data is corrupt near byte {at}: {why}"),
            Self::Followed => format!("what follows byte {at} of the {codec} data is no {codec}"),
            Self::WindowTooLarge => {
                format!("the {codec} data needs a window of more than {WINDOW_BYTES_MAX} bytes")
            }
        }
    }

    pub(super) fn hint(&self, codec: Codec) -> &'static str {
        match (self, codec) {
            (Self::Cut | Self::Corrupt(_), Codec::Gzip) => {
                "whole rows before that place count as read; gzip -t checks a file"
            }
            (Self::Cut | Self::Corrupt(_), Codec::Zstd) => {
                "whole rows before that place count as read; zstd -t checks a file"
            }
            (Self::Followed, _) => {
                "the rows before it count as read; cut off what follows, or decompress it first"
            }
            (Self::WindowTooLarge, _) => {
                "zstd -dc --long=31 FILE | zerobus ingest ... - decompresses it with as much memory as it takes"
            }
        }
    }
}

/// How far a step went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes of the input that are done with.
    pub taken: usize,
    /// Bytes of output that were made.
    pub made: usize,
    /// What is wrong with the data after these.
    pub damage: Option<Damage>,
}

/// Decompresses members of gzip, or frames of zstd, one after another.
pub(super) struct Decoder {
    frames: Frames,
    /// Before, between or after members: the data may end here.
    between: bool,
    /// The first member has begun.
    begun: bool,
}

enum Frames {
    Gzip(Decompress),
    Zstd {
        frames: ZstdFrames<'static>,
        /// How many bytes it wants to see next.
        wanted: usize,
    },
}

/// What a block of zstd begins with. The library asks for it together with the block before.
const ZSTD_BLOCK_HEADER_BYTES: usize = 3;

impl Decoder {
    pub(super) fn new(codec: Codec) -> io::Result<Self> {
        let frames = match codec {
            Codec::Gzip => Frames::Gzip(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            Codec::Zstd => {
                let mut frames = ZstdFrames::new()?;
                frames.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
                Frames::Zstd { frames, wanted: 1 }
            }
        };
        Ok(Self {
            frames,
            between: true,
            begun: false,
        })
    }

    pub(super) fn codec(&self) -> Codec {
        match self.frames {
            Frames::Gzip(_) => Codec::Gzip,
            Frames::Zstd { .. } => Codec::Zstd,
        }
    }

    /// Whether the data may end here.
    pub(super) fn may_end(&self) -> bool {
        self.between && self.begun
    }

    /// Decompresses `input`, which continues what was handed over before, as far as `output`
    /// has room. Without any input it hands back what had no room before.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if self.between {
            let taken = self.padding(input);
            if taken > 0 || input.is_empty() {
                return Step {
                    taken,
                    ..Step::default()
                };
            }
            if let Err(damage) = self.begin(input) {
                return Step {
                    damage: Some(damage),
                    ..Step::default()
                };
            }
        }
        let (mut step, ends) = self.frames.step(input, output);
        self.between = ends;
        if step == Step::default() && !input.is_empty() && !output.is_empty() && !ends {
            // It would be tried for ever.
            step.damage = Some(Damage::Corrupt("it does not go on".to_owned()));
        }
        step
    }

    /// Zeros after a member of gzip fill up a block of a tape or disk.
    fn padding(&self, input: &[u8]) -> usize {
        match (self.codec(), self.begun) {
            (Codec::Gzip, true) => input.iter().take_while(|&&b| b == 0).count(),
            (Codec::Gzip | Codec::Zstd, _) => 0,
        }
    }

    /// Begins a member whose first bytes these are.
    fn begin(&mut self, input: &[u8]) -> Result<(), Damage> {
        match begins(input) {
            Begins::With(codec) if codec == self.codec() => {}
            Begins::Open => {}
            Begins::With(_) | Begins::Otherwise => return Err(Damage::Followed),
        }
        if self.begun {
            match &mut self.frames {
                Frames::Gzip(inflate) => *inflate = Decompress::new_gzip(GZIP_WINDOW_LOG),
                Frames::Zstd { frames, wanted } => {
                    frames.reinit().map_err(|e| corrupt(&e))?;
                    *wanted = 1;
                }
            }
        }
        self.begun = true;
        Ok(())
    }
}

impl Frames {
    /// A step within a member, and whether the member ends with it.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> (Step, bool) {
        match self {
            Self::Gzip(inflate) => {
                let (taken, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, output, FlushDecompress::None);
                let ends = matches!(status, Ok(Status::StreamEnd));
                let damage = status.err();
                let step = Step {
                    // Both are within the slices.
                    taken: (inflate.total_in() - taken) as usize,
                    made: (inflate.total_out() - made) as usize,
                    damage: damage.map(|e| corrupt(&e.message().unwrap_or("no gzip"))),
                };
                (step, ends)
            }
            Self::Zstd { frames, wanted } => {
                // Block by block: a step that fails hands back nothing, not even the blocks
                // that were good.
                let shown = input.len().min(*wanted);
                match frames.run_on_buffers(&input[..shown], output) {
                    Ok(status) => {
                        let more = status.remaining;
                        *wanted = match more.checked_sub(ZSTD_BLOCK_HEADER_BYTES) {
                            None | Some(0) => more.max(1),
                            Some(block) => block,
                        };
                        let step = Step {
                            taken: status.bytes_read,
                            made: status.bytes_written,
                            damage: None,
                        };
                        (step, more == 0)
                    }
                    Err(error) => {
                        let damage = Some(corrupt(&error));
                        let step = Step {
                            damage,
                            ..Step::default()
                        };
                        (step, false)
                    }
                }
            }
        }
    }
}

/// What the libraries' texts mean.
fn corrupt(text: &dyn fmt::Display) -> Damage {
    let text = text.to_string();
    match text.as_str() {
        "Frame requires too much memory for decoding" => Damage::WindowTooLarge,
        "incorrect data check" | "Restored data doesn't match checksum" => {
            Damage::Corrupt("its checksum does not match".to_owned())
        }
        "incorrect length check" => Damage::Corrupt("its length does not match".to_owned()),
        _ => Damage::Corrupt(text),
    }
}
