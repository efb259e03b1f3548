//! Which files an import reads, and their bytes: folders walked, compression undone, content
//! hashed.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::{ImportError, Reading};

const BUFFER_LEN: usize = 256 * 1024;

/// Most files of one import: all are planned before the first is loaded.
const FILES_MAX: usize = 100_000;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// For a person; empty if it is not packed.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What the name of a file says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text with separators.
    Csv(Packing),
    /// JSON: arrays, objects, or one a line.
    Json(Packing),
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream; Feather is its file.
    Arrow,
    /// One that is known and not read: what to do.
    NotRead(&'static str),
    /// Any other.
    Unknown,
}

/// What is read, for a person.
const READ: &str = ".csv, .json and .ndjson (also .gz and .zst), .parquet, .feather, .arrow";

/// What the name of a file says about it.
pub(crate) fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (inner, packing) = if let Some(inner) = name.strip_suffix(".gz") {
        (inner, Packing::Gzip)
    } else if let Some(inner) = name.strip_suffix(".zst") {
        (inner, Packing::Zstd)
    } else {
        (name.as_str(), Packing::None)
    };
    let ends = |endings: &[&str]| endings.iter().any(|ending| inner.ends_with(ending));
    if ends(&[".csv", ".tsv"]) {
        Kind::Csv(packing)
    } else if ends(&[".json", ".jsonl", ".ndjson"]) {
        Kind::Json(packing)
    } else if ends(&[".dbn"]) {
        Kind::NotRead("DBN is not read: write it as CSV first (`dbn FILE --csv`) and import that")
    } else if ends(&[".parquet", ".feather", ".arrow", ".ipc"]) && packing != Packing::None {
        Kind::NotRead(
            "such a file is compressed inside; unpack it (gunzip or unzstd) and import that",
        )
    } else if ends(&[".parquet"]) {
        Kind::Parquet
    } else if ends(&[".feather", ".arrow", ".ipc"]) {
        Kind::Arrow
    } else {
        Kind::Unknown
    }
}

/// Whether files of this kind are imported.
const fn is_read(kind: Kind) -> bool {
    !matches!(kind, Kind::NotRead(_) | Kind::Unknown)
}

/// A file's name up to its first `.`, in lower case or not as it stands.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// A file's name up to its first `_`, `-` or `.`: often the symbol.
pub(crate) fn stem_part(path: &Path) -> String {
    stem(path).split(['_', '-']).next().unwrap_or_default().to_owned()
}

/// The symbol that `--symbol` says of a file: `{stem}` and `{stem-part}` are of its name.
pub(crate) fn symbol_of(symbol: &str, path: &Path) -> String {
    symbol.replace("{stem-part}", &stem_part(path)).replace("{stem}", &stem(path))
}

/// What is to be read, and what was left out of the folders.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) left_out: Vec<PathBuf>,
}

/// The files to read among `paths`; folders are walked, in order of names.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Found, ImportError> {
    let mut found = Found::default();
    for path in paths {
        let shown = path.display();
        let about = std::fs::metadata(path).map_err(|error| {
            ImportError::failed(format!("import {shown}: {error}; give a file or a folder"))
        })?;
        if about.is_dir() {
            walk(path, &mut found)?;
            continue;
        }
        if !about.is_file() {
            return Err(ImportError::usage(format!(
                "import {shown}: is neither a file nor a folder; give one of these"
            )));
        }
        match kind(path) {
            Kind::NotRead(what) => {
                return Err(ImportError::usage(format!("import {shown}: {what}")));
            }
            Kind::Unknown => {
                return Err(ImportError::usage(format!(
                    "import {shown}: do not know this kind of file; give {READ}"
                )));
            }
            _ => found.files.push(path.clone()),
        }
    }
    if found.files.is_empty() {
        let places: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(ImportError::failed(format!(
            "import {}: no file to import there; give {READ}",
            places.join(" ")
        )));
    }
    if found.files.len() > FILES_MAX {
        return Err(ImportError::usage(format!(
            "import: there are {} files, and at most {FILES_MAX} are imported at once: give the \
             folders one by one",
            found.files.len()
        )));
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Found) -> Result<(), ImportError> {
    let failed = |error: io::Error| {
        ImportError::failed(format!("read folder {}: {error}", folder.display()))
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A link to a folder is left out: it may lead back.
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        entries.push((entry.path(), is_dir));
    }
    entries.sort();
    for (path, is_dir) in entries {
        if is_dir {
            walk(&path, found)?;
        } else if is_read(kind(&path)) && path.is_file() {
            found.files.push(path);
        } else {
            found.left_out.push(path);
        }
    }
    Ok(())
}

/// How the file of this name is packed.
pub(crate) fn packing(path: &Path) -> Packing {
    match kind(path) {
        Kind::Csv(packing) | Kind::Json(packing) => packing,
        Kind::Parquet | Kind::Arrow | Kind::NotRead(_) | Kind::Unknown => Packing::None,
    }
}

/// Opens a file for reading its text.
pub(crate) fn open(path: &Path, reading: &Reading) -> io::Result<Box<dyn BufRead + Send>> {
    let file = reading.open(path)?;
    Ok(match packing(path) {
        Packing::None => Box::new(BufReader::with_capacity(BUFFER_LEN, file)),
        Packing::Gzip => {
            let inner = BufReader::with_capacity(BUFFER_LEN, file);
            Box::new(BufReader::with_capacity(
                BUFFER_LEN,
                flate2::bufread::MultiGzDecoder::new(inner),
            ))
        }
        Packing::Zstd => Box::new(BufReader::with_capacity(BUFFER_LEN, zstd::Decoder::new(file)?)),
    })
}

/// The hash of a file's text, see [`content_hash`].
pub(crate) fn content(path: &Path, reading: &Reading) -> Result<u128, ImportError> {
    content_hash(path, reading)
        .map_err(|error| ImportError::failed(format!("read {}: {error}", path.display())))
}

/// The hash of a file's text: the same however it is packed. Of Parquet and Arrow, of its bytes.
/// What is read for it does not count.
pub(crate) fn content_hash(path: &Path, reading: &Reading) -> io::Result<u128> {
    let mut input = open(path, &reading.uncounted())?;
    let mut hasher = Xxh3::new();
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            return Ok(hasher.digest128());
        }
        hasher.update(buffer);
        let len = buffer.len();
        input.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn the_same_text_has_the_same_hash_however_it_is_packed() {
        let folder = tempfile::tempdir().unwrap();
        let text = b"ts,open,high,low,close\n2024-01-02,1,1,1,1\n";
        let plain = folder.path().join("a.csv");
        std::fs::write(&plain, text).unwrap();
        let gzip = folder.path().join("a.csv.gz");
        let mut out = flate2::write::GzEncoder::new(
            File::create(&gzip).unwrap(),
            flate2::Compression::fast(),
        );
        out.write_all(text).unwrap();
        out.finish().unwrap();
        let zst = folder.path().join("a.csv.zst");
        std::fs::write(&zst, zstd::encode_all(&text[..], 1).unwrap()).unwrap();
        let hash = content_hash(&plain, &Reading::default()).unwrap();
        assert_eq!(content_hash(&gzip, &Reading::default()).unwrap(), hash);
        assert_eq!(content_hash(&zst, &Reading::default()).unwrap(), hash);
    }

    #[test]
    fn folders_are_walked_in_order_and_what_is_not_read_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.csv", "b/a.csv.gz", "a.json.zst", "notes.txt", "b/x.parquet", "b/x.dbn.zst"]
        {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = find(&[folder.path().to_owned()]).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let below = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
            paths.iter().map(|path| below(path).display().to_string()).collect()
        };
        assert_eq!(names(&found.files), ["a.json.zst", "b/a.csv.gz", "b/x.parquet", "c.csv"]);
        assert_eq!(names(&found.left_out), ["b/x.dbn.zst", "notes.txt"]);
        for (name, expected) in [("b/x.dbn.zst", "`dbn FILE --csv`"), ("notes.txt", "give .csv,")] {
            let error = find(&[folder.path().join(name)]).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(matches!(error, ImportError::Usage(_)), "{error:?}");
        }
    }

    #[test]
    fn what_is_neither_a_file_nor_a_folder_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = find(&[path]).unwrap_err();
        assert!(error.to_string().contains("neither a file nor a folder"), "{error}");
        let error = find(&[folder.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("no file to import there"), "{error}");
    }

    #[test]
    fn a_name_suggests_its_symbol() {
        assert_eq!(stem_part(Path::new("x/AAPL_1min.csv.gz")), "AAPL");
        assert_eq!(stem_part(Path::new("4063-T-1d.csv")), "4063");
        assert_eq!(stem(Path::new("x/EA-15m.csv.gz")), "EA-15m");
    }
}
