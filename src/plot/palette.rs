//! Colours.

/// Red, green and blue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Colour(pub(super) [u8; 3]);

pub(super) const WHITE: Colour = Colour([255, 255, 255]);
pub(super) const INK: Colour = Colour([33, 37, 41]);
pub(super) const GREY: Colour = Colour([108, 117, 125]);
pub(super) const RULE: Colour = Colour([225, 228, 232]);
pub(super) const RED: Colour = Colour([200, 30, 30]);

/// Colours that people who see few of them tell apart (Okabe and Ito 2008), without the yellow, which white swallows.
const SERIES: [Colour; 7] = [
    Colour([0, 114, 178]),
    Colour([213, 94, 0]),
    Colour([0, 158, 115]),
    Colour([204, 121, 167]),
    Colour([230, 159, 0]),
    Colour([86, 180, 233]),
    Colour([90, 90, 90]),
];

impl Colour {
    /// Of this, and the rest of white; 0 is white.
    pub(super) fn mix(self, share: f64) -> Colour {
        Colour(self.0.map(|part| (255.0 - share * f64::from(255 - part)).round() as u8))
    }
}

/// The colour of a series or class. Beyond the first few, hues of the golden angle apart, in three brightnesses.
pub(super) fn series(number: usize) -> Colour {
    SERIES.get(number).copied().unwrap_or_else(|| {
        let hue = (number as f64 * 137.508) % 360.0;
        hue_of(hue, [0.45, 0.6, 0.32][number % 3])
    })
}

/// A strong colour of a hue in degrees (HSL with a saturation of 0.65).
fn hue_of(hue: f64, lightness: f64) -> Colour {
    let reach = 0.65 * lightness.min(1.0 - lightness);
    let part = |shift: f64| {
        let place = (shift + hue / 30.0) % 12.0;
        let level = lightness - reach * (place - 3.0).min(9.0 - place).clamp(-1.0, 1.0);
        (255.0 * level).round() as u8
    };
    Colour([part(0.0), part(8.0), part(4.0)])
}
