//! Folders of PNG and JPEG files (feature `image`).

use std::path::{Path, PathBuf};

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageBuffer, ImageError, ImageReader, Luma, Rgb};
use ndarray::{Array1, Array4};

use super::images::Images;
use crate::error::{Error, Result};

/// Images in one folder for each class, as Keras's `image_dataset_from_directory` and torchvision's `ImageFolder` have
/// them.
///
/// The folders' names are the classes, in alphabetical order; folders whose name begins with a dot are passed over. In
/// each of them every file that ends in `png`, `jpg` or `jpeg` is an image, in the order of their names; whether it is
/// PNG or JPEG is seen by its first bytes. Values are from 0 to 1, of 8 or of 16 bits; what is see-through counts as
/// opaque.
///
/// ```no_run
/// use layerwise::data::ImageFolder;
///
/// let pets = ImageFolder::new("pets").size(64, 64).read()?; // pets/cat/*.jpg, pets/dog/*.jpg
/// assert_eq!(pets.classes, ["cat", "dog"]);
/// assert_eq!(pets.images.dim().3, 3);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    folder: PathBuf,
    size: Option<(u32, u32)>,
    grey: bool,
}

impl ImageFolder {
    /// Images in colour, which must all have one size already.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        ImageFolder { folder: folder.as_ref().to_owned(), size: None, grey: false }
    }

    /// Resizes every image to this height and width, with bilinear interpolation that takes in all pixels where an
    /// image becomes smaller (Pillow's).
    #[must_use]
    pub fn size(mut self, height: u32, width: u32) -> Self {
        self.size = Some((height, width));
        self
    }

    /// One channel, 0.299 R + 0.587 G + 0.114 B (Keras's and Pillow's), in place of three.
    #[must_use]
    pub fn grey(mut self) -> Self {
        self.grey = true;
        self
    }

    /// Reads all images.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::File`] for one that is damaged, that has another size than
    /// the others where none was asked for, or for a class without images, and [`Error::Empty`] where there is no class.
    pub fn read(&self) -> Result<Images> {
        if self.size.is_some_and(|(height, width)| height.min(width) == 0) {
            return Err(Error::setting("size of ImageFolder", "at least 1 by 1", format!("{:?}", self.size)));
        }
        let folders = sorted(&self.folder, |path, name| path.is_dir() && !name.starts_with('.'))?;
        if folders.is_empty() {
            return Err(Error::Empty(format!("the list of class folders in {}", self.folder.display())));
        }
        let (mut values, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        let mut size = self.size;
        for (class, (folder, name)) in folders.into_iter().enumerate() {
            let files = sorted(&folder, |path, _| path.is_file() && has_image_name(path))?;
            if files.is_empty() {
                return Err(Error::file(folder, "no file in it ends in png, jpg or jpeg"));
            }
            for (file, _) in files {
                self.read_image(&file, &mut size, &mut values)?;
                labels.push(class);
            }
            classes.push(name);
        }
        let (height, width) = size.unwrap_or_default();
        let shape = (labels.len(), height as usize, width as usize, self.channels());
        let images = Array4::from_shape_vec(shape, values).expect("every image has this size");
        Ok(Images { images, labels: Array1::from(labels), classes })
    }

    fn channels(&self) -> usize {
        if self.grey { 1 } else { 3 }
    }

    /// Adds the values of an image. The first gives the others their size where none was asked for.
    fn read_image(&self, path: &Path, size: &mut Option<(u32, u32)>, values: &mut Vec<f32>) -> Result<()> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
        let image = reader.decode().map_err(|error| match error {
            // The end of a file that is too short is no failure of the disk.
            ImageError::IoError(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => io(source),
            error => Error::file(path, error.to_string()),
        })?;
        let got = (image.height(), image.width());
        let wanted = *size.get_or_insert(got);
        if got != wanted && self.size.is_none() {
            let message = format!(
                "{} by {} pixels, where images before it have {} by {}; ask for one `size`",
                got.0, got.1, wanted.0, wanted.1
            );
            return Err(Error::file(path, message));
        }
        if self.grey {
            let image = grey(&image);
            values.extend(
                if got == wanted { image } else { resize(&image, wanted.1, wanted.0, FilterType::Triangle) }.iter(),
            );
        } else {
            let image = image.to_rgb32f();
            values.extend(
                if got == wanted { image } else { resize(&image, wanted.1, wanted.0, FilterType::Triangle) }.iter(),
            );
        }
        Ok(())
    }
}

/// One channel of an image. What is grey already keeps its values.
fn grey(image: &DynamicImage) -> ImageBuffer<Luma<f32>, Vec<f32>> {
    if !image.color().has_color() {
        return image.to_luma32f();
    }
    let image = image.to_rgb32f();
    let values = image.pixels().map(|&Rgb([r, g, b])| 0.299 * r + 0.587 * g + 0.114 * b).collect();
    ImageBuffer::from_raw(image.width(), image.height(), values).expect("one value a pixel")
}

/// What is wanted of a folder with its names, in the order of these.
fn sorted(folder: &Path, wanted: impl Fn(&Path, &str) -> bool) -> Result<Vec<(PathBuf, String)>> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wanted(&entry.path(), &name) {
            found.push((entry.path(), name));
        }
    }
    found.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(found)
}

fn has_image_name(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone when the test is over.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("layerwise-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn path(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }

        fn write(&self, name: &str, image: impl Into<DynamicImage>) {
            image.into().save(self.path(name)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn rgb(height: u32, width: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> image::RgbImage {
        image::RgbImage::from_fn(width, height, |x, y| Rgb(pixel(y, x)))
    }

    fn level(y: u32, x: u32) -> u8 {
        ((7 * y + 13 * x * x + 3 * x * y) % 256) as u8
    }

    fn assert_close(got: impl IntoIterator<Item = f32>, expected: &[f32], tolerance: f32) {
        let got: Vec<f32> = got.into_iter().collect();
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= tolerance, "{got} for {expected}");
        }
    }

    #[test]
    fn folders_are_classes_and_files_are_images_in_the_order_of_their_names() -> Result<()> {
        let folder = Folder::new("classes");
        folder.write("dog/b.png", rgb(2, 3, |y, x| [level(y, x), 1, 2]));
        folder.write("dog/a.PNG", rgb(2, 3, |_, _| [255, 0, 51]));
        folder.write("cat/9.jpg", rgb(2, 3, |_, _| [120, 130, 140]));
        folder.write("cat/10.png", image::GrayImage::from_fn(3, 2, |x, y| Luma([level(y, x)])));
        folder.write(".hidden/a.png", rgb(9, 9, |_, _| [0; 3]));
        folder.write("loose.png", rgb(9, 9, |_, _| [0; 3]));
        std::fs::write(folder.path("cat/notes.txt"), "no image").unwrap();
        let set = ImageFolder::new(&folder.0).read()?;
        assert_eq!((set.images.dim(), set.labels.to_vec()), ((4, 2, 3, 3), vec![0, 0, 1, 1]));
        assert_eq!(set.classes, ["cat", "dog"]);
        for (y, x) in (0..2).flat_map(|y| (0..3).map(move |x| (y, x))) {
            let level = f32::from(level(y as u32, x as u32)) / 255.0;
            let at = |image: usize| (0..3).map(move |channel| [image, y, x, channel]);
            assert_close(at(0).map(|at| set.images[at]), &[level; 3], 1e-7);
            let jpeg = [120.0 / 255.0, 130.0 / 255.0, 140.0 / 255.0];
            assert_close(at(1).map(|at| set.images[at]), &jpeg, 2.0 / 255.0);
            assert_close(at(2).map(|at| set.images[at]), &[1.0, 0.0, 0.2], 1e-7);
            assert_close(at(3).map(|at| set.images[at]), &[level, 1.0 / 255.0, 2.0 / 255.0], 1e-7);
        }
        let grey = ImageFolder::new(&folder.0).grey().read()?;
        assert_eq!(grey.images.dim(), (4, 2, 3, 1));
        assert_eq!(grey.images[[0, 1, 2, 0]], set.images[[0, 1, 2, 0]]);
        assert_close([grey.images[[2, 0, 0, 0]]], &[0.299 + 0.114 * 0.2], 1e-6);
        Ok(())
    }

    #[test]
    fn sixteen_bits_are_kept_and_what_is_see_through_counts_as_opaque() -> Result<()> {
        let folder = Folder::new("depth");
        folder.write("a/1.png", ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([12_345])));
        folder.write("a/2.png", image::RgbaImage::from_pixel(1, 1, image::Rgba([51, 102, 255, 3])));
        let set = ImageFolder::new(&folder.0).read()?;
        let deep = 12_345.0 / 65_535.0;
        assert_close(set.images, &[deep, deep, deep, 0.2, 0.4, 1.0], 1e-7);
        Ok(())
    }

    #[test]
    fn resizing_gives_the_values_of_torch() -> Result<()> {
        let folder = Folder::new("size");
        folder.write("a/1.png", image::GrayImage::from_fn(5, 4, |x, y| Luma([level(y, x)])));
        // torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False), torch 2.15.0.
        let smaller = [0.1160682, 0.5407181, 0.1776929, 0.5024191];
        let mixed = [
            0.0082353, 0.0393838, 0.107451, 0.2192157, 0.4038095, 0.6321008, 0.8380392, 0.0411765, 0.0803922,
            0.1585434, 0.2803922, 0.47507, 0.7134454, 0.927451, 0.0741176, 0.1214006, 0.2096359, 0.3415686, 0.5463305,
            0.4936134, 0.3141176,
        ];
        let set = ImageFolder::new(&folder.0).grey().size(2, 2).read()?;
        assert_close(set.images, &smaller, 1e-6);
        let set = ImageFolder::new(&folder.0).grey().size(3, 7).read()?;
        assert_close(set.images, &mixed, 1e-6);
        let set = ImageFolder::new(&folder.0).size(3, 7).read()?;
        assert_close(set.images, &mixed.map(|x| [x; 3]).concat(), 1e-6);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        let folder = Folder::new("wrong");
        let message = |folder: ImageFolder| folder.read().unwrap_err().to_string();
        let read = || message(ImageFolder::new(&folder.0));
        let place = |name: &str| folder.0.join(name).display().to_string();
        assert_eq!(read(), format!("the list of class folders in {} is empty", folder.0.display()));
        std::fs::create_dir(folder.0.join("a")).unwrap();
        assert_eq!(read(), format!("{}: no file in it ends in png, jpg or jpeg", place("a")));
        folder.write("a/1.png", rgb(4, 5, |_, _| [9; 3]));
        folder.write("a/2.png", rgb(5, 4, |_, _| [9; 3]));
        let expected = "5 by 4 pixels, where images before it have 4 by 5; ask for one `size`";
        assert_eq!(read(), format!("{}: {expected}", place("a/2.png")));
        let size = message(ImageFolder::new(&folder.0).size(0, 3));
        assert_eq!(size, "size of ImageFolder must be at least 1 by 1, got Some((0, 3))");
        let missing = message(ImageFolder::new(folder.0.join("b")));
        assert!(missing.starts_with(&format!("{}: ", place("b"))), "{missing}");
        // Files that are cut short, damaged, or none.
        folder.write("a/1.jpg", rgb(40, 50, |y, x| [level(y, x); 3]));
        for (name, keep) in [("a/1.png", 40), ("a/1.jpg", 20), ("a/1.png", 3), ("a/1.jpg", 0)] {
            let whole = std::fs::read(folder.path(name)).unwrap();
            std::fs::write(folder.path(name), &whole[..keep.min(whole.len())]).unwrap();
            let damaged = message(ImageFolder::new(&folder.0).size(4, 4));
            assert!(damaged.starts_with(&folder.0.join("a").display().to_string()), "{damaged}");
            std::fs::write(folder.path(name), whole).unwrap();
        }
        std::fs::write(folder.path("a/0.png"), "no image at all").unwrap();
        assert!(read().starts_with(&format!("{}: ", place("a/0.png"))), "{}", read());
    }

    #[test]
    fn no_file_makes_it_panic() {
        use rand::{Rng, SeedableRng};
        let folder = Folder::new("bits");
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for name in ["a/1.png", "a/1.jpg"] {
            folder.write(name, rgb(9, 7, |y, x| [level(y, x), 3, 200]));
            let whole = std::fs::read(folder.path(name)).unwrap();
            for round in 0..200 {
                let mut bytes = whole.clone();
                if round % 2 == 0 {
                    bytes.truncate(rng.random_range(0..whole.len()));
                } else {
                    let at = rng.random_range(0..whole.len());
                    bytes[at] ^= 1 << rng.random_range(0..8);
                }
                std::fs::write(folder.path(name), bytes).unwrap();
                let _ = ImageFolder::new(&folder.0).size(3, 3).read();
            }
            std::fs::remove_file(folder.path(name)).unwrap();
        }
    }
}
