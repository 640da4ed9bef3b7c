//! From source files to the modules that each uses, and the words that it knows.

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::{collections::BTreeSet, path::Path};

/// What a program of the package calls its library.
const LIBRARY: &str = "sync_job";

/// A source file.
#[derive(Debug)]
pub struct Module {
    /// Below `src`, for people.
    pub file: String,
    /// Its path in the crate; that of `lib.rs` is empty.
    pub path: Vec<String>,
    /// Other files that it uses, by their paths.
    pub uses: BTreeSet<Vec<String>>,
    /// Every identifier and keyword, tests left out.
    pub words: BTreeSet<String>,
}

/// The modules below a crate's `src`.
pub fn read(src: &Path) -> Result<Vec<Module>> {
    parse(&files(src)?)
}

/// Name and text of each source file below `src`.
pub fn files(src: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                let name = path.strip_prefix(src).map(|name| name.display().to_string())?;
                found.push((name, text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The modules of these files.
pub fn parse(files: &[(String, String)]) -> Result<Vec<Module>> {
    let known: BTreeSet<Vec<String>> = files.iter().map(|(name, _)| module_path(name)).collect();
    let mut modules = Vec::new();
    let mut of_tests = BTreeSet::new();
    for (name, text) in files {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{name} cannot be read as Rust: {error}"))?;
        let path = module_path(name);
        let mut reading =
            Reading { known: &known, uses: BTreeSet::new(), words: BTreeSet::new(), of_tests: BTreeSet::new() };
        reading.tokens(tokens, &path);
        reading.uses.remove(&path);
        of_tests.extend(reading.of_tests);
        modules.push(Module { file: name.clone(), path, uses: reading.uses, words: reading.words });
    }
    modules.retain(|module| !of_tests.contains(&module.path));
    Ok(modules)
}

fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = path.len() == 1 && path[0] == "lib";
    if is_root || (path.len() > 1 && path.last().is_some_and(|name| name == "mod" || name == "main")) {
        path.pop();
    }
    path
}

struct Reading<'a> {
    known: &'a BTreeSet<Vec<String>>,
    uses: BTreeSet<Vec<String>>,
    words: BTreeSet<String>,
    /// Files that only tests have.
    of_tests: BTreeSet<Vec<String>>,
}

impl Reading<'_> {
    /// `at`: the module that the tokens are in.
    fn tokens(&mut self, tokens: TokenStream, at: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut next = 0;
        while next < tokens.len() {
            next += match &tokens[next..] {
                [hash, TokenTree::Group(attribute), ..] if is_punct(hash, '#') && is_for_tests(attribute) => {
                    2 + self.skip_item(&tokens[next + 2..], at)
                }
                [TokenTree::Ident(word), rest @ ..] if word == "use" => {
                    let end = rest.iter().position(|token| is_punct(token, ';')).unwrap_or(rest.len());
                    self.use_tree(&rest[..end], &mut Vec::new(), at);
                    1 + end
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..] if word == "mod" => {
                    let inner: Vec<String> = at.iter().cloned().chain([name.to_string()]).collect();
                    self.tokens(body.stream(), &inner);
                    3
                }
                [TokenTree::Ident(word), ..] => {
                    let path = path_at(&tokens[next..]);
                    if ["crate", "super", "self", LIBRARY].iter().any(|start| word == start) && path.len() > 1 {
                        self.resolve(&path, at);
                    }
                    self.words.insert(word.to_string());
                    1
                }
                [TokenTree::Group(group), ..] => {
                    self.tokens(group.stream(), at);
                    1
                }
                _ => 1,
            };
        }
    }

    /// The length of an item that only tests have.
    fn skip_item(&mut self, tokens: &[TokenTree], at: &[String]) -> usize {
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            token => is_punct(token, ';'),
        };
        let end = tokens.iter().position(ends).map_or(tokens.len(), |end| end + 1);
        if let [.., TokenTree::Ident(word), TokenTree::Ident(name), last] = &tokens[..end]
            && word == "mod"
            && is_punct(last, ';')
        {
            self.of_tests.insert(at.iter().cloned().chain([name.to_string()]).collect());
        }
        end
    }

    /// A `use` declaration's tree; `before`: the segments that lead to it.
    fn use_tree(&mut self, tokens: &[TokenTree], before: &mut Vec<String>, at: &[String]) {
        let length = before.len();
        for token in tokens {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) => {
                    self.words.insert(word.to_string());
                    before.push(word.to_string());
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is_punct(token, ',')) {
                        self.use_tree(branch, before, at);
                    }
                    before.truncate(length);
                    return;
                }
                _ => {}
            }
        }
        self.resolve(before, at);
        before.truncate(length);
    }

    /// Adds the file that a path leads to, if it is one of this crate.
    fn resolve(&mut self, path: &[String], at: &[String]) {
        let mut base = at.to_vec();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate" | LIBRARY) => {
                base.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            _ => {
                while let [first, others @ ..] = rest
                    && first == "super"
                {
                    base.pop();
                    rest = others;
                }
            }
        }
        base.extend(rest.iter().cloned());
        // The longest beginning that is a file: what follows are its items.
        while !base.is_empty() && !self.known.contains(&base) {
            base.pop();
        }
        // A path that names a crate ends at the module itself or above it.
        let is_own = path.len() == rest.len() && (base.len() <= at.len());
        if !base.is_empty() && !is_own {
            self.uses.insert(base);
        }
    }
}

/// The path that begins here: `crate::a::b`.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(word), after @ ..] = rest {
        path.push(word.to_string());
        match after {
            [first, second, after @ ..] if is_punct(first, ':') && is_punct(second, ':') => rest = after,
            _ => break,
        }
    }
    path
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// Of an attribute's brackets: `[cfg(test)]`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    attribute.delimiter() == Delimiter::Bracket && text == "cfg(test)"
}
