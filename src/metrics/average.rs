use crate::error::{Error, Result};

/// How the scores of the classes become one number. The names and meanings are scikit-learn's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Average {
    /// The score of class 1, where there are two.
    Binary,
    /// The score of all decisions together. With one class for each sample the score of decisions is then the
    /// accuracy, whichever it is.
    Micro,
    /// The plain mean over the classes: rare ones count as much as frequent ones.
    Macro,
    /// The mean over the classes, each weighted with how often it is true.
    Weighted,
}

impl Average {
    /// Refuses the score of class 1 where there are more than two classes.
    pub(super) fn check(average: Option<Self>, classes: usize) -> Result<()> {
        if average == Some(Average::Binary) && classes > 2 {
            let requirement = format!("Micro, Macro or Weighted for {classes} classes");
            return Err(Error::setting("average", requirement, "Binary"));
        }
        Ok(())
    }
}
