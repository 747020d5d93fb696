//! Which module of a PyTorch file is which layer of a model.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::TensorFile;
use super::load_weights::Given;
use super::plan::{Plan, Source, Wanted};
use super::torch::{Theirs, TorchNames, split};

/// What a recurrent module calls its tensors, with the number of the layer behind it: `weight_ih_l0`.
const RECURRENT: [&str; 4] = ["weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l"];

/// A layer of the model that has parameters.
struct Place<'w> {
    path: &'w str,
    /// The numbers of its parameters, with PyTorch's side of them.
    params: Vec<(usize, Theirs)>,
    /// The names and shapes that its module has.
    needs: BTreeMap<String, Vec<usize>>,
}

/// A module of the file.
struct Module<'f> {
    path: String,
    renamed: bool,
    /// By their names within the module.
    tensors: BTreeMap<&'f str, &'f str>,
}

/// Every parameter from the tensors of the module that is its layer.
pub(super) fn plan_by_modules(wanted: &[Wanted], names: &TorchNames, given: &[Given<'_>], file: &TensorFile) -> Plan {
    let places = places(wanted, names);
    let modules = modules(given);
    let mut plan = Plan { sources: vec![None; wanted.len()], ..Plan::default() };
    let chosen = choose(&places, &modules, names, file, &mut plan.faults);

    let mut unused: HashSet<&str> = given.iter().map(|given| given.in_file).collect();
    for (place, module) in places.iter().zip(chosen) {
        let Some(module) = module.map(|at| &modules[at]) else { continue };
        for (number, theirs) in &place.params {
            let from: Option<Vec<&str>> =
                theirs.names.iter().map(|name| module.tensors.get(&**name).copied()).collect();
            let Some(from) = from else { continue };
            for name in &from {
                unused.remove(name);
            }
            let from = from.into_iter().map(str::to_owned).collect();
            plan.sources[*number] = Some(Source { from, layout: theirs.layout, channels_first: None });
        }
        for (name, in_file) in &module.tensors {
            if names.is_unused(place.path, name) {
                unused.remove(in_file);
            }
        }
    }
    // In the order of the file.
    plan.unexpected =
        given.iter().map(|given| given.in_file).filter(|name| unused.contains(name)).map(str::to_owned).collect();
    plan
}

/// The layers, in the order of the model. One whose parameters are all tied to earlier ones needs no module.
fn places<'w>(wanted: &'w [Wanted], names: &TorchNames) -> Vec<Place<'w>> {
    let mut places: Vec<Place<'w>> = Vec::new();
    let (mut at, mut seen, mut fresh) = (HashMap::new(), HashSet::new(), HashSet::new());
    for (number, Wanted { name, id, shape }) in wanted.iter().enumerate() {
        let (path, _) = split(name);
        let place = *at.entry(path).or_insert_with(|| {
            places.push(Place { path, params: Vec::new(), needs: BTreeMap::new() });
            places.len() - 1
        });
        if seen.insert(*id) {
            fresh.insert(path);
        }
        let theirs = names.theirs(name);
        let shape = theirs.layout.theirs(shape).unwrap_or_default();
        places[place].needs.extend(theirs.names.iter().map(|name| (name.clone(), shape.clone())));
        places[place].params.push((number, theirs));
    }
    places.retain(|place| fresh.contains(place.path));
    places
}

/// The modules, in the order of their names with numbers counted as such.
fn modules<'f>(given: &'f [Given<'f>]) -> Vec<Module<'f>> {
    let mut modules: HashMap<String, Module<'f>> = HashMap::new();
    for Given { in_file, name, renamed } in given {
        let (path, leaf) = split(name);
        let (path, leaf) = match recurrent_layer(leaf) {
            Some((leaf, layer)) => (format!("{path}{LAYER}{layer}"), leaf),
            None => (path.to_owned(), leaf),
        };
        let module = modules.entry(path).or_insert_with_key(|path| Module {
            path: path.clone(),
            renamed: false,
            tensors: BTreeMap::new(),
        });
        module.renamed |= renamed;
        module.tensors.insert(leaf, in_file);
    }
    let mut modules: Vec<_> = modules.into_values().collect();
    modules.sort_by(|a, b| words(&a.path).cmp(&words(&b.path)));
    modules
}

/// What stands between the name of a recurrent module and the number of one of its layers.
const LAYER: &str = " layer ";

/// `weight_ih_l0` as `weight_ih` and `0`.
fn recurrent_layer(leaf: &str) -> Option<(&str, &str)> {
    let start = RECURRENT.into_iter().find(|start| leaf.starts_with(start))?;
    let (name, layer) = (&leaf[..start.len() - "_l".len()], &leaf[start.len()..]);
    (!layer.is_empty() && layer.bytes().all(|byte| byte.is_ascii_digit())).then_some((name, layer))
}

impl Module<'_> {
    /// Whether it is called as this layer is.
    fn is_called(&self, path: &str) -> bool {
        self.path == path || self.path.strip_prefix(path).and_then(|rest| rest.strip_prefix(LAYER)) == Some("0")
    }

    /// Whether it has what the layer needs and nothing else, in the shapes that it needs.
    fn fits(&self, place: &Place<'_>, names: &TorchNames, file: &TensorFile) -> bool {
        let used = self.tensors.keys().filter(|name| !names.is_unused(place.path, name)).count();
        let found = |(name, shape): (&String, &Vec<usize>)| {
            self.tensors.get(&**name).is_some_and(|in_file| file.shape(in_file) == Some(&shape[..]))
        };
        used == place.needs.len() && place.needs.iter().all(found)
    }
}

/// The module of each place: by name where the names agree or were given, else by shapes and order. Faults are what
/// cannot be decided.
fn choose(
    places: &[Place<'_>],
    modules: &[Module<'_>],
    names: &TorchNames,
    file: &TensorFile,
    faults: &mut Vec<String>,
) -> Vec<Option<usize>> {
    let called = |place: &Place<'_>| modules.iter().position(|module| module.is_called(place.path));
    let mut chosen: Vec<Option<usize>> = places.iter().map(called).collect();
    let agree = modules.len() == places.len() && chosen.iter().all(Option::is_some);
    if agree {
        return chosen;
    }
    for at in &mut chosen {
        *at = at.filter(|&at| modules[at].renamed);
    }
    for first in 0..places.len() {
        // All places still free that need the same, of which this is the first, and all modules that fit.
        let alike = |place: &Place<'_>| place.needs == places[first].needs;
        let rivals: Vec<usize> =
            (first..places.len()).filter(|&at| chosen[at].is_none() && alike(&places[at])).collect();
        if rivals.first() != Some(&first) {
            continue;
        }
        let free = |at: &usize| !modules[*at].renamed && !chosen.contains(&Some(*at));
        let fits = |at: &usize| free(at) && modules[*at].fits(&places[first], names, file);
        let fitting: Vec<usize> = (0..modules.len()).filter(fits).collect();
        if fitting.is_empty() {
            continue;
        }
        match undecided(&rivals, &fitting, places, modules) {
            Some(fault) => faults.push(fault),
            None => rivals.iter().zip(fitting).for_each(|(&place, module)| chosen[place] = Some(module)),
        }
    }
    chosen
}

/// Why the order does not tell which of these modules is which of these layers.
fn undecided(rivals: &[usize], fitting: &[usize], places: &[Place<'_>], modules: &[Module<'_>]) -> Option<String> {
    let apart = |pair: &[usize]| told_apart_by_numbers(&modules[pair[0]].path, &modules[pair[1]].path);
    if rivals.len() == fitting.len() && fitting.windows(2).all(apart) {
        return None;
    }
    let layers = quoted(rivals.iter().map(|&at| places[at].path));
    let found = quoted(fitting.iter().map(|&at| &*modules[at].path));
    Some(match rivals.len() == fitting.len() {
        true => format!("no numbers tell which of the modules {found} is which of the layers {layers}: rename them"),
        false => format!("the layers {layers} have the shapes of the modules {found}: rename them"),
    })
}

/// A list of names.
fn quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// A piece of a name: a number, by its digits without leading zeros, or what stands between numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Word<'n> {
    Number(usize, &'n str),
    Text(&'n str),
}

/// The pieces of a name.
fn words(name: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.bytes().next() {
        let digits = first.is_ascii_digit();
        let end = rest.bytes().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let number = word.trim_start_matches('0');
        words.push(if digits { Word::Number(number.len(), number) } else { Word::Text(word) });
        rest = behind;
    }
    words
}

/// Whether two names are the same up to a number that differs.
fn told_apart_by_numbers(a: &str, b: &str) -> bool {
    let (a, b) = (words(a), words(b));
    let differing = a.iter().zip(&b).find(|(a, b)| a.cmp(b) != Ordering::Equal);
    matches!(differing, Some((Word::Number(..), Word::Number(..))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["fc10", "fc9", "layer1.10.a", "layer1.2.b", "layer1.2.a", "fc", "10", "9"];
        names.sort_by(|a, b| words(a).cmp(&words(b)));
        assert_eq!(names, ["9", "10", "fc", "fc9", "fc10", "layer1.2.a", "layer1.2.b", "layer1.10.a"]);
        for (a, b, apart) in [
            ("0", "2", true),
            ("fc1", "fc2", true),
            ("blocks.0.fc", "blocks.1.fc", true),
            ("rnn layer 0", "rnn layer 1", true),
            ("decoder", "encoder", false),
            ("fc", "fc2", false),
            ("blocks.0.a", "blocks.0.b", false),
        ] {
            assert_eq!(told_apart_by_numbers(a, b), apart, "{a} and {b}");
        }
    }

    #[test]
    fn names_of_recurrent_modules_have_the_number_of_the_layer() {
        assert_eq!(recurrent_layer("weight_ih_l0"), Some(("weight_ih", "0")));
        assert_eq!(recurrent_layer("bias_hh_l12"), Some(("bias_hh", "12")));
        for other in ["weight", "weight_ih", "weight_ih_l", "weight_ih_l0_reverse", "weight_ih_length"] {
            assert_eq!(recurrent_layer(other), None, "{other}");
        }
    }
}
