/// Settings of a $noun$ run; made with [`$Builder$`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct $Type$ {
    name: String,
    retries: u32,
    window: Option<(u32, u32)>,
    labels: Vec<(String, String)>,
}

/// Collects the settings of a [`$Type$`].
#[derive(Debug, Default)]
pub struct $Builder$ {
    name: Option<String>,
    retries: Option<u32>,
    window: Option<(u32, u32)>,
    labels: Vec<(String, String)>,
}

impl $Builder$ {
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    pub fn window(mut self, from: u32, to: u32) -> Self {
        self.window = Some((from.min(to), from.max(to)));
        self
    }

    pub fn label<K: ToString, V: ToString>(mut self, key: K, value: V) -> Self {
        self.labels.push((key.to_string(), value.to_string()));
        self
    }

    pub fn build(self) -> Result<$Type$, &'static str> {
        let name = self.name.ok_or("a $word$ needs a name")?;
        if self.labels.len() > $small$ + 8 {
            return Err("too many labels");
        }
        Ok($Type$ {
            name,
            retries: self.retries.unwrap_or($num$),
            window: self.window,
            labels: self.labels,
        })
    }
}

/// The labels of a [`$Type$`] that begin with a prefix.
struct $View$<'a> {
    prefix: &'a str,
    rest: &'a [(String, String)],
}

impl<'a> Iterator for $View$<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(((key, value), rest)) = self.rest.split_first() {
            self.rest = rest;
            if key.starts_with(self.prefix) {
                return Some(value);
            }
        }
        None
    }
}

impl $Type$ {
    fn labels<'a>(&'a self, prefix: &'a str) -> $View$<'a> {
        $View$ {
            prefix,
            rest: &self.labels,
        }
    }

    pub fn span(&self) -> u32 {
        match self.window {
            Some((from, to)) if to > from => to - from,
            Some(_) => 1,
            None => self.retries * $num$,
        }
    }
}

fn $func$_total(seed: u64) -> u64 {
    let number = (seed % $num$) as u32;
    let settings = [
        $Builder$::default().name("$word$").label("$word$", number),
        $Builder$::default()
            .name(format!("$word$-{number}"))
            .retries(number)
            .label('$letter$', "$word$")
            .label("$word$", seed % $num$),
        $Builder$::default().window(number, $num$),
        $Builder$::default().name("$word$").window($num$, number),
    ];
    let mut total = seed;
    let mut known = HashSet::new();
    for builder in settings {
        match builder.build() {
            Ok(built) => {
                let labels: usize = built.labels("$letter$").map(str::len).sum();
                let length = (labels + built.name.len()) as u64;
                total = mix(total, length + u64::from(built.span()));
                known.insert(built);
            }
            Err(message) => total ^= message.len() as u64,
        }
    }
    mix(total, known.len() as u64)
}
