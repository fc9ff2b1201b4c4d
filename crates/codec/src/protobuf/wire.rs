//! Protobuf's wire format: numbered values, each a number or bytes.

/// One field of a message as it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub number: u32,
    pub wire: Wire<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    /// The bytes of a string or message; none of a number.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Wire::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn number(self) -> Result<u64, String> {
        match self {
            Wire::Varint(number) | Wire::Fixed64(number) => Ok(number),
            Wire::Fixed32(number) => Ok(number.into()),
            Wire::Bytes(_) => Err("bytes where a number should be".into()),
        }
    }

    pub fn double(self) -> Result<f64, String> {
        match self {
            Wire::Fixed64(bits) => Ok(f64::from_bits(bits)),
            Wire::Fixed32(bits) => Ok(f32::from_bits(bits).into()),
            _ => Err("not a floating-point number".into()),
        }
    }
}

/// The fields of a message in order.
pub(super) fn entries(mut bytes: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| "field number out of range")?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Fixed64(u64::from_le_bytes(fixed(&mut bytes)?)),
            2 => {
                let len = usize::try_from(varint(&mut bytes)?).map_err(|_| END)?;
                Wire::Bytes(take(&mut bytes, len)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(fixed(&mut bytes)?)),
            other => return Err(format!("wire type {other} is not supported")),
        };
        entries.push(Entry { number, wire });
    }
    Ok(entries)
}

/// A packed list of numbers.
pub(super) fn varints(mut bytes: &[u8]) -> Result<Vec<u64>, String> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes)?);
    }
    Ok(numbers)
}

const END: &str = "unexpected EOF";

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or(END)?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("integer overflow".into())
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(END)?;
    *bytes = rest;
    Ok(taken)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let mut out = [0; N];
    out.copy_from_slice(take(bytes, N)?);
    Ok(out)
}

/// Appends a number under its field's number.
pub(super) fn put_number(out: &mut Vec<u8>, field: u16, number: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, number);
}

pub(super) fn put_double(out: &mut Vec<u8>, field: u16, number: f64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, field: u16, bytes: &[u8]) {
    put_length(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends what stands before `length` bytes under their field's number.
pub(super) fn put_length(out: &mut Vec<u8>, field: u16, length: usize) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, length as u64);
}

/// Appends a message that `write` writes in place; its length, known afterwards, is moved in before it.
pub(super) fn put_message<E>(
    out: &mut Vec<u8>,
    field: u16,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_varint(out, u64::from(field) << 3 | 2);
    // Most messages are shorter than 128 bytes: one byte of length.
    let at = out.len();
    out.push(0);
    write(out)?;
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
        return Ok(());
    }
    let mut varint = Vec::with_capacity(5);
    put_varint(&mut varint, length as u64);
    out.splice(at..=at, varint);
    Ok(())
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
