//! Manual pages and completions of all three programs, from the definitions of their command lines.
//!
//! They are laid out as below `/usr/share`, which is where a package puts them.

mod completions;
mod pages;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file below the directory, and its contents.
struct Asset {
    path: PathBuf,
    text: Vec<u8>,
}

impl Asset {
    fn new(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// Writes all of them below `directory`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(directory: &Path) -> Result<()> {
    for asset in pages::all()?.into_iter().chain(completions::all()) {
        let path = directory.join(&asset.path);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).with_context(|| format!("Could not make {}", parent.display()))?;
        std::fs::write(&path, &asset.text).with_context(|| format!("Could not write {}", path.display()))?;
    }
    Ok(())
}
