//! Prints the API's document.
fn main() -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(server::openapi().as_bytes())
}
