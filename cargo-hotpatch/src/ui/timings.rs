//! `cargo hotpatch run --timings`: a page with the times of all edits, which needs nothing but itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::names::list_of_names;
use super::report::time;
use crate::control::Judged;
use crate::ui::events::Phases;

/// Colours for light and dark, and the shape of the bars.
const STYLE: &str = "
:root { color-scheme: light dark; --text: #1d2129; --dim: #667; --back: #fff; --line: #dde; --track: #eef0f4; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6eb; --dim: #9aa3b2; --back: #15181d; --line: #333a45; --track: #20252d; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { color: var(--dim); font-weight: 500; } .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bars { width: 45%; } .bar { display: flex; height: 12px; background: var(--track); border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; } .confirmed { height: 4px; margin-top: 2px; } .confirmed i { background: #8a94a6; }
.settle { background: #8a94a6; } .plan { background: #3b82c4; } .compile { background: #d9822b; } .check { background: #a35bbd; } .link { background: #2f9e6b; } .load { background: #c4443b; }
.legend span { margin-right: 1.2rem; color: var(--dim); white-space: nowrap; } .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: .35rem; }
.dim { color: var(--dim); }
";

/// What counts as one bar of the distribution: less than so many milliseconds.
const STEPS: [u128; 8] = [50, 100, 200, 400, 800, 1600, 3200, u128::MAX];

/// The page for the patches of a session, the oldest first.
#[must_use]
pub fn page(program: &str, patches: &[Judged]) -> String {
    let timed: Vec<(&Judged, &Phases)> = patches
        .iter()
        .filter_map(|patch| Some((patch, patch.ms.as_ref()?)))
        .collect();
    let title = format!("Edits of {} under cargo hotpatch", escaped(program));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n"
    );
    if timed.is_empty() {
        html += "<p class=\"dim\">No edit was patched.</p>\n";
        return html + "</html>\n";
    }
    html += &summary(&timed);
    html += &edits(&timed);
    html += &distribution(&timed);
    html += &slowest(&timed);
    html + "</html>\n"
}

fn summary(timed: &[(&Judged, &Phases)]) -> String {
    let of = |lane: &str| {
        let totals = timed
            .iter()
            .filter(|(patch, _)| patch.lane.as_deref().unwrap_or("exact") == lane);
        totals.map(|(_, ms)| ms.total).collect::<Vec<_>>()
    };
    let mut text = String::from("<p>");
    for lane in ["fast", "exact"] {
        let totals = of(lane);
        if let Some(median) = median(totals.clone()) {
            let count = totals.len();
            let _ = write!(
                text,
                "{count} by the {lane} lane, median {}. ",
                time(median)
            );
        }
    }
    let confirmed = timed.iter().filter_map(|(patch, _)| patch.confirmed_ms);
    if let Some(median) = median(confirmed.map(|of| of.0).collect()) {
        let _ = write!(text, "Confirmed after {} (median). ", time(median));
    }
    let bytes: u64 = timed.iter().filter_map(|(patch, _)| patch.bytes).sum();
    let largest = timed.iter().filter_map(|(patch, _)| patch.bytes).max();
    let largest = largest.unwrap_or_default().div_ceil(1000);
    let _ = write!(
        text,
        "Loaded {} kB, at most {largest} kB at once.",
        bytes.div_ceil(1000)
    );
    text + "</p>\n"
}

fn edits(timed: &[(&Judged, &Phases)]) -> String {
    let longest = timed.iter().map(|(patch, ms)| {
        let confirmed = patch.confirmed_ms.map_or(Duration::ZERO, |of| of.0);
        ms.total.max(confirmed)
    });
    let longest = longest.max().unwrap_or_default();
    let mut html = String::from("<h2>Edits</h2>\n<p class=\"legend\">");
    for (name, _) in Phases::default().named() {
        let _ = write!(html, "<span><i class=\"{name}\"></i>{name}</span>");
    }
    html += "<span>thin: until confirmed</span></p>\n<table>\n\
             <tr><th>gen</th><th>functions</th><th>lane</th><th class=\"bars\"></th><th class=\"number\">time</th>\
             <th class=\"number\">kB</th></tr>\n";
    for (patch, ms) in timed {
        let mut bar = String::new();
        for (name, duration) in ms.named() {
            let share = share(duration, longest);
            let _ = write!(
                bar,
                "<i class=\"{name}\" style=\"width:{share:.2}%\" title=\"{name} {}\"></i>",
                time(duration)
            );
        }
        let confirmed = patch.confirmed_ms.map(|of| {
            let share = share(of.0, longest);
            let title = time(of.0);
            format!("<div class=\"bar confirmed\"><i style=\"width:{share:.2}%\" title=\"confirmed {title}\"></i></div>")
        });
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><div class=\"bar\">{bar}</div>{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            patch.generation,
            escaped(&list_of_names(&patch.functions)),
            patch.lane.as_deref().unwrap_or("exact"),
            confirmed.unwrap_or_default(),
            time(ms.total),
            patch.bytes.unwrap_or_default().div_ceil(1000),
        );
    }
    html + "</table>\n"
}

fn distribution(timed: &[(&Judged, &Phases)]) -> String {
    let mut counts = [0_usize; STEPS.len()];
    for (_, ms) in timed {
        let step = STEPS.iter().position(|step| ms.total.as_millis() < *step);
        counts[step.unwrap_or(STEPS.len() - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    let mut html = String::from("<h2>Distribution</h2>\n<table>\n");
    for (step, count) in STEPS.iter().zip(counts) {
        let what = match *step {
            u128::MAX => "longer".to_owned(),
            step => format!("under {step} ms"),
        };
        let share = 100 * count / most;
        let _ = writeln!(
            html,
            "<tr><td>{what}</td><td class=\"bars\"><div class=\"bar\"><i class=\"plan\" style=\"width:{share}%\"></i></div></td>\
             <td class=\"number\">{count}</td></tr>"
        );
    }
    html + "</table>\n"
}

fn slowest(timed: &[(&Judged, &Phases)]) -> String {
    let mut by_function: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for (patch, ms) in timed {
        for function in &patch.functions {
            by_function.entry(function).or_default().push(ms.total);
        }
    }
    let functions = by_function.into_iter();
    let mut functions: Vec<(&str, usize, Duration)> = functions
        .filter_map(|(function, all)| Some((function, all.len(), median(all)?)))
        .collect();
    functions.sort_by_key(|(_, _, median)| std::cmp::Reverse(*median));
    let mut html = String::from(
        "<h2>Slowest functions</h2>\n<table>\n<tr><th>function</th><th class=\"number\">edits</th><th class=\"number\">median</th></tr>\n",
    );
    for (function, count, median) in functions.iter().take(10) {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"number\">{count}</td><td class=\"number\">{}</td></tr>",
            escaped(function),
            time(*median)
        );
    }
    html + "</table>\n"
}

/// Per cent.
fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    100.0 * part.as_secs_f64() / whole.as_secs_f64()
}

fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort();
    all.get(all.len() / 2).copied()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::events::Milliseconds;

    #[test]
    fn each_edit_is_a_row_and_text_stays_text() {
        let patch = |generation: u32, total: u64, lane: &str| Judged {
            generation,
            functions: vec!["<app::A as app::B>::c".to_owned()],
            lane: Some(lane.to_owned()),
            ms: Some(Phases {
                compile: Duration::from_millis(total / 2),
                total: Duration::from_millis(total),
                ..Phases::default()
            }),
            confirmed_ms: (lane == "fast").then_some(Milliseconds(Duration::from_secs(2))),
            bytes: Some(12_345),
            ..Judged::default()
        };
        let page = page("a<b", &[patch(1, 90, "fast"), patch(2, 1500, "exact")]);
        for text in [
            "<title>Edits of a&lt;b under cargo hotpatch</title>",
            "1 by the fast lane, median 90 ms",
            "1 by the exact lane, median 1500 ms",
            "Confirmed after 2000 ms (median)",
            "&lt;app::A as app::B&gt;::c",
            "prefers-color-scheme: dark",
            "title=\"compile 45 ms\"",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(
            !page.contains("http") && !page.contains("<script"),
            "it needs something else"
        );
    }

    #[test]
    fn a_session_without_edits_has_a_page() {
        assert!(page("app", &[]).contains("No edit was patched"));
    }
}
