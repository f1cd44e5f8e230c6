type $Rule$ = Box<dyn Fn(u64) -> Option<u64>>;

/// A chain of $noun$ rules; a value goes through until one refuses it.
#[derive(Default)]
pub struct $Type$ {
    rules: Vec<(String, $Rule$)>,
    hits: HashMap<String, u32>,
}

impl $Type$ {
    pub fn rule<F>(mut self, name: &str, rule: F) -> Self
    where
        F: Fn(u64) -> Option<u64> + 'static,
    {
        self.rules.push((name.to_owned(), Box::new(rule)));
        self
    }

    pub fn apply(&mut self, value: u64) -> Result<u64, &str> {
        let mut current = value;
        for (name, rule) in &self.rules {
            match rule(current) {
                Some(next) => {
                    *self.hits.entry(name.clone()).or_insert(0) += 1;
                    current = next;
                }
                None => return Err(name),
            }
        }
        Ok(current)
    }

    pub fn busiest(&self) -> Option<(&str, u32)> {
        let (name, hits) = self.hits.iter().max_by_key(|(_, hits)| **hits)?;
        Some((name.as_str(), *hits))
    }
}

fn $func$_compose<A, B, C>(first: impl Fn(A) -> B, second: impl Fn(B) -> C) -> impl Fn(A) -> C {
    move |value| second(first(value))
}

fn $func$_twice<T, const N: usize>(values: [T; N], change: fn(T) -> T) -> [T; N] {
    values.map(change).map(change)
}

fn $func$_counter(start: u64) -> impl FnMut() -> u64 {
    let mut count = start;
    move || {
        count = count.wrapping_mul($num$).wrapping_add($small$);
        count
    }
}

pub fn $func$_rules(limit: u64) -> $Type$ {
    $Type$::default()
//@each rules
        .rule("$label$", move |value| $body$)
//@end
}

fn $func$_total(seed: u64) -> u64 {
    let mut rules = $func$_rules(seed % $num$ + $num$);
    let mut next = $func$_counter(seed % $num$);
    let width = $func$_compose(|value: u64| format!("{value:b}"), |text| text.len());
    let even = $func$_compose(|value: u64| value % 2 == 0, u64::from);
    let mut total = seed;
    for _ in 0..$small$ {
        let value = next();
        total = match rules.apply(value) {
            Ok(result) => mix(total, result ^ even(value)),
            Err(name) => mix(total, (name.len() + width(value)) as u64),
        };
    }
    let [left, right] = $func$_twice([total, seed], |value| value.rotate_right($small$));
    let text = $func$_twice(["$word$".to_owned()], |text| text + "!");
    let bytes: [u8; $size$] = $func$_twice([$num$; $size$], |byte| byte.wrapping_add($num$));
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    let busiest = match rules.busiest() {
        Some((name, hits)) => name.len() as u64 + u64::from(hits),
        None => 0,
    };
    mix(left ^ right, sum + busiest + text[0].len() as u64)
}
