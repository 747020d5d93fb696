use crate::error::{Error, Result};

/// Which way a stream's mean has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It has become larger: of errors, the model has become worse.
    Rise,
    /// It has become smaller.
    Fall,
}

/// Watches numbers that come one by one, and tells when their mean has changed.
///
/// ```
/// use layerwise::train::online::{Change, DriftDetector, PageHinkley};
///
/// let mut detector = PageHinkley::new().threshold(5.0);
/// // Right nine times of ten, and then wrong every other time.
/// let errors = (0..300).map(|at| f64::from(u8::from(at % if at < 200 { 10 } else { 2 } == 0)));
/// let mut changes = Vec::new();
/// for (at, error) in errors.enumerate() {
///     if let Some(change) = detector.update(error)? {
///         changes.push((at, change));
///     }
/// }
/// assert_eq!(changes[0].1, Change::Rise);
/// assert!((201..230).contains(&changes[0].0));
/// # Ok::<(), layerwise::Error>(())
/// ```
pub trait DriftDetector: Send {
    /// The detector's name, for errors.
    fn name(&self) -> &str;

    /// Takes in the next number, and tells of a change that has shown itself with it.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting that cannot work, [`Error::Value`] for a number that is not finite. Nothing is
    /// taken in then.
    fn update(&mut self, value: f64) -> Result<Option<Change>>;

    /// Forgets everything but the settings.
    fn reset(&mut self);

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the setting.
    fn check(&self) -> Result<()>;
}

/// Refuses a number that would be in every sum from then on. `seen` numbers came before it.
pub(super) fn check_value(detector: &str, seen: u64, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::value(format!("input of {detector}"), &[seen as usize], "a finite number", value))
}
