//! Compressed inputs through the binary: the same rows as plain ones, at once, and nothing
//! guessed where the data is cut off or damaged.

use std::fmt::Write as _;
use std::io::{Read as _, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;
use std::time::Duration;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::errors::told;
use crate::nasty::peak_bytes;
use crate::rig::{AIR, Ran, Rig, air_row, numbers, signal, sorted_numbers};

pub fn gzip(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(data.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub type Compress = fn(&str) -> Vec<u8>;

pub const CODECS: [(&str, Compress); 2] = [("gzip", |s| gzip(s)), ("zstd", |s| zstd(s))];

pub fn rows(range: std::ops::Range<u64>) -> String {
    range.map(air_row).collect()
}

/// A frame of zstd that decompresses to nothing.
pub const SKIPPABLE: &[u8] = b"\x53\x2A\x4D\x18\x04\0\0\0skip";

#[test]
fn every_format_is_read_compressed() {
    let texts = [
        ("a.ndjson", rows(0..3)),
        (
            "a.json",
            "[{\"humidity\": 0}, {\"humidity\": 1},\n {\"humidity\": 2}]".to_owned(),
        ),
        ("a.csv", "humidity,temp\n0,1\n1,1\n2,\"1\"\n".to_owned()),
        ("a.TSV", "humidity\ttemp\n0\t1\n1\t1\n2\t1".to_owned()),
    ];
    for (name, text) in texts {
        let rig = Rig::new();
        for (ending, data) in [
            ("gz", gzip(&text)),
            ("ZST", zstd(&text)),
            ("zstd", zstd(&text)),
        ] {
            let name = format!("{name}.{ending}");
            rig.file(&name, &data);
            let ran = rig.ingest(&[&name]).exits(0);
            assert_eq!(ran.summary()["bytes"]["read"], data.len(), "{name}");
        }
        // The content decides, whatever the name.
        rig.file(name, gzip(&text));
        rig.ingest(&[name]).exits(0);
        rig.file("plain.gz", rows(0..3));
        rig.ingest(&["plain.gz"]).exits(0);
        assert_eq!(numbers(&rig.air_rows()), [0, 1, 2].repeat(5), "{name}");
    }
}

#[test]
fn inputs_of_each_compression_are_read_one_after_another() {
    let rig = Rig::new();
    rig.file(
        "a.ndjson.gz",
        [gzip(rows(0..2)), gzip(""), gzip(rows(2..3)), vec![0; 512]].concat(),
    );
    rig.file(
        "b.ndjson.zst",
        [SKIPPABLE.to_vec(), zstd(rows(3..5)), zstd("")].concat(),
    );
    rig.file("c.ndjson", rows(5..6));
    rig.file("empty.ndjson", "");
    rig.file("nothing.csv.gz", gzip(""));
    let inputs = [
        "a.ndjson.gz",
        "b.ndjson.zst",
        "c.ndjson",
        "empty.ndjson",
        "nothing.csv.gz",
    ];
    let bytes: u64 = inputs
        .iter()
        .map(|name| std::fs::metadata(rig.path().join(name)).unwrap().len())
        .sum();
    let summary = rig.ingest(&inputs).exits(0).summary();
    assert_eq!(summary["bytes"]["read"], bytes);
    assert_eq!(numbers(&rig.air_rows()), [0, 1, 2, 3, 4, 5]);
    let mut loader = rig.local(&["--skip", "4", "--limit", "1", "a.ndjson.gz", "b.ndjson.zst"]);
    Ran::of(&loader.output().unwrap()).exits(0);
    assert_eq!(numbers(&rig.air_rows())[6..], [4]);
}

#[test]
fn standard_input_is_decompressed_as_a_pipe_and_as_a_file() {
    let rig = Rig::new();
    let base = [
        "ingest",
        "--table",
        AIR,
        "--json",
        "--dry-run",
        "-o",
        "json",
        "--format",
        "csv",
    ];
    for (_, compress) in CODECS {
        let data = compress("a,b\n1,2\n3,4");
        let ran = rig.pipe(&base, &data).exits(0);
        assert_eq!(ran.summary()["records"]["read"], 2);
        assert_eq!(ran.summary()["bytes"]["read"], data.len());
        let file = std::fs::File::open(rig.file("data", &data)).unwrap();
        let ran = Ran::of(&rig.command(base).stdin(file).output().unwrap()).exits(0);
        assert_eq!(ran.summary()["records"]["read"], 2);
    }
}

#[test]
fn damaged_data_fails_after_the_rows_before_the_place() {
    let plain = rows(0..3);
    // Stored, so that its size is not up to the library.
    let (gz, zst) = (stored(&plain), zstd(&plain));
    let changed = |data: &[u8], back: usize| {
        let mut data = data.to_vec();
        let at = data.len() - back;
        data[at] ^= 1;
        data
    };
    let cut = |data: &[u8], back: usize| data[..data.len() - back].to_vec();
    let window = |log: u8| [b"\x28\xB5\x2F\xFD\0", &[(log - 10) << 3][..], b"\x01\0\0"].concat();
    let inputs: Vec<(&str, &str, &str, Vec<u8>)> = vec![
        ("gzip without its trailer", "a.gz", "auto", cut(&gz, 8)),
        ("gzip cut in its length", "a.gz", "auto", cut(&gz, 1)),
        ("gzip cut in its header", "a.gz", "auto", gz[..7].to_vec()),
        (
            "gzip with another checksum",
            "a.gz",
            "auto",
            changed(&gz, 8),
        ),
        ("gzip with another length", "a.gz", "auto", changed(&gz, 1)),
        (
            "gzip of an unknown method",
            "a.gz",
            "auto",
            b"\x1F\x8B\x07rest".to_vec(),
        ),
        ("gzip and text", "a.gz", "auto", [&gz[..], b"{}\n"].concat()),
        (
            "gzip, zeros and text",
            "a.gz",
            "auto",
            [&gz[..], b"\0\0{}\n"].concat(),
        ),
        ("gzip and zstd", "a.gz", "auto", [&gz[..], &zst].concat()),
        ("zstd cut in its checksum", "a.zst", "auto", cut(&zst, 1)),
        ("zstd cut in its header", "a.zst", "auto", zst[..5].to_vec()),
        (
            "zstd with another checksum",
            "a.zst",
            "auto",
            changed(&zst, 1),
        ),
        (
            "zstd and text",
            "a.zst",
            "auto",
            [&zst[..], b"{}\n"].concat(),
        ),
        (
            "zstd and zeros",
            "a.zst",
            "auto",
            [&zst[..], &[0; 8]].concat(),
        ),
        ("zstd with the largest window", "a.zst", "auto", window(27)),
        (
            "zstd with a window over the limit",
            "a.zst",
            "auto",
            window(28),
        ),
        ("plain text", "a.gz", "gzip", plain.clone().into()),
        ("zstd", "a.gz", "gzip", zst.clone()),
        ("an empty file", "a.zst", "zstd", Vec::new()),
        ("gzip", "a.gz", "gzip", gz.clone()),
        ("zstd", "a.zst", "zstd", zst.clone()),
        ("gzip taken as it is", "a.gz", "none", gz.clone()),
        ("one byte of gzip", "a.gz", "auto", gz[..1].to_vec()),
    ];
    let mut transcript = String::new();
    for (name, file, compression, content) in inputs {
        let rig = Rig::new();
        rig.file(file, content);
        let ran = rig.ingest(&["--compression", compression, file]);
        // What gzip makes of these rows is up to the library; that they are bad is not.
        let told = match compression {
            "none" => format!("exit {}\n", ran.code),
            _ => told(&rig, &ran),
        };
        let acked = &ran.summary()["records"]["acked"];
        writeln!(
            transcript,
            "## {name}, {compression}\n{told}acknowledged {acked}\n"
        )
        .unwrap();
    }
    assert_snapshot!(transcript);
}

#[test]
fn rows_keep_their_places_and_rejects_are_not_compressed() {
    let rig = Rig::new();
    let text = [&air_row(0), "{\"temp\": \"x\"}\r\n", &air_row(1)].concat();
    rig.file("a.ndjson.gz", gzip(&text));
    rig.ingest(&["--max-errors", "1", "--rejects", "bad", "a.ndjson.gz"])
        .exits(3);
    let kept = |name: &str| std::fs::read_to_string(rig.path().join(name)).unwrap();
    assert_eq!(kept("bad"), "{\"temp\": \"x\"}\r\n");
    let reason: Value = serde_json::from_str(&kept("bad.reasons.ndjson")).unwrap();
    let place = (&reason["source"], &reason["line"], &reason["byte"]);
    assert_eq!(
        place,
        (&json!("a.ndjson.gz"), &json!(2), &json!(air_row(0).len()))
    );
}

/// An encoder that writes through a pipe to a loader.
type Through = fn(ChildStdin) -> Box<dyn Write>;

/// Promise: what is flushed arrives while the pipe is open, and a signal loses none of it.
#[test]
fn rows_of_a_slow_compressed_pipe_land_while_it_is_open() {
    let encoders: [Through; 2] = [
        |pipe| Box::new(GzEncoder::new(pipe, Level::default())),
        |pipe| Box::new(zstd::Encoder::new(pipe, 3).unwrap().auto_finish()),
    ];
    for encoder in encoders {
        for interrupted in [true, false] {
            let rig = Rig::new();
            let mut loader = rig.local(&["-"]).stdin(Stdio::piped()).spawn().unwrap();
            let mut pipe = encoder(loader.stdin.take().unwrap());
            for landed in 1..=2 {
                pipe.write_all(air_row(landed).as_bytes()).unwrap();
                pipe.flush().unwrap();
                while rig.air_rows_or_none().len() < landed as usize {
                    thread::sleep(Duration::from_millis(5));
                }
            }
            pipe.write_all(rows(3..1_000).as_bytes()).unwrap();
            let code = match interrupted {
                true => {
                    pipe.write_all(b"{\"humidity\": 1").unwrap();
                    pipe.flush().unwrap();
                    while rig.air_rows().len() < 999 {
                        thread::sleep(Duration::from_millis(5));
                    }
                    signal(&loader, "TERM");
                    let code = loader.wait().unwrap().code().unwrap();
                    drop(pipe);
                    code
                }
                false => {
                    drop(pipe);
                    loader.wait().unwrap().code().unwrap()
                }
            };
            assert_eq!(code, if interrupted { 143 } else { 0 });
            let summary = Ran::of(&loader.wait_with_output().unwrap()).summary();
            assert_eq!(summary["records"]["acked"], 999);
            assert_eq!(summary["records"]["read"], 999);
            assert_eq!(numbers(&rig.air_rows()), (1..1_000).collect::<Vec<_>>());
        }
    }
}

/// Promise: a gigabyte out of nearly nothing is one bad row, and costs no memory.
#[test]
fn a_gigabyte_in_a_few_bytes_costs_no_memory() {
    const PEAK_BYTES_MAX: u64 = 192 << 20;
    for in_zstd in [false, true] {
        let rig = Rig::new();
        let zeros = std::io::repeat(0).take(1 << 30);
        let data = match in_zstd {
            true => zstd::encode_all(zeros, 1).unwrap(),
            false => {
                let mut data = Vec::new();
                let mut reader = flate2::read::GzEncoder::new(zeros, Level::fast());
                reader.read_to_end(&mut data).unwrap();
                data
            }
        };
        rig.file("bomb", data);
        rig.file("after.ndjson", air_row(1));
        // The pipe holds the loader up behind the file.
        let mut command = rig.local(&["--max-errors", "1", "bomb", "after.ndjson", "-"]);
        let mut loader = command.stdin(Stdio::piped()).spawn().unwrap();
        while rig.air_rows_or_none().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let peak = peak_bytes(&loader);
        drop(loader.stdin.take());
        Ran::of(&loader.wait_with_output().unwrap()).exits(3);
        assert!(peak < PEAK_BYTES_MAX, "{peak} bytes");
    }
}

/// A member of gzip that is as large as what it holds.
fn stored(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::none());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_that_change_while_they_are_read_are_told() {
    let data = stored(&rows(0..200_000));
    let half = data.len() / 4 * 3;
    for grows in [true, false] {
        let rig = Rig::new();
        let file = rig.file("a.ndjson.gz", if grows { &data[..half] } else { &data[..] });
        let loader = rig
            .local(&["--max-inflight", "1000", "a.ndjson.gz"])
            .spawn()
            .unwrap();
        rig.wait_for_version(2);
        let mut file = std::fs::File::options().append(true).open(file).unwrap();
        let expected = match grows {
            true => {
                file.write_all(&data[half..]).unwrap();
                "the file is still being written"
            }
            false => {
                file.set_len(half as u64).unwrap();
                "the file was cut off while it was read"
            }
        };
        let ran = Ran::of(&loader.wait_with_output().unwrap()).exits(1);
        assert!(ran.stderr.contains(expected), "{ran:#?}");
        let acked = ran.summary()["records"]["acked"].as_u64().unwrap();
        assert!((100_000..200_000).contains(&acked), "{acked}");
        assert_eq!(
            sorted_numbers(&rig.air_rows()),
            (0..acked).collect::<Vec<_>>()
        );
    }
}
