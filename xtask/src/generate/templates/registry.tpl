/// How many $noun$ entries the $adjective$ table holds.
pub const $CONST$_SLOTS: usize = $size$;

const $CONST$_SCALE: u64 = $num$ * $num$ + 1;

static $CONST$_TABLE: [u32; $CONST$_SLOTS] =
    [$table$];

static $CONST$_NAMES: &[(&str, u32)] = &[
//@each entries
    ("$label$", $value$),
//@end
];

static $CONST$_CALLS: AtomicU64 = AtomicU64::new(0);

static $CONST$_INDEX: OnceLock<BTreeMap<&'static str, u32>> = OnceLock::new();

static $CONST$_LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static $CONST$_DEPTH: Cell<u32> = const { Cell::new(0) };
    static $CONST$_RECENT: RefCell<HashMap<u64, u32>> = RefCell::new(HashMap::new());
}

fn $func$_index() -> &'static BTreeMap<&'static str, u32> {
    $CONST$_INDEX.get_or_init(|| $CONST$_NAMES.iter().copied().collect())
}

/// The number of `name`, remembered for this thread under `key`.
pub fn $func$_lookup(key: u64, name: &str) -> Option<u32> {
    $CONST$_CALLS.fetch_add(1, Ordering::Relaxed);
    let known = $CONST$_RECENT.with_borrow(|recent| recent.get(&key).copied());
    if known.is_some() {
        return known;
    }
    let number = *$func$_index().get(name)?;
    let entry = $CONST$_TABLE[number as usize % $CONST$_SLOTS];
    $CONST$_RECENT.with_borrow_mut(|recent| recent.insert(key, entry ^ number));
    Some(entry ^ number)
}

fn $func$_nested(levels: u32) -> u32 {
    $CONST$_DEPTH.set($CONST$_DEPTH.get() + 1);
    let deepest = if levels == 0 {
        $CONST$_DEPTH.get()
    } else {
        $func$_nested(levels - 1)
    };
    $CONST$_DEPTH.set($CONST$_DEPTH.get() - 1);
    deepest
}

fn $func$_note(text: String) -> usize {
    match $CONST$_LOG.lock() {
        Ok(mut log) => {
            if log.len() > $num$ {
                log.clear();
            }
            log.push(text);
            log.len()
        }
        Err(_) => 0,
    }
}

fn $func$_total(seed: u64) -> u64 {
    let mut total = seed % $CONST$_SCALE;
    for name in ["$word$", "$word$", "$word$", "none"] {
        total = match $func$_lookup(total % $num$, name) {
            Some(number) => mix(total, u64::from(number)),
            None => total.rotate_left($small$),
        };
    }
    let deepest = $func$_nested((seed % $small$) as u32);
    let noted = $func$_note(format!("{total:x}"));
    mix(total, u64::from(deepest) + noted as u64) ^ $CONST$_CALLS.load(Ordering::Relaxed)
}
