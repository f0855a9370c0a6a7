//! Where a body ends (RFC 9112 §6 and §7).

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// Until the connection ends; only answers.
    Close,
}

/// Not a body in its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad;

const MOST_SIZE_LINE: usize = 512;
const MOST_TRAILERS: usize = 8 * 1024;

/// Takes the framing off, piece by piece.
#[derive(Debug)]
pub(crate) struct Decoder(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Left(u64),
    UntilClose,
    Size {
        value: u64,
        digits: u8,
        read: usize,
        part: SizePart,
    },
    Data(u64),
    /// The line end after the data of a chunk; how many of its bytes were seen.
    DataEnd(u8),
    Trailer {
        read: usize,
        line: usize,
        cr: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SizePart {
    Digits,
    Extension,
    Cr,
}

const SIZE: State = State::Size { value: 0, digits: 0, read: 0, part: SizePart::Digits };

/// So many bytes of the input are done with, of which the last `data` belong to the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) consumed: usize,
    pub(crate) data: usize,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Left(length),
            Framing::Chunked => SIZE,
            Framing::Close => State::UntilClose,
        })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.0 == State::UntilClose
    }

    /// The next piece of `input`, which is not empty: framing, then perhaps data.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<Step, Bad> {
        let mut at = 0;
        while at < input.len() {
            let left = input.len() - at;
            match &mut self.0 {
                State::Done => break,
                State::UntilClose => return Ok(Step { consumed: input.len(), data: left }),
                State::Left(length) => {
                    let data = left.min(usize::try_from(*length).unwrap_or(usize::MAX));
                    *length -= data as u64;
                    if *length == 0 {
                        self.0 = State::Done;
                    }
                    return Ok(Step { consumed: at + data, data });
                }
                State::Data(length) => {
                    let data = left.min(usize::try_from(*length).unwrap_or(usize::MAX));
                    *length -= data as u64;
                    if *length == 0 {
                        self.0 = State::DataEnd(0);
                    }
                    return Ok(Step { consumed: at + data, data });
                }
                _ => {
                    self.0 = framing(self.0, input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step { consumed: at, data: 0 })
    }
}

/// One byte of framing.
fn framing(state: State, byte: u8) -> Result<State, Bad> {
    Ok(match state {
        State::Size { value, digits, read, part } => {
            if read >= MOST_SIZE_LINE {
                return Err(Bad);
            }
            let read = read + 1;
            match (part, byte) {
                (SizePart::Digits, byte) if byte.is_ascii_hexdigit() => {
                    let digit = (byte as char).to_digit(16).ok_or(Bad)?;
                    if digits >= 15 {
                        return Err(Bad);
                    }
                    State::Size { value: value << 4 | u64::from(digit), digits: digits + 1, read, part }
                }
                (SizePart::Digits, b';' | b' ' | b'\t') if digits > 0 => {
                    State::Size { value, digits, read, part: SizePart::Extension }
                }
                (SizePart::Digits | SizePart::Extension, b'\r') if digits > 0 => {
                    State::Size { value, digits, read, part: SizePart::Cr }
                }
                (SizePart::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Size { value, digits, read, part },
                (SizePart::Cr, b'\n') if value == 0 => State::Trailer { read: 0, line: 0, cr: false },
                (SizePart::Cr, b'\n') => State::Data(value),
                _ => return Err(Bad),
            }
        }
        State::DataEnd(0) if byte == b'\r' => State::DataEnd(1),
        State::DataEnd(1) if byte == b'\n' => SIZE,
        State::Trailer { cr: true, line, read } if byte == b'\n' => {
            if line == 0 {
                State::Done
            } else {
                State::Trailer { read: read + 1, line: 0, cr: false }
            }
        }
        State::Trailer { read, line, cr: false } if read < MOST_TRAILERS && byte != b'\n' && byte != 0 => {
            let cr = byte == b'\r';
            State::Trailer { read: read + 1, line: line + usize::from(!cr), cr }
        }
        _ => return Err(Bad),
    })
}

/// Puts `data` into `out`, as a chunk where `chunked`.
pub(crate) fn encode(out: &mut Vec<u8>, data: &[u8], chunked: bool) {
    if data.is_empty() {
        return;
    }
    if !chunked {
        return out.extend_from_slice(data);
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let length = data.len();
    let mut shift = (usize::BITS - length.leading_zeros()).div_ceil(4) * 4;
    while shift > 0 {
        shift -= 4;
        out.push(DIGITS[length >> shift & 15]);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, and how much of the input it took; none when it is not whole.
    fn decode(input: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, Bad> {
        let (mut decoder, mut body, mut at) = (Decoder::new(Framing::Chunked), Vec::new(), 0);
        while at < input.len() && !decoder.is_done() {
            let piece = &input[at..(at + cut).min(input.len())];
            let step = decoder.step(piece)?;
            body.extend_from_slice(&piece[step.consumed - step.data..step.consumed]);
            at += step.consumed;
        }
        Ok(decoder.is_done().then_some((body, at)))
    }

    #[test]
    fn chunks_are_read_strictly() {
        for cut in [1, 2, 3, 100] {
            assert_eq!(decode(b"3\r\nabc\r\n0\r\n\r\nGET", cut), Ok(Some((b"abc".to_vec(), 13))));
            assert_eq!(decode(b"a;x=\"y\"\r\n0123456789\r\n00\r\nt: 1\r\n\r\n", cut).unwrap().unwrap().1, 33);
            assert_eq!(decode(b"3\r\nabc\r\n0\r\n", cut), Ok(None));
            for bad in [
                &b"3\nabc\r\n0\r\n\r\n"[..],
                b"3\r\nabcd\r\n0\r\n\r\n",
                b"3\r\nabc\n0\r\n\r\n",
                b"-3\r\nabc\r\n",
                b"+3\r\nabc\r\n",
                b"0x3\r\nabc\r\n",
                b"\r\n",
                b" 3\r\nabc\r\n",
                b"3;a\nb\r\nabc\r\n",
                b"3;a\r\rabc\r\n",
                b"ffffffffffffffff1\r\n",
                b"0\r\n\n",
                b"0\r\nt: 1\n\r\n",
            ] {
                assert_eq!(decode(bad, cut), Err(Bad), "{:?}", String::from_utf8_lossy(bad));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
                                      cut in 1_usize..400) {
            let mut wire = Vec::new();
            pieces.iter().for_each(|piece| encode(&mut wire, piece, true));
            wire.extend_from_slice(LAST_CHUNK);
            let length = wire.len();
            wire.extend_from_slice(b"GET / HTTP/1.1\r\n");
            prop_assert_eq!(decode(&wire, cut), Ok(Some((pieces.concat(), length))));
        }

        #[test]
        fn nothing_panics(input in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..50) {
            let _ = decode(&input, cut);
        }
    }
}
