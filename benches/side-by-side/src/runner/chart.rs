//! The chart of the README: records a second of each client, as an SVG image for light and dark pages.

use std::fmt::Write;

/// The scenarios that the chart shows.
const CHARTED: [&str; 4] = ["100b-defaults", "1kb-defaults", "keyed", "4-threads"];

const WIDTH: usize = 720;
const NAMES_WIDTH: usize = 90;
/// The longest bar; its figure stands behind it.
const BAR_WIDTH: f64 = 540.0;
const LINE: usize = 20;
const BAR_HEIGHT: usize = 14;
const HEADING: usize = 34;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.heading { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.bar { fill: #6e7681 }
.ours { fill: #4493f8 }
}";

/// One scenario.
struct Group {
    about: &'static str,
    /// Clients with their records a second.
    bars: Vec<(&'static str, f64)>,
}

#[derive(Default)]
pub(super) struct Chart {
    groups: Vec<Group>,
}

impl Chart {
    /// Adds a scenario, if it is one of the chart's. A client without a figure is left out.
    pub(super) fn add(
        &mut self,
        name: &str,
        about: &'static str,
        bars: impl Iterator<Item = (&'static str, f64)>,
    ) {
        if CHARTED.contains(&name) {
            let bars = bars.filter(|(_, figure)| figure.is_finite()).collect();
            self.groups.push(Group { about, bars });
        }
    }

    /// The image, or `None` if a scenario is missing.
    pub(super) fn svg(&self) -> Option<String> {
        if self.groups.len() < CHARTED.len() {
            return None;
        }
        let bars: usize = self.groups.iter().map(|group| group.bars.len()).sum();
        let height = self.groups.len() * HEADING + bars * LINE + LINE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
             aria-label=\"Records a second of each client\">\n<style>\n{STYLE}\n</style>\n"
        );
        let mut y = 0;
        for group in &self.groups {
            y += HEADING;
            text(&mut svg, 0, y - LINE / 2, "heading", group.about);
            let most = group
                .bars
                .iter()
                .map(|(_, figure)| *figure)
                .fold(0.0, f64::max);
            for (name, figure) in &group.bars {
                let width = BAR_WIDTH * figure / most;
                let class = if *name == "ours" { "ours" } else { "bar" };
                let middle = y + BAR_HEIGHT - 3;
                text(&mut svg, 0, middle, "name", name);
                _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{NAMES_WIDTH}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
                );
                let behind = NAMES_WIDTH + width as usize + 6;
                text(
                    &mut svg,
                    behind,
                    middle,
                    "figure",
                    &format!("{:.2} M/s", figure / 1e6),
                );
                y += LINE;
            }
        }
        svg.push_str("</svg>\n");
        Some(svg)
    }
}

/// Names and headings are this crate's own, without characters that XML would read.
fn text(svg: &mut String, x: usize, y: usize, class: &str, words: &str) {
    _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scenarios: &[&str]) -> Chart {
        let mut chart = Chart::default();
        for name in scenarios {
            let bars = [("ours", 8e6), ("java", 2e6), ("krafka", f64::NAN)];
            chart.add(name, "a scenario", bars.into_iter());
        }
        chart
    }

    #[test]
    fn bars_are_as_long_as_their_figures_and_clients_without_one_have_none() {
        let svg = chart(&CHARTED).svg().unwrap_or_default();
        assert_eq!(svg.matches("class=\"ours\" x=\"90\"").count(), 4);
        assert_eq!(svg.matches("width=\"540.0\"").count(), 4);
        assert_eq!(svg.matches("width=\"135.0\"").count(), 4);
        assert_eq!(svg.matches("2.00 M/s").count(), 4);
        assert!(!svg.contains("krafka"));
    }

    #[test]
    fn a_run_without_all_of_its_scenarios_draws_no_chart() {
        assert!(chart(&CHARTED[1..]).svg().is_none());
        assert!(
            chart(&["idle", "keyed-1mb", "1kb-defaults", "keyed"])
                .svg()
                .is_none()
        );
    }
}
