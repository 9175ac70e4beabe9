//! x
pub(crate) fn run(_: &str, _: &[&str]) -> anyhow::Result<()> {
    Ok(())
}
