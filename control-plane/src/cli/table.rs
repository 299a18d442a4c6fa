//! Tables that fit: columns shrink, then give way by importance, then lines are cut.

use super::page::{Line, Tone};

/// Blanks between columns.
const GAP: usize = 2;

/// How one column is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    least: Option<usize>,
    gives_way: u8,
}

/// Rows under titles.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Line>>,
}

impl Column {
    /// One that is as wide as what stands in it, and never left out.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, right: false, least: None, gives_way: 0 }
    }

    /// With its cells at the right, as numbers are.
    pub(crate) const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// May be cut to `least` columns of the terminal.
    pub(crate) const fn shrinks_to(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    /// May be left out: the greater `order`, the sooner.
    pub(crate) const fn gives_way(self, order: u8) -> Self {
        Self { gives_way: order, ..self }
    }
}

impl Table {
    /// One without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Line>>) {
        self.rows.push(cells.into());
    }

    /// The lines of it, within `width` columns of a terminal, or as wide as they are. Columns that hold nothing are left
    /// out.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<Line> {
        let layout = self.layout(width);
        let titles: Vec<Line> = self.columns.iter().map(|column| Line::toned(column.title, Tone::Dim)).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| {
            let mut line = Line::new();
            for (at, (column, room)) in layout.iter().enumerate() {
                let cell = row.get(*column).cloned().unwrap_or_default().cut(*room);
                let gap = if at == 0 { "" } else { "  " };
                line = line.text(gap).join(cell.padded(*room, self.columns[*column].right));
            }
            match width {
                Some(width) => line.trimmed().cut(width),
                None => line.trimmed(),
            }
        })
        .collect()
    }

    /// Which columns are shown, and how wide each is.
    fn layout(&self, width: Option<usize>) -> Vec<(usize, usize)> {
        let natural: Vec<(usize, usize)> = (0..self.columns.len())
            .filter(|column| self.rows.is_empty() || self.rows.iter().any(|row| self.cell_width(row, *column) > 0))
            .map(|column| (column, self.natural(column)))
            .collect();
        let Some(width) = width else { return natural };
        let mut chosen = natural;
        loop {
            let (fits, shrunk) = self.shrink(&chosen, width);
            let order = |column: usize| self.columns[column].gives_way;
            let least_important =
                (0..chosen.len()).filter(|at| order(chosen[*at].0) > 0).max_by_key(|at| order(chosen[*at].0));
            match least_important {
                Some(at) if !fits => chosen.remove(at),
                _ => return shrunk,
            };
        }
    }

    /// The columns, those that may be cut being cut as far as it takes, the widest first; and whether that is enough.
    fn shrink(&self, columns: &[(usize, usize)], width: usize) -> (bool, Vec<(usize, usize)>) {
        let mut columns = columns.to_vec();
        let gaps = GAP * columns.len().saturating_sub(1);
        let mut excess = (columns.iter().map(|(_, room)| room).sum::<usize>() + gaps).saturating_sub(width);
        while excess > 0 {
            let may =
                |(column, room): &&mut (usize, usize)| self.columns[*column].least.is_some_and(|least| *room > least);
            let Some((_, widest)) = columns.iter_mut().filter(may).max_by_key(|(_, room)| *room) else { break };
            *widest -= 1;
            excess -= 1;
        }
        (excess == 0, columns)
    }

    fn natural(&self, column: usize) -> usize {
        let title = Line::from(self.columns[column].title).width();
        self.rows.iter().map(|row| self.cell_width(row, column)).fold(title, usize::max)
    }

    fn cell_width(&self, row: &[Line], column: usize) -> usize {
        row.get(column).map_or(0, Line::width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([
            Column::new("NAME").shrinks_to(4),
            Column::new("RANK").right().gives_way(1),
            Column::new("WHY").shrinks_to(6).gives_way(2),
        ]);
        table.row(["vllm".into(), "0".into(), "a long story".into()]);
        table.row(["模型-east".into(), "10".into(), Line::toned("short", Tone::Bad)]);
        table
    }

    fn shown(width: Option<usize>) -> Vec<String> {
        table().lines(width).iter().map(|line| line.show(false)).collect()
    }

    #[test]
    fn with_room_enough_nothing_is_cut() {
        let right = ["NAME       RANK  WHY", "vllm          0  a long story", "模型-east    10  short"];
        assert_eq!(shown(None), right);
        assert_eq!(shown(Some(29)), right);
    }

    #[test]
    fn columns_shrink_then_give_way_then_lines_are_cut() {
        for (width, right) in [
            (25, ["NAME       RANK  WHY", "vllm          0  a long …", "模型-east    10  short"]),
            (20, ["NAME    RANK  WHY", "vllm       0  a lon…", "模型-…    10  short"]),
            (15, ["NAME       RANK", "vllm          0", "模型-east    10"]),
            (10, ["NAME  RANK", "vllm     0", "模…     10"]),
            (4, ["NAME", "vllm", "模…"]),
            (2, ["N…", "v…", "…"]),
        ] {
            assert_eq!(shown(Some(width)), right, "{width}");
        }
    }

    #[test]
    fn no_line_is_ever_wider_than_the_terminal() {
        for width in 0..40 {
            for line in table().lines(Some(width)) {
                assert!(line.width() <= width, "{width}: {}", line.show(false));
            }
        }
    }

    #[test]
    fn a_column_of_nothing_is_left_out_and_a_table_of_nothing_keeps_its_titles() {
        let mut table = Table::new([Column::new("A"), Column::new("B"), Column::new("C")]);
        let lines = |table: &Table| table.lines(None).iter().map(|line| line.show(true)).collect::<Vec<_>>();
        assert_eq!(lines(&table), ["\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m  \x1b[2mC\x1b[0m"]);
        table.row(["1".into(), Line::new(), "3".into()]);
        assert_eq!(lines(&table), ["\x1b[2mA\x1b[0m  \x1b[2mC\x1b[0m", "1  3"]);
    }
}
