//! Nanoseconds per decision.
fn main() {
    divan::main();
}
