//! A line chart as SVG.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 840.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 250.0;
/// Told apart by most who see colours differently.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b"];
const TICKS: f64 = 6.0;

/// A range of numbers along one side.
pub(super) struct Axis {
    label: &'static str,
    from: f64,
    to: f64,
    is_log: bool,
    text: fn(f64) -> String,
}

impl Axis {
    /// From zero to the largest of the values.
    pub(super) fn linear(label: &'static str, values: impl Iterator<Item = f64>) -> Axis {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Axis {
            label,
            from: 0.0,
            to: if most > 0.0 { most } else { 1.0 },
            is_log: false,
            text: plain,
        }
    }

    /// Whole decades of microseconds around the values.
    pub(super) fn latency(label: &'static str, values: impl Iterator<Item = f64>) -> Axis {
        let (least, most) = values
            .filter(|value| *value > 0.0 && value.is_finite())
            .fold((f64::MAX, 1.0), |(least, most), value| (value.min(least), value.max(most)));
        let from = 10f64.powf(least.min(most).log10().floor());
        let to = 10f64.powf(most.log10().ceil()).max(from * 10.0);
        Axis { label, from, to, is_log: true, text: latency_text }
    }

    /// From 0 at the beginning to 1 at the end.
    fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.from) / self.from).log10() / (self.to / self.from).log10()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let decades = (self.to / self.from).log10().round() as i32;
            return (0..=decades).map(|decade| self.from * 10f64.powi(decade)).collect();
        }
        let rough = (self.to - self.from) / TICKS;
        let decade = 10f64.powf(rough.log10().floor());
        let fits = |step: &f64| *step >= rough;
        let step = [1.0, 2.0, 5.0].map(|nice| nice * decade).into_iter().find(fits);
        let step = step.unwrap_or(10.0 * decade);
        (0..=TICKS as u32).map(|i| f64::from(i) * step).filter(|tick| *tick <= self.to).collect()
    }
}

/// A named line.
pub(super) struct Series {
    /// What the legend says.
    pub name: String,
    /// In the order of x.
    pub points: Vec<(f64, f64)>,
}

/// The chart as one `<svg>` element.
pub(super) fn svg(x: &Axis, y: &Axis, series: &[Series]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n"
    );
    for tick in x.ticks() {
        let (at, text) = (across(x, tick), (x.text)(tick));
        line(&mut out, (at, TOP), (at, BOTTOM));
        words(&mut out, (at, BOTTOM + 18.0), "middle", &text);
    }
    for tick in y.ticks() {
        let (at, text) = (up(y, tick), (y.text)(tick));
        line(&mut out, (LEFT, at), (RIGHT, at));
        words(&mut out, (LEFT - 8.0, at + 4.0), "end", &text);
    }
    words(&mut out, ((LEFT + RIGHT) / 2.0, HEIGHT - 10.0), "middle", x.label);
    words(&mut out, (8.0, TOP - 18.0), "start", y.label);
    for (index, series) in series.iter().enumerate() {
        draw(&mut out, index, series, x, y);
    }
    out + "</svg>\n"
}

fn draw(out: &mut String, index: usize, series: &Series, x: &Axis, y: &Axis) {
    let colour = COLOURS[index % COLOURS.len()];
    let place = |(at, value): &(f64, f64)| format!("{:.1},{:.1}", across(x, *at), up(y, *value));
    let points: Vec<_> = series.points.iter().map(place).collect();
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
        points.join(" ")
    );
    let at = LEFT + 160.0 + 130.0 * index as f64;
    let _ = writeln!(
        out,
        "<rect x=\"{at}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
        TOP - 24.0
    );
    words(out, (at + 20.0, TOP - 18.0), "start", &series.name);
}

fn across(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (RIGHT - LEFT)
}

fn up(axis: &Axis, value: f64) -> f64 {
    BOTTOM - axis.place(value) * (BOTTOM - TOP)
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    );
}

fn words(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn plain(value: f64) -> String {
    // Sums of steps such as 0.2 are not exact.
    format!("{}", (value * 1000.0).round() / 1000.0)
}

fn latency_text(us: f64) -> String {
    match us {
        us if us >= 999_999.0 => format!("{} s", plain(us / 1e6)),
        us if us >= 999.0 => format!("{} ms", plain(us / 1e3)),
        us => format!("{} µs", plain(us)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_and_end_where_the_axes_say() {
        let points = vec![(0.0, 100.0), (5.0, 1000.0), (10.0, 10_000.0)];
        let x = Axis::linear("s", points.iter().map(|point| point.0));
        let y = Axis::latency("µs", points.iter().map(|point| point.1));
        let svg = svg(&x, &y, &[Series { name: "a<b".into(), points }]);
        assert!(svg.contains("points=\"80.0,250.0 460.0,143.0 840.0,36.0\""), "{svg}");
        for text in [">100 µs<", ">1 ms<", ">10 ms<", ">0<", ">10<", "a&lt;b"] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
    }

    #[test]
    fn ticks_are_few_and_within() {
        for most in [0.0, 0.2, 1.0, 3.0, 19.9, 47_123.0, 1e9] {
            let axis = Axis::linear("", [most].into_iter());
            let ticks = axis.ticks();
            assert!((2..=7).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick >= axis.from && *tick <= axis.to));
        }
    }

    #[test]
    fn nothing_and_one_point_are_charts_too() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(1.0, 1.0)]] {
            let x = Axis::linear("", points.iter().map(|point| point.0));
            let y = Axis::latency("", points.iter().map(|point| point.1));
            let svg = svg(&x, &y, &[Series { name: "a".into(), points }]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
