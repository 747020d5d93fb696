//! Damaged and hostile `.npy` and `.npz` files: an error or an array each time, no panic, and no more memory than a file
//! accounts for.

#[path = "common/cases.rs"]
mod cases;
#[path = "common/files.rs"]
mod files;
#[path = "common/memory.rs"]
mod memory;

use files::bytes;
use layerwise::io::{self, Npz};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const INPUTS: usize = 600_000;

/// For the reader's own tables and buffers: deflate has 32 kB of window, as much of input, and its codes.
const FIXED: usize = 200_000;

/// Bytes become `f64`s, in memory that grows by doubling where it is not known how much there is.
const OF_A_FILE: usize = 24;

/// Deflate makes no more of a byte, and bytes become `f64`s.
const OF_A_PACKED_FILE: usize = 1032 * OF_A_FILE;

/// Numbers that headers go wrong with.
const NUMBERS: [u64; 8] = [0, 1, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 40, i64::MAX as u64, u64::MAX];

/// Texts that may stand in a header.
const TEXTS: [&str; 14] = [
    "(1000000000000000000,)",
    "(0, 1000000000000, 1000000000000)",
    "(-1,)",
    "(4294967296, 4294967296)",
    "'>f8'",
    "'|u1'",
    "'<c16'",
    "[('a', '<f4')]",
    "True",
    "False",
    "((((((((((((((((",
    "{'shape': ()",
    "\\x00'\"",
    "'shape'",
];

/// Changes a file in one of many ways.
fn mutate(file: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..file.len().max(1)).min(file.len());
    match rng.random_range(0..9) {
        0 => file.truncate(at),
        1 | 2 => (0..rng.random_range(1..5)).for_each(|_| {
            if !file.is_empty() {
                let at = rng.random_range(0..file.len());
                file[at] ^= 1 << rng.random_range(0..8);
            }
        }),
        3 => {
            if let Some(byte) = file.get_mut(at) {
                *byte = rng.random();
            }
        }
        4 => {
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())].to_le_bytes();
            let width = [2, 4, 8][rng.random_range(0..3)];
            file.iter_mut().skip(at).zip(&number[..width]).for_each(|(byte, new)| *byte = *new);
        }
        5 => {
            let text = TEXTS[rng.random_range(0..TEXTS.len())].as_bytes();
            file.iter_mut().skip(at).zip(text).for_each(|(byte, new)| *byte = *new);
        }
        6 => {
            let text = TEXTS[rng.random_range(0..TEXTS.len())];
            file.splice(at..at, text.bytes());
        }
        7 => {
            let end = rng.random_range(at..=file.len());
            file.drain(at..end);
        }
        _ => {
            let other = &others[rng.random_range(0..others.len())];
            let from = rng.random_range(0..other.len());
            let end = rng.random_range(from..=other.len().min(from + 64));
            file.splice(at..at, other[from..end].iter().copied());
        }
    }
}

/// A header in the place of another one, with its length: damage beyond the first check.
fn with_header(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let descr = ["<f4", "<f8", ">i2", "|u1", "<f2", "|b1", "<x4"][rng.random_range(0..7)];
    let axes = rng.random_range(0..5);
    let length = |rng: &mut ChaCha8Rng| match rng.random_range(0..4) {
        0 => NUMBERS[rng.random_range(0..NUMBERS.len())],
        _ => rng.random_range(0..5),
    };
    let shape: String = (0..axes).map(|_| format!("{}, ", length(rng))).collect();
    let fortran = if rng.random() { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
    let mut file = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    file.extend((0..rng.random_range(0..200)).map(|_| rng.random::<u8>()));
    file
}

#[test]
fn no_input_makes_a_reader_panic_or_take_more_memory_than_the_file_accounts_for() {
    let cases = cases::cases(include_str!("reference/npy_numpy.json"));
    let of_kind = |kind: &str| -> Vec<Vec<u8>> {
        let cases = cases.iter().filter(|case| case["kind"] == kind);
        cases.map(|case| bytes(case["file"].as_str().unwrap())).collect()
    };
    // The long ones hardly ever lead to another path.
    let (mut arrays, archives) = (of_kind("npy"), of_kind("npz"));
    arrays.retain(|file| file.len() < 1000);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut read, mut refused, mut opened) = (0, 0, 0);
    for number in 0..INPUTS {
        let archive = number % 3 == 0;
        let seeds = if archive { &archives } else { &arrays };
        let mut file = match number % 12 {
            1 => with_header(&mut rng),
            _ => seeds[rng.random_range(0..seeds.len())].clone(),
        };
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut file, seeds, &mut rng);
        }
        let length = file.len();
        if archive {
            let (npz, held) = memory::most_taken(|| Npz::from_bytes(file, "x"));
            assert!(held <= FIXED + OF_A_FILE * length, "{held} bytes for {length}");
            let Ok(npz) = npz else {
                refused += 1;
                continue;
            };
            opened += 1;
            for name in npz.names() {
                let (array, held) = memory::most_taken(|| npz.get::<f64>(name));
                assert!(held <= FIXED + OF_A_PACKED_FILE * length, "{held} bytes for {length}");
                *(if array.is_ok() { &mut read } else { &mut refused }) += 1;
            }
        } else {
            let (array, held) = memory::most_taken(|| io::npy_from_bytes::<f64>(&file, "x"));
            assert!(held <= FIXED + OF_A_FILE * length, "{held} bytes for {length}");
            *(if array.is_ok() { &mut read } else { &mut refused }) += 1;
            let _ = (io::npy_from_bytes::<f32>(&file, "x"), io::npy_from_bytes::<u8>(&file, "x"));
        }
    }
    println!("{INPUTS} inputs: {opened} archives opened; {read} arrays read, {refused} refused");
    assert!(read > 10_000 && refused > 50_000 && opened > 1000, "{read} read, {refused} refused, {opened} opened");
}
