//! Where the boxes of a diagram are: in layers, so that every arrow points down (Sugiyama, Tagawa and Toda 1981).

/// Room between neighbours.
const GAP: f64 = 26.0;
/// The width that an arrow takes where it passes a layer.
const LANE: f64 = 18.0;
/// Sweeps over the layers, for the order and for the places.
const SWEEPS: usize = 8;

/// Boxes and arrows in layers.
pub(super) struct Layering {
    /// The layer of each node; behind the boxes come the places where long arrows pass.
    pub(super) layer: Vec<usize>,
    /// The middle of each node, from 0 on.
    pub(super) x: Vec<f64>,
    /// Each arrow as the nodes that it goes through.
    pub(super) arrows: Vec<Vec<usize>>,
    pub(super) width: f64,
}

/// Places boxes of these widths, each of which reads earlier ones.
pub(super) fn layering(widths: &[f64], reads: &[Vec<usize>]) -> Layering {
    let mut layer = Vec::with_capacity(widths.len());
    for inputs in reads {
        layer.push(inputs.iter().map(|&input| layer[input] + 1).max().unwrap_or(0));
    }
    let mut widths = widths.to_vec();
    let mut arrows = Vec::new();
    for (to, inputs) in reads.iter().enumerate() {
        for &from in inputs {
            let mut arrow = vec![from];
            for passed in layer[from] + 1..layer[to] {
                arrow.push(layer.len());
                layer.push(passed);
                widths.push(LANE);
            }
            arrow.push(to);
            arrows.push(arrow);
        }
    }
    let mut rows = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (node, &layer) in layer.iter().enumerate() {
        rows[layer].push(node);
    }
    let neighbours = neighbours(layer.len(), &arrows);
    let mut x = vec![0.0; layer.len()];
    for row in &rows {
        spread(row, &widths, &mut x);
    }
    for sweep in 0..SWEEPS {
        // Down along what is read, then up along what reads.
        let side = sweep % 2;
        let order: Box<dyn Iterator<Item = usize>> =
            if side == 0 { Box::new(0..rows.len()) } else { Box::new((0..rows.len()).rev()) };
        for number in order {
            let row = &mut rows[number];
            for &node in row.iter() {
                let near = &neighbours[side][node];
                if !near.is_empty() {
                    x[node] = near.iter().map(|&other| x[other]).sum::<f64>() / near.len() as f64;
                }
            }
            row.sort_by(|&one, &other| x[one].total_cmp(&x[other]));
            apart(row, &widths, &mut x);
        }
    }
    let left = (0..x.len()).map(|node| x[node] - widths[node] / 2.0).fold(f64::INFINITY, f64::min);
    x.iter_mut().for_each(|x| *x -= left);
    let width = (0..x.len()).map(|node| x[node] + widths[node] / 2.0).fold(0.0, f64::max);
    Layering { layer, x, arrows, width }
}

/// For each node those above it, and those below.
fn neighbours(nodes: usize, arrows: &[Vec<usize>]) -> [Vec<Vec<usize>>; 2] {
    let mut neighbours = [vec![Vec::new(); nodes], vec![Vec::new(); nodes]];
    for pair in arrows.iter().flat_map(|arrow| arrow.windows(2)) {
        neighbours[0][pair[1]].push(pair[0]);
        neighbours[1][pair[0]].push(pair[1]);
    }
    neighbours
}

/// Side by side, in the middle.
fn spread(row: &[usize], widths: &[f64], x: &mut [f64]) {
    let total = row.iter().map(|&node| widths[node] + GAP).sum::<f64>();
    let mut left = -total / 2.0;
    for &node in row {
        x[node] = left + (widths[node] + GAP) / 2.0;
        left += widths[node] + GAP;
    }
}

/// Moves nodes that lie over each other apart, half of the way to either side.
fn apart(row: &[usize], widths: &[f64], x: &mut [f64]) {
    let wished: f64 = row.iter().map(|&node| x[node]).sum();
    let mut right = f64::NEG_INFINITY;
    for &node in row {
        x[node] = x[node].max(right + widths[node] / 2.0);
        right = x[node] + widths[node] / 2.0 + GAP;
    }
    let moved = row.iter().map(|&node| x[node]).sum::<f64>() - wished;
    row.iter().for_each(|&node| x[node] -= moved / row.len() as f64);
}
