//! Tables as text: columns by the width of their widest cell, numbers to the right. Where the terminal is narrower than
//! that, each row is a title with a line for each cell.

use crate::screen::{Ink, Screen};
use crate::show::tame;

/// Between two columns.
const GAP: &str = "  ";
/// What an empty cell shows.
pub(crate) const NOTHING: &str = "–";

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A heading and rows of as many cells.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. A heading that starts with `>` stands right.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(heading) => (heading, Side::Right),
            None => (*heading, Side::Left),
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell shows a dash, and what only a terminal understands shows nothing.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        let shown = |cell: String| if cell.is_empty() { NOTHING.to_owned() } else { tame(&cell) };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The text, each line ended.
    pub(crate) fn text(&self, screen: Screen) -> String {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (heading, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
                cells.fold(width(heading), usize::max)
            })
            .collect();
        let together = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if screen.columns.is_some_and(|columns| together > columns) {
            return self.stacked(&widths, screen);
        }
        let headings: Vec<String> =
            self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let mut text = screen.paint(Ink::Faint, &self.line(&headings, &widths));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
            text.push('\n');
        }
        text
    }

    /// Each row as a title and a line for each cell that says something. A mark in front is part of the title.
    fn stacked(&self, widths: &[usize], screen: Screen) -> String {
        let titles = if widths.first().is_some_and(|width| *width <= 1) { 2 } else { 1 };
        let headings = self.columns.iter().map(|(heading, _)| *heading).skip(titles);
        let label = headings.clone().map(width).max().unwrap_or_default();
        let mut text = String::new();
        for row in &self.rows {
            let (title, cells) = row.split_at(titles.min(row.len()));
            text.push_str(&format!("{}\n", screen.paint(Ink::Strong, &title.join(" "))));
            let said = headings.clone().zip(cells).filter(|(_, cell)| *cell != NOTHING);
            text.extend(said.map(|(heading, cell)| {
                let heading = screen.paint(Ink::Faint, &format!("{heading:<label$}"));
                format!("  {heading}{GAP}{cell}\n")
            }));
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded =
            self.columns.iter().zip(cells).zip(widths).map(|(((_, side), cell), width)| {
                // The width counts characters: all that is shown here is one column wide.
                match side {
                    Side::Left => format!("{cell:<width$}"),
                    Side::Right => format!("{cell:>width$}"),
                }
            });
        padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The text, cut to so many characters, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, characters_max: usize) -> String {
    if width(text) <= characters_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn numbers_stand_right_and_nothing_is_a_dash() {
        let mut table = Table::new(&["NAME", ">COUNT", "NOTE"]);
        table.row(["a".to_owned(), "7".to_owned(), String::new()]);
        table.row(["größer".to_owned(), "1234567".to_owned(), "x".to_owned()]);
        assert_snapshot!(table.text(Screen::PLAIN), @r"
        NAME      COUNT  NOTE
        a             7  –
        größer  1234567  x
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_a_line_for_each_cell() {
        let mut table = Table::new(&["", "RULE", "WHY", ">COUNT"]);
        table.row(["✗", "uptime", "it is not up", "7"].map(str::to_owned));
        table.row(["✓", "stake", "", "12"].map(str::to_owned));
        let text = |columns| table.text(Screen { columns: Some(columns), ..Screen::PLAIN });
        assert_snapshot!(text(30), @r"
           RULE    WHY           COUNT
        ✗  uptime  it is not up      7
        ✓  stake   –                12
        ");
        assert_snapshot!(text(29), @r"
        ✗ uptime
          WHY    it is not up
          COUNT  7
        ✓ stake
          COUNT  12
        ");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(cut("äöüäöü", 4), "äöü…");
        assert_eq!(cut("abc", 3), "abc");
    }

    #[test]
    fn a_cell_that_forges_rows_stays_one_cell() {
        let mut table = Table::new(&["NAME", "WHY"]);
        table.row(["a".to_owned(), "x\nb     forged\x1b[2K".to_owned()]);
        assert_eq!(table.text(Screen::PLAIN), "NAME  WHY\na     x b     forged [2K\n");
    }
}
