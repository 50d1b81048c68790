//! Compressed bytes through the framer: the same rows as the plain bytes, however they are
//! split, read, cut off or damaged.

use std::io::{Cursor, Read};

use proptest::prelude::*;
use zerobus::input::{Bytes, Compression, Format, Framer, Framing, Input, Source, Stop};

use crate::compressed::{CODECS, SKIPPABLE, gzip, rows, zstd};
use crate::rig::Rig;

/// A row's place, line and text.
type Placed = (u64, u64, Vec<u8>);

/// The rows of some bytes, and what ends them too early.
fn framed(reader: impl Read + Send + 'static) -> (Vec<Placed>, Option<String>) {
    let source = Source {
        index: 0,
        name: "a".to_owned(),
        format: Format::Ndjson,
        header: None,
    };
    let bytes = Bytes::from_reader(reader, Compression::Auto);
    let mut rows = Vec::new();
    let mut framer = match Framer::new(source, bytes, &Framing::default()) {
        Ok(framer) => framer,
        Err(error) => return (rows, Some(error.message)),
    };
    loop {
        match framer.next_block() {
            Ok(Some(block)) => rows.extend(block.rows.iter().map(|row| {
                let at = block.first_byte + row.start() as u64;
                (at, block.line(row), block.row_with_end(row).to_vec())
            })),
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error.message)),
        }
    }
}

/// Hands out a few bytes at a time, and is interrupted now and then.
struct Slow(Cursor<Vec<u8>>, Vec<u8>, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.2 += 1;
        match self.1[self.2 % self.1.len()] {
            0 => Err(std::io::ErrorKind::Interrupted.into()),
            n => {
                let n = buffer.len().min(n.into());
                self.0.read(&mut buffer[..n])
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Promise: whatever the members and however they are read, the rows are those of the
    /// plain bytes.
    #[test]
    fn rows_are_those_of_the_plain_bytes(
        text in "([a-z]{0,40}[\r\t ]?\n?){0,60}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        reads in prop::collection::vec(0u8..40, 1..5),
        (in_zstd, padded) in any::<(bool, bool)>(),
    ) {
        let mut ends: Vec<usize> = cuts.iter().map(|i| i.index(text.len() + 1)).collect();
        ends.extend([0, text.len()]);
        ends.sort_unstable();
        let mut data = Vec::new();
        for pair in ends.windows(2) {
            let part = &text.as_bytes()[pair[0]..pair[1]];
            match (in_zstd, padded) {
                (true, _) if padded => data.extend([zstd(part), SKIPPABLE.to_vec()].concat()),
                (true, _) => data.extend(zstd(part)),
                (false, _) => data.extend(gzip(part)),
            }
        }
        if padded && !in_zstd {
            data.extend([0; 700]);
        }
        let reads = [&reads[..], &[1]].concat();
        let slow = Slow(Cursor::new(data), reads, 0);
        prop_assert_eq!(framed(slow), framed(Cursor::new(text.into_bytes())));
    }
}

/// Promise: a cut anywhere gives whole rows that were there, and no success.
#[test]
fn data_cut_off_anywhere_is_no_success() {
    let plain = rows(0..40);
    let all = framed(Cursor::new(plain.clone().into_bytes())).0;
    for (codec, compress) in CODECS {
        let (first, second) = plain.split_at(plain.len() / 2 + 7);
        let rows_in_first = first.matches('\n').count();
        let (first, second) = (compress(first), compress(second));
        let data = [&first[..], &second].concat();
        for cut in 4..data.len() {
            let (found, error) = framed(Cursor::new(data[..cut].to_vec()));
            if cut == first.len() {
                // What is whole may end in the middle of a row.
                assert_eq!((error, found.len()), (None, rows_in_first + 1), "{codec}");
                continue;
            }
            assert!(
                cut < first.len() || found.len() >= rows_in_first,
                "{codec} {cut}"
            );
            assert_eq!(found[..], all[..found.len()], "{codec} {cut}");
            let error = error.unwrap();
            assert_eq!(
                error,
                format!("the {codec} data ends in the middle, after {cut} bytes"),
                "{cut}"
            );
        }
        assert_eq!(framed(Cursor::new(data)), (all.clone(), None));
    }
}

/// Promise: a changed byte anywhere is found, or was of no matter to the rows.
#[test]
fn a_changed_byte_never_changes_a_load_that_succeeds() {
    let plain = rows(0..40);
    let all = framed(Cursor::new(plain.clone().into_bytes())).0;
    for (codec, compress) in CODECS {
        let data = compress(&plain);
        // The first bytes say what it is.
        for at in 4..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 0x10;
            let (found, error) = framed(Cursor::new(changed));
            assert!(error.is_some() || found == all, "{codec} {at}");
        }
    }
}

/// Promise: reading goes on at a position as if all before it had been read.
#[test]
fn bytes_are_passed_over_by_their_place_after_decompression() {
    let rig = Rig::new();
    let plain = rows(0..20_000);
    for data in [plain.clone().into(), gzip(&plain), zstd(&plain)] {
        let path = rig.file("a", &data);
        let input = Input::from_argument(path.as_os_str());
        for compression in [Compression::Auto, Compression::None] {
            if compression == Compression::None && data != plain.as_bytes() {
                continue;
            }
            for place in [
                0,
                1,
                3,
                4,
                5,
                70_000,
                plain.len() - 1,
                plain.len(),
                plain.len() + 9,
            ] {
                let mut bytes = input.open(compression, Stop::default()).unwrap();
                let end = place.min(plain.len());
                assert_eq!(bytes.skip(place as u64), Ok(end as u64));
                assert_eq!(bytes.position(), end as u64);
                let mut rest: Vec<u8> = Vec::new();
                let mut buffer = vec![0; 50_000];
                loop {
                    match bytes.read(&mut buffer).unwrap() {
                        0 => break,
                        n => rest.extend(&buffer[..n]),
                    }
                }
                assert!(rest == plain.as_bytes()[end..], "{place}");
                assert_eq!(bytes.source_bytes(), data.len() as u64);
                assert_eq!(bytes.position(), plain.len() as u64);
            }
        }
    }
}
