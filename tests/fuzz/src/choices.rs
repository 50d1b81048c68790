//! The first bytes of an input choose how the rest is read, so that options are explored by
//! the same mutations as rows. The character `0` is always the usual choice, and a line's end
//! follows, so that seeds can be written by hand.

use jiff::tz::TimeZone;
use zerobus::input::{CsvDialect, Framing, Limits};
use zerobus::transcode::{
    Ambiguous, CellRules, Mapping, Options, SetValue, Target, TimeRules, Transcoder,
};

use crate::records::Record;

/// How many bytes they are, with the line's end.
const BYTES: usize = 10;

pub struct Choices {
    /// The longest row.
    pub line_bytes_max: usize,
    /// How a reader gives out the bytes: 0 as many as are asked for, else the seed of the sizes.
    pub reads: u8,
    /// Bounds of a block: 0 large ones, else small ones.
    blocks: u8,
    pub record: &'static Record,
    /// Records are the text of JSON objects.
    pub json: bool,
    pub ignore_unknown: bool,
    pub cells: CellRules,
    no_header: bool,
    columns: bool,
    pub time: TimeRules,
    mapping: u8,
    pub dialect: CsvDialect,
}

impl Choices {
    /// The choices and the input behind them.
    pub fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let (chosen, input) = data.split_at_checked(BYTES)?;
        let at = |index: usize| chosen[index].wrapping_sub(b'0');
        let one_of = |index: usize, count: usize| usize::from(at(index)) % count;
        let bit = |index: usize, bit: u8| at(index) >> bit & 1 == 1;
        let dialect = CsvDialect {
            delimiter: b",\t;| :ax"[one_of(7, 8)],
            quote: [Some(b'"'), Some(b'\''), None, Some(b'q')][one_of(8, 4)],
        };
        let choices = Self {
            line_bytes_max: [1 << 20, 1, 4, 9, 16, 33, 64, 100][one_of(0, 8)],
            reads: at(1),
            blocks: at(2),
            record: Record::number(one_of(3, 3)),
            json: one_of(3, 4) == 3,
            ignore_unknown: bit(4, 0),
            cells: CellRules {
                trim: bit(4, 1),
                null: match bit(4, 2) {
                    true => vec!["NULL".to_owned(), "-".to_owned()],
                    false => Vec::new(),
                },
            },
            no_header: bit(4, 3),
            columns: bit(4, 4),
            time: TimeRules {
                unit_us: [1, 1_000, 1_000_000][one_of(5, 3)],
                zone: match one_of(5, 2) {
                    0 => TimeZone::UTC,
                    _ => TimeZone::get("Europe/Berlin").expect("a bundled zone"),
                },
                ambiguous: [Ambiguous::Reject, Ambiguous::Earlier, Ambiguous::Later]
                    [one_of(5, 9) / 3],
                allow_epoch: bit(5, 2),
            },
            mapping: at(6) % 4,
            dialect,
        };
        Some((choices, input))
    }

    /// Bounds for one way of reading the input.
    pub fn framing(&self) -> Framing {
        let mut framing = self.framing_at_once();
        if self.blocks > 0 {
            framing.limits.block_bytes = self.blocks.into();
            framing.limits.block_rows_max = usize::from(self.blocks) % 5 + 1;
        }
        framing
    }

    /// The same, mostly with all of the input in one block.
    pub fn framing_at_once(&self) -> Framing {
        let names = ["f_int32", "f_string", "f_bool"].map(str::to_owned);
        Framing {
            limits: Limits {
                line_bytes_max: self.line_bytes_max,
                // So much is cleared for every read.
                block_bytes: 4 << 10,
                ..Limits::default()
            },
            no_header: self.no_header,
            columns: self.columns.then(|| names.to_vec()),
            ..Framing::default()
        }
    }

    /// Whether fields only get their values from columns of their name.
    pub fn is_plain(&self) -> bool {
        self.mapping == 0
    }

    pub fn transcoder(&self) -> Transcoder {
        let target = match self.json {
            true => Target::Json,
            false => Target::Proto(self.record.plan.clone()),
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let map = match self.mapping {
            1 | 3 => vec![pair("f_int32", "f_string"), pair("f_bool", "other")],
            _ => Vec::new(),
        };
        let set = match self.mapping {
            2 => vec![
                ("f_string".to_owned(), SetValue::Source),
                ("f_int32".to_owned(), SetValue::Line),
            ],
            3 => vec![("f_string".to_owned(), SetValue::Text("set".to_owned()))],
            _ => Vec::new(),
        };
        let options = Options {
            time: self.time.clone(),
            cells: self.cells.clone(),
            mapping: Mapping::new(&self.record.plan, &map, set).expect("fields of every record"),
            ignore_unknown: self.ignore_unknown,
            columns: None,
        };
        Transcoder::new(target, options)
    }
}
