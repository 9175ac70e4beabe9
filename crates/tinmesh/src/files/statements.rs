//! The file in which a node keeps every statement that it knows, one a line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file with all statements that a node knows.
pub fn statements_file(confbase: &Path) -> PathBuf {
    confbase.join("fides").join("statements")
}

/// The statements that were kept; nothing if there are none.
///
/// # Errors
/// With the path, if the file cannot be read.
pub fn kept_statements(confbase: &Path) -> io::Result<String> {
    let path = statements_file(confbase);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}
