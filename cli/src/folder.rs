//! The directory into which a report is written.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A directory that was found to be writable.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the directory if it is not there, and makes sure that these files can be written, before anything is measured.
    ///
    /// # Errors
    /// If they cannot be.
    pub(crate) fn open(path: &Path, files: &[&str]) -> Result<Folder, Failure> {
        let folder = Folder(path.to_owned());
        std::fs::create_dir_all(path).map_err(|e| folder.refusal(&e))?;
        for name in files {
            if path.join(name).is_dir() {
                return Err(Failure::failed(format!(
                    "{} is a directory, and the report would be a file of that name: name another directory with --output",
                    path.join(name).display()
                )));
            }
        }
        // The surest way to know is to write.
        let probe = folder.draft("probe");
        std::fs::write(&probe, "")
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|e| folder.refusal(&e))?;
        Ok(folder)
    }

    /// Writes a file whole or not at all: whoever has the old one open keeps it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let draft = self.draft(name);
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, self.0.join(name))).map_err(|e| {
            // What cannot be removed is of no use, and does no harm.
            let _ = std::fs::remove_file(&draft);
            Failure::failed(format!("{} cannot be written: {e}", self.0.join(name).display()))
        })
    }

    /// The files' paths, a line each.
    pub(crate) fn names(&self, names: &[&str]) -> String {
        names.iter().map(|name| self.0.join(name).display().to_string()).collect::<Vec<_>>().join("\n")
    }

    fn draft(&self, name: &str) -> PathBuf {
        self.0.join(format!(".{name}.{}", std::process::id()))
    }

    fn refusal(&self, error: &io::Error) -> Failure {
        Failure::failed(format!(
            "the report cannot be written to {} ({error}): name another directory with --output",
            self.0.display()
        ))
    }
}
