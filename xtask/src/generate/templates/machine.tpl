/// Where a $noun$ stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum $Type$ {
    Idle,
//@each variants
    $Variant$$shape$,
//@end
    Done { code: u32 },
}

impl $Type$ {
    pub fn from_number(number: u64) -> Self {
        match number % $arms$ {
//@each variants
            $index$ => Self::$Variant$$make$,
//@end
            0 => Self::Done {
                code: (number % $num$) as u32,
            },
            _ => Self::Idle,
        }
    }

    /// The state after this one; `Done` stays.
    pub fn advance(self, input: u32) -> Self {
        match self {
            Self::Idle => Self::from_number(u64::from(input) + 1),
//@each variants
            Self::$Variant$$bind$ if input % $num$ < $small$ => $next$,
//@end
            Self::Done { code } => Self::Done { code },
            _ => Self::Idle,
        }
    }

    pub fn weight(&self) -> u64 {
        match self {
            Self::Idle => 1,
//@each variants
            Self::$Variant$$bind$ => $weigh$,
//@end
            Self::Done { code } => u64::from(*code) * $num$,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
//@each variants
            Self::$Variant$ { .. } => "$label$",
//@end
            Self::Done { .. } => "done",
        }
    }

    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl fmt::Display for $Type$ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{:>4}]", self.name(), self.weight())
    }
}

fn $func$_walk(seed: u64) -> u64 {
    let mut state = $Type$::Idle;
    let mut seen = HashSet::new();
    let mut trace = String::new();
    for step in 0..$num$_u32 {
        state = state.advance(step.wrapping_add(seed as u32));
        if !seen.insert(state.clone()) {
            continue;
        }
        trace.push_str(&state.to_string());
        if state.is_final() && step > $small$ {
            break;
        }
    }
    let highest = seen.iter().max().map_or(0, $Type$::weight);
    mix(highest, trace.len() as u64)
}
