//! The scoreboard as a picture: a square for each pair of behaviours, the greener the more of its runs were direct.

use std::fmt::Write as _;

use super::figures::{Cell, Figures};

const MAPPINGS: [&str; 3] = ["EIM", "ADM", "APDM"];
const FILTERS: [&str; 3] = ["EIF", "ADF", "APDF"];
const LEFT: usize = 110;
const TOP: usize = 60;
const SIDE: usize = 62;
const HEIGHT: usize = 44;
const WIDTH: usize = LEFT + 9 * SIDE + 20;
const BOTTOM: usize = TOP + 9 * HEIGHT + 50;

fn behaviours() -> Vec<String> {
    MAPPINGS.iter().flat_map(|mapping| FILTERS.map(|filter| format!("{mapping}/{filter}"))).collect()
}

/// Draws the figures as SVG.
pub(super) fn draw(figures: &Figures) -> String {
    let mut body = String::new();
    text(&mut body, (8, 22), "font-weight=\"bold\"", "Direct paths, in per cent of all runs of a pair of NATs");
    let all = behaviours();
    for (row, a) in all.iter().enumerate() {
        text(&mut body, (LEFT - 8, TOP + row * HEIGHT + 27), "text-anchor=\"end\"", a);
        text(&mut body, (LEFT + row * SIDE + SIDE / 2, TOP - 8), "text-anchor=\"middle\" font-size=\"10\"", a);
        for (column, b) in all.iter().enumerate() {
            square(&mut body, (LEFT + column * SIDE, TOP + row * HEIGHT), share(&figures.cells, a, b));
        }
    }
    let legend = "Mapping and filtering by RFC 4787 (endpoint-independent, address-, address-and-port-dependent); \
                  every allocation of ports";
    text(&mut body, (8, BOTTOM - 16), "font-size=\"10\"", legend);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {BOTTOM}\" width=\"{WIDTH}\" height=\"{BOTTOM}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Direct runs of a pair in per cent, whichever side is which; `None`: there were none.
fn share(cells: &[Cell], a: &str, b: &str) -> Option<usize> {
    let ends = |cell: &Cell| {
        (cell.behaviour(0) == a && cell.behaviour(1) == b) || (cell.behaviour(0) == b && cell.behaviour(1) == a)
    };
    let cells: Vec<&Cell> = cells.iter().filter(|cell| ends(cell)).collect();
    let direct = cells.iter().filter(|cell| cell.direct.is_some()).count();
    (100 * direct).checked_div(cells.len())
}

fn square(body: &mut String, (x, y): (usize, usize), share: Option<usize>) {
    let fill = share.map_or_else(|| "#eeeeee".to_owned(), |share| format!("hsl({}, 60%, 72%)", share * 120 / 100));
    let (width, height) = (SIDE - 2, HEIGHT - 2);
    // Writing to a string cannot fail.
    let _ = writeln!(body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>");
    if let Some(share) = share {
        text(body, (x + SIDE / 2, y + 27), "text-anchor=\"middle\"", &share.to_string());
    }
}

fn text(body: &mut String, (x, y): (usize, usize), attributes: &str, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(body, "<text x=\"{x}\" y=\"{y}\" {attributes}>{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::figures::SAMPLE;
    use super::*;

    #[test]
    fn a_pair_counts_on_both_sides_of_the_diagonal() {
        let figures = Figures::parse(SAMPLE);
        assert_eq!(share(&figures.cells, "EIM/EIF", "APDM/APDF"), Some(100));
        assert_eq!(share(&figures.cells, "APDM/APDF", "EIM/EIF"), Some(100));
        assert_eq!(share(&figures.cells, "APDM/APDF", "EIM/APDF"), Some(0));
        assert_eq!(share(&figures.cells, "EIM/EIF", "EIM/EIF"), None);
        assert_eq!(draw(&figures).matches("<rect").count(), 82);
    }
}
