//! Rows in aligned columns that fit the terminal.

use std::io::IsTerminal as _;

use rustix::termios::tcgetwinsize;

/// Where standard output is no terminal, or one that does not tell its width.
const WIDTH_CHARS: usize = 80;
/// No column is cut below this to make room for others.
const CELL_CHARS_MIN: usize = 8;
const GAP: &str = "  ";

/// How wide a line may be.
pub(super) fn width() -> usize {
    let out = std::io::stdout();
    let size = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten();
    let width = size.map_or(0, |size| usize::from(size.ws_col));
    if width == 0 { WIDTH_CHARS } else { width }
}

/// Text without what moves a terminal's cursor or changes its colours.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        // Besides control characters those that turn the direction of writing around.
        match c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

/// A head and rows of as many cells, in lines of at most `width` characters: long cells are
/// cut, and columns for which there is no room are named below.
pub(super) fn lines(head: &[String], rows: &[Vec<String>], width: usize) -> String {
    let chars = |text: &String| text.chars().count();
    let natural = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i));
        cells
            .chain(head.get(i))
            .map(chars)
            .max()
            .unwrap_or(0)
            .min(width)
    };
    let naturals: Vec<usize> = (0..head.len()).map(natural).collect();
    let widths = widths(&naturals, width);
    let mut text = String::new();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let all = [head, &rule]
        .into_iter()
        .chain(rows.iter().map(Vec::as_slice));
    for row in all {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(text, width)| cell(text, *width));
        text.push_str(cells.collect::<Vec<_>>().join(GAP).trim_end());
        text.push('\n');
    }
    let more = head.get(widths.len()..).unwrap_or_default();
    if !more.is_empty() {
        text.push_str(&format!(
            "and {} more columns: {}\n",
            more.len(),
            more.join(", ")
        ));
    }
    text
}

/// The widths of as many columns as there is room for: the widest are cut, and one is always
/// there.
fn widths(naturals: &[usize], width: usize) -> Vec<usize> {
    let mut room = width.saturating_add(GAP.len());
    let fitting = naturals.iter().take_while(|natural| {
        let least = GAP.len() + CELL_CHARS_MIN.min(**natural);
        let fits = least <= room;
        room = room.saturating_sub(least);
        fits
    });
    let count = fitting.count().clamp(1, naturals.len().max(1));
    let naturals = naturals.get(..count).unwrap_or_default();
    let gaps = GAP.len() * (count - 1);
    let total = |cap: usize| gaps + naturals.iter().map(|n| cap.min(*n)).sum::<usize>();
    let mut caps = (CELL_CHARS_MIN..=width).rev();
    let cap = caps.find(|cap| total(*cap) <= width);
    let cap = cap.unwrap_or(CELL_CHARS_MIN);
    // What is left over is less than one for each column that was cut.
    let mut left = width.saturating_sub(total(cap));
    let widths = naturals.iter().map(|natural| {
        let more = usize::from(*natural > cap && left > 0);
        left -= more;
        cap.min(*natural) + more
    });
    widths.collect()
}

fn cell(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn long_cells_are_cut_and_short_ones_kept() {
        let long = "x".repeat(100);
        let text = lines(&row(&["a", "long", "c"]), &[row(&["1", &long, "é"])], 30);
        let kept = format!("{}…", "x".repeat(23));
        let rule = "-".repeat(24);
        assert_eq!(
            text,
            format!("a  long                      c\n-  {rule}  -\n1  {kept}  é\n")
        );
    }

    #[test]
    fn columns_without_room_are_named() {
        let head: Vec<String> = (0..20).map(|i| format!("column_{i:02}")).collect();
        let cells: Vec<String> = (0..20).map(|i| format!("value {i:04}")).collect();
        let text = lines(&head, &[cells], 60);
        for line in text.lines().take(3) {
            assert!(line.chars().count() <= 60, "{line}");
        }
        assert!(
            text.contains("and 14 more columns: column_06, column_07"),
            "{text}"
        );
    }

    #[test]
    fn what_is_cut_is_cut_to_what_fits_and_no_further() {
        assert_eq!(widths(&[3, 40, 40], 30), [3, 12, 11]);
        assert_eq!(widths(&[3, 4], 9), [3, 4]);
        assert_eq!(widths(&[50, 50], 12), [12]);
        assert_eq!(widths(&[50, 50], 3), [8]);
        assert_eq!(widths(&[5, 5], usize::MAX), [5, 5]);
        assert!(widths(&[], 80).is_empty());
        // As many as a table may have, and more.
        let many = widths(&[60; 100_000], 9_998);
        assert_eq!(many, [8; 1_000]);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2J\n\u{202e}b"), "a\\u{1b}[2J\\n\\u{202e}b");
    }
}
