//! The rows that everything is measured with: a narrow record and a wide one, the same at
//! every run.

use std::fmt::Write as _;

/// The narrow record: three scalars.
pub const NARROW_PROTO: &str = include_str!("../samples/air_quality.proto");

/// The wide record: 20 fields with a nested message, lists, a map, doubles and strings.
pub const WIDE_PROTO: &str = include_str!("wide.proto");

/// A generator of repeatable numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number with six digits after the point, as sensors write them.
    fn decimal(&mut self, whole: u64) -> String {
        let sign = if self.below(2) == 0 { "" } else { "-" };
        format!("{sign}{}.{:06}", self.below(whole), self.below(1_000_000))
    }
}

/// Appends the `index`th narrow row, with its newline.
pub fn narrow_ndjson(index: u64, out: &mut String) {
    let mut n = Numbers(index);
    let (sensor, temp, humidity) = (n.below(1_000), n.below(60), n.below(100));
    let _ = writeln!(
        out,
        r#"{{"device_name":"sensor-{sensor:03}","temp":{},"humidity":{humidity}}}"#,
        temp as i64 - 20
    );
}

/// The header of the narrow rows as CSV.
pub const NARROW_HEADER: &str = "device_name,temp,humidity\n";

/// The same row as [`narrow_ndjson`] for a CSV.
pub fn narrow_csv(index: u64, out: &mut String) {
    let mut n = Numbers(index);
    let (sensor, temp, humidity) = (n.below(1_000), n.below(60), n.below(100));
    let _ = writeln!(out, "sensor-{sensor:03},{},{humidity}", temp as i64 - 20);
}

/// The header of the wide rows as CSV.
pub const WIDE_HEADER: &str = "event_id,device_id,at,received_at,location,temperature,humidity,\
pressure,battery,signal,active,firmware,count,total,readings,tags,counters,operator,note,score\n";

/// The same row as [`wide_ndjson`] for a CSV: what is nested as JSON text in quotes.
pub fn wide_csv(index: u64, out: &mut String) {
    let mut row = String::new();
    wide_ndjson(index, &mut row);
    let row: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&row).expect("an object");
    for (place, value) in row.values().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.contains(['"', ',', '\n']) {
            let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
        } else {
            out.push_str(&text);
        }
    }
    out.push('\n');
}

/// Appends the `index`th wide row, with its newline.
pub fn wide_ndjson(index: u64, out: &mut String) {
    let mut n = Numbers(index);
    let cities = ["Amsterdam", "São Paulo", "Johannesburg", "Zürich", "Kyōto"];
    let _ = write!(
        out,
        r#"{{"event_id":"{:016x}-{:08x}","device_id":"device-{:05}","at":{},"received_at":{},"#,
        n.next(),
        n.next() as u32,
        n.below(50_000),
        1_767_225_600_000_000 + index * 1_000 + n.below(1_000),
        1_767_225_600_500_000 + index * 1_000 + n.below(1_000),
    );
    let _ = write!(
        out,
        r#""location":{{"city":"{}","latitude":{},"longitude":{},"floor":{}}},"#,
        cities[n.below(5) as usize],
        n.decimal(90),
        n.decimal(180),
        n.below(40),
    );
    let _ = write!(
        out,
        r#""temperature":{},"humidity":{},"pressure":{},"battery":{},"signal":-{},"#,
        n.decimal(50),
        n.decimal(100),
        n.decimal(1_100),
        n.decimal(5),
        n.below(120),
    );
    let _ = write!(
        out,
        r#""active":{},"firmware":"{}.{}.{}","count":{},"total":{},"#,
        n.below(2) == 0,
        n.below(10),
        n.below(20),
        n.below(100),
        n.below(100_000),
        n.next() >> 20,
    );
    let _ = write!(out, r#""readings":[{}"#, n.decimal(100));
    for _ in 0..n.below(6) {
        let _ = write!(out, ",{}", n.decimal(100));
    }
    let _ = write!(out, r#"],"tags":["zone-{}","floor""#, n.below(20));
    if n.below(2) == 0 {
        out.push_str(r#","indoor""#);
    }
    let _ = write!(
        out,
        r#"],"counters":{{"ok":{},"failed":{},"retried":{}}},"#,
        n.below(10_000),
        n.below(100),
        n.below(10),
    );
    let note = match n.below(8) {
        0 => r#"said \"too warm\"\nand left"#,
        1 => "",
        _ => "routine report of the nightly run",
    };
    let _ = writeln!(
        out,
        r#""operator":"op-{}","note":"{note}","score":{}}}"#,
        n.below(300),
        n.decimal(10),
    );
}
