//! Paths that a request names, which lie below a folder of the settings: no request reaches another
//! place, whatever it writes and whatever symbolic links there are.

use std::path::{Path, PathBuf};

use barrow_engine::disk::check_path;
use serde_json::{Map, Value};

use crate::jobs::kinds::BadParam;

/// The parameter that names the path.
const PATH: &str = "path";

/// A folder of the settings.
#[derive(Clone, Debug)]
pub(crate) struct Below {
    /// The setting: `[server] backup_dir`.
    setting: &'static str,
    folder: PathBuf,
}

impl Below {
    /// The folder that `setting` says.
    pub(crate) fn new(setting: &'static str, folder: &Path) -> Self {
        Self { setting, folder: folder.to_owned() }
    }

    /// The path that `params` name, as it is written. `unset` is what is said where the setting is
    /// empty.
    ///
    /// # Errors
    /// The setting is empty; the path is missing, absolute, or has `.` or `..` in it.
    pub(crate) fn path<'v>(
        &self,
        params: &'v Map<String, Value>,
        unset: &str,
    ) -> Result<&'v str, BadParam> {
        let bad = |fault: String| BadParam { field: PATH.to_owned(), fault };
        let setting = self.setting;
        if self.folder.as_os_str().is_empty() {
            return Err(bad(unset.to_owned()));
        }
        let path = match params.get(PATH) {
            Some(Value::String(path)) => path,
            Some(other) => return Err(bad(format!("{other} is not a text"))),
            None => return Err(bad(format!("is missing: name a place below {setting}"))),
        };
        if check_path("read", path).is_err() {
            return Err(bad(format!(
                "{path:?} is no path below {setting}: write it without a / in front and without \
                 . and .."
            )));
        }
        Ok(path)
    }

    /// Where the path leads, as it is written.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The folder as the system knows it, without symbolic links.
    ///
    /// # Errors
    /// It is not there, for a person.
    pub(crate) fn root(&self) -> Result<PathBuf, String> {
        self.folder.canonicalize().map_err(|error| {
            format!(
                "{}: {}: {error}; make the folder, or mount what is to be there",
                self.setting,
                self.folder.display()
            )
        })
    }

    /// That what is there of `place`, or the nearest folder above it that is, lies below the
    /// folder, whatever symbolic links there are.
    ///
    /// # Errors
    /// It does not, for a person.
    pub(crate) fn check(&self, place: &Path) -> Result<(), String> {
        let root = self.root()?;
        let nearest = place.ancestors().find_map(|above| above.canonicalize().ok());
        if nearest.is_some_and(|nearest| nearest.starts_with(&root)) {
            Ok(())
        } else {
            Err(format!("{PATH}: {} leads out of {}", place.display(), self.setting))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(folder: &str, params: &Value) -> Result<String, String> {
        let below = Below::new("[server] import_dir", Path::new(folder));
        let read = below.path(params.as_object().unwrap(), "unset");
        read.map(str::to_owned).map_err(|bad| format!("{}: {}", bad.field, bad.fault))
    }

    #[test]
    fn only_what_is_written_below_the_folder_is_taken() {
        for fine in ["a", "a/b.csv", "2024-05-03", "..a/b..", ".hidden"] {
            assert_eq!(path("/x", &json!({ "path": fine })).as_deref(), Ok(fine));
        }
        for bad in ["", "/", "/a", "..", ".", "a/../b", "./a", "a//b", "a/", "a\\b", "a\0"] {
            let refused = path("/x", &json!({ "path": bad })).unwrap_err();
            assert!(refused.contains("is no path below [server] import_dir"), "{bad}: {refused}");
        }
        assert!(path("/x", &json!({})).unwrap_err().contains("is missing"));
        assert!(path("/x", &json!({ "path": 7 })).unwrap_err().contains("is not a text"));
        assert_eq!(path("", &json!({ "path": "a" })), Err("path: unset".to_owned()));
    }

    #[test]
    fn no_symbolic_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["in/deep", "out"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::write(at("out/secret.csv"), "x").unwrap();
        std::os::unix::fs::symlink(at("out"), at("in/folder")).unwrap();
        std::os::unix::fs::symlink(at("out/secret.csv"), at("in/file.csv")).unwrap();
        std::os::unix::fs::symlink(at("in/deep"), at("in/within")).unwrap();
        std::os::unix::fs::symlink(at("in"), at("alias")).unwrap();
        let below = Below::new("[server] import_dir", &at("alias"));
        for fine in ["deep", "within", "within/new", "not/there/yet"] {
            assert_eq!(below.check(&below.place(fine)), Ok(()), "{fine}");
        }
        for out in ["folder", "folder/secret.csv", "file.csv", "folder/new"] {
            let refused = below.check(&below.place(out)).unwrap_err();
            assert!(refused.contains("leads out of [server] import_dir"), "{refused}");
        }
        let gone = Below::new("[server] import_dir", &at("gone"));
        assert!(gone.check(&at("gone/a")).unwrap_err().contains("make the folder"));
    }
}
