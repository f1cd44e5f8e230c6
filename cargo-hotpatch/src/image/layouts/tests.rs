use super::*;
#[test]
fn scratch() {
    let path = std::env::var("SCRATCH").unwrap();
    let krate = std::env::var("SCRATCH_CRATE").unwrap();
    let data = std::fs::read(path).unwrap();
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let l = Layouts::read(&data, &[&krate]).unwrap();
        println!(
            "{:?} {} types, {} ambiguous",
            t.elapsed(),
            l.len(),
            l.ambiguous.len()
        );
        let t = std::time::Instant::now();
        let b = postcard::to_stdvec(&l).unwrap();
        println!("{:?} postcard {}", t.elapsed(), b.len());
        let t = std::time::Instant::now();
        let l: Layouts = postcard::from_bytes(&b).unwrap();
        println!("{:?} from postcard {}", t.elapsed(), l.len());
    }
    let l = Layouts::read(&data, &[&krate]).unwrap();
    for a in l.ambiguous.iter().take(10) {
        println!("AMB {a}");
    }
    if std::env::var("SCRATCH_PRINT").is_ok() {
        for (p, l) in &l.types {
            println!("{p}: {l:?}");
        }
    }
}
