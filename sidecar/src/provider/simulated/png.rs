//! A PNG of at most four colours, as the specification (ISO/IEC 15948) has it. Nothing is compressed.

use fusebox_rules::image::Size;

/// Bytes in one block that deflate stores as they are.
const MAX_STORED: usize = 65_535;
/// Pixels in one byte: each is a number of two bits.
const PIXELS_A_BYTE: usize = 4;

/// The image of `size` whose pixels, row by row, are the numbers that `row` gives, from 0 to 3, in the colours of
/// `palette`.
pub(super) fn four_colours<'a>(size: Size, palette: &[[u8; 3]; 4], row: impl Fn(u32) -> &'a [u8]) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..size.height {
        // Each row says which filter it went through: none.
        pixels.push(0);
        pixels.extend(row(y).chunks(PIXELS_A_BYTE).map(packed));
    }
    let mut header = Vec::with_capacity(13);
    header.extend(size.width.to_be_bytes());
    header.extend(size.height.to_be_bytes());
    // Two bits a pixel, by palette; the one compression, filters by row, not interlaced.
    header.extend([2, 3, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(*b"IHDR", &header, &mut png);
    chunk(*b"PLTE", palette.as_flattened(), &mut png);
    chunk(*b"IDAT", &zlib_stored(&pixels), &mut png);
    chunk(*b"IEND", &[], &mut png);
    png
}

/// The first pixel in the highest bits.
fn packed(pixels: &[u8]) -> u8 {
    (0..PIXELS_A_BYTE).fold(0, |byte, place| byte << 2 | pixels.get(place).copied().unwrap_or(0) & 0b11)
}

fn chunk(kind: [u8; 4], data: &[u8], png: &mut Vec<u8>) {
    png.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let sum = crc(&png[start..]);
    png.extend(sum.to_be_bytes());
}

/// `data` in zlib's wrapping (RFC 1950), stored (RFC 1951, 3.2.4).
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let blocks = data.len().div_ceil(MAX_STORED);
    let mut stream = Vec::with_capacity(data.len() + 5 * blocks + 6);
    stream.extend([0x78, 0x01]);
    for (index, block) in data.chunks(MAX_STORED).enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(index + 1 == blocks));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler(data).to_be_bytes());
    stream
}

/// Adler-32, as RFC 1950 defines it.
fn adler(data: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// As many bytes as can be added before 32 bits overflow.
    const RUN: usize = 5_552;
    let (mut low, mut high) = (1_u32, 0_u32);
    for run in data.chunks(RUN) {
        for byte in run {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// CRC-32 with the polynomial of ISO 3309, as PNG's annex D computes it.
fn crc(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut sum = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    let step = |sum: u32, byte: &u8| {
        let [low, ..] = sum.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ (sum >> 8)
    };
    !data.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_their_specifications() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
        let long = vec![0xff; 100_000];
        let (mut low, mut high) = (1_u64, 0_u64);
        for _ in 0..100_000 {
            low = (low + 255) % 65_521;
            high = (high + low) % 65_521;
        }
        assert_eq!(u64::from(adler(&long)), high << 16 | low);
    }

    #[test]
    fn a_small_image_is_these_very_bytes() {
        let palette = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
        let row: &[u8] = &[3, 2, 1, 0, 1];
        let png = four_colours(Size { width: 5, height: 1 }, &palette, |_| row);
        let (head, rest) = png.split_at(33);
        assert_eq!(head[..16], *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR");
        assert_eq!(head[16..29], [0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 0, 0, 0]);
        assert_eq!(rest[..8], *b"\0\0\0\x0cPLTE");
        let data = &rest[24..];
        assert_eq!(data[..8], *b"\0\0\0\x0eIDAT");
        assert_eq!(data[8..18], [0x78, 1, 1, 3, 0, 0xfc, 0xff, 0, 0b1110_0100, 0b0100_0000]);
        assert!(png.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn a_long_image_is_stored_in_several_blocks_the_last_of_which_says_so() {
        let stream = zlib_stored(&vec![0; MAX_STORED + 1]);
        assert_eq!(stream[2..7], [0, 0xff, 0xff, 0, 0]);
        assert_eq!(stream[7 + MAX_STORED..12 + MAX_STORED], [1, 1, 0, 0xfe, 0xff]);
    }
}
