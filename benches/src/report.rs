//! What was found: figures, what stands beside them, goals; as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

/// All findings of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// True when the sizes were tiny: then the figures mean nothing.
    pub quick: bool,
    /// The load averages of this machine at the end, over 1, 5 and 15 minutes; empty where they cannot be read.
    pub load: String,
    pub cores: usize,
    pub findings: Vec<Finding>,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub bench: &'static str,
    pub what: String,
    /// `None`: it was not measured, and `note` says why.
    pub figure: Option<Figure>,
    pub beside: Option<Beside>,
    pub goal: Option<Goal>,
    /// Whether the goal is met; `None` without a goal or without a figure.
    pub met: Option<bool>,
    pub note: Option<String>,
}

/// The middle one of several rounds, and the outer ones.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figure {
    pub value: f64,
    pub unit: &'static str,
    pub low: f64,
    pub high: f64,
}

/// A peer that did the same work in the same run.
#[derive(Clone, Debug, Serialize)]
pub struct Beside {
    pub peer: &'static str,
    pub value: f64,
    /// Ours divided by the peer's: the middle one of the rounds' ratios.
    pub ratio: f64,
}

/// What we want.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goal {
    pub of: Of,
    pub bound: Bound,
    pub value: f64,
}

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Figure,
    Ratio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost,
    AtLeast,
}

impl Finding {
    pub(crate) fn new(bench: &'static str, what: impl Into<String>, figure: Figure) -> Self {
        Self { bench, what: what.into(), figure: Some(figure), beside: None, goal: None, met: None, note: None }
    }

    /// Something that could not be measured here.
    pub(crate) fn not_run(bench: &'static str, what: impl Into<String>, why: String) -> Self {
        Self { bench, what: what.into(), figure: None, beside: None, goal: None, met: None, note: Some(why) }
    }

    pub(crate) fn beside(mut self, peer: &'static str, value: f64, ratio: f64) -> Self {
        self.beside = Some(Beside { peer, value, ratio });
        self
    }

    pub(crate) fn goal(mut self, of: Of, bound: Bound, value: f64) -> Self {
        let found = match of {
            Of::Figure => self.figure.map(|figure| figure.value),
            Of::Ratio => self.beside.as_ref().map(|beside| beside.ratio),
        };
        self.goal = Some(Goal { of, bound, value });
        self.met = found.filter(|found| !found.is_nan()).map(|found| match bound {
            Bound::AtMost => found <= value,
            Bound::AtLeast => found >= value,
        });
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl Figure {
    /// Something that is counted once, not measured in rounds.
    pub(crate) fn once(value: f64, unit: &'static str) -> Self {
        Self { value, unit, low: value, high: value }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.bound {
            Bound::AtMost => '≤',
            Bound::AtLeast => '≥',
        };
        let of = match self.of {
            Of::Figure => "",
            Of::Ratio => "×",
        };
        write!(f, "{sign} {}{of}", number(self.value))
    }
}

const HEAD: [&str; 7] = ["bench", "what", "figure", "lowest–highest", "beside it", "goal", "met"];

impl fmt::Display for Report {
    /// A Markdown table, so that it can go into a document as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 7]> = self.findings.iter().map(row).collect();
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].chars().count());
                cells.chain([HEAD[column].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let mut line = |cells: &[&str]| {
            for (cell, width) in cells.iter().zip(&widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")
        };
        line(&HEAD)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        line(&rules.iter().map(String::as_str).collect::<Vec<_>>())?;
        for row in &rows {
            line(&row.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        if self.quick {
            writeln!(f, "\nA quick run: every bench did its work, with sizes so small that the figures mean nothing.")?;
        }
        writeln!(f, "\n{} cores; load averages at the end: {}", self.cores, self.load)
    }
}

fn row(finding: &Finding) -> [String; 7] {
    let mut what = finding.what.clone();
    if let Some(note) = finding.note.as_ref().filter(|_| finding.figure.is_some()) {
        what = format!("{what} ({note})");
    }
    let figure = match (&finding.figure, &finding.note) {
        (Some(figure), _) => format!("{} {}", number(figure.value), figure.unit).trim_end().to_owned(),
        (None, Some(why)) => format!("not run: {why}"),
        (None, None) => "not run".to_owned(),
    };
    let range = finding.figure.filter(|figure| figure.low < figure.high);
    let range = range.map(|figure| format!("{}–{}", number(figure.low), number(figure.high))).unwrap_or_default();
    let beside = finding.beside.as_ref();
    let beside = beside.map(|beside| format!("{}× {} ({})", number(beside.ratio), beside.peer, number(beside.value)));
    let met = finding.met.map_or("", |met| if met { "yes" } else { "NO" });
    let goal = finding.goal.map(|goal| goal.to_string()).unwrap_or_default();
    [finding.bench.to_owned(), what, figure, range, beside.unwrap_or_default(), goal, met.to_owned()]
}

/// Three significant digits, and thousands set apart.
fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "?".to_owned();
    }
    if size >= 1000.0 {
        return thousands(format!("{value:.0}"));
    }
    let decimals = if size >= 100.0 || value.fract() == 0.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 0.1 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

/// A whole number with its thousands set apart.
pub(crate) fn thousands(number: impl ToString) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default());
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (1_234_567.0, "1,234,567"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.5, "1.50"),
            (0.05, "0.050"),
            (8.0, "8"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_goal_is_met_or_not_or_unknown() {
        let finding = || Finding::new("page", "a page", Figure::once(30.0, "µs")).beside("plain SQLite", 20.0, 1.5);
        assert_eq!(finding().goal(Of::Figure, Bound::AtMost, 30.0).met, Some(true));
        assert_eq!(finding().goal(Of::Ratio, Bound::AtMost, 1.4).met, Some(false));
        assert_eq!(finding().goal(Of::Ratio, Bound::AtLeast, 1.4).met, Some(true));
        assert_eq!(Finding::not_run("page", "a page", "why".into()).goal(Of::Ratio, Bound::AtMost, 1.0).met, None);
        let report = Report {
            quick: false,
            load: "0.1".into(),
            cores: 2,
            findings: vec![
                finding().goal(Of::Ratio, Bound::AtMost, 1.4),
                Finding::not_run("idle", "memory", "why".into()),
            ],
        };
        let table = report.to_string();
        assert!(table.contains("| 30 µs "), "{table}");
        assert!(table.contains("| 1.50× plain SQLite (20) "), "{table}");
        assert!(table.contains("| ≤ 1.40× | NO  |"), "{table}");
        assert!(table.contains("| not run: why "), "{table}");
    }
}
