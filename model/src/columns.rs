//! Aligned columns with colours.

use std::fmt::Write as _;

use anstyle::Style;

/// One field of a table.
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    /// A text as it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Style::new())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Pads by characters, outside the escape sequences. The columns of `words` stand on the left, numbers on the right.
pub fn aligned(lines: &[Vec<Cell>], words: &[usize]) -> String {
    let mut widths = Vec::new();
    for line in lines {
        widths.resize(line.len().max(widths.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.text.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let Cell { text, style } = cell;
            let gap = if column == 0 { "" } else { "  " };
            let pad = " ".repeat(width.saturating_sub(text.chars().count()));
            // Writing to a String does not fail.
            let _ = match (words.contains(&column), column + 1 == line.len()) {
                (true, true) => write!(out, "{gap}{style}{text}{style:#}"),
                (true, false) => write!(out, "{gap}{style}{text}{style:#}{pad}"),
                (false, _) => write!(out, "{gap}{pad}{style}{text}{style:#}"),
            };
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}
