/// A weighted graph of $noun$ nodes.
#[derive(Debug, Clone, Default)]
pub struct $Type$<N> {
    nodes: Vec<N>,
    edges: Vec<Vec<(usize, u32)>>,
}

impl<N> $Type$<N> {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            edges: Vec::new(),
        }
    }

    pub fn add(&mut self, node: N) -> usize {
        self.nodes.push(node);
        self.edges.push(Vec::new());
        self.nodes.len() - 1
    }

    pub fn connect(&mut self, from: usize, to: usize, weight: u32) -> bool {
        if to >= self.nodes.len() {
            return false;
        }
        match self.edges.get_mut(from) {
            Some(edges) => {
                edges.push((to, weight));
                true
            }
            None => false,
        }
    }

    /// The cheapest way's cost to each node, if there is one.
    pub fn distances(&self, start: usize) -> Vec<Option<u32>> {
        let mut best = vec![None; self.nodes.len()];
        let mut queue = BinaryHeap::from([(Reverse(0_u32), start)]);
        while let Some((Reverse(cost), node)) = queue.pop() {
            if best[node].is_some_and(|known| known <= cost) {
                continue;
            }
            best[node] = Some(cost);
            for &(next, weight) in &self.edges[node] {
                queue.push((Reverse(cost + weight), next));
            }
        }
        best
    }

    pub fn visit<F: FnMut(&N, usize)>(&self, start: usize, mut visit: F) {
        let mut seen = vec![false; self.nodes.len()];
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((node, depth)) = queue.pop_front() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            visit(&self.nodes[node], depth);
            queue.extend(self.edges[node].iter().map(|&(next, _)| (next, depth + 1)));
        }
    }
}

fn $func$_ring<N, F: Fn(usize) -> N>(count: usize, make: F) -> $Type$<N> {
    let mut graph = $Type$::new();
    for number in 0..count {
        graph.add(make(number));
    }
    for number in 0..count {
        graph.connect(number, (number + 1) % count, $num$ + number as u32);
        graph.connect(number, number * $num$ % count, $num$);
    }
    graph
}

fn $func$_total(seed: u64) -> u64 {
    let names = $func$_ring($small$ + 4, |number| format!("$word$-{number}"));
    let numbers = $func$_ring($small$ + 5, |number| number as u64 ^ seed);
    let start = seed as usize % 6;
    let mut text = String::new();
    names.visit(start, |name, depth| {
        text.push_str(name);
        text.extend(std::iter::repeat_n('.', depth));
    });
    let mut total = text.len() as u64;
    numbers.visit(start, |&number, depth| {
        total = mix(total, number ^ depth as u64);
    });
    let reached: u32 = numbers.distances(start).into_iter().flatten().sum();
    let named = names.distances(start).iter().flatten().count();
    mix(total, u64::from(reached) + named as u64)
}
