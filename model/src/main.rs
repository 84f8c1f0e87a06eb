//! The `relink` command.
fn main() {}
