//! Which module needs which.

use std::collections::{BTreeMap, BTreeSet};

/// Arrows between names; one from a name to itself says nothing.
#[derive(Debug, Default)]
pub struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    pub fn add(&mut self, from: String, to: String) {
        if from != to {
            self.0.entry(from).or_default().insert(to);
        }
    }

    /// A circle, if there is any: its first name comes last, too.
    pub fn cycle(&self) -> Option<Vec<String>> {
        let mut finished = BTreeSet::new();
        self.0.keys().find_map(|start| self.search(start, &mut Vec::new(), &mut finished))
    }

    /// Follows the arrows from `name`; `way` holds the names that lead to it.
    fn search<'a>(
        &'a self,
        name: &'a str,
        way: &mut Vec<&'a str>,
        finished: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|earlier| *earlier == name) {
            return Some(way[start..].iter().chain([&name]).map(|name| (*name).to_owned()).collect());
        }
        if finished.contains(name) {
            return None;
        }
        way.push(name);
        let found = self.0.get(name).into_iter().flatten().find_map(|next| self.search(next, way, finished));
        way.pop();
        finished.insert(name);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_diamonds_are_none() {
        let graph = |arrows: &[(&str, &str)]| {
            let mut graph = Graph::default();
            for (from, to) in arrows {
                graph.add((*from).to_owned(), (*to).to_owned());
            }
            graph
        };
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "d")];
        assert_eq!(graph(&diamond).cycle(), None);
        let circle = graph(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]).cycle();
        assert_eq!(circle, Some(["b", "c", "d", "b"].map(str::to_owned).to_vec()));
    }
}
