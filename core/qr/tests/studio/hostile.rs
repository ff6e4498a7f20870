//! Pictures made to keep a reader busy: noise, checkers, rings, finder patterns everywhere, codes cut up and put together
//! again, and shapes that no camera has.

use super::{Dice, Photo, Print};

/// One of each sort, of about that size, from a seed.
pub(crate) fn all(seed: u64, width: usize, height: usize) -> Vec<(String, Photo)> {
    let mut dice = Dice::new(seed);
    let mut all: Vec<(String, Photo)> = Vec::new();
    let mut add = |name: String, photo: Photo| all.push((name, photo));

    for cell in [1, 2, 3, 7] {
        let salt = dice.bits();
        let photo =
            Photo::from_fn(width, height, |x, y| if scatter(salt, x / cell, y / cell) & 1 == 0 { 0 } else { 255 });
        add(format!("noise of {cell}"), photo);
        add(
            format!("checkers of {cell}"),
            Photo::from_fn(width, height, |x, y| if (x / cell + y / cell) % 2 == 0 { 0 } else { 255 }),
        );
        add(format!("bars of {cell}"), Photo::from_fn(width, height, |x, _| if (x / cell) % 2 == 0 { 0 } else { 255 }));
    }
    let salt = dice.bits();
    add("gray noise".into(), Photo::from_fn(width, height, |x, y| scatter(salt, x, y) as u8));
    for (inner, outer) in [(9, 1), (9, 2), (9, 3), (10, 5), (8, 1), (8, 4)] {
        add(
            format!("finders of {outer} every {inner}"),
            Photo::from_fn(width, height, |x, y| finder(x / outer % inner, y / outer % inner)),
        );
    }
    for outer in [1, 2, 4] {
        let salt = dice.bits();
        add(
            format!("finders of {outer} in disorder"),
            Photo::from_fn(width, height, |x, y| {
                let row = y / (9 * outer);
                let slip = scatter(salt, 0, row) as usize % 9;
                let (x, y) = (x / outer + slip, y / outer);
                // One in eight is missing, so that triples of every shape come up.
                if scatter(salt, x / 9, row).is_multiple_of(8) { 255 } else { finder(x % 9, y % 9) }
            }),
        );
    }
    for pitch in [3.0_f32, 7.0, 14.0, 31.0] {
        add(
            format!("rings of {pitch}"),
            Photo::from_fn(width, height, |x, y| {
                let off = (x as f32 - width as f32 / 2.0).hypot(y as f32 - height as f32 / 2.0);
                if (off / pitch).fract() < 0.5 { 0 } else { 255 }
            }),
        );
        add(
            format!("moiré of {pitch}"),
            Photo::from_fn(width, height, |x, y| {
                let (x, y) = (x as f32, y as f32);
                let (a, b) = ((x / pitch).sin() * (y / pitch).sin(), ((x * 1.03 + y * 0.04) / pitch).sin());
                (127.0 + 60.0 * (a + b)) as u8
            }),
        );
    }
    // The proportions of a finder along every line, without one.
    let stretch = |at: usize, unit: usize| matches!(at / unit % 8, 0 | 2..=4 | 6);
    for unit in [1, 2, 5] {
        add(
            format!("a weave of {unit}"),
            Photo::from_fn(width, height, |x, y| if stretch(x, unit) && stretch(y, unit) { 0 } else { 255 }),
        );
        add(
            format!("a braid of {unit}"),
            Photo::from_fn(width, height, |x, y| if stretch(x + y, unit) != stretch(x, unit) { 0 } else { 255 }),
        );
    }
    for round in 0..6 {
        add(format!("a quilt of codes, {round}"), quilt(&mut dice, width, height));
    }
    for round in 0..3 {
        add(format!("codes without number, {round}"), carpet(&mut dice, width, height));
    }
    for (width, height) in [(1, 1), (1, 4000), (4000, 1), (2, 3000), (41, 4000), (4000, 41), (7, 7), (20, 21), (3, 900)]
    {
        let salt = dice.bits();
        add(
            format!("{width} × {height}"),
            Photo::from_fn(width, height, |x, y| if scatter(salt, x / 2, y / 2) & 1 == 0 { 20 } else { 230 }),
        );
    }
    for level in [0, 127, 255] {
        add(format!("nothing but {level}"), Photo::from_fn(width, height, |_, _| level));
    }
    add("a slope".into(), Photo::from_fn(width, height, |x, y| ((x + y) * 255 / (width + height)) as u8));
    all
}

/// The same number for the same place, unlike its neighbours'.
fn scatter(salt: u64, x: usize, y: usize) -> u64 {
    let mixed = (salt ^ (x as u64) << 32 ^ y as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

fn finder(x: usize, y: usize) -> u8 {
    let ring = x.abs_diff(4).max(y.abs_diff(4));
    if ring <= 1 || ring == 3 { 0 } else { 255 }
}

/// Pieces of codes, each turned and put somewhere else.
fn quilt(dice: &mut Dice, width: usize, height: usize) -> Photo {
    let prints: Vec<Photo> = (0..4)
        .map(|_| {
            let scale = 1 + dice.below(6);
            Print::any(dice, 300).plain(scale)
        })
        .collect();
    let mut quilt = Photo::from_fn(width, height, |_, _| 255);
    // Some come out whole, so they may be read.
    quilt.texts = prints.iter().flat_map(|print| print.texts.clone()).collect();
    for _ in 0..120 {
        let print = &prints[dice.below(prints.len())];
        let (left, top) = (dice.below(width), dice.below(height));
        let (from_x, from_y) = (dice.below(print.width), dice.below(print.height));
        let size = 20 + dice.below(200);
        let turned = dice.below(2) == 0;
        for y in 0..size.min(height - top) {
            for x in 0..size.min(width - left) {
                let (u, v) = if turned { (y, x) } else { (x, y) };
                if from_x + u < print.width && from_y + v < print.height {
                    quilt.pixels[(top + y) * width + left + x] = print.pixels[(from_y + v) * print.width + from_x + u];
                }
            }
        }
    }
    quilt
}

/// Small codes side by side, each with a module or more that is wrong, so that most need correction and many fail.
fn carpet(dice: &mut Dice, width: usize, height: usize) -> Photo {
    let scale = 1 + dice.below(3);
    let print = Print::any(dice, 20).plain(scale);
    let salt = dice.bits();
    let share = 2 + dice.below(30) as u64;
    let mut carpet = Photo::from_fn(width, height, |x, y| {
        let pixel = print.pixels[(y % print.height) * print.width + x % print.width];
        if scatter(salt, x / scale, y / scale).is_multiple_of(share) { 255 - pixel } else { pixel }
    });
    carpet.texts = print.texts;
    carpet
}
