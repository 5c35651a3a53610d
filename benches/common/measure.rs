//! Rounds of rivals in turn, and a table of ratios with what they must reach.

use std::time::{Duration, Instant};

/// Nanoseconds of one operation, for each rival in each round.
pub(crate) struct Rounds(Vec<Vec<f64>>);

/// Lets rivals take turns, so that whatever else the machine does hits all of them. Each returns the nanoseconds of one
/// operation; the first round is for the caches and does not count.
pub(crate) fn rounds<const N: usize>(
    count: usize,
    mut rivals: [&mut dyn FnMut() -> f64; N],
) -> Rounds {
    let mut times = vec![Vec::with_capacity(count); N];
    for round in 0..=count {
        for (rival, times) in rivals.iter_mut().zip(&mut times) {
            let time = rival();
            if round > 0 {
                times.push(time);
            }
        }
    }
    Rounds(times)
}

/// What was measured: the median of all rounds, and the best one, which is what the machine does when others leave it
/// alone.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) best: f64,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Self { median: value, best: value }
    }
}

impl Figure {
    /// Of times that were measured one after the other, in a unit of so many nanoseconds.
    pub(crate) fn of(times: &[f64], unit: f64) -> Self {
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        Self { median: median(times.iter().copied()) / unit, best: best / unit }
    }
}

impl Rounds {
    /// The times of a rival, in a unit of so many nanoseconds.
    pub(crate) fn figure(&self, rival: usize, unit: f64) -> Figure {
        Figure::of(&self.0[rival], unit)
    }

    /// The median time of a rival.
    pub(crate) fn median(&self, rival: usize) -> f64 {
        self.figure(rival, 1.0).median
    }

    /// One rival's time by another's: the median over the rounds, and that of each one's best round.
    pub(crate) fn ratio(&self, rival: usize, by: usize) -> Figure {
        let ratios = self.0[rival].iter().zip(&self.0[by]).map(|(a, b)| a / b);
        let best = self.figure(rival, 1.0).best / self.figure(by, 1.0).best;
        Figure { median: median(ratios), best }
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds of one of `n` operations.
pub(crate) fn time(n: usize, act: impl FnOnce()) -> f64 {
    let start = Instant::now();
    act();
    nanos(start.elapsed()) / n as f64
}

pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Bytes of memory that the process has, as the kernel counts them; `None` where it is not Linux.
pub(crate) fn resident() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<f64>().ok()? * 4096.0)
}

/// What a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Must {
    AtMost(f64),
    AtLeast(f64),
}

/// The rows, printed as they come.
#[derive(Default)]
pub(crate) struct Table {
    missed: usize,
}

impl Table {
    pub(crate) fn head(&self) {
        println!("| operation | must reach | median | best round | reached | times |");
        println!("|---|--:|--:|--:|---|---|");
    }

    /// One row: `measured` and what it must reach are in `unit`.
    pub(crate) fn row(
        &mut self,
        operation: &str,
        must: Must,
        unit: &str,
        measured: impl Into<Figure>,
        times: &str,
    ) {
        let (rule, limit, at_most) = match must {
            Must::AtMost(limit) => (format!("≤ {limit} {unit}"), limit, true),
            Must::AtLeast(limit) => (format!("≥ {limit} {unit}"), limit, false),
        };
        let Figure { median, best } = measured.into();
        let reaches = |value: f64| if at_most { value <= limit } else { value >= limit };
        self.missed += usize::from(!reaches(median) && !reaches(best));
        let reached = match (reaches(median), reaches(best)) {
            (true, _) => "yes",
            (false, true) => "in the best round",
            (false, false) => "**no**",
        };
        println!(
            "| {operation} | {rule} | {} | {} | {reached} | {times} |",
            short(median),
            short(best)
        );
    }

    /// A figure that nothing is asked of.
    pub(crate) fn note(
        &self,
        operation: &str,
        unit: &str,
        measured: impl Into<Figure>,
        times: &str,
    ) {
        let Figure { median, best } = measured.into();
        println!("| {operation} | ({unit}) | {} | {} | | {times} |", short(median), short(best));
    }

    pub(crate) fn skip(&self, operation: &str, reason: &str) {
        println!("| {operation} | | | | skipped | {reason} |");
    }

    pub(crate) fn foot(&self) {
        println!("\n{} rows missed what they must reach.", self.missed);
    }
}

/// Three digits.
fn short(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A time in the unit that suits it.
pub(crate) fn shown(nanos: f64) -> String {
    match nanos {
        _ if nanos >= 1e6 => format!("{} ms", short(nanos / 1e6)),
        _ if nanos >= 1e3 => format!("{} µs", short(nanos / 1e3)),
        _ => format!("{} ns", short(nanos)),
    }
}
