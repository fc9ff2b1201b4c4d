//! Container logs in CRI's format (`<time> <stream> <F|P> <text>`): reading with every option of `kubectl logs`, and
//! rotation. Start at [`open`].

mod line;
pub mod rotate;
mod tail;
pub mod watch;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt as _, Shared};
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncSeekExt as _, BufReader};

pub use line::{Line, StreamName};
use watch::Watch;

/// As in `PodLogOptions`.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    pub follow: bool,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only so many lines of what is there.
    pub tail: Option<u64>,
    /// Ends after so many bytes.
    pub limit: Option<u64>,
    /// Both when `None`.
    pub stream: Option<StreamName>,
}

/// Bytes sent together, roughly.
const CHUNK: usize = 16 * 1024;
/// A line that is longer (runtimes cut at 16 KiB) is taken for garbage.
const MAX_LINE: usize = 1024 * 1024;

/// Opens a log. With `follow` the stream goes on until `ended` completes (the container has ended) and everything has
/// been read; rotation does not disturb it.
pub async fn open(
    path: &Path,
    options: LogOptions,
    ended: BoxFuture<'static, ()>,
) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    // Before the first read, so that nothing written after it is missed.
    let watch = if options.follow { path.parent().map(Watch::new).transpose()? } else { None };
    let mut file = File::open(path).await?;
    if let Some(lines) = options.tail {
        let start = tail::start_of_last_lines(&mut file, lines).await?;
        file.seek(io::SeekFrom::Start(start)).await?;
    }
    let inode = file.metadata().await?.ino();
    let reader = Reader {
        path: path.to_owned(),
        left: options.limit,
        options,
        file: BufReader::with_capacity(CHUNK, file),
        inode,
        partial: Vec::new(),
        watch,
        ended: ended.shared(),
        after_end: false,
        done: false,
    };
    Ok(stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await;
        next.map(|chunk| (chunk, reader))
    })
    .boxed())
}

struct Reader {
    path: PathBuf,
    options: LogOptions,
    file: BufReader<File>,
    inode: u64,
    /// Of a line whose end is not written yet.
    partial: Vec<u8>,
    watch: Option<Watch>,
    ended: Shared<BoxFuture<'static, ()>>,
    /// The container has ended; what is read now is the rest.
    after_end: bool,
    /// Bytes until the limit.
    left: Option<u64>,
    done: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        while !self.done {
            let mut out = BytesMut::with_capacity(CHUNK);
            match self.fill(&mut out).await {
                Err(e) => {
                    self.done = true;
                    return Some(Err(e));
                }
                Ok(()) if !out.is_empty() => return Some(Ok(out.freeze())),
                Ok(()) => {}
            }
            if self.done {
                break;
            }
            match self.reopen().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(e) => {
                    self.done = true;
                    return Some(Err(e));
                }
            }
            let Some(watch) = self.watch.as_ref().filter(|_| !self.after_end) else { break };
            tokio::select! {
                changed = watch.changed() => if let Err(e) = changed {
                    self.done = true;
                    return Some(Err(e));
                },
                () = self.ended.clone() => self.after_end = true,
            }
        }
        None
    }

    /// Reads lines until there is enough to send, or nothing more.
    async fn fill(&mut self, out: &mut BytesMut) -> io::Result<()> {
        while out.len() < CHUNK {
            if self.left == Some(0) {
                self.done = true;
                return Ok(());
            }
            let read = self.file.read_until(b'\n', &mut self.partial).await?;
            if !self.partial.ends_with(b"\n") {
                if self.partial.len() > MAX_LINE {
                    self.partial.clear();
                }
                if read == 0 {
                    return Ok(());
                }
                continue;
            }
            let raw = std::mem::take(&mut self.partial);
            if let Some(line) = Line::parse(&raw) {
                self.show(&line, out);
            }
        }
        Ok(())
    }

    fn show(&mut self, line: &Line<'_>, out: &mut BytesMut) {
        let options = &self.options;
        if options.stream.is_some_and(|s| s != line.stream) || options.since.is_some_and(|s| line.time < s) {
            return;
        }
        let before = out.len();
        if options.timestamps {
            out.extend_from_slice(line.time_text.as_bytes());
            out.extend_from_slice(b" ");
        }
        out.extend_from_slice(line.text);
        if !line.partial {
            out.extend_from_slice(b"\n");
        }
        if let Some(left) = &mut self.left {
            let allowed = usize::try_from(*left).unwrap_or(usize::MAX);
            out.truncate(before.saturating_add(allowed));
            *left -= (out.len() - before) as u64;
        }
    }

    /// After the end of the file: another one in its place (rotation) is read from its start.
    async fn reopen(&mut self) -> io::Result<bool> {
        if !self.options.follow {
            return Ok(false);
        }
        let found = match tokio::fs::metadata(&self.path).await {
            Ok(found) => found,
            // Between the rename and the runtime's new file.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        if found.ino() == self.inode {
            return Ok(false);
        }
        let file = File::open(&self.path).await?;
        self.inode = file.metadata().await?.ino();
        self.file = BufReader::with_capacity(CHUNK, file);
        self.partial.clear();
        Ok(true)
    }
}

/// The last lines of a log as text, for terminationMessagePolicy FallbackToLogsOnError.
pub fn last_lines(path: &Path, max_lines: usize, max_bytes: usize) -> io::Result<String> {
    // Long enough for so many bytes of text, whatever the lines' heads add.
    let raw = tail::last_bytes(path, (max_bytes + max_lines * 64) as u64)?;
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for line in raw.split_inclusive(|b| *b == b'\n').filter_map(Line::parse) {
        let mut text = line.text.to_vec();
        if !line.partial {
            text.push(b'\n');
        }
        texts.push(text);
    }
    let first = texts.len().saturating_sub(max_lines);
    let text = texts[first..].concat();
    let cut = text.len().saturating_sub(max_bytes);
    Ok(String::from_utf8_lossy(&text[cut..]).into_owned())
}

/// The first bytes of a small file as text.
pub fn head(path: &Path, max_bytes: usize) -> io::Result<String> {
    use std::io::Read as _;
    let mut data = Vec::new();
    std::fs::File::open(path)?.take(max_bytes as u64).read_to_end(&mut data)?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

#[cfg(test)]
mod tests;
