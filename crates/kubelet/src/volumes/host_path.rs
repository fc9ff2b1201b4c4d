//! What a hostPath volume must be before it is mounted.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Checks by the volume's `type`, and makes what `…OrCreate` asks for.
pub fn check(path: &Path, kind: &str) -> Result<(), String> {
    let shown = path.display();
    let failed = |what: &str| Err(format!("hostPath type check failed: {shown} is not a {what}"));
    let found = match fs::metadata(path) {
        Ok(found) => Some(found.file_type()),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(format!("hostPath type check failed: {shown}: {e}")),
    };
    match (kind, found) {
        ("", _) => Ok(()),
        ("DirectoryOrCreate", None) => {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
            made.map_err(|e| format!("create {shown}: {e}"))
        }
        ("FileOrCreate", None) => {
            // Its directory must be there, as upstream has it.
            let made = OpenOptions::new().create(true).append(true).mode(0o644).open(path);
            made.map(drop).map_err(|e| format!("create {shown}: {e}"))
        }
        ("Directory" | "DirectoryOrCreate", Some(t)) if t.is_dir() => Ok(()),
        ("File" | "FileOrCreate", Some(t)) if t.is_file() => Ok(()),
        ("Socket", Some(t)) if t.is_socket() => Ok(()),
        ("CharDevice", Some(t)) if t.is_char_device() => Ok(()),
        ("BlockDevice", Some(t)) if t.is_block_device() => Ok(()),
        ("Directory" | "DirectoryOrCreate", _) => failed("directory"),
        ("File" | "FileOrCreate", _) => failed("file"),
        ("Socket", _) => failed("socket file"),
        ("CharDevice", _) => failed("character device"),
        ("BlockDevice", _) => failed("block device"),
        (other, _) => Err(format!("{other:?} is an invalid volume type")),
    }
}
