//! A second look at what should be a code and does not read: in gray, with everything that is known of the symbol.
//!
//! Which modules of a code are dark whatever it says (finders, timing, alignment, version) is known as soon as its side
//! is. So the grid is moved until these modules are where the picture is dark, and the others are judged by what lies
//! around them. That reads codes that are blurred, tiny, bent or badly printed, where single pixels tell nothing.

use crate::decoder::{Pattern, Triple};
use crate::luma::Plane;
use crate::modules::{Content, Modules, SIDES, alignment_centres, version_codeword};

/// How many sides are tried, the likeliest first.
const SIDES_TRIED: usize = 3;
/// How far apart the known dark and light modules must be, where 1 is ink and paper and 0 is chance.
const AGREEMENT: f32 = 0.3;
/// How many places of a timing pattern, and of all known modules, are looked at while a grid is moved.
const TIMING_PLACES: usize = 45;
const FIT_PLACES: usize = 350;
/// How strongly a module is set off against its neighbours, one try each: not at all, and enough to undo blur.
const CONTRASTS: [f32; 3] = [0.0, 0.5, 1.2];

/// A picture that may be light on dark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shade<'a> {
    pub(crate) plane: Plane<'a>,
    pub(crate) inverted: bool,
}

impl Shade<'_> {
    /// The pixel at a place; outside the picture is light, as paper is.
    fn nearest(self, [x, y]: [f32; 2]) -> f32 {
        let inside = x >= 0.0 && y >= 0.0 && x < self.plane.width() as f32 && y < self.plane.height() as f32;
        if !inside {
            return 255.0;
        }
        let pixel = self.plane.row(y as usize)[x as usize];
        f32::from(if self.inverted { 255 - pixel } else { pixel })
    }

    /// The brightness between pixels.
    fn at(self, x: f32, y: f32) -> f32 {
        let light = self.plane.at(x, y);
        if self.inverted { 255.0 - light } else { light }
    }
}

/// Reads the code that has these finder patterns, and says where its corners are and how many modules it has a side.
pub(crate) fn read(shade: Shade<'_>, triple: &Triple) -> Option<(Content, [[f32; 2]; 4], usize)> {
    likely_grids(shade, triple).into_iter().find_map(|mut grid| {
        let template = Template::of(grid.side)?;
        grid.fit(shade, &template);
        if grid.agreement(shade, &template) < AGREEMENT {
            return None;
        }
        grid.bend(shade, &template);
        let values = grid.sample(shade);
        let content = CONTRASTS.iter().find_map(|contrast| decide(&values, grid.side, *contrast).read())?;
        Some((content, grid.corners(), grid.side))
    })
}

/// The grids whose timing patterns show most, of the sides near what the distance of the finders suggests.
fn likely_grids(shade: Shade<'_>, triple: &Triple) -> Vec<Grid> {
    let Triple { top_left, top_right, bottom_left } = triple;
    let modules_to = |other: &Pattern| {
        let size = (top_left.size + other.size).max(1) as f32 / 2.0;
        (other.x - top_left.x).hypot(other.y - top_left.y) / (size / 7.0)
    };
    let guess = (modules_to(top_right) + modules_to(bottom_left)) / 2.0 + 7.0;
    let version = (((guess - 17.0) / 4.0).round() as i32).clamp(1, 40);
    let reach = 1 + version / 6;
    let mut grids: Vec<(f32, Grid)> = (version - reach..=version + reach)
        .map(|version| (17 + 4 * version) as usize)
        .filter(|side| SIDES.contains(side))
        .map(|side| {
            let mut grid = Grid::of(triple, side);
            (grid.sag(shade), grid)
        })
        .collect();
    grids.sort_by(|one, other| other.0.total_cmp(&one.0));
    grids.into_iter().take(SIDES_TRIED).map(|(_, grid)| grid).collect()
}

/// The modules that every code of a side shares.
struct Template {
    side: usize,
    /// The middle of each module, in modules, and whether it is dark (1) or light (-1).
    points: Vec<(f32, f32, f32)>,
    /// Some of them, evenly chosen: enough to fit by.
    coarse: Vec<(f32, f32, f32)>,
    alignment: Vec<(usize, usize)>,
}

impl Template {
    fn of(side: usize) -> Option<Self> {
        let version = (side - 17) / 4;
        let alignment = alignment_centres(version)?;
        let mut points = Vec::new();
        let mut point = |x: usize, y: usize, dark: bool| {
            points.push((x as f32 + 0.5, y as f32 + 0.5, if dark { 1.0 } else { -1.0 }));
        };
        for (left, top) in [(3, 3), (side - 4, 3), (3, side - 4)] {
            for y in top.saturating_sub(4)..=(top + 4).min(side - 1) {
                for x in left.saturating_sub(4)..=(left + 4).min(side - 1) {
                    let ring = x.abs_diff(left).max(y.abs_diff(top));
                    point(x, y, ring <= 1 || ring == 3);
                }
            }
        }
        for at in 8..side - 8 {
            point(at, 6, at % 2 == 0);
            point(6, at, at % 2 == 0);
        }
        for (left, top) in &alignment {
            for (x, y) in around(*left, *top) {
                let ring = x.abs_diff(*left).max(y.abs_diff(*top));
                point(x, y, ring != 1);
            }
        }
        if version >= 7 {
            let codeword = version_codeword(version as u32);
            for bit in 0..18 {
                let (along, across) = (bit / 3, side - 11 + bit % 3);
                let dark = codeword >> bit & 1 == 1;
                point(across, along, dark);
                point(along, across, dark);
            }
        }
        // No multiple of the widths of the patterns, so that all parts of them are met.
        let stride = points.len() / FIT_PLACES * 2 + 1;
        let coarse = points.iter().copied().step_by(stride).collect();
        Some(Self { side, points, coarse, alignment })
    }
}

fn around(x: usize, y: usize) -> impl Iterator<Item = (usize, usize)> {
    (y - 2..=y + 2).flat_map(move |y| (x - 2..=x + 2).map(move |x| (x, y)))
}

/// Where the modules of a symbol lie in a picture: a square seen in perspective, and how far paper bends away from it.
#[derive(Clone)]
struct Grid {
    side: usize,
    /// The pixels of the middles of the three finders and of the place where the fourth would be; clockwise.
    anchors: [[f32; 2]; 4],
    /// How far, in pixels, paper on a bottle lies beside the straight lines half-way between the anchors: along the rows, and
    /// along the columns.
    sag: [[f32; 2]; 2],
    bend: Option<Bend>,
}

/// How far the paper lies beside the flat grid at the alignment patterns, in pixels.
#[derive(Clone)]
struct Bend {
    /// Rows and columns of the knots, in modules.
    knots: Vec<f32>,
    offsets: Vec<[f32; 2]>,
}

impl Grid {
    fn of(triple: &Triple, side: usize) -> Self {
        let Triple { top_left, top_right, bottom_left } = triple;
        // What is further away looks smaller. Distance grows evenly over a flat sheet, so the fourth place follows from three.
        let distance = |pattern: &Pattern| (pattern.size.max(1) as f32).powf(-2.0 / 3.0);
        let [near, right, below] = [top_left, top_right, bottom_left].map(distance);
        let far = right + below - near;
        let is_plausible = far > near.min(right).min(below) / 2.0;
        let place =
            |a: f32, b: f32, c: f32| if is_plausible { (right * b + below * c - near * a) / far } else { b + c - a };
        let fourth = [place(top_left.x, top_right.x, bottom_left.x), place(top_left.y, top_right.y, bottom_left.y)];
        let anchors = [[top_left.x, top_left.y], [top_right.x, top_right.y], fourth, [bottom_left.x, bottom_left.y]];
        Self { side, anchors, sag: [[0.0; 2]; 2], bend: None }
    }

    /// The map from modules to pixels, as it is for the anchors now.
    fn map(&self) -> Map {
        Map::of(self.side, self.anchors, self.sag)
    }

    fn module_size(&self) -> f32 {
        let [a, b, _, d] = self.anchors;
        let modules = (self.side - 7) as f32;
        ((b[0] - a[0]).hypot(b[1] - a[1]) + (d[0] - a[0]).hypot(d[1] - a[1])) / 2.0 / modules
    }

    fn score(&self, shade: Shade<'_>, template: &Template) -> f32 {
        let map = self.map();
        template.coarse.iter().map(|(u, v, dark)| -dark * shade.nearest(map.at(*u, *v))).sum()
    }

    /// How far apart the known dark and light modules are, in units of how much all of them vary.
    fn agreement(&self, shade: Shade<'_>, template: &Template) -> f32 {
        let map = self.map();
        let mut sums = [[0.0_f32; 3]; 2];
        for (u, v, dark) in &template.points {
            let light = shade.nearest(map.at(*u, *v));
            let sums = &mut sums[usize::from(*dark > 0.0)];
            for (sum, value) in sums.iter_mut().zip([1.0, light, light * light]) {
                *sum += value;
            }
        }
        let [light, dark] = sums;
        let [count, sum, squares] = [0, 1, 2].map(|at| light[at] + dark[at]);
        let spread = (squares / count - (sum / count) * (sum / count)).max(1.0).sqrt();
        (light[1] / light[0] - dark[1] / dark[0]) / (2.0 * spread)
    }

    /// How well a timing pattern alternates, per module: that of the row, or that of the column.
    fn timing(&self, shade: Shade<'_>, of_column: bool) -> f32 {
        let map = self.map();
        // An odd stride keeps dark and light in turns.
        let stride = (self.side - 16) / TIMING_PLACES * 2 + 1;
        let places = (8..self.side - 8).step_by(stride);
        let count = places.len();
        let sum: f32 = places
            .map(|at| {
                let along = at as f32 + 0.5;
                let place = if of_column { map.at(6.5, along) } else { map.at(along, 6.5) };
                let light = shade.nearest(place);
                if at % 2 == 0 { -light } else { light }
            })
            .sum();
        sum / count as f32
    }

    /// Bends rows and columns until the timing patterns alternate, and says how well they do.
    fn sag(&mut self, shade: Shade<'_>) -> f32 {
        let module = self.module_size();
        let mut sum = 0.0;
        for of_column in [false, true] {
            let mut best = (self.timing(shade, of_column), [0.0; 2]);
            let straight = best.0;
            let mut tried = self.clone();
            for down in -10..=10 {
                for across in -10..=10 {
                    let sag = [across as f32 * 0.4 * module, down as f32 * 0.4 * module];
                    tried.sag[usize::from(of_column)] = sag;
                    let score = tried.timing(shade, of_column);
                    if score > best.0 {
                        best = (score, sag);
                    }
                }
            }
            // Of so many tries one is a little better by chance.
            if best.0 > straight * 1.25 + 8.0 {
                self.sag[usize::from(of_column)] = best.1;
                sum += best.0 - 8.0;
            } else {
                sum += straight;
            }
        }
        sum
    }

    /// Moves the anchors to where the known modules fit best: first the one that was only guessed, then all.
    fn fit(&mut self, shade: Shade<'_>, template: &Template) {
        let module = self.module_size();
        let mut best = self.score(shade, template);
        let start = self.anchors[2];
        for down in -4..=4 {
            for across in -4..=4 {
                let mut moved = self.clone();
                moved.anchors[2] = [start[0] + across as f32 * module * 1.25, start[1] + down as f32 * module * 1.25];
                let score = moved.score(shade, template);
                if score > best {
                    (best, *self) = (score, moved);
                }
            }
        }
        for step in [0.6, 0.3, 0.15, 0.3, 0.15, 0.08] {
            for anchor in [2, 0, 1, 3] {
                for axis in [0, 1] {
                    for direction in [-1.0, 1.0] {
                        // The guessed corner is further from what is known, so it may go further.
                        let far = if anchor == 2 { 2.0 } else { 1.0 };
                        let mut moved = self.clone();
                        moved.anchors[anchor][axis] += direction * step * far * module;
                        let score = moved.score(shade, template);
                        if score > best {
                            (best, *self) = (score, moved);
                        }
                    }
                }
            }
            for which in 0..4 {
                for direction in [-1.0, 1.0] {
                    let mut moved = self.clone();
                    moved.sag[which / 2][which % 2] += direction * step * module;
                    let score = moved.score(shade, template);
                    if score > best {
                        (best, *self) = (score, moved);
                    }
                }
            }
        }
    }

    /// Looks for each alignment pattern beside its flat place, and bends the grid to where they are.
    fn bend(&mut self, shade: Shade<'_>, template: &Template) {
        let Some(first) = template.alignment.first().filter(|_| template.side >= 45) else {
            return; // One alignment pattern is already in the fit.
        };
        let mut knots: Vec<usize> = template.alignment.iter().map(|(x, _)| *x).collect();
        knots.push(first.1);
        knots.sort_unstable();
        knots.dedup();
        let (map, module) = (self.map(), self.module_size());
        let mut offsets = Vec::with_capacity(knots.len() * knots.len());
        for y in &knots {
            for x in &knots {
                let is_alignment = template.alignment.contains(&(*x, *y));
                offsets.push(if is_alignment { beside(shade, &map, module, *x, *y) } else { [0.0; 2] });
            }
        }
        self.bend = Some(Bend { knots: knots.into_iter().map(|knot| knot as f32 + 0.5).collect(), offsets });
    }

    /// The brightness of every module: the mean of five places in it.
    fn sample(&self, shade: Shade<'_>) -> Vec<f32> {
        let map = self.map();
        let mut values = Vec::with_capacity(self.side * self.side);
        for y in 0..self.side {
            for x in 0..self.side {
                let [dx, dy] = self.bend.as_ref().map_or([0.0; 2], |bend| bend.at(x as f32 + 0.5, y as f32 + 0.5));
                let sum: f32 = [[0.5, 0.5], [0.3, 0.3], [0.7, 0.3], [0.3, 0.7], [0.7, 0.7]]
                    .iter()
                    .map(|[u, v]| {
                        let [px, py] = map.at(x as f32 + u, y as f32 + v);
                        shade.at(px + dx, py + dy)
                    })
                    .sum();
                values.push(sum / 5.0);
            }
        }
        values
    }

    fn corners(&self) -> [[f32; 2]; 4] {
        let (map, far) = (self.map(), self.side as f32);
        [map.at(0.0, 0.0), map.at(far, 0.0), map.at(far, far), map.at(0.0, far)]
    }
}

/// How far from its flat place an alignment pattern shows best, up to a module and a half.
fn beside(shade: Shade<'_>, map: &Map, module: f32, x: usize, y: usize) -> [f32; 2] {
    let score = |[dx, dy]: [f32; 2]| -> f32 {
        let points = around(x, y).map(|(u, v)| {
            let ring = u.abs_diff(x).max(v.abs_diff(y));
            let [px, py] = map.at(u as f32 + 0.5, v as f32 + 0.5);
            let light = shade.nearest([px + dx, py + dy]);
            // Eight light modules weigh as much as seventeen dark ones.
            if ring == 1 { light * 17.0 } else { -light * 8.0 }
        });
        points.sum()
    };
    // A little better is not better: noise must not tear the grid.
    let mut best = (score([0.0; 2]) + 17.0 * 8.0 * 8.0, [0.0; 2]);
    for down in -5..=5 {
        for across in -5..=5 {
            let offset = [across as f32 * 0.3 * module, down as f32 * 0.3 * module];
            let found = score(offset);
            if found > best.0 {
                best = (found, offset);
            }
        }
    }
    best.1
}

impl Bend {
    /// Between the knots straight, outside of them as at the nearest.
    fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let place = |at: f32| {
            let above = self.knots.partition_point(|knot| *knot <= at).clamp(1, self.knots.len() - 1);
            let (low, high) = (self.knots[above - 1], self.knots[above]);
            (above - 1, ((at - low) / (high - low)).clamp(0.0, 1.0))
        };
        let ((x, across), (y, down)) = (place(u), place(v));
        let knots = self.knots.len();
        std::array::from_fn(|axis| {
            let offset = |x: usize, y: usize| self.offsets[y * knots + x][axis];
            let upper = offset(x, y) + (offset(x + 1, y) - offset(x, y)) * across;
            let lower = offset(x, y + 1) + (offset(x + 1, y + 1) - offset(x, y + 1)) * across;
            upper + (lower - upper) * down
        })
    }
}

/// A square in perspective, (a·u + b·v + c) / (g·u + h·v + 1) for each axis, and bent in a parabola both ways.
struct Map {
    rows: [[f32; 3]; 2],
    below: [f32; 2],
    scale: f32,
    sag: [[f32; 2]; 2],
}

impl Map {
    /// The map that takes the middles of the finders of a symbol to the anchors.
    fn of(side: usize, [p0, p1, p2, p3]: [[f32; 2]; 4], sag: [[f32; 2]; 2]) -> Self {
        let [d1, d2, sum] = [
            [p1[0] - p2[0], p1[1] - p2[1]],
            [p3[0] - p2[0], p3[1] - p2[1]],
            [p0[0] - p1[0] + p2[0] - p3[0], p0[1] - p1[1] + p2[1] - p3[1]],
        ];
        let cross = |a: [f32; 2], b: [f32; 2]| a[0] * b[1] - a[1] * b[0];
        let whole = cross(d1, d2);
        let (g, h) = if whole.abs() < 1e-6 { (0.0, 0.0) } else { (cross(sum, d2) / whole, cross(d1, sum) / whole) };
        let row = |axis: usize| [p1[axis] - p0[axis] + g * p1[axis], p3[axis] - p0[axis] + h * p3[axis], p0[axis]];
        Self { rows: [row(0), row(1)], below: [g, h], scale: 1.0 / (side - 7) as f32, sag }
    }

    fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let (u, v) = ((u - 3.5) * self.scale, (v - 3.5) * self.scale);
        let below = self.below[0] * u + self.below[1] * v + 1.0;
        let [along_rows, along_columns] = [u, v].map(|at| 4.0 * at * (1.0 - at));
        std::array::from_fn(|axis| {
            let [a, b, c] = self.rows[axis];
            (a * u + b * v + c) / below + along_rows * self.sag[0][axis] + along_columns * self.sag[1][axis]
        })
    }
}

/// Dark or light by what lies around: each module against the mean of nine by nine, after it was set off against its four
/// neighbours.
fn decide(values: &[f32], side: usize, contrast: f32) -> Modules {
    let value = |x: usize, y: usize| values[y * side + x];
    let sharp: Vec<f32> = (0..side * side)
        .map(|at| {
            let (x, y) = (at % side, at / side);
            let neighbours = value(x.saturating_sub(1), y)
                + value((x + 1).min(side - 1), y)
                + value(x, y.saturating_sub(1))
                + value(x, (y + 1).min(side - 1));
            values[at] + contrast * (values[at] - neighbours / 4.0)
        })
        .collect();
    // Sums of everything above and to the left, with a border of zeros.
    let mut sums = vec![0.0_f64; (side + 1) * (side + 1)];
    for y in 0..side {
        let mut row = 0.0;
        for x in 0..side {
            row += f64::from(sharp[y * side + x]);
            sums[(y + 1) * (side + 1) + x + 1] = sums[y * (side + 1) + x + 1] + row;
        }
    }
    Modules::from_fn(side, |x, y| {
        let (left, top) = (x.saturating_sub(4), y.saturating_sub(4));
        let (right, bottom) = ((x + 5).min(side), (y + 5).min(side));
        let corner = |x: usize, y: usize| sums[y * (side + 1) + x];
        let sum = corner(right, bottom) - corner(left, bottom) - corner(right, top) + corner(left, top);
        f64::from(sharp[y * side + x]) * (((right - left) * (bottom - top)) as f64) < sum
    })
}
