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
    let mut widths: Vec<usize> = (0..head.len()).map(natural).collect();
    let total = |widths: &[usize]| {
        widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
    };
    while total(&widths) > width {
        let columns = widths.len();
        match widths.iter_mut().max() {
            Some(widest) if *widest > CELL_CHARS_MIN => *widest -= 1,
            _ if columns > 1 => widths = (0..columns - 1).map(natural).collect(),
            _ => break,
        }
    }
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
    fn nothing_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2J\n\u{202e}b"), "a\\u{1b}[2J\\n\\u{202e}b");
    }
}
