//! What is too large for one symbol comes back from several, in any order, or says what is missing.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test")]

use comptoir_qr::{JoinError, Joiner, MAX_SPLIT_BYTES, Symbol, read_picture, split};
use proptest::prelude::*;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn parts_come_back_from_their_pictures() {
    let receipt = bytes(2870);
    let parts = split(&receipt).unwrap();
    assert_eq!(parts.len(), 9);
    let mut joiner = Joiner::default();
    let mut whole = None;
    for (at, part) in parts.iter().enumerate().rev() {
        let symbol = Symbol::of_text(part).unwrap();
        assert!(symbol.version() <= 15, "{}", symbol.version());
        let codes = read_picture(&symbol.png(3).unwrap()).unwrap();
        assert_eq!(whole, None);
        whole = joiner.add(codes[0].text.as_deref().unwrap()).unwrap();
        assert_eq!((joiner.count(), joiner.missing()), (Some(9), (0..at).collect()));
    }
    assert_eq!(whole, Some(receipt));
}

#[test]
fn the_same_part_twice_is_one_part_and_another_ones_is_refused() {
    let (ours, theirs) = (split(&bytes(700)).unwrap(), split(&bytes(701)).unwrap());
    let mut joiner = Joiner::default();
    assert_eq!(joiner.count(), None);
    assert_eq!(joiner.add(&ours[0]), Ok(None));
    assert_eq!(joiner.add(&ours[0].to_lowercase()), Ok(None));
    assert_eq!(joiner.add(&theirs[1]), Err(JoinError::OfAnother));
    assert_eq!(joiner.add("https://bakery.example/"), Err(JoinError::NotAPart));
    assert_eq!(joiner.missing(), [1, 2]);
    assert_eq!(joiner.add(&format!(" {}\n", ours[2])), Ok(None));
    assert_eq!(joiner.add(&ours[1]), Ok(Some(bytes(700))));
}

#[test]
fn what_is_damaged_is_said_to_be() {
    let [part] = split(b"a small receipt").unwrap().try_into().unwrap();
    for end in "COMPTOIR:P".len()..part.len() {
        assert_eq!(Joiner::default().add(&part[..end]), Err(JoinError::Damaged), "{end}");
    }
    let changed = part.replacen('A', "B", 1);
    assert_eq!(Joiner::default().add(&changed), Err(JoinError::Damaged));
    assert_eq!(Joiner::default().add(&format!("{part}{}", "A".repeat(4000))), Err(JoinError::Damaged));
    for text in ["", "COMPTOIR:", "COMPTOIR:CAAAA", "comptoir:é"] {
        assert_eq!(Joiner::default().add(text), Err(JoinError::NotAPart), "{text}");
    }
}

#[test]
fn the_limits_of_size_hold() {
    assert_eq!(split(&[]), Err(JoinError::Empty));
    assert_eq!(split(&bytes(MAX_SPLIT_BYTES)).unwrap().len(), 48);
    let size_bytes = MAX_SPLIT_BYTES + 1;
    assert_eq!(split(&bytes(size_bytes)), Err(JoinError::TooLarge { size_bytes }));
}

proptest! {
    #[test]
    fn any_whole_comes_back_in_any_order(len in 1_usize..5000, seed in any::<u64>()) {
        let whole = bytes(len);
        let mut parts = split(&whole).unwrap();
        parts.sort_by_key(|part| part.bytes().fold(seed, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)));
        let mut joiner = Joiner::default();
        let (last, others) = parts.split_last().unwrap();
        for part in others {
            prop_assert_eq!(joiner.add(part), Ok(None));
        }
        prop_assert_eq!(joiner.missing().len(), usize::from(parts.len() > 1));
        prop_assert_eq!(joiner.add(last), Ok(Some(whole)));
    }

    #[test]
    fn no_text_panics(text in "(COMPTOIR:P)?[A-Z2-7]{0,300}") {
        let _ = Joiner::default().add(&text);
    }
}
