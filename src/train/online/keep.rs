//! Which samples of a stream are kept: where each goes that comes.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The rule by which a buffer keeps samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    Uniform,
    Balanced,
    Recent { half_life: f64 },
}

/// A rule and what it knows of the samples that came.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    pub(super) rule: Rule,
    pub(super) capacity: usize,
    /// The samples that came.
    pub(super) seen: u64,
    /// Of balanced ones: the class of each that is kept; for each class how many came; and the classes that have been
    /// the largest since there was no more room.
    pub(super) labels: Vec<usize>,
    pub(super) came: BTreeMap<usize, u64>,
    pub(super) full: BTreeSet<usize>,
    /// Of recent ones: the key of each that is kept. Those with the largest keys are.
    pub(super) keys: Vec<f64>,
}

impl Keep {
    pub(super) fn new(capacity: usize) -> Self {
        Keep {
            rule: Rule::Uniform,
            capacity,
            seen: 0,
            labels: Vec::new(),
            came: BTreeMap::new(),
            full: BTreeSet::new(),
            keys: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Keep { rule: self.rule.clone(), ..Keep::new(self.capacity) };
    }

    /// The place of the next sample where `len` are kept; `None` if it is not. `label` is its class, for balanced ones.
    pub(super) fn place(&mut self, len: usize, label: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
        self.seen += 1;
        match self.rule {
            Rule::Uniform => self.uniform(len, rng),
            Rule::Balanced => self.balanced(len, label, rng),
            Rule::Recent { half_life } => self.recent(len, half_life, rng),
        }
    }

    /// Algorithm R: the t-th sample is kept with the chance capacity / t, instead of any.
    fn uniform(&self, len: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
        if len < self.capacity {
            return Some(len);
        }
        let place = rng.random_range(0..self.seen);
        usize::try_from(place).ok().filter(|&place| place < self.capacity)
    }

    /// Chrysakis and Moens' class-balancing reservoir: a class that has never been the largest takes places of the
    /// largest; in one that has, it is algorithm R among its own.
    fn balanced(&mut self, len: usize, label: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
        let came = self.came.entry(label).or_default();
        *came += 1;
        if len < self.capacity {
            self.labels.push(label);
            return Some(len);
        }
        let came = *came;
        let largest = self.find_largest();
        let place = if self.full.contains(&label) {
            let own = self.count(label) as u64;
            let within = rng.random_range(0..came);
            if within >= own {
                return None;
            }
            self.nth_of(label, within as usize)
        } else {
            let within = rng.random_range(0..self.count(largest));
            self.nth_of(largest, within)
        };
        self.labels[place?] = label;
        place
    }

    /// The class with the most samples, the lowest of several. All that are as large have been the largest from now on.
    fn find_largest(&mut self) -> usize {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        self.labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
        let most = counts.values().copied().max().unwrap_or(0);
        let mut largest = counts.into_iter().filter(|&(_, count)| count == most).map(|(label, _)| label);
        let first = largest.next().unwrap_or(0);
        self.full.insert(first);
        self.full.extend(largest);
        first
    }

    pub(super) fn count(&self, label: usize) -> usize {
        self.labels.iter().filter(|&&has| has == label).count()
    }

    /// The place of the n-th sample of a class.
    fn nth_of(&self, label: usize, n: usize) -> Option<usize> {
        let places = self.labels.iter().enumerate().filter(|&(_, &has)| has == label);
        places.map(|(place, _)| place).nth(n)
    }

    /// Weighted sampling without replacement by keys (Efraimidis and Spirakis), with the weight 2^(t / half-life) of
    /// the t-th sample. u^(1 / w) is ordered as -ln(-ln u) + ln w, which does not overflow.
    fn recent(&mut self, len: usize, half_life: f64, rng: &mut ChaCha8Rng) -> Option<usize> {
        let chance: f64 = rng.random();
        let key = self.seen as f64 * std::f64::consts::LN_2 / half_life - (-chance.ln()).ln();
        if len < self.capacity {
            self.keys.push(key);
            return Some(len);
        }
        let (place, &lowest) = self.keys.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
        if key <= lowest {
            return None;
        }
        self.keys[place] = key;
        Some(place)
    }
}
