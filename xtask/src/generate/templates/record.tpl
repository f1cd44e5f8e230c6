/// One $noun$ as the $adjective$ side keeps it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct $Type$ {
    pub id: u64,
//@each fields
    pub $field$: $ty$,
//@end
}

impl $Type$ {
    /// Makes one whose fields all follow from `id`.
    pub fn new(id: u64) -> Self {
        Self {
            id,
//@each fields
            $field$: $init$,
//@end
        }
    }

//@each fields
    pub fn with_$field$(mut self, $field$: $ty$) -> Self {
        self.$field$ = $field$;
        self
    }

//@end
    /// Folds every field into one number.
    pub fn score(&self) -> u64 {
        let mut total = self.id.wrapping_mul($num$);
//@each fields
        total = total.rotate_left($small$) ^ $fold$;
//@end
        total
    }

    pub fn merge(&mut self, other: &Self) {
        self.id = self.id.max(other.id);
//@each fields
        $merge$
//@end
    }

    pub fn is_sound(&self) -> bool {
        let limit = $num$;
        if self.id == limit {
            return false;
        }
        match self.score() % 4 {
            0 => self.id < limit,
            1 | 2 => self.id % $num$ != $small$,
            _ => true,
        }
    }
}

impl fmt::Display for $Type$ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$word$ #{}", self.id)?;
//@each fields
        write!(f, ", $field$ {:?}", self.$field$)?;
//@end
        Ok(())
    }
}

fn $func$_total(seed: u64) -> u64 {
    let id = seed % $num$ + 1;
    let mut first = $Type$::new(seed % 1_000);
    let mut second = $Type$::default();
//@each fields
    second = second.with_$field$($init$);
//@end
    first.merge(&second);
    let copy = first.clone();
    if copy == second || !copy.is_sound() {
        return first.score();
    }
    mix(copy.score(), copy.to_string().len() as u64)
}
