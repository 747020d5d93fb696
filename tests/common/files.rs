//! Folders for files that tests write.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// A folder that is empty at first, and gone in the end; `LAYERWISE_FILES` names one that stays, for other programs to
/// read what is in it.
pub struct Folder {
    path: PathBuf,
    stays: bool,
}

impl Folder {
    /// A folder of this name.
    pub fn new(name: &str) -> Self {
        let (path, stays) = match std::env::var_os("LAYERWISE_FILES") {
            Some(folder) => (PathBuf::from(folder).join(name), true),
            None => (std::env::temp_dir().join(format!("layerwise-{name}-{}", std::process::id())), false),
        };
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder for files can be made");
        Folder { path, stays }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The bytes that a reference file has in hexadecimal digits.
pub fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
