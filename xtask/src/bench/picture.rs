//! The report's picture: horizontal bars, one group for each of the figures that say most.

use std::fmt::Write as _;

use super::figures::METRICS;
use super::report::Results;

/// The figures that are drawn, with what is better.
const GROUPS: [(&str, &str); 6] = [
    ("tcp1", "more is better"),
    ("tcp4", "more is better"),
    ("cpu", "less is better"),
    ("udp64", "more is better"),
    ("load-average", "less is better"),
    ("memory", "less is better"),
];
const WIDTH: f64 = 860.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 170.0;
const LONGEST: f64 = 590.0;
const BAR: f64 = 18.0;
const LINE: f64 = 24.0;
const HEADING: f64 = 40.0;
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#9aa4b2";

/// Draws the results as SVG.
pub(super) fn draw(results: &Results) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for (key, better) in GROUPS {
        y = group(&mut body, results, (key, better), y);
    }
    let height = y + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Draws one group below `y`, and says where it ends.
fn group(body: &mut String, results: &Results, (key, better): (&str, &str), y: f64) -> f64 {
    let Some(metric) = METRICS.iter().find(|metric| metric.key == key) else { return y };
    let rows = results.rows.iter().filter(|(row, _)| !row.variant);
    let rows = rows.filter_map(|(row, figures)| Some((row, figures.spread(key)?.median)));
    let rows: Vec<_> = rows.collect();
    let Some(most) = rows.iter().map(|(_, value)| *value).reduce(f64::max).filter(|most| *most > 0.0) else { return y };
    let title = format!("{}, {} ({better})", metric.title.trim_end_matches(", →"), metric.unit);
    text(body, (8.0, y + HEADING - 14.0), "font-weight=\"bold\"", &title);
    for (at, (row, value)) in rows.iter().enumerate() {
        let top = y + HEADING + at as f64 * LINE;
        let length = value / most * LONGEST;
        let colour = if row.name.starts_with("tinmesh") { OURS } else { OTHERS };
        text(body, (LEFT - 8.0, top + BAR - 4.0), "text-anchor=\"end\"", row.title);
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
        );
        let shown = format!("{value:.*}", metric.decimals);
        text(body, (LEFT + length + 6.0, top + BAR - 4.0), "", &shown);
    }
    y + HEADING + rows.len() as f64 * LINE
}

fn text(body: &mut String, (x, y): (f64, f64), attributes: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a string cannot fail.
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Figures, Sample};
    use super::super::rows::named;
    use super::*;

    #[test]
    fn the_longest_bar_is_the_highest_value_and_empty_groups_are_left_out() {
        let row = |name: &str, value: f64| {
            let samples = vec![Sample::from([("tcp1", value)])];
            (named(name).unwrap(), Figures { samples, failures: Vec::new() })
        };
        let drawn = draw(&Results::of(vec![row("tinmesh", 4.0), row("nebula", 1.0)]));
        assert_eq!(drawn.matches("font-weight").count(), 1);
        assert!(drawn.contains("width=\"590.0\" height=\"18\" fill=\"#1f6feb\""), "{drawn}");
        assert!(drawn.contains("width=\"147.5\" height=\"18\" fill=\"#9aa4b2\""), "{drawn}");
    }
}
