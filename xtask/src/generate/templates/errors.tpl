/// Why a $noun$ line was not taken.
#[derive(Debug)]
pub enum $Type$ {
    Empty,
    Number(ParseIntError),
    Field { name: &'static str, line: usize },
    TooLarge(u64),
//@each variants
    $Variant$(String),
//@end
}

impl fmt::Display for $Type$ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the $word$ list is empty"),
            Self::Number(source) => write!(f, "not a number: {source}"),
            Self::Field { name, line } => write!(f, "line {line}: no field `{name}`"),
            Self::TooLarge(value) => write!(f, "{value} is above $num$000"),
//@each variants
            Self::$Variant$(detail) => write!(f, "$label$ {detail} is not allowed"),
//@end
        }
    }
}

impl Error for $Type$ {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Number(source) => Some(source),
            _ => None,
        }
    }
}

impl From<ParseIntError> for $Type$ {
    fn from(source: ParseIntError) -> Self {
        Self::Number(source)
    }
}

/// One parsed line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct $Line$ {
    pub key: String,
    pub amount: u64,
    pub tags: Vec<String>,
}

fn $func$_line(number: usize, text: &str) -> Result<$Line$, $Type$> {
    let (key, rest) = text.split_once('=').ok_or($Type$::Field {
        name: "$word$",
        line: number,
    })?;
    let mut parts = rest.split(',');
    let amount: u64 = parts.next().unwrap_or_default().trim().parse()?;
    if amount > $num$_000 {
        return Err($Type$::TooLarge(amount));
    }
    match key {
//@each variants
        "$label$" => return Err($Type$::$Variant$(rest.to_owned())),
//@end
        _ => {}
    }
    Ok($Line$ {
        key: key.trim().to_lowercase(),
        amount,
        tags: parts.map(|tag| tag.trim().to_owned()).collect(),
    })
}

/// Parses all lines; the first bad one ends it.
pub fn $func$_parse(text: &str) -> Result<Vec<$Line$>, $Type$> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| $func$_line(number + 1, line))
        .collect::<Result<Vec<_>, _>>()?;
    if lines.is_empty() {
        return Err($Type$::Empty);
    }
    Ok(lines)
}

fn $func$_sum(text: &str) -> Result<u64, Box<dyn Error>> {
    let lines = $func$_parse(text)?;
    let tags: usize = lines.iter().map(|line| line.tags.len()).sum();
    let keys: HashSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    let amount: u64 = lines.iter().map(|line| line.amount).sum();
    Ok(amount + (tags * $small$ + keys.len()) as u64)
}

fn $func$_total(seed: u64) -> u64 {
    let texts = [
        format!("$word$={},a, b\n$word$=$num$,$word$\n", seed % $num$00),
        format!("$word$ {}", seed % $num$),
        format!("$word$=x{seed}"),
        String::new(),
//@each variants
        format!("$label$={},c", seed % $num$),
//@end
    ];
    let mut total = 0;
    for text in &texts {
        total = match $func$_sum(text) {
            Ok(sum) => mix(total, sum),
            Err(error) => mix(total, error.to_string().len() as u64),
        };
    }
    total
}
