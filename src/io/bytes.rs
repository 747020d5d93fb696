//! The bytes of a file: mapped into memory, or already there.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a whole file.
pub(super) enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a file: pages come from the disk when they are read, and none is copied.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or mapped, [`Error::File`] for what is no file of a fixed length.
    pub(super) fn map(path: &Path) -> Result<Self> {
        let named = |source| Error::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(named)?;
        if !file.metadata().map_err(named)?.is_file() {
            return Err(Error::file(path, "not a regular file"));
        }
        // SAFETY: bytes behind a shared slice must not change, which nobody can promise for a file that another
        // program may write to. The crate's own writes never change a file in place: they rename a new one to its
        // place, and a mapped file lives on without its name. For other programs the documentation of
        // `TensorFile::open` asks the user not to. What they could do then: the header is copied before it is read, so
        // that its checks hold; behind it are plain numbers, any bits of which are some number. A file that is cut
        // short under the map makes the system end the process with a signal.
        let map = unsafe { Mmap::map(&file) }.map_err(named)?;
        Ok(Bytes::Mapped(map))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
