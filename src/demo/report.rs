//! The table: what was asked, the answer, how long it took, where it ran and why.

use super::service::Answered;
use offload_api::ApiError;

const HEADINGS: [&str; 4] = ["what", "answer", "time", "where it ran, and why"];

/// Together with two blanks between columns: 100.
const WIDTHS: [usize; 4] = [22, 34, 8, 30];

/// A line of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    what: String,
    answer: String,
    time: String,
    place: String,
    /// Whether the answer is what it must be.
    pub(super) right: bool,
}

impl Row {
    /// What these calls together came to.
    pub(super) fn new(
        what: impl Into<String>,
        right: bool,
        answer: impl Into<String>,
        calls: &[&Answered],
    ) -> Row {
        let micros = calls.iter().map(|c| c.micros()).sum();
        Row { what: what.into(), answer: answer.into(), time: time(micros), place: places(calls), right }
    }

    /// What went over HTTP: the place is told, and the time is the caller's.
    pub(super) fn told(
        what: impl Into<String>,
        right: bool,
        answer: impl Into<String>,
        micros: u64,
        place: impl Into<String>,
    ) -> Row {
        Row { what: what.into(), answer: answer.into(), time: time(micros), place: place.into(), right }
    }

    /// A refusal that was to be expected.
    pub(super) fn refused(
        what: impl Into<String>,
        right: bool,
        answer: impl Into<String>,
        micros: u64,
        error: &ApiError,
    ) -> Row {
        let retry = if error.retryable { "a retry may help" } else { "no retry helps" };
        let place = format!("HTTP status {}: {retry}", error.error.status());
        Row { what: what.into(), answer: answer.into(), time: time(micros), place, right }
    }

    /// A check that the service could not answer.
    pub(super) fn unanswered(what: &str, error: &ApiError) -> Row {
        let (time, place) = (String::new(), String::new());
        Row { what: what.into(), answer: error.to_string(), time, place, right: false }
    }

    fn cells(&self) -> [String; 4] {
        let answer = if self.right { self.answer.clone() } else { format!("WRONG: {}", self.answer) };
        [self.what.clone(), answer, self.time.clone(), self.place.clone()]
    }
}

/// The places of all calls: each device once, and under it each reason, with its operations where reasons differ.
fn places(calls: &[&Answered]) -> String {
    let mut places: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for call in calls {
        let (device, why) = call.place();
        match places.iter_mut().find(|(d, w, _)| (*d, *w) == (device, why)) {
            Some((.., operations)) if operations.contains(&call.operation) => {}
            Some((.., operations)) => operations.push(call.operation),
            None => places.push((device, why, vec![call.operation])),
        }
    }
    if let [(device, why, _)] = places[..] {
        return format!("{device}: {why}");
    }
    places.sort_by_key(|(device, ..)| *device);
    let mut text = String::new();
    let mut last = "";
    for (device, why, operations) in places {
        text += if text.is_empty() { "" } else { "; " };
        if device != last {
            text += &format!("{device}: ");
        }
        text += &format!("{why} ({})", operations.join(", "));
        last = device;
    }
    text
}

/// Microseconds with three digits and a unit.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// All rows below their headings.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    write_row(&mut text, &HEADINGS.map(String::from));
    write_row(&mut text, &WIDTHS.map(|w| "─".repeat(w)));
    for row in rows {
        write_row(&mut text, &row.cells());
    }
    text
}

fn write_row(text: &mut String, cells: &[String; 4]) {
    let wrapped: Vec<Vec<String>> = cells.iter().zip(WIDTHS).map(|(cell, width)| wrap(cell, width)).collect();
    for i in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
        let mut line = String::new();
        for (column, (lines, width)) in wrapped.iter().zip(WIDTHS).enumerate() {
            let cell = lines.get(i).map_or("", String::as_str);
            // Times stand to the right, so that their units are below each other.
            line += &if column == 2 { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Lines of at most `width` characters; only a word that is longer is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        for piece in word.chars().collect::<Vec<_>>().chunks(width) {
            let piece: String = piece.iter().collect();
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.chars().count() <= width => {
                    line.push(' ');
                    line.push_str(&piece);
                }
                _ => lines.push(piece),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time(999), "999 µs");
        assert_eq!(time(1_234), "1.23 ms");
        assert_eq!(time(45_678), "45.7 ms");
        assert_eq!(time(2_345_678), "2.35 s");
    }

    #[test]
    fn a_wrong_answer_says_so_within_the_width() {
        let error = super::super::service::surprise("x".repeat(200));
        let text = table(&[Row::unanswered("something", &error)]);
        assert!(text.contains("WRONG: internal:"));
        assert!(text.lines().all(|l| l.chars().count() <= 100));
    }
}
