/// A point in $adjective$ space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct $Type$ {
//@each axes
    pub $axis$: i64,
//@end
}

impl $Type$ {
    pub const ORIGIN: Self = Self::splat(0);

    pub const fn splat(value: i64) -> Self {
        Self {
//@each axes
            $axis$: value,
//@end
        }
    }

    pub fn length_squared(self) -> i64 {
        let mut total = 0;
//@each axes
        total += self.$axis$ * self.$axis$;
//@end
        total
    }

    pub fn clamp_to(self, limit: i64) -> Self {
        Self {
//@each axes
            $axis$: self.$axis$.clamp(-limit, limit),
//@end
        }
    }
}

impl Add for $Type$ {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
//@each axes
            $axis$: self.$axis$ + other.$axis$,
//@end
        }
    }
}

impl Sub for $Type$ {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for $Type$ {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
//@each axes
            $axis$: -self.$axis$,
//@end
        }
    }
}

impl Mul<i64> for $Type$ {
    type Output = Self;

    fn mul(self, factor: i64) -> Self {
        Self {
//@each axes
            $axis$: self.$axis$ * factor,
//@end
        }
    }
}

impl AddAssign for $Type$ {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for $Type$ {
    fn sum<I: Iterator<Item = Self>>(points: I) -> Self {
        points.fold(Self::ORIGIN, |total, point| total + point)
    }
}

impl From<i64> for $Type$ {
    fn from(value: i64) -> Self {
        Self::splat(value)
    }
}

fn $func$_drift(seed: u64) -> u64 {
    let start = (seed % $num$) as i64;
    let path: Vec<$Type$> = (0..$small$)
        .map(|step| $Type$::from(start + step) * $num$ - $Type$::splat($small$))
        .collect();
    let mut place: $Type$ = path.iter().copied().sum();
    place += $Type$::splat(start).clamp_to($num$);
    if place == $Type$::ORIGIN {
        return $num$;
    }
    mix(place.length_squared() as u64, path.len() as u64)
}
