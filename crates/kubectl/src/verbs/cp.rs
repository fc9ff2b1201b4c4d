//! `cp`: files to and from containers, as a tar stream through exec.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::{Error, Result, io};
use crate::pods;
use crate::remote::{self, ERROR, Ends, STDERR, STDOUT};
use crate::session::Session;
use crate::targets::Target;
use crate::verbs::exec::{Streams, path};

/// A place: in a pod, or here.
#[derive(Debug, PartialEq)]
struct Place {
    pod: Option<(String, String)>,
    file: String,
}

/// `namespace/pod:path`, `pod:path`, or a path here.
fn parse(text: &str) -> Result<Place> {
    let Some((pod, file)) = text.split_once(':') else {
        return Ok(Place { pod: None, file: text.to_owned() });
    };
    if pod.is_empty() {
        return Err(Error::text("filespec must match the canonical format: [[namespace/]pod:]file/path"));
    }
    match pod.split('/').collect::<Vec<_>>()[..] {
        [pod] => Ok(Place { pod: Some((String::new(), pod.to_owned())), file: file.to_owned() }),
        [namespace, pod] => {
            Ok(Place { pod: Some((namespace.to_owned(), pod.to_owned())), file: file.to_owned() })
        }
        _ => Err(Error::text("filespec must match the canonical format: [[namespace/]pod:]file/path")),
    }
}

pub fn run(session: &Session) -> Result<()> {
    let [from, to] = &session.call.args[..] else {
        return Err(Error::text("source and destination are required"));
    };
    let (from, to) = (parse(from)?, parse(to)?);
    if from.pod.is_some() && to.pod.is_some() {
        return Err(Error::text("one of src or dest must be a local file specification"));
    }
    if from.file.is_empty() || to.file.is_empty() {
        return Err(Error::text("filepath can not be empty"));
    }
    match (&from.pod, &to.pod) {
        (Some(pod), None) => download(session, pod, &from.file, &to.file),
        (None, Some(pod)) => upload(session, pod, &from.file, &to.file),
        _ => Err(Error::text("one of src or dest must be a remote file specification")),
    }
}

fn find(session: &Session, (namespace, name): &(String, String)) -> Result<(Target, String)> {
    let pod = match namespace.as_str() {
        "" => pods::of(session, name)?,
        namespace => {
            let resource = session.discovery()?.find(session, "pods")?;
            let object = session.get(&resource.path(namespace, name))?;
            Target::of(resource, object)
        }
    };
    let container = pods::container(&pod.object, session.call.text("container"), false)?;
    Ok((pod, container))
}

/// Runs a command in the container, its streams in our hands.
fn exec(
    session: &Session,
    (pod, container): &(Target, String),
    command: &[&str],
    stdin: Option<mpsc::Receiver<Bytes>>,
    stdout: &mut dyn Write,
) -> Result<()> {
    let command: Vec<String> = command.iter().map(|w| (*w).to_owned()).collect();
    let streams = Streams { stdin: stdin.is_some(), tty: false, quiet: true };
    let path = path(pod, "exec", container, &command, &streams);
    session.block_on(async {
        let channels = remote::open(session, &path, "v5.channel.k8s.io", &[STDOUT, STDERR, ERROR]).await?;
        // As stock: what the container's tar complains of is told on stdout.
        let mut err = std::io::stdout();
        remote::carry(channels, Ends { stdin, stdout, stderr: &mut err, sizes: None }).await
    })?
}

/// Pieces that are written become messages.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Bytes::copy_from_slice(data)).map_err(gone)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn upload(session: &Session, pod: &(String, String), from: &str, to: &str) -> Result<()> {
    let source = PathBuf::from(from);
    let meta = std::fs::metadata(&source)
        .map_err(|_| Error::text(format!("{from} doesn't exist in local filesystem")))?;
    let place = find(session, pod)?;
    // Into a directory that is there, under its own name.
    let into = to.trim_end_matches('/');
    let is_dir = exec(session, &place, &["test", "-d", to], None, &mut std::io::sink()).is_ok();
    let base =
        source.canonicalize()?.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let target = if is_dir { format!("{into}/{base}") } else { into.to_owned() };
    let (dir, name) = target
        .rsplit_once('/')
        .map_or((".", target.as_str()), |(d, n)| (if d.is_empty() { "/" } else { d }, n));
    let (sender, receiver) = mpsc::channel(8);
    let name = name.to_owned();
    let writing = std::thread::spawn(move || -> std::io::Result<()> {
        let mut archive = tar::Builder::new(Pieces(sender));
        archive.follow_symlinks(false);
        match meta.is_dir() {
            true => archive.append_dir_all(&name, &source)?,
            false => archive.append_path_with_name(&source, &name)?,
        }
        archive.finish()
    });
    let mut command = vec!["tar"];
    if session.call.is("no-preserve") {
        command.extend(["--no-same-permissions", "--no-same-owner"]);
    }
    command.extend(["-xmf", "-", "-C", dir]);
    let done = exec(session, &place, &command, Some(receiver), &mut std::io::stdout());
    match writing.join() {
        Ok(Err(e)) if done.is_ok() => Err(Error::text(format!("read {from}: {e}"))),
        _ => done,
    }
}

/// What arrives is handed to whom unpacks it.
struct Handed(std::sync::mpsc::SyncSender<Vec<u8>>);

impl Write for Handed {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.send(data.to_vec()).map_err(gone)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Taken {
    pieces: std::sync::mpsc::Receiver<Vec<u8>>,
    rest: std::io::Cursor<Vec<u8>>,
}

impl std::io::Read for Taken {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let n = self.rest.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            match self.pieces.recv() {
                Ok(piece) => self.rest = std::io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}

fn download(session: &Session, pod: &(String, String), from: &str, to: &str) -> Result<()> {
    let place = find(session, pod)?;
    let base = from.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let destination = match Path::new(to).is_dir() {
        true => Path::new(to).join(&base),
        false => PathBuf::from(to),
    };
    let (sender, pieces) = std::sync::mpsc::sync_channel(8);
    let prefix = from.trim_matches('/').to_owned();
    let unpacking = std::thread::spawn(move || {
        unpack(Taken { pieces, rest: std::io::Cursor::default() }, &prefix, &destination)
    });
    let mut out = Handed(sender);
    let done = exec(session, &place, &["tar", "cf", "-", from], None, &mut out);
    drop(out);
    match unpacking.join() {
        Ok(Err(e)) => done.and(Err(e)),
        _ => done,
    }
}

/// Unpacks what lies under `prefix` as `destination`. Nothing is written outside of it.
fn unpack(from: Taken, prefix: &str, destination: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside = path.strip_prefix(prefix).unwrap_or(&path).to_owned();
        if inside.components().any(|c| matches!(c, Component::ParentDir | Component::RootDir)) {
            eprintln!("warning: file \"{}\" is outside target destination, skipping", path.display());
            continue;
        }
        let target =
            if inside.as_os_str().is_empty() { destination.to_owned() } else { destination.join(&inside) };
        match entry.header().entry_type() {
            tar::EntryType::Directory => std::fs::create_dir_all(&target)?,
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let link = entry.link_name()?.map(|l| l.display().to_string()).unwrap_or_default();
                eprintln!(
                    "warning: skipping symlink: \"{}\" -> \"{link}\" (consider using `kubectl exec -n NAMESPACE POD -- tar cf - PATH | tar xf -`)",
                    target.display()
                );
            }
            _ => {
                if let Some(dir) = target.parent() {
                    std::fs::create_dir_all(dir)?;
                }
                let shown = target.display().to_string();
                let mut file = std::fs::File::create(&target).map_err(|e| io("open", &shown, &e))?;
                std::io::copy(&mut entry, &mut file)?;
            }
        }
    }
    Ok(())
}
