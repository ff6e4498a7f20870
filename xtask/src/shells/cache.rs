//! Things that are too large to make in every clone: one folder of the user's, shared by all of them.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::house::Result;

pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(crate) fn find() -> Result<Self> {
        let set = |name| env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        let caches = caches.ok_or_else(|| "needs a folder for caches: set HOME or XDG_CACHE_HOME".to_owned())?;
        Ok(Self { folder: caches.join("comptoir") })
    }

    /// The folder of this name. `make` fills it, if it is not there as `recipe` wants it.
    ///
    /// It is made beside its place and moved there when it is whole, so that nothing half-made is ever believed.
    pub(crate) fn folder(&self, name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let io = |error| format!("preparing {}: {error}", self.folder.join(name).display());
        fs::create_dir_all(&self.folder).map_err(io)?;
        // Two of us at the same time take turns.
        let lock = File::create(self.folder.join(format!("{name}.lock"))).map_err(io)?;
        lock.lock().map_err(io)?;

        let folder = self.folder.join(name);
        if fs::read_to_string(folder.join(RECIPE)).is_ok_and(|made| made == recipe) {
            return Ok(folder);
        }
        self.sweep(name).map_err(io)?;
        // Its own name, since what a killed run had started may go on for a while in the folder that it left behind.
        let new = self.folder.join(format!("{name}.{}{UNFINISHED}", std::process::id()));
        fs::create_dir(&new).map_err(io)?;
        make(&new)?;
        fs::write(new.join(RECIPE), recipe).map_err(io)?;
        if folder.exists() {
            fs::rename(&folder, self.folder.join(format!("{name}.old.{}{UNFINISHED}", std::process::id())))
                .map_err(io)?;
        }
        fs::rename(&new, &folder).map_err(io)?;
        self.sweep(name).map_err(io)?;
        Ok(folder)
    }

    /// Removes what was never finished, and what was replaced.
    fn sweep(&self, name: &str) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.file_name().to_string_lossy().into_owned();
            if found.starts_with(&format!("{name}.")) && found.ends_with(UNFINISHED) {
                // What cannot go now, because somebody still writes there, goes the next time.
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        Ok(())
    }
}

/// Says how a folder was made. Written last.
const RECIPE: &str = "recipe.txt";
const UNFINISHED: &str = ".unfinished";

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_made_once_per_recipe() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache { folder: home.path().join("comptoir") };
        let mut made = 0;
        let mut ask = |recipe: &str| {
            let make = |folder: &Path| {
                made += 1;
                fs::write(folder.join("bread"), recipe).map_err(|error| error.to_string())
            };
            let folder = cache.folder("oven", recipe, make).unwrap();
            (fs::read_to_string(folder.join("bread")).unwrap(), made)
        };
        assert_eq!(ask("rye"), ("rye".to_owned(), 1));
        assert_eq!(ask("rye"), ("rye".to_owned(), 1));
        assert_eq!(ask("wheat"), ("wheat".to_owned(), 2));
        assert_eq!(names(&cache.folder), ["oven", "oven.lock"]);
    }

    #[test]
    fn what_was_not_finished_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache { folder: home.path().to_owned() };
        let refused = cache.folder("oven", "rye", |folder| {
            fs::write(folder.join("dough"), "").unwrap();
            Err("no flour".to_owned())
        });
        assert_eq!(refused, Err("no flour".to_owned()));
        assert!(!home.path().join("oven").exists());
        // A folder without its recipe was not made by us, or not to the end.
        fs::create_dir(home.path().join("oven")).unwrap();
        cache.folder("oven", "rye", |_| Ok(())).unwrap();
        assert_eq!(names(home.path()), ["oven", "oven.lock"]);
        assert_eq!(names(&home.path().join("oven")), [RECIPE]);
    }
}
