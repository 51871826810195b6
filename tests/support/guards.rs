//! What ends with a test, be it by a failure.

use std::path::PathBuf;
use std::{env, fs, process};

/// Calls a function when it is dropped.
pub struct AtEnd<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// A file of one test, deleted when dropped.
pub struct OwnFile(pub PathBuf);

impl OwnFile {
    /// Writes a new one, whose name ends like this.
    pub fn new(name: &str, text: &str) -> OwnFile {
        let file = OwnFile(env::temp_dir().join(format!("larder-{}-{name}", process::id())));
        file.write(text);
        file
    }

    /// Puts another text in its place.
    pub fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("there is room");
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
