//! Manual pages and completions, from the definitions of the command line.

use std::path::Path;

use anyhow::Result;

/// Writes all of them below `directory`.
pub fn write(_directory: &Path) -> Result<()> {
    Ok(())
}
