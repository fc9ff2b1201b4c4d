//! The end of a file.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

const BLOCK: u64 = 8 * 1024;

/// Where the last `lines` lines begin; an unfinished line at the end counts as one.
pub async fn start_of_last_lines(file: &mut File, lines: u64) -> io::Result<u64> {
    let size = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(size);
    }
    let (mut at, mut found) = (size, 0);
    let mut block = vec![0; BLOCK as usize];
    while at > 0 {
        let start = at.saturating_sub(BLOCK);
        let part = &mut block[..(at - start) as usize];
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(part).await?;
        for (i, _) in part.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let line_start = start + i as u64 + 1;
            // The newline at the very end ends the last line.
            if line_start == size {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(line_start);
            }
        }
        at = start;
    }
    Ok(0)
}

/// At most so many bytes from the end, from the start of a line.
pub fn last_bytes(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(max);
    file.seek(SeekFrom::Start(start))?;
    let mut data = Vec::new();
    file.take(max).read_to_end(&mut data)?;
    if start > 0 {
        let first = data.iter().position(|b| *b == b'\n').map_or(data.len(), |i| i + 1);
        data.drain(..first);
    }
    Ok(data)
}
