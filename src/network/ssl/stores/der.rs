//! Reads DER, and the parts of BER that PKCS#12 files use: indefinite lengths and octet strings in
//! pieces. Java: `sun.security.util.DerValue`, `DerIndefLenConverter`.

use std::borrow::Cow;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]` with nested elements.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[0] IMPLICIT OCTET STRING` in one piece.
pub(super) const CONTEXT_0_OCTETS: u8 = 0x80;

const CONSTRUCTED: u8 = 0x20;
/// The number that marks a tag of more than one byte. None of the supported elements has one.
const LONG_TAG: u8 = 0x1f;
const INDEFINITE: u8 = 0x80;
/// The deepest nesting. Real files have about ten levels.
const MAX_DEPTH: u32 = 32;

/// The bytes are not BER, or not the expected elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A tag and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// The element including its tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Parses bytes that hold exactly one element.
    pub(super) fn only(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut elements = Elements(bytes);
        let element = elements.next()?;
        elements.end()?;
        Ok(element)
    }

    /// Returns the nested elements, if the tag is the expected one.
    pub(super) fn inside(self, tag: u8) -> Result<Elements<'a>, Malformed> {
        if self.tag == tag {
            Ok(Elements(self.content))
        } else {
            Err(Malformed)
        }
    }

    /// Returns the single nested element, if the tag is the expected one.
    pub(super) fn wrapped(self, tag: u8) -> Result<Self, Malformed> {
        let mut elements = self.inside(tag)?;
        let element = elements.next()?;
        elements.end()?;
        Ok(element)
    }

    /// Returns the bytes of an octet string, `[0] IMPLICIT` or not.
    pub(super) fn octets(self) -> Result<Cow<'a, [u8]>, Malformed> {
        match self.tag {
            OCTET_STRING | CONTEXT_0_OCTETS => Ok(Cow::Borrowed(self.content)),
            CONTEXT_0 | 0x24 => {
                let mut joined = Vec::new();
                let mut pieces = Elements(self.content);
                while !pieces.is_empty() {
                    let piece = pieces.next()?;
                    if piece.tag != OCTET_STRING {
                        return Err(Malformed);
                    }
                    joined.extend_from_slice(piece.content);
                }
                Ok(Cow::Owned(joined))
            }
            _ => Err(Malformed),
        }
    }

    /// Returns an integer from 0 to `u32::MAX`.
    pub(super) fn number(self) -> Result<u32, Malformed> {
        match (self.tag, self.content) {
            (INTEGER, [first, rest @ ..]) if *first < 0x80 => {
                let digits = if *first == 0 { rest } else { self.content };
                if digits.len() > 4 {
                    return Err(Malformed);
                }
                Ok(digits
                    .iter()
                    .fold(0, |number, digit| number << 8 | u32::from(*digit)))
            }
            _ => Err(Malformed),
        }
    }

    /// Returns the encoding of an object identifier.
    pub(super) fn oid(self) -> Result<&'a [u8], Malformed> {
        match self.tag {
            OBJECT_IDENTIFIER => Ok(self.content),
            _ => Err(Malformed),
        }
    }
}

/// A sequence of elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    ///
    /// Elements remain.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Takes the next element.
    pub(super) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let (element, rest) = element(self.0, MAX_DEPTH)?;
        self.0 = rest;
        Ok(element)
    }

    /// Takes the next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.0.first() == Some(&tag) {
            self.next().map(Some)
        } else {
            Ok(None)
        }
    }
}

fn element(bytes: &[u8], depth: u32) -> Result<(Element<'_>, &[u8]), Malformed> {
    let [tag, length, rest @ ..] = bytes else {
        return Err(Malformed);
    };
    if tag & LONG_TAG == LONG_TAG {
        return Err(Malformed);
    }
    let (content, after) = match *length {
        INDEFINITE => indefinite(*tag, rest, depth)?,
        length if length < INDEFINITE => split(rest, usize::from(length))?,
        length => {
            let (digits, rest) = split(rest, usize::from(length & !INDEFINITE))?;
            let significant = digits.iter().skip_while(|digit| **digit == 0);
            if significant.clone().count() > 4 {
                return Err(Malformed);
            }
            let length = significant.fold(0_u32, |length, digit| length << 8 | u32::from(*digit));
            split(rest, usize::try_from(length).map_err(|_| Malformed)?)?
        }
    };
    let (whole, _) = split(bytes, bytes.len() - after.len())?;
    let element = Element {
        tag: *tag,
        content,
        whole,
    };
    Ok((element, after))
}

/// Returns the content before the two zeros that end it, and the bytes after them.
fn indefinite(tag: u8, bytes: &[u8], depth: u32) -> Result<(&[u8], &[u8]), Malformed> {
    if tag & CONSTRUCTED == 0 || depth == 0 {
        return Err(Malformed);
    }
    let mut rest = bytes;
    loop {
        if let [0, 0, after @ ..] = rest {
            let (content, _) = split(bytes, bytes.len() - rest.len())?;
            return Ok((content, after));
        }
        (_, rest) = element(rest, depth - 1)?;
    }
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), Malformed> {
    bytes.split_at_checked(at).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(bytes: &[u8]) -> Result<Element<'_>, Malformed> {
        Element::only(bytes)
    }

    #[test]
    fn lengths_of_every_form_are_read() {
        assert_eq!(only(&[4, 1, 7]).unwrap().content, [7]);
        assert_eq!(only(&[4, 0x81, 1, 7]).unwrap().content, [7]);
        assert_eq!(only(&[4, 0x86, 0, 0, 0, 0, 0, 1, 7]).unwrap().content, [7]);
        let nested = only(&[0x30, 0x80, 0x30, 0x80, 4, 1, 7, 0, 0, 2, 1, 5, 0, 0]).unwrap();
        let mut inside = nested.inside(SEQUENCE).unwrap();
        assert_eq!(
            inside.next().unwrap().wrapped(SEQUENCE).unwrap().content,
            [7]
        );
        assert_eq!(inside.next().unwrap().number(), Ok(5));
        inside.end().unwrap();
        let pieces = only(&[0x24, 0x80, 4, 1, 7, 4, 2, 8, 9, 0, 0]).unwrap();
        assert_eq!(*pieces.octets().unwrap(), [7, 8, 9]);
    }

    #[test]
    fn malformed_elements_are_refused() {
        let deep = [0x30, 0x80].repeat(10_000);
        for bytes in [
            &[][..],
            &[4],
            &[4, 2, 7],
            &[4, 1, 7, 0],
            &[4, 0x80, 7, 0, 0],
            &[0x30, 0x80, 4, 1, 7],
            &[0x1f, 1, 7],
            &[4, 0x85, 1, 0, 0, 0, 0, 7],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 7],
            &[4, 0xff],
            &deep,
        ] {
            assert!(only(bytes).is_err(), "{:?}", &bytes[..bytes.len().min(8)]);
        }
    }

    #[test]
    fn numbers_have_four_bytes_at_most_and_no_sign() {
        let number = |content: &[u8]| {
            let bytes = [&[INTEGER, u8::try_from(content.len()).unwrap()], content].concat();
            only(&bytes).unwrap().number()
        };
        assert_eq!(number(&[0x27, 0x10]), Ok(10_000));
        assert_eq!(number(&[0, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
        for wrong in [&[][..], &[0x80], &[1, 0, 0, 0, 0], &[0, 1, 0, 0, 0, 0]] {
            assert_eq!(number(wrong), Err(Malformed));
        }
    }
}
