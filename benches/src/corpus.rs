//! Made-up conversations, the same in every run: 80 bytes on average, a few busy chats and many quiet ones, some Chinese.

use comptoir_content::{AccountId, Body, Content, ConversationId, Hash, Text, Timestamp, Uid};

/// In about one message out of ten.
pub(crate) const COMMON: &str = "croissant";
/// In exactly [`RARE_MESSAGES`] messages.
pub(crate) const RARE: &str = "zanzibar";
pub(crate) const RARE_MESSAGES: usize = 5;
/// Two characters that stand in the middle of a longer run, as they do in Chinese.
pub(crate) const HAN: &str = "包店";
const HAN_RUN: &str = "面包店开门";

/// When the first message was sent: an evening in 2023.
const BEGAN_MS: i64 = 1_700_000_000_000;

/// A chat before anything is said in it.
#[derive(Clone, Copy)]
pub(crate) struct Chat {
    pub(crate) peer: AccountId,
    pub(crate) uid: ConversationId,
}

/// A message as it stands in a row.
pub(crate) struct Said {
    /// Which chat, from 0.
    pub(crate) chat: usize,
    pub(crate) uid: Uid,
    pub(crate) mine: bool,
    pub(crate) sent_at_ms: i64,
    pub(crate) text: String,
    /// The text as the search index takes it: words, and pairs of characters where there are no spaces.
    pub(crate) words: String,
    pub(crate) content: Vec<u8>,
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }

    /// 0 is the most frequent, 1 half as frequent, and so on (Zipf's law), in `cumulated` weights.
    fn rank(&mut self, cumulated: &[f64]) -> usize {
        let total = cumulated.last().copied().unwrap_or(1.0);
        let at = (self.next() >> 11) as f64 / (1u64 << 53) as f64 * total;
        cumulated.partition_point(|weight| *weight < at).min(cumulated.len().saturating_sub(1))
    }
}

/// `chats` chats of the account `me`.
pub(crate) fn chats(me: AccountId, count: usize) -> Vec<Chat> {
    let mut dice = Dice::new(1);
    let peers = std::iter::repeat_with(|| AccountId(dice.bytes())).take(count);
    peers.map(|peer| Chat { peer, uid: ConversationId::between(me, peer) }).collect()
}

/// `count` messages in the order of their arrival; at least one in each of the chats.
pub(crate) struct Corpus {
    dice: Dice,
    chats: Vec<f64>,
    words: Vec<f64>,
    count: usize,
    made: usize,
}

impl Corpus {
    pub(crate) fn new(chats: usize, count: usize) -> Self {
        Self { dice: Dice::new(2), chats: zipf(chats), words: zipf(4_000), count, made: 0 }
    }

    fn text(&mut self, n: usize) -> (String, String) {
        let mut words: Vec<String> = Vec::new();
        let len = 4 + self.dice.below(14);
        for _ in 0..len {
            words.push(word(self.dice.rank(&self.words)));
        }
        if self.dice.below(10) == 0 {
            words.push(COMMON.to_owned());
        }
        let between = (self.count / RARE_MESSAGES).max(1);
        if n.is_multiple_of(between) && n / between < RARE_MESSAGES {
            words.push(RARE.to_owned());
        }
        let (mut text, mut indexed) = (words.join(" "), words.join(" "));
        if self.dice.below(20) == 0 {
            text.push_str(&format!(" {HAN_RUN}"));
            let characters: Vec<char> = HAN_RUN.chars().collect();
            for pair in characters.windows(2) {
                indexed.extend([' ', pair[0], pair[1], ' ']);
            }
        }
        (text, indexed)
    }
}

impl Iterator for Corpus {
    type Item = Said;

    fn next(&mut self) -> Option<Said> {
        let n = self.made;
        if n == self.count {
            return None;
        }
        self.made += 1;
        let chat = if n < self.chats.len() { n } else { self.dice.rank(&self.chats) };
        let sent_at_ms = BEGAN_MS + i64::try_from(n).unwrap_or(0) * 60_000;
        let (text, words) = self.text(n);
        let mut uid: [u8; 16] = self.dice.bytes();
        // As ours are: the time comes first.
        uid[..6].copy_from_slice(&sent_at_ms.to_be_bytes()[2..]);
        let uid = Uid(uid);
        // As a client keeps it: the words are in a column of their own.
        let content = Content::new(uid, Timestamp(sent_at_ms), Body::Text(Text::plain(""))).encode();
        Some(Said { chat, uid, mine: self.dice.below(2) == 0, sent_at_ms, text, words, content })
    }
}

fn zipf(count: usize) -> Vec<f64> {
    let weights = (1..=count).scan(0.0, |sum, rank| {
        *sum += 1.0 / rank as f64;
        Some(*sum)
    });
    weights.collect()
}

/// The word of a rank: short when it is frequent.
fn word(rank: usize) -> String {
    let digest = Hash::of(&rank.to_be_bytes()).0;
    let len = 2 + (rank + 1).ilog2() as usize / 2 + usize::from(digest[31] % 3);
    digest.iter().take(len).map(|byte| char::from(b'a' + byte % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_reads_the_same() {
        let all: Vec<Said> = Corpus::new(50, 2_000).collect();
        let again: Vec<Said> = Corpus::new(50, 2_000).collect();
        assert!(all.iter().zip(&again).all(|(one, other)| one.content == other.content));
        assert_eq!(all.iter().filter(|said| said.text.contains(RARE)).count(), RARE_MESSAGES);
        let common = all.iter().filter(|said| said.text.contains(COMMON)).count();
        assert!((100..400).contains(&common), "{common}");
        assert!((0..50).all(|chat| all.iter().any(|said| said.chat == chat)));
        let bytes: usize = all.iter().map(|said| said.text.len()).sum();
        assert!((50..110).contains(&(bytes / all.len())), "{}", bytes / all.len());
    }
}
