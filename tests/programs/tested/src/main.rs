fn main() {
    println!("{}", tested::mul(6, 7));
}
