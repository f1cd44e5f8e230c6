/// Mean, spread and peaks of a series of $noun$ samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct $Type$ {
    pub mean: f64,
    pub spread: f64,
    pub peaks: usize,
}

fn $func$_samples(seed: u64, count: usize) -> Vec<u32> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).rotate_left($small$);
        (state >> 40) as u32 % $num$00
    })
    .take(count)
    .collect()
}

pub fn $func$_summary(samples: &[u32]) -> $Type$ {
    if samples.is_empty() {
        return $Type$::default();
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&n| f64::from(n)).sum::<f64>() / count;
    let spread = samples
        .iter()
        .map(|&n| (f64::from(n) - mean).powi(2))
        .sum::<f64>()
        .sqrt();
    let peaks = samples
        .windows(3)
        .filter(|window| window[1] > window[0] && window[1] > window[2])
        .count();
    $Type$ {
        mean,
        spread,
        peaks,
    }
}

fn $func$_groups(samples: &[u32]) -> BTreeMap<u32, Vec<u32>> {
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &sample in samples {
        groups.entry(sample / $num$).or_default().push(sample);
    }
    groups.retain(|_, members| members.len() > 1);
    groups
}

fn $func$_smooth(samples: &[u32], width: usize) -> Vec<u32> {
    samples
        .chunks(width.max(1))
        .map(|chunk| chunk.iter().sum::<u32>() / chunk.len() as u32)
        .collect()
}

fn $func$_ranked<T, K, F>(mut items: Vec<T>, rank: F) -> Vec<(usize, T)>
where
    K: Ord,
    F: Fn(&T) -> K,
{
    items.sort_by_key(|item| rank(item));
    items.into_iter().rev().enumerate().collect()
}

fn $func$_total(seed: u64) -> u64 {
    let samples = $func$_samples(seed, $num$ + 8);
    let summary = $func$_summary(&samples);
    let groups = $func$_groups(&samples);
    let smooth = $func$_smooth(&samples, $small$);
    let ranked = $func$_ranked(smooth, |&n| n ^ $num$);
    let words = $func$_ranked(vec!["$word$", "$word$", "$word$"], |word| word.len());
    let odd: u64 = ranked
        .iter()
        .zip(words.iter().cycle())
        .filter(|((place, _), _)| place % 2 == 1)
        .map(|((_, value), (_, word))| u64::from(*value) + word.len() as u64)
        .sum();
    let largest = groups.values().map(Vec::len).max().unwrap_or($num$);
    mix(odd, summary.mean as u64 ^ summary.spread as u64) ^ (largest + summary.peaks) as u64
}
