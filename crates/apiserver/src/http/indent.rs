//! JSON for people: two spaces of indentation, order kept.

/// Indents valid JSON; whitespace between tokens is replaced.
pub fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                string(&mut bytes, &mut out);
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                match bytes.next_if(|b| matches!(b, b'}' | b']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        new_line(depth, &mut out);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(depth, &mut out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(depth, &mut out);
            }
            b':' => out.extend(b": "),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
    }
    out
}

/// Copies the rest of a string, its closing quote included.
fn string(bytes: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    while let Some(byte) = bytes.next() {
        out.push(byte);
        match byte {
            b'"' => return,
            b'\\' => out.extend(bytes.next()),
            _ => {}
        }
    }
}

fn new_line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 2));
}

#[cfg(test)]
mod tests {
    #[test]
    fn indents() {
        let got = super::indent(br#"{"a":[1,"x,{\"y"], "b":{},"c":{"d":null}}"#);
        let expected = "{\n  \"a\": [\n    1,\n    \"x,{\\\"y\"\n  ],\n  \"b\": {},\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(String::from_utf8(got).unwrap(), expected);
    }
}
