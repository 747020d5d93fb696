//! Sets that are too large to be part of the crate: `scripts/get-data.sh` fetches them.

use std::path::{Path, PathBuf};

use crate::data::{Idx, Images, TrainTest};
use crate::error::{Error, Result};

/// The variable of the environment that names the folder of all sets.
const FOLDER: &str = "LAYERWISE_DATA";

/// Handwritten digits in full (LeCun, Cortes and Burges 1998): 60,000 grey images of 28 by 28 to learn from and 10,000
/// to test on, ink 1 on paper 0.
///
/// From the folder `mnist` in the one that the environment names in `LAYERWISE_DATA`, or else in `data/downloads`
/// below the current folder; `scripts/get-data.sh` puts it there.
///
/// # Errors
/// [`Error::File`] where a file of the set is missing or is not what it should be.
///
/// ```no_run
/// let mnist = layerwise::data::datasets::mnist()?;
/// assert_eq!(mnist.train.images.dim(), (60_000, 28, 28, 1));
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn mnist() -> Result<TrainTest> {
    mnist_from(folder("mnist"))
}

/// [`mnist`], or another set of digits in its form, from its own folder.
///
/// # Errors
/// As for [`mnist`].
pub fn mnist_from(folder: impl AsRef<Path>) -> Result<TrainTest> {
    read("MNIST", folder.as_ref(), (0..10).map(|digit| digit.to_string()).collect())
}

/// Zalando's articles of clothing (Xiao, Rasul and Vollgraf 2017): 60,000 grey images of 28 by 28 to learn from and
/// 10,000 to test on, in ten classes. Found as [`mnist`], in the folder `fashion-mnist`.
///
/// # Errors
/// As for [`mnist`].
pub fn fashion_mnist() -> Result<TrainTest> {
    fashion_mnist_from(folder("fashion-mnist"))
}

/// [`fashion_mnist`] from its own folder.
///
/// # Errors
/// As for [`mnist`].
pub fn fashion_mnist_from(folder: impl AsRef<Path>) -> Result<TrainTest> {
    const CLASSES: [&str; 10] =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
    read("Fashion-MNIST", folder.as_ref(), CLASSES.map(String::from).to_vec())
}

fn folder(name: &str) -> PathBuf {
    std::env::var_os(FOLDER).map_or_else(|| Path::new("data").join("downloads"), PathBuf::from).join(name)
}

/// The four files of a set in MNIST's form.
fn read(set: &str, folder: &Path, classes: Vec<String>) -> Result<TrainTest> {
    let part = |part: &str| -> Result<Images> {
        let images = find(set, folder, &format!("{part}-images-idx3-ubyte"))?;
        let labels = find(set, folder, &format!("{part}-labels-idx1-ubyte"))?;
        let images = Idx::read(images)?.to_images()?;
        let labels = Idx::read(labels)?.to_labels()?;
        Images { images, labels, classes: classes.clone() }.check(&folder.join(part).display().to_string())
    };
    Ok(TrainTest { train: part("train")?, test: part("t10k")? })
}

/// A file of a set, as it is or compressed.
fn find(set: &str, folder: &Path, name: &str) -> Result<PathBuf> {
    let raw = folder.join(name);
    let found = [raw.clone(), raw.with_extension("gz")].into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        let message = format!(
            "{set} is not there; fetch it with scripts/get-data.sh, or name the folder that holds it in {FOLDER}"
        );
        Error::file(raw, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idx(shape: &[u32], bytes: impl Iterator<Item = u8>) -> Vec<u8> {
        let mut file = vec![0, 0, 8, shape.len() as u8];
        shape.iter().for_each(|length| file.extend(length.to_be_bytes()));
        file.extend(bytes);
        file
    }

    #[test]
    fn a_set_is_read_and_what_is_missing_is_said() {
        let folder = std::env::temp_dir().join(format!("layerwise-mnist-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
        let missing = |name: &str| {
            format!(
                "{}: MNIST is not there; fetch it with scripts/get-data.sh, or name the folder that holds it in \
                 LAYERWISE_DATA",
                folder.join(name).display()
            )
        };
        assert_eq!(mnist_from(&folder).unwrap_err().to_string(), missing("train-images-idx3-ubyte"));
        write("train-images-idx3-ubyte", idx(&[3, 2, 2], (0..12).map(|i| i * 20)));
        write("train-labels-idx1-ubyte", idx(&[3], [3, 1, 4].into_iter()));
        write("t10k-images-idx3-ubyte", idx(&[2, 2, 2], [255; 8].into_iter()));
        assert_eq!(mnist_from(&folder).unwrap_err().to_string(), missing("t10k-labels-idx1-ubyte"));
        write("t10k-labels-idx1-ubyte", idx(&[1], [9].into_iter()));
        let test = folder.join("t10k").display().to_string();
        let message = mnist_from(&folder).unwrap_err().to_string();
        assert_eq!(message, format!("labels of {test} against its images: expected length 2, got 1"));
        write("t10k-labels-idx1-ubyte", idx(&[2], [9, 10].into_iter()));
        let message = mnist_from(&folder).unwrap_err().to_string();
        let expected = format!("class label of {test} at [1]: expected below 10, the number of classes, got 10");
        assert_eq!(message, expected);
        write("t10k-labels-idx1-ubyte", idx(&[2], [9, 0].into_iter()));
        let set = mnist_from(&folder).unwrap();
        assert_eq!((set.train.images.dim(), set.test.images.dim()), ((3, 2, 2, 1), (2, 2, 2, 1)));
        assert_eq!(set.train.images[[1, 0, 1, 0]], 100.0 / 255.0);
        assert_eq!(set.train.labels.to_vec(), [3, 1, 4]);
        assert_eq!(set.train.classes[9], "9");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// Where the script was run.
    #[test]
    fn the_whole_sets_have_their_samples_and_means() -> Result<()> {
        // Means and deviations of the training pixels as they are commonly published.
        for (name, load, mean, deviation) in [
            ("mnist", mnist_from as fn(PathBuf) -> Result<TrainTest>, 0.1307, 0.3081),
            ("fashion-mnist", fashion_mnist_from, 0.2860, 0.3530),
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/downloads").join(name);
            if !folder.is_dir() {
                eprintln!("{name} is not tested: there is no {}; scripts/get-data.sh makes it", folder.display());
                continue;
            }
            let set = load(folder)?;
            assert_eq!((set.train.images.dim(), set.test.images.dim()), ((60_000, 28, 28, 1), (10_000, 28, 28, 1)));
            assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
            let pixels = set.train.images.len() as f64;
            let (sum, squares) = set.train.images.iter().fold((0.0, 0.0), |(sum, squares), &pixel| {
                let pixel = f64::from(pixel);
                (sum + pixel, squares + pixel * pixel)
            });
            assert!((sum / pixels - mean).abs() < 5e-5, "{name}: {}", sum / pixels);
            let spread = (squares / pixels - (sum / pixels).powi(2)).sqrt();
            assert!((spread - deviation).abs() < 5e-5, "{name}: {spread}");
        }
        Ok(())
    }
}
