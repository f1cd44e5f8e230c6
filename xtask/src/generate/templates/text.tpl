/// How wide a column of the $noun$ table is and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum $Align$ {
    Left,
    Right,
    Centre,
}

/// A text table with a head line.
#[derive(Debug, Clone, Default)]
pub struct $Type$ {
    head: Vec<(String, usize)>,
    rows: Vec<Vec<String>>,
}

impl $Type$ {
    pub fn column(mut self, title: &str, width: usize) -> Self {
        self.head.push((title.to_owned(), width.max(title.len())));
        self
    }

    pub fn row<I, S>(&mut self, cells: I)
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub fn render(&self, align: $Align$) -> Result<String, fmt::Error> {
        let mut out = String::new();
        for (title, width) in &self.head {
            let width = *width;
            write!(out, "| {title:<width$} ")?;
        }
        out.push_str("|\n");
        for row in &self.rows {
            for (cell, (_, width)) in row.iter().zip(&self.head) {
                let width = *width;
                match align {
                    $Align$::Left => write!(out, "| {cell:<width$} ")?,
                    $Align$::Right => write!(out, "| {cell:>width$} ")?,
                    $Align$::Centre => write!(out, "| {cell:^width$} ")?,
                }
            }
            writeln!(out, "|")?;
        }
        Ok(out)
    }
}

/// `$word$_$word$ text` becomes `$word$ $word$ Text`.
pub fn $func$_title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut upper = true;
    for letter in text.chars() {
        match letter {
            '_' | '-' | ' ' => {
                upper = true;
                out.push(' ');
            }
            _ if upper => {
                upper = false;
                out.extend(letter.to_uppercase());
            }
            '0'..='9' => out.push('#'),
            _ => out.push(letter),
        }
    }
    out
}

fn $func$_wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn $func$_total(seed: u64) -> u64 {
    let mut table = $Type$::default()
        .column("$word$", $num$)
        .column("$word$", $small$)
        .column("$word$", seed as usize % $num$);
    for number in 0..$small$ {
        table.row([$func$_title("$word$_$word$ $num$"), format!("{number:03}")]);
        table.row(["$word$", "$word$", "$word$"]);
    }
    let lines = $func$_wrap("$word$ $word$ $word$ $word$ $word$ $word$", $num$);
    let align = match seed % 3 {
        0 => $Align$::Left,
        1 => $Align$::Right,
        _ => $Align$::Centre,
    };
    let width = table.render(align).map_or($num$, |text| text.len());
    mix(width as u64, lines.len() as u64)
}
