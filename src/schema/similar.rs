//! "Did you mean": the nearest of some names, if it is near enough to be a slip.

/// Longer names are not compared: comparing takes time with the square of the length.
const NAME_BYTES_MAX: usize = 256;

/// The candidate nearest to `name` within a distance that a typing slip explains: case and
/// separators aside, one edit, or two for names of eight letters and more.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No slip, and perhaps megabytes of a row.
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let plain = simplify(name);
    let limit = if plain.chars().count() >= 8 { 2 } else { 1 };
    candidates
        .into_iter()
        .map(|candidate| {
            // A package in front is no slip.
            let last = candidate.rsplit('.').next().unwrap_or(candidate);
            let distance =
                distance(&plain, &simplify(candidate)).min(distance(&plain, &simplify(last)));
            (distance, candidate)
        })
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

fn simplify(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_does_not() {
        let names = ["device_name", "temp", "humidity"];
        assert_eq!(closest("tmep", names), Some("temp"));
        assert_eq!(closest("deviceName", names), Some("device_name"));
        assert_eq!(closest("humidty", names), Some("humidity"));
        assert_eq!(closest("pressure", names), None);
        assert_eq!(
            closest("AirQualty", ["air.AirQuality"]),
            Some("air.AirQuality")
        );
    }
}
