pub fn order(text: &str, rules: &mut Vec<fn(u64) -> u64>) -> String {
    rules.clear();
    rules.push(same);
    text.to_owned()
}

fn same(value: u64) -> u64 {
    value
}

pub fn run(rules: &[fn(u64) -> u64], value: u64) -> String {
    format!("{}", rules.iter().fold(value, |value, rule| rule(value)))
}
