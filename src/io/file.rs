//! Writing a file so that a crash leaves the old one or the new one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Lets `write` fill a temporary file beside `path`, flushes it to the disk and gives it the name `path`.
///
/// The temporary file is called `.name.process-number.part`. It is locked while it is written, so that the next write
/// can tell the leavings of a crash, which nobody locks, and remove them.
///
/// # Errors
/// [`Error::Io`] with `path`; what was there before is as it was, and the temporary file is gone.
pub(crate) fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    replace(path, write).map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let (folder, name) = split(path)?;
    remove_unfinished(path);
    let (part, file) = create_part(folder, name)?;
    // The file stays open, and so locked, until it has its name.
    let replaced = fill(file, write).and_then(|_file| fs::rename(&part, path));
    if replaced.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    replaced.and_then(|()| sync_folder(folder))
}

/// The folder and the name of a file.
fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name();
    let name =
        name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), name))
}

/// A new temporary file, locked.
fn create_part(folder: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut part = OsString::from(".");
        part.push(name);
        part.push(format!(".{}-{number}.part", std::process::id()));
        let part = folder.join(part);
        let file = match File::create_new(&part) {
            // A crashed process had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        // Where the file system has no locks, nobody removes what is left, and nothing else is lost.
        let _ = file.lock();
        // Somebody may have taken it for a crash's before it was locked.
        if part.exists() {
            return Ok((part, file));
        }
    }
}

fn fill(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<File> {
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    writer.flush()?;
    let (file, _) = writer.into_parts();
    file.sync_all()?;
    Ok(file)
}

/// Makes the new name last: it is an entry of the folder, which is flushed by itself.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems of networks cannot flush folders.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes the temporary files for `path` that crashed processes have left. Those that are being written stay, and so
/// does what cannot be removed.
pub(crate) fn remove_unfinished(path: &Path) {
    let Ok((folder, name)) = split(path) else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !is_part_of(&entry.file_name(), name) {
            continue;
        }
        let part = entry.path();
        if let Ok(file) = File::open(&part)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&part);
        }
    }
}

/// Whether a file is called `.name.digits-digits.part`.
fn is_part_of(file: &OsStr, name: &OsStr) -> bool {
    let numbers = || {
        let rest = file.as_encoded_bytes().strip_prefix(b".")?.strip_prefix(name.as_encoded_bytes())?;
        std::str::from_utf8(rest.strip_prefix(b".")?.strip_suffix(b".part")?).ok()?.split_once('-')
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers().is_some_and(|(process, number)| is_number(process) && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test's own.
    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("layerwise-file-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = folder("failed");
        let path = folder.join("a");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(&[1; 100_000])?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(error.unwrap_err().to_string(), format!("{}: no more", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&folder), ["a"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_crash_has_left_is_removed_and_what_is_being_written_stays() {
        let folder = folder("left");
        let path = folder.join("a");
        for left in [".a.1-0.part", ".a.77-123.part", ".a.x-1.part", ".ab.1-0.part", ".a.1-0.part.txt"] {
            fs::write(folder.join(left), b"half").unwrap();
        }
        write_atomically(&path, |file| {
            file.write_all(b"outer")?;
            // A second write to the same file while this one is under way.
            write_atomically(&path, |file| file.write_all(b"inner")).map_err(io::Error::other)
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"outer");
        assert_eq!(names(&folder), [".a.1-0.part.txt", ".a.x-1.part", ".ab.1-0.part", "a"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
