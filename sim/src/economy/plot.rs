//! Line plots as SVG, drawn with whole numbers so that the same values give the same bytes.
//!
//! Colors are read on white and on black; text takes its color from what the reader prefers.

use std::fmt::Write as _;

/// A line of a panel: its values are thousandths of what the axis counts, one a month.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) values: Vec<u64>,
    /// Drawn with dashes, as what is only a bound.
    pub(super) is_bound: bool,
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// What it shows and in what unit.
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// The year and the month, from 0, that the first value stands for.
pub(super) type From = (u32, u32);

const COLORS: [&str; 5] = ["#2f81f7", "#e0823d", "#2da44e", "#bf5af2", "#d1445b"];
const WIDTH: u64 = 760;
const LEFT: u64 = 64;
const RIGHT: u64 = 16;
/// Above each panel: its title and its legend.
const HEAD: u64 = 52;
/// Below each panel: its years.
const FOOT: u64 = 34;
/// How high a panel alone and one of several is.
const HEIGHT: (u64, u64) = (300, 170);
/// About so many lines across.
const TICKS: u64 = 5;

/// A figure of panels one below the other.
pub(super) fn figure(panels: &[Panel], from: From) -> String {
    let each = if panels.len() == 1 { HEIGHT.0 } else { HEIGHT.1 };
    let all = panels.len() as u64 * (HEAD + each + FOOT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {all}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\">\n<style>\n  text {{ fill: #24292f; }}\n  \
         .grid {{ stroke: #8c959f; stroke-opacity: 0.35; }}\n  \
         .axis {{ stroke: #6e7781; }}\n  .line {{ fill: none; stroke-width: 2; stroke-linejoin: round; }}\n  \
         .bound {{ stroke-dasharray: 7 5; }}\n  .title {{ font-weight: 600; font-size: 15px; }}\n  \
         @media (prefers-color-scheme: dark) {{ text {{ fill: #d0d7de; }} .axis {{ stroke: #9aa4ae; }} }}\n</style>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let top = index as u64 * (HEAD + each + FOOT);
        draw(&mut svg, panel, from, (top, each));
    }
    svg += "</svg>\n";
    svg
}

fn draw(svg: &mut String, panel: &Panel, from: From, (top, height): (u64, u64)) {
    let bottom = top + HEAD + height;
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{LEFT}\" y=\"{}\">{}</text>",
        top + 20,
        panel.title
    );
    legend(svg, panel, top + 41);
    let highest = panel.lines.iter().flat_map(|line| line.values.iter().copied()).max();
    let step = step(highest.unwrap_or(1));
    let most = highest.unwrap_or(1).div_ceil(step).max(1) * step;
    for tick in 0..=most / step {
        let (value, y) = (tick * step, bottom - height * tick * step / most);
        let class = if tick == 0 { "axis" } else { "grid" };
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\"/><text x=\"{}\" y=\"{}\" \
             text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8,
            y + 4,
            label(value, step),
        );
    }
    let months = panel.lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(2);
    years(svg, from, months as u64, bottom);
    for (line, color) in panel.lines.iter().zip(COLORS) {
        curve(svg, line, color, (months as u64, most, bottom, height));
    }
}

fn legend(svg: &mut String, panel: &Panel, y: u64) {
    let mut x = LEFT;
    for (line, color) in panel.lines.iter().zip(COLORS) {
        let dashes = if line.is_bound { " bound" } else { "" };
        let _ = writeln!(
            svg,
            "<line class=\"line{dashes}\" stroke=\"{color}\" x1=\"{x}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/><text x=\"{}\" \
             y=\"{y}\">{}</text>",
            y - 4,
            x + 22,
            y - 4,
            x + 28,
            line.name,
        );
        x += 28 + 8 * line.name.len() as u64 + 16;
    }
}

/// Januaries, each or every second or fifth, as many as there is room for.
fn years(svg: &mut String, (year, month): From, months: u64, bottom: u64) {
    let every = match months {
        0..=96 => 1,
        97..=300 => 2,
        301.. => 5,
    };
    let first = (12 - u64::from(month)) % 12;
    for at in (first..months).step_by(12) {
        let shown = u64::from(year) + (u64::from(month) + at) / 12;
        if shown % every != 0 {
            continue;
        }
        let x = LEFT + (WIDTH - LEFT - RIGHT) * at / (months - 1);
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{x}\" y1=\"{bottom}\" x2=\"{x}\" y2=\"{}\"/><text x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\">{shown}</text>",
            bottom + 5,
            bottom + 20,
        );
    }
}

fn curve(svg: &mut String, line: &Line, color: &str, at: (u64, u64, u64, u64)) {
    let (months, most, bottom, height) = at;
    let dashes = if line.is_bound { " bound" } else { "" };
    let mut points = String::new();
    for (index, value) in line.values.iter().enumerate() {
        // In tenths of a point, for smooth lines.
        let x = 10 * LEFT + 10 * (WIDTH - LEFT - RIGHT) * index as u64 / (months - 1);
        let up = u128::from(*value) * u128::from(10 * height) / u128::from(most);
        let y = u128::from(10 * bottom) - up;
        let _ = write!(points, "{}.{},{}.{} ", x / 10, x % 10, y / 10, y % 10);
    }
    let _ = writeln!(
        svg,
        "<polyline class=\"line{dashes}\" stroke=\"{color}\" points=\"{}\"/>",
        points.trim_end()
    );
}

/// The distance of ticks: one, two or five of a power of ten.
fn step(most: u64) -> u64 {
    let rough = (most / TICKS).max(1);
    let mut power = 1;
    while power * 10 <= rough {
        power *= 10;
    }
    [1, 2, 5, 10].map(|times| times * power).into_iter().find(|it| *it >= rough).unwrap_or(power)
}

/// A value of thousandths, with as many decimals as the step needs.
fn label(value: u64, step: u64) -> String {
    let whole = value / 1_000;
    let mut text = whole.to_string();
    let mut at = text.len();
    while at > 3 {
        at -= 3;
        text.insert(at, ',');
    }
    if step.is_multiple_of(1_000) {
        text
    } else if step.is_multiple_of(100) {
        format!("{text}.{}", value % 1_000 / 100)
    } else {
        format!("{text}.{:02}", value % 1_000 / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let rows = [(800_000, 200_000), (26_330, 10_000), (1_250, 500), (3, 1), (0, 1)];
        for (most, expected) in rows {
            assert_eq!(step(most), expected, "{most}");
        }
        assert_eq!(label(1_200_000, 200_000), "1,200");
        assert_eq!(label(250, 50), "0.25");
        assert_eq!(label(1_500, 500), "1.5");
    }
}
