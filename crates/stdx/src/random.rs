//! The one seam for randomness: seeded, so that a run can be repeated.

use std::sync::{Arc, Mutex, PoisonError};

/// A seeded generator (SplitMix64), shared by clones. Not for secrets: those come from
/// [`Random::secret`], which reads the operating system.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<u64>>);

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Random(Arc::new(Mutex::new(seed)))
    }

    /// A generator seeded by the operating system.
    pub fn from_os() -> Self {
        let mut seed = [0u8; 8];
        Self::secret(&mut seed);
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// `len` characters of Kubernetes' safe alphabet (no vowels, no look-alikes), as in generated names.
    pub fn name_suffix(&self, len: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..len).map(|_| ALPHABET[self.below(ALPHABET.len() as u64) as usize] as char).collect()
    }

    /// Sixteen random bytes in the form of a version 4 UUID, for `metadata.uid`.
    pub fn uuid(&self) -> String {
        let mut b = [0u8; 16];
        b[..8].copy_from_slice(&self.next_u64().to_be_bytes());
        b[8..].copy_from_slice(&self.next_u64().to_be_bytes());
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(36);
        for (at, byte) in b.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(HEX[usize::from(byte >> 4)] as char);
            text.push(HEX[usize::from(byte & 15)] as char);
        }
        text
    }

    /// Fills `out` from the operating system's generator.
    pub fn secret(out: &mut [u8]) {
        use std::io::Read;
        // /dev/urandom never blocks after boot and cannot fail on a mounted /dev.
        let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(out));
        assert!(read.is_ok(), "cannot read /dev/urandom: {read:?}");
    }
}
