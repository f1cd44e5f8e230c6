//! Code that `#[cfg]` chooses: items and modules in `cfg_select!`, and what other systems would have.

use hotpatch_rt::hot;

cfg_select! {
    target_os = "windows" => {
        mod windows;
        use self::windows::system;
    }
    any(target_os = "linux", target_os = "macos") => {
        mod unix;
        use self::unix::system;

        fn separator() -> char {
            '/'
        }
    }
    _ => {}
}

mod words {
    macro_rules! loud {
        ($text:expr) => {
            $text.to_uppercase()
        };
    }
    macro_rules! twice {
        ($text:expr) => {
            format!("{0}{0}", $text)
        };
    }
    pub(super) use loud;
    pub(super) use twice;
    pub fn plain(text: &str) -> String {
        text.to_owned()
    }
}

use words::{loud, plain, twice};

fn counted() -> u32 {
    #[cfg(target_os = "windows")]
    {
        static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        return CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    #[cfg(not(target_os = "windows"))]
    7
}

fn shout(text: &str) -> String {
    loud!(text)
}

fn echo(text: &str) -> String {
    twice!(plain(text))
}

#[hot]
fn answer(text: &str) -> String {
    let (system, separator) = (system(), separator());
    format!("{system}{separator}{} {} {}", shout(text), echo(text), counted())
}

fn main() {
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
