#[derive(Debug, Clone, PartialEq)]
enum $Token$ {
    Number(i64),
    Name(String),
    Sign(char),
}

/// A formula over $noun$ names.
#[derive(Debug, Clone, PartialEq)]
pub enum $Type$ {
    Number(i64),
    Name(String),
    Negate(Box<$Type$>),
    Binary {
        sign: char,
        left: Box<$Type$>,
        right: Box<$Type$>,
    },
}

struct $Parser$<'a> {
    tokens: std::slice::Iter<'a, $Token$>,
    depth: usize,
}

impl<'a> $Parser$<'a> {
    fn new(tokens: &'a [$Token$]) -> Self {
        Self {
            tokens: tokens.iter(),
            depth: 0,
        }
    }

    fn peek_sign(&self) -> Option<char> {
        match self.tokens.as_slice().first() {
            Some($Token$::Sign(sign)) => Some(*sign),
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<$Type$, String> {
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek_sign() {
            self.tokens.next();
            let right = self.product()?;
            left = $Type$::binary(sign, left, right);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<$Type$, String> {
        let mut left = self.atom()?;
        while let Some(sign @ ('*' | '/' | '%')) = self.peek_sign() {
            self.tokens.next();
            let right = self.atom()?;
            left = $Type$::binary(sign, left, right);
        }
        Ok(left)
    }

    fn atom(&mut self) -> Result<$Type$, String> {
        self.depth += 1;
        if self.depth > $num$ + 40 {
            return Err(format!("more than {} parts", self.depth));
        }
        match self.tokens.next() {
            Some($Token$::Number(number)) => Ok($Type$::Number(*number)),
            Some($Token$::Name(name)) => Ok($Type$::Name(name.clone())),
            Some($Token$::Sign('-')) => Ok($Type$::Negate(Box::new(self.atom()?))),
            Some($Token$::Sign('(')) => {
                let inner = self.sum()?;
                match self.tokens.next() {
                    Some($Token$::Sign(')')) => Ok(inner),
                    other => Err(format!("expected `)`, found {other:?}")),
                }
            }
            Some(other) => Err(format!("unexpected {other:?}")),
            None => Err("unexpected end".to_owned()),
        }
    }
}

impl $Type$ {
    fn binary(sign: char, left: Self, right: Self) -> Self {
        Self::Binary {
            sign,
            left: Box::new(left),
            right: Box::new(right),
        }
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = $func$_tokens(text)?;
        $Parser$::new(&tokens).sum()
    }

    pub fn value<F: Fn(&str) -> Option<i64>>(&self, names: &F) -> Option<i64> {
        Some(match self {
            Self::Number(number) => *number,
            Self::Name(name) => names(name)?,
            Self::Negate(inner) => inner.value(names)?.checked_neg()?,
            Self::Binary { sign, left, right } => {
                let (left, right) = (left.value(names)?, right.value(names)?);
                match sign {
                    '+' => left.checked_add(right)?,
                    '-' => left.checked_sub(right)?,
                    '*' => left.checked_mul(right)?,
                    '/' => left.checked_div(right)?,
                    _ => left.checked_rem(right)?,
                }
            }
        })
    }
}

fn $func$_tokens(text: &str) -> Result<Vec<$Token$>, String> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '0'..='9' => {
                let mut number = i64::from(letter as u8 - b'0');
                while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                    number = number * 10 + i64::from(digit as u8 - b'0');
                }
                tokens.push($Token$::Number(number));
            }
            'a'..='z' => {
                let mut name = String::from(letter);
                while let Some(next) = letters.next_if(char::is_ascii_lowercase) {
                    name.push(next);
                }
                tokens.push($Token$::Name(name));
            }
            '+' | '-' | '*' | '/' | '%' | '(' | ')' => tokens.push($Token$::Sign(letter)),
            other => return Err(format!("no sign {other:?} in a $word$ formula")),
        }
    }
    Ok(tokens)
}

fn $func$_total(seed: u64) -> u64 {
    let names = |name: &str| match name {
        "$word$" => Some((seed % $num$) as i64),
        "seed" => Some((seed % 1_000) as i64),
        _ => None,
    };
    let mut total = seed;
    for text in [
        "seed * ($num$ + seed) - -$num$",
        "(seed % $num$ + $small$) / $small$",
        "$word$ * seed + $num$",
        "seed ? $num$",
        "($num$ + seed",
    ] {
        total = match $Type$::parse(text) {
            Ok(formula) => mix(total, formula.value(&names).unwrap_or($num$) as u64),
            Err(message) => mix(total, message.len() as u64),
        };
    }
    total
}
