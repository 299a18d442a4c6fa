//! How large an image is, from its first bytes: PNG, JPEG, GIF and WebP. Nothing is decoded.

use fusebox_rules::image::Size;

/// The size that `image` says it has; `None`: it is of another kind, or cut short.
pub(super) fn size(image: &[u8]) -> Option<Size> {
    let size = match image {
        [0x89, b'P', b'N', b'G', ..] => Size { width: big(image, 16)?, height: big(image, 20)? },
        [b'G', b'I', b'F', ..] => Size { width: little::<2>(image, 6)?, height: little::<2>(image, 8)? },
        [0xff, 0xd8, segments @ ..] => jpeg(segments)?,
        [b'R', b'I', b'F', b'F', ..] if image.get(8..12)? == b"WEBP" => webp(image)?,
        _ => return None,
    };
    (size.width > 0 && size.height > 0).then_some(size)
}

/// Segments follow each other, each with a marker and its length, until one begins a frame.
fn jpeg(mut segments: &[u8]) -> Option<Size> {
    loop {
        let [0xff, marker, rest @ ..] = segments else { return None };
        match *marker {
            // Padding before a marker.
            0xff => segments = &segments[1..],
            0xc4 | 0xc8 | 0xcc => segments = after(rest)?,
            0xc0..=0xcf => {
                let side = |at: usize| Some(u32::from(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?)));
                return Some(Size { width: side(5)?, height: side(3)? });
            }
            // The picture's data, or its end: no frame has begun.
            0xd9 | 0xda => return None,
            _ => segments = after(rest)?,
        }
    }
}

/// What follows the segment whose length these bytes begin with.
fn after(segment: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes(*segment.first_chunk()?);
    segment.get(usize::from(length.max(2))..)
}

fn webp(image: &[u8]) -> Option<Size> {
    match image.get(12..16)? {
        b"VP8X" => Some(Size { width: little::<3>(image, 24)? + 1, height: little::<3>(image, 27)? + 1 }),
        b"VP8L" => {
            let sides = little::<4>(image, 21)?;
            Some(Size { width: (sides & 0x3fff) + 1, height: (sides >> 14 & 0x3fff) + 1 })
        }
        b"VP8 " => Some(Size { width: little::<2>(image, 26)? & 0x3fff, height: little::<2>(image, 28)? & 0x3fff }),
        _ => None,
    }
}

fn big(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*image.get(at..)?.first_chunk()?))
}

/// A number of so many bytes, the lowest first.
fn little<const BYTES: usize>(image: &[u8], at: usize) -> Option<u32> {
    let bytes: &[u8; BYTES] = image.get(at..)?.first_chunk()?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_says_its_size_in_its_own_way() {
        let jpeg = [
            b"\xff\xd8\xff\xe0\x00\x04ab".as_slice(),
            b"\xff\xff\xc4\x00\x03z",
            b"\xff\xc2\x00\x11\x08\x01\xe0\x02\x80\x03",
        ];
        let known = Some(Size { width: 640, height: 480 });
        let table: [(&[u8], Option<Size>); 9] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08", known),
            (b"GIF89a\x80\x02\xe0\x01", known),
            (&jpeg.concat(), known),
            (b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0", known),
            (b"RIFF\x10\0\0\0WEBPVP8L\x0a\0\0\0\x2f\x7f\xc2\x77\x00", known),
            (b"RIFF\x10\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01", known),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\0", None),
            (b"\xff\xd8\xff\xda\x00\x08", None),
            (b"plain text", None),
        ];
        for (image, expected) in table {
            assert_eq!(size(image), expected, "{image:x?}");
            for cut in 0..image.len() {
                let _ = size(&image[..cut]);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 0_usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let head: &[u8] = [b"\xff\xd8\xff".as_slice(), b"RIFF\0\0\0\0WEBPVP8", b"GIF8", b"\x89PNG"][kind];
            let _ = size(&[head, &bytes].concat());
        }
    }
}
