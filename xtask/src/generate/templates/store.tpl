/// Keeps at most `limit` values by key, oldest out first, and counts what it dropped.
#[derive(Debug, Clone)]
pub struct $Type$<K, V> {
    items: HashMap<K, V>,
    order: VecDeque<K>,
    limit: usize,
    dropped: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> $Type$<K, V> {
    pub fn with_limit(limit: usize) -> Self {
        Self {
            items: HashMap::with_capacity(limit),
            order: VecDeque::new(),
            limit: limit.max($small$),
            dropped: 0,
        }
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let previous = self.items.insert(key.clone(), value);
        if previous.is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.items.remove(&oldest);
                self.dropped += 1;
            }
        }
        previous
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.items.get(key)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let items = &self.items;
        self.order
            .iter()
            .filter_map(move |key| items.get(key).map(|value| (key, value)))
    }

    pub fn best_by<F: Fn(&V) -> u64>(&self, weigh: F) -> Option<&V> {
        self.iter()
            .map(|(_, value)| value)
            .max_by_key(|value| weigh(value))
    }

    pub fn map_values<W: Clone, F: FnMut(&V) -> W>(&self, mut convert: F) -> $Type$<K, W> {
        let mut mapped = $Type$::with_limit(self.limit);
        for (key, value) in self.iter() {
            mapped.insert(key.clone(), convert(value));
        }
        mapped
    }
}

impl<K: Clone + Eq + Hash, V: Clone> FromIterator<(K, V)> for $Type$<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut store = Self::with_limit($num$);
        for (key, value) in pairs {
            store.insert(key, value);
        }
        store
    }
}

fn $func$_fill(seed: u64) -> u64 {
    let mut names: $Type$<u64, String> = $Type$::with_limit($small$);
    for number in 0..$num$ {
        names.insert(seed % $num$ + number, format!("$word$-{number}"));
    }
    let lengths = names.map_values(|name| name.len());
    let longest = lengths.best_by(|&length| length as u64).copied();
    let pairs: $Type$<(u8, bool), Vec<u32>> = (0..$num$_u8)
        .map(|n| ((n, n % 2 == 0), vec![u32::from(n); $small$]))
        .collect();
    let widest = pairs.best_by(|list| list.len() as u64).map_or(0, Vec::len);
    let by_word: $Type$<&str, u64> = [("$word$", $num$), ("$word$", seed), ("$word$", $num$)]
        .into_iter()
        .collect();
    let found = by_word.get(&"$word$").copied().unwrap_or(names.dropped());
    mix(found, (longest.unwrap_or(0) + widest + pairs.len()) as u64)
}
