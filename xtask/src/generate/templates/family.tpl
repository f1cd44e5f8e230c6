/// What every kind of $noun$ can say about itself.
pub trait $Trait$ {
    fn title(&self) -> String;

    fn cost(&self) -> u64;

    fn tax(&self) -> u64 {
        self.cost() / $num$ + $small$
    }

    fn gross(&self) -> u64 {
        self.cost().saturating_add(self.tax())
    }

    fn describe(&self) -> String {
        let gross = self.gross();
        if gross > $num$00 {
            format!("{} (large, {gross})", self.title())
        } else {
            format!("{} ({gross})", self.title())
        }
    }
}

//@each kinds
/// The $label$ kind.
#[derive(Debug, Clone, Default)]
pub struct $Kind$ {
    pub base: u64,
    pub rate: u32,
}

impl $Trait$ for $Kind$ {
    fn title(&self) -> String {
        format!("$label$-{}", self.rate)
    }

    fn cost(&self) -> u64 {
        let mut cost = self.base % $num$00;
        for round in 0..u64::from(self.rate % 6) {
            cost += if round % 2 == 0 { $num$ } else { round * $small$ };
        }
        cost
    }
$extra$}

//@end
pub fn $func$_all(seed: u64) -> Vec<Box<dyn $Trait$>> {
    let rate = (seed % $num$) as u32;
    vec![
//@each kinds
        Box::new($Kind$ {
            base: seed / $num$,
            rate: rate + $num$,
        }),
//@end
    ]
}

/// The dearest of `items`, and what all of them cost.
pub fn $func$_dearest<'a>(items: &'a [Box<dyn $Trait$>]) -> Option<(&'a dyn $Trait$, u64)> {
    let total = items.iter().map(|item| item.gross()).sum();
    let dearest = items.iter().max_by_key(|item| item.cost())?;
    Some((dearest.as_ref(), total))
}

fn $func$_price<T: $Trait$ + Default>(seed: u64) -> u64 {
    let item = T::default();
    mix(item.gross(), seed ^ item.describe().len() as u64)
}

fn $func$_total(seed: u64) -> u64 {
    let items = $func$_all(seed);
    let mut total = match $func$_dearest(&items) {
        Some((dearest, sum)) => mix(sum, dearest.describe().len() as u64),
        None => $num$,
    };
//@each kinds
    total ^= $func$_price::<$Kind$>(seed);
//@end
    total
}
