//! Padding, so that the length of a sealed message says little about what is in it.

/// Sealed texts are never shorter than this, so that "yes" and "no" look the same.
const PADDING_FLOOR: usize = 256;

/// u32 length ‖ content ‖ zeros, to a Padmé length of at least 256 bytes.
pub(super) fn pad(content: &[u8]) -> Vec<u8> {
    let len = padme(content.len() + 4).max(PADDING_FLOOR);
    let mut padded = Vec::with_capacity(len);
    padded.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(len, 0);
    padded
}

pub(super) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (len, rest) = padded.split_first_chunk::<4>()?;
    let (content, zeros) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    zeros.iter().all(|&byte| byte == 0).then_some(content)
}

/// The Padmé length: at most 12 % longer, and so coarse that it says little (PURBs, 2019).
fn padme(len: usize) -> usize {
    let exponent = len.max(2).ilog2();
    let mantissa = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - mantissa)) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_hides_the_length_and_comes_off_again() {
        for len in [0, 1, 4, 251, 252, 253, 1000, 4096, 60_000] {
            let content = vec![7; len];
            let padded = pad(&content);
            assert!(padded.len() >= PADDING_FLOOR);
            assert!(padded.len() <= (len + 4).max(PADDING_FLOOR) * 112 / 100 + 1, "{len} became {}", padded.len());
            assert_eq!(unpad(&padded), Some(content.as_slice()));
        }
        assert_eq!(pad(b"yes").len(), pad(b"no, not at all").len());
    }

    /// The lengths of the paper's algorithm, and few of them.
    #[test]
    fn long_contents_have_one_of_few_lengths() {
        for (len, padded) in [(252, 256), (253, 272), (355, 368), (1000, 1024), (1021, 1088), (60_000, 61_440)] {
            assert_eq!(pad(&vec![7; len]).len(), padded, "{len}");
        }
        let lengths: std::collections::BTreeSet<usize> = (0..100_000).step_by(7).map(|len| padme(len + 4)).collect();
        assert!(lengths.len() < 200, "{}", lengths.len());
    }

    #[test]
    fn broken_padding_is_refused() {
        assert_eq!(unpad(b""), None);
        assert_eq!(unpad(&[0, 0, 0, 9, 1]), None);
        assert_eq!(unpad(&[0, 0, 0, 1, 1, 1]), None);
    }
}
