//! What can happen in a storm. A seed gives a list of steps; a step says whom it happens to by number, so that a list from
//! which steps were taken out still means something.

/// Draws numbers from a seed: SplitMix64.
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end.max(1) as u64).unwrap_or(0)
    }
}

/// What becomes of a frame or a call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    /// It arrives, its answer does not, and the line is broken.
    AnswerLost,
    /// It does not arrive, and the line is broken.
    Lost,
    /// It arrives, and a second time.
    Twice,
}

/// One thing that happens. Devices, people and cards are numbers, taken modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A device of a person writes to somebody, whom it meets first if need be.
    Say { device: usize, to: usize },
    /// A device says that it has read its newest chat.
    Read { device: usize },
    /// A customer taps what the shop has to sell.
    Tap { device: usize, product: usize },
    /// A customer pays the newest bill, or tries to pay it again.
    Pay { device: usize },
    /// A customer types a card into the newest payment page.
    Card { device: usize, card: usize },
    /// The customer's bank asks, and is answered.
    Bank { device: usize, approves: bool },
    /// The payment sheet closes, with whatever it says.
    Close { device: usize, hint: usize },
    /// A device's line comes up.
    Connect { device: usize },
    /// A device's line breaks.
    Hang { device: usize },
    /// Up to `frames` frames go from a device to the relay, the last of them with this fate.
    Carry { device: usize, frames: usize, fate: Fate },
    /// Up to `frames` frames go from the relay to a device.
    Hear { device: usize, frames: usize },
    /// A device looks at the clock.
    Tick { device: usize },
    /// The till does what is due; the first call to the provider has this fate.
    Work { fate: Fate },
    /// The provider's next webhook is carried to the till.
    Webhook { fate: Fate },
    /// The shop gives back some of the newest payment, in minor units, or all of it.
    Refund { amount_minor: Option<i64> },
    /// Time goes by for everybody.
    Pass { minutes: i64 },
    /// A device's own clock goes wrong by so much.
    Skew { device: usize, minutes: i64 },
    /// A device is killed at the `point`-th crash point that it comes to from now on, and starts again.
    Kill { device: usize, point: u32 },
    /// A device, or the relay, loses its power at the `operation`-th thing that it does to its disk from now on, and what its
    /// disk had not synced is there in part, as `seed` has it. It starts again.
    PowerCut { place: usize, operation: u64, seed: u64 },
    /// A copy of a device's folder is taken aside, as by a backup.
    Copied { device: usize },
    /// A device's folder is replaced by its copy: it is what it was then, and knows nothing of it.
    Restored { device: usize },
    /// The relay is killed and starts again: all lines break.
    RelayFalls,
    /// A copy of the relay's database is taken aside.
    RelayCopied,
    /// The relay loses its disk and comes back from the copy, marked as restored.
    RelayRestored,
    /// For a moment all is well: everything that can move moves.
    Lull,
    /// The provider cannot be reached, or can again.
    ProviderDown { down: bool },
}

/// Steps as somebody writes them down who wants to reach all of them: each is drawn from two bytes.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Vec<Step> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let most = pairs.len().min(crate::storm::STEPS);
    pairs[..most].iter().map(|pair| step(&mut Dice::new(u64::from(u16::from_be_bytes(*pair))), 0)).collect()
}

/// The steps of a seed. Every other storm breaks out over a morning on which somebody was about to pay.
#[must_use]
pub fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::with_capacity(count);
    let customer = dice.below(64);
    if seed.is_multiple_of(2) {
        let device = customer;
        steps.extend([
            Step::Say { device, to: SHOP_OF_OTHERS },
            Step::Lull,
            Step::Tap { device, product: 0 },
            Step::Lull,
        ]);
    }
    steps.extend((steps.len()..count).map(|_| step(&mut dice, customer)));
    steps
}

/// Among those whom a person can write to, the shop is the last.
const SHOP_OF_OTHERS: usize = 2;

fn fate(dice: &mut Dice) -> Fate {
    match dice.below(12) {
        0 => Fate::AnswerLost,
        1 => Fate::Lost,
        2 => Fate::Twice,
        _ => Fate::Arrives,
    }
}

fn step(dice: &mut Dice, customer: usize) -> Step {
    let device = dice.below(64);
    // A payment takes many steps of one person.
    let buyer = if dice.below(4) == 0 { device } else { customer };
    // A storm in which nothing ever arrives proves nothing: half of the steps move frames.
    match dice.below(112) {
        0..12 => Step::Say { device, to: dice.below(64) },
        12..14 => Step::Read { device },
        14..18 => Step::Tap { device: buyer, product: dice.below(2) },
        18..24 => Step::Pay { device: buyer },
        24..31 => Step::Card { device: buyer, card: dice.below(64) },
        31..34 => Step::Bank { device: buyer, approves: dice.below(2) == 0 },
        34..37 => Step::Close { device: buyer, hint: dice.below(3) },
        37..42 => Step::Connect { device },
        42..44 => Step::Hang { device },
        44..60 => Step::Carry { device, frames: 1 + dice.below(8), fate: fate(dice) },
        60..76 => Step::Hear { device, frames: 1 + dice.below(8) },
        76..78 => Step::Tick { device },
        78..86 => Step::Work { fate: fate(dice) },
        86..89 => Step::Webhook { fate: fate(dice) },
        89..91 => Step::Refund { amount_minor: (dice.below(2) == 0).then_some(40) },
        91..94 => Step::Pass { minutes: [1, 10, 60, 26 * 60][dice.below(4)] },
        94..95 => Step::Skew { device, minutes: [-10, -1, 2, 10][dice.below(4)] },
        95..98 => Step::Kill { device, point: 1 + u32::try_from(dice.below(6)).unwrap_or(0) },
        98 => Step::PowerCut { place: device, operation: 1 + dice.below(40) as u64, seed: dice.below(1 << 20) as u64 },
        99 if dice.below(3) > 0 => [Step::Copied { device }, Step::Restored { device }][dice.below(2)],
        99 => Step::RelayFalls,
        100 => Step::RelayCopied,
        101 => Step::RelayRestored,
        102..104 => Step::ProviderDown { down: dice.below(3) == 0 },
        _ => Step::Lull,
    }
}
