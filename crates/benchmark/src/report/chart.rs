//! Pictures as inline SVG, drawn with the page's own colours.

use std::fmt::Write;

use super::words::{rate, thousands};
use crate::capsule::{Capsule, StepRecord};
use crate::search::{Outcome, Phase};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 42.0;
/// What an axis may carry.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that shows all of the values with some room.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        (low <= high).then_some(Self { low: low * 0.8, high: high * 1.25, from, to })
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// 1, 2, 5, 10, …; only the powers of ten where there are many.
    fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps = if decades > 2.0 { &STEPS[..1] } else { &STEPS[..] };
        #[expect(clippy::cast_possible_truncation, reason = "a power of ten")]
        let first = self.low.log10().floor() as i32;
        let all = (0..12).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(first + power)));
        all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// Load against p99: a mark per step, the limit as a line, the capacity as a band.
pub(super) fn load_and_latency(capsule: &Capsule) -> String {
    let limit_ms = capsule.parameters.latency_limit_ms as f64;
    let p99_ms = |record: &StepRecord| Some(record.judged.worst()?.percentiles.p99_us? as f64 / 1e3);
    let measured: Vec<(&StepRecord, f64)> =
        capsule.steps.iter().filter_map(|record| Some((record, p99_ms(record)?))).collect();
    let x = Axis::new(measured.iter().map(|(record, _)| record.step.rate), LEFT, WIDTH - RIGHT);
    let y = Axis::new(measured.iter().map(|(_, ms)| *ms).chain([limit_ms]), HEIGHT - BOTTOM, TOP);
    let (Some(x), Some(y)) = (x, y) else { return "<p>No step has measured a latency.</p>".to_owned() };

    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"p99 latency against load, a mark per step\">"
    );
    if let Some(capacity) = capsule.capacity() {
        let (left, right) = (x.at(capacity.held), capacity.failed.map_or(WIDTH - RIGHT, |failed| x.at(failed)));
        let _ = write!(
            svg,
            "<rect class=\"band\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>capacity: held {}, gave way \
             at {}</title></rect>",
            (right - left).max(1.0),
            HEIGHT - BOTTOM - TOP,
            rate(capacity.held),
            capacity.failed.map_or_else(|| "?".to_owned(), rate)
        );
    }
    axes(&mut svg, x, y);
    let at = y.at(limit_ms);
    let _ = write!(
        svg,
        "<path class=\"limit\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"limit-text\" x=\"{:.1}\" y=\"{:.1}\">limit {} ms</text>",
        WIDTH - RIGHT,
        LEFT + 6.0,
        at - 5.0,
        thousands(limit_ms)
    );
    for (record, ms) in &measured {
        mark(&mut svg, record, x.at(record.step.rate), y.at(*ms), *ms);
    }
    svg.push_str("</svg>");
    svg
}

fn axes(svg: &mut String, x: Axis, y: Axis) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
    let mut free_from = 0.0;
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>");
        // Numbers that would touch are left out.
        if at - 18.0 > free_from && at + 18.0 < WIDTH {
            let _ = write!(
                svg,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                rate_tick(tick)
            );
            free_from = at + 18.0;
        }
    }
    y_ticks(svg, y);
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">load offered, sales/s</text><text x=\"4\" y=\"14\">p99 from due to the \
         slowest store, ms</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 6.0
    );
}

/// Lines across the plot, each with its number.
fn y_ticks(svg: &mut String, y: Axis) {
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            rate_tick(tick)
        );
    }
}

fn rate_tick(value: f64) -> String {
    if value >= 1.0 { thousands(value) } else { value.to_string() }
}

/// A disc held, a cross failed, an empty circle was only the ramp's.
fn mark(svg: &mut String, record: &StepRecord, x: f64, y: f64, ms: f64) {
    let (word, shape) = match (record.judged.outcome, record.step.phase) {
        (Outcome::Held, Phase::Ramp) => {
            ("held", format!("<circle class=\"ramp\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"))
        }
        (Outcome::Held, _) => ("held", format!("<circle class=\"held\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>")),
        (Outcome::Failed, _) => {
            ("failed", format!("<path class=\"failed\" d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\"/>", x - 4.0, y - 4.0))
        }
        (Outcome::Invalid, _) => ("not judged", format!("<path class=\"ramp\" d=\"M{:.1} {:.1}h8\"/>", x - 4.0, y)),
    };
    let _ = write!(svg, "<g>{shape}<title>{} sales/s: p99 {ms:.0} ms, {word}</title></g>", rate(record.step.rate));
}

/// What came through in a step, second by second, and the lag.
pub(super) fn course(record: &StepRecord) -> String {
    const W: f64 = 200.0;
    const H: f64 = 44.0;
    let last = record.points.last().map_or(1.0, |point| point.at.max(1.0));
    let line = |value: fn(&crate::capsule::Point) -> Option<f64>| {
        let most = record.points.iter().filter_map(value).fold(0.0, f64::max);
        let mut path = String::new();
        let mut pen = 'M';
        for point in &record.points {
            // A gap is a gap.
            let Some(value) = value(point) else {
                pen = 'M';
                continue;
            };
            let height = if most > 0.0 { value / most } else { 0.0 };
            let _ = write!(path, "{pen}{:.1} {:.1}", point.at / last * W, H - 2.0 - height * (H - 4.0));
            pen = 'L';
        }
        (path, most)
    };
    let picture = |path: &str, label: &str| {
        format!(
            "<svg viewBox=\"0 0 {W} {H}\" role=\"img\" aria-label=\"{label}\"><path class=\"axis\" d=\"M0 {0}H{W}\"/><path \
             class=\"series\" d=\"{path}\"/></svg>",
            H - 1.0
        )
    };
    let (stored, most_stored) = line(|point| point.stored);
    let (lag, most_lag) = line(|point| point.lag.map(|lag| lag as f64));
    format!(
        "{}<span class=\"soft\">stored, up to {} sales/s</span>{}<span class=\"soft\">lag, up to {} sales</span>",
        picture(&stored, "sales stored per second"),
        rate(most_stored),
        picture(&lag, "lag"),
        thousands(most_lag)
    )
}

/// The whole spectrum of a latency: percentiles on an axis that shows the tail.
pub(super) fn spectrum(histogram: &hdrhistogram::Histogram<u64>, limit_ms: u64) -> String {
    const PERCENTILES: [f64; 13] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];
    if histogram.is_empty() {
        return String::new();
    }
    let points: Vec<(f64, f64)> = PERCENTILES
        .iter()
        .filter(|share| (1.0 - **share) * histogram.len() as f64 >= 1.0)
        .map(|share| (1.0 / (1.0 - share), histogram.value_at_quantile(*share) as f64 / 1e3))
        .collect();
    let x = Axis { low: 1.0, high: 20_000.0, from: LEFT, to: WIDTH - RIGHT };
    let Some(y) = Axis::new(points.iter().map(|(_, ms)| *ms).chain([limit_ms as f64]), HEIGHT - BOTTOM, TOP) else {
        return String::new();
    };
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latency by percentile\">"
    );
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
    for (share, name) in [(0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")] {
        let at = x.at(1.0 / (1.0 - share));
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            bottom + 16.0
        );
    }
    y_ticks(&mut svg, y);
    let at = y.at(limit_ms as f64);
    let path: Vec<String> = points.iter().map(|(share, ms)| format!("{:.1} {:.1}", x.at(*share), y.at(*ms))).collect();
    let _ = write!(
        svg,
        "<path class=\"limit\" d=\"M{LEFT} {at:.1}H{right}\"/><path class=\"series\" d=\"M{}\"/><text x=\"{:.1}\" y=\"{}\" \
         text-anchor=\"middle\">percentile</text><text x=\"4\" y=\"14\">latency, ms</text></svg>",
        path.join("L"),
        f64::midpoint(LEFT, right),
        HEIGHT - 6.0
    );
    svg
}
