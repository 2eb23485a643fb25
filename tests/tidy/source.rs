//! Parses Rust text as far as the rules of `tidy.rs` need: code, comments and strings, the code
//! that only tests compile, and the paths in code.

/// One file, in several versions with the same number of lines.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the top of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the contents of literals blanked.
    pub(crate) code: String,
    /// The text with all but comments blanked.
    pub(crate) comments: String,
    /// `code` with the parts that only tests compile blanked too.
    pub(crate) production: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        let production = if is_test_path(path) {
            blank(&code)
        } else {
            without_tests(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
            production,
        }
    }

    /// Returns the layer of a file under `src`: the name of its top module. `lib.rs` is in no
    /// layer.
    pub(crate) fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let top = inside.split('/').next()?;
        let name = top.strip_suffix(".rs").unwrap_or(top);
        (name != "lib").then_some(name)
    }

    /// Returns the path of the module in a file under `src`.
    pub(crate) fn module(&self) -> Option<Vec<String>> {
        let inside = self.path.strip_prefix("src/")?;
        let inside = inside.strip_suffix(".rs").unwrap_or(inside);
        let parts = inside
            .split('/')
            .filter(|part| !["mod", "lib"].contains(part));
        Some(parts.map(str::to_owned).collect())
    }

    /// Returns the number of modules between the file and the crate's root.
    pub(crate) fn depth(&self) -> usize {
        self.module().map_or(0, |module| module.len())
    }

    /// Returns the files that `mod name;` under `#[cfg(test)]` may refer to.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let base = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let base = base.strip_suffix("/mod").unwrap_or(base);
        let tests = modules(&self.code);
        let production = modules(&self.production);
        tests
            .into_iter()
            .filter(|module| !production.contains(module))
            .flat_map(|module| [format!("{base}/{module}.rs"), format!("{base}/{module}/")])
            .collect()
    }

    /// Marks all of the file as test code.
    pub(crate) fn mark_as_test(&mut self) {
        self.production = blank(&self.code);
    }

    pub(crate) fn is_test(&self) -> bool {
        self.production.trim().is_empty()
    }
}

/// Returns whether a file holds nothing but tests, by its name.
pub(crate) fn is_test_path(path: &str) -> bool {
    !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// A path in code, such as `crate::sync::Arc`. Groups of `use` are expanded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// The path is in a `use`.
    pub(crate) is_import: bool,
}

impl Path {
    pub(crate) fn starts_with(&self, prefix: &[&str]) -> bool {
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(a, b)| a == b)
    }

    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// Returns every path of at least two segments, and the single names that `use` imports.
pub(crate) fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let follows_use = at > 0 && tokens[at - 1].text == "use";
        if token.is_name() && token.text != "use" {
            let first = paths.len();
            at = path(&tokens, at, &[], &mut paths);
            for path in &mut paths[first..] {
                path.is_import = follows_use;
            }
            if paths.len() == first + 1 && paths[first].segments.len() == 1 && !follows_use {
                paths.pop();
            }
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads one path or `use` tree that begins at `at`. Returns where it ends.
fn path(tokens: &[Token], mut at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !["}", ""].contains(&text(at)) {
                    let is_element = tokens[at].is_name() || text(at) == "*";
                    at = if is_element {
                        path(tokens, at, &segments, paths)
                    } else {
                        at + 1
                    };
                }
                return at + 1;
            }
            // `use a::b::{self}` names `a::b`.
            "self" if !segments.is_empty() => at += 1,
            name => {
                segments.push(name.to_owned());
                at += 1;
            }
        }
        let goes_on = text(at) == "::"
            && tokens
                .get(at + 1)
                .is_some_and(|next| next.is_name() || ["{", "*"].contains(&next.text.as_str()));
        if !goes_on {
            break;
        }
        at += 1;
    }
    if text(at) == "as" {
        at += 2;
    }
    paths.push(Path {
        line,
        segments,
        is_import: false,
    });
    at
}

#[derive(Debug)]
struct Token {
    line: usize,
    start: usize,
    text: String,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = code.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            continue;
        }
        let mut text = String::from(c);
        if is_word(c) {
            while let Some((_, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                text.push(c);
            }
        } else if c == ':' {
            text.extend(chars.next_if(|(_, c)| *c == ':').map(|(_, c)| c));
        }
        tokens.push(Token { line, start, text });
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the names of modules that have files of their own.
fn modules(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let declarations = tokens
        .windows(3)
        .filter(|w| w[0].text == "mod" && w[2].text == ";");
    declarations.map(|w| w[1].text.clone()).collect()
}

/// Blanks each item, field or statement under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let tokens = tokens(code);
    let mut kept = String::with_capacity(code.len());
    let mut copied = 0;
    let mut at = 0;
    while at < tokens.len() {
        let here = tokens[at..].iter().map(|token| token.text.as_str());
        if !here.take(ATTRIBUTE.len()).eq(ATTRIBUTE) {
            at += 1;
            continue;
        }
        let end = item_end(&tokens, at + ATTRIBUTE.len());
        let until = tokens.get(end).map_or(code.len(), |token| token.start);
        kept.push_str(&code[copied..tokens[at].start]);
        kept.push_str(&blank(&code[tokens[at].start..until]));
        copied = until;
        at = end;
    }
    kept.push_str(&code[copied..]);
    kept
}

/// Returns the token after an item: after its `;` or its closing brace, or after the comma if it is
/// a field or an argument.
fn item_end(tokens: &[Token], start: usize) -> usize {
    const ITEMS: [&str; 11] = [
        "fn",
        "mod",
        "use",
        "impl",
        "struct",
        "enum",
        "const",
        "static",
        "type",
        "trait",
        "macro_rules",
    ];
    let mut depth = 0usize;
    let mut is_item = false;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            // The end of the block that contains the field or statement.
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            name => is_item |= depth == 0 && ITEMS.contains(&name),
        }
    }
    tokens.len()
}

fn blank(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { c } else { ' ' })
        .collect()
}

/// The class of a character of Rust text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Splits Rust text into code and comments. Each has the other part blanked.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut comments = String::new();
    let mut at = 0;
    while at < chars.len() {
        let (kind, len) = piece(&chars, at);
        for &c in &chars[at..(at + len).min(chars.len())] {
            let or_blank = |is: bool| if is || c == '\n' { c } else { ' ' };
            code.push(or_blank(kind == Kind::Code));
            comments.push(or_blank(kind == Kind::Comment));
        }
        at += len;
    }
    (code, comments)
}

/// Returns the kind of the text at `at`, and its length.
fn piece(chars: &[char], at: usize) -> (Kind, usize) {
    let rest = &chars[at..];
    let follows_word = at > 0 && is_word(chars[at - 1]);
    match rest {
        ['/', '/', ..] => (Kind::Comment, line_length(rest)),
        ['/', '*', ..] => (Kind::Comment, block_comment_length(rest)),
        ['"', ..] => (Kind::Literal, quoted_length(rest, '"')),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => (Kind::Literal, quoted_length(rest, '\'')),
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if !follows_word => {
            raw_string_length(rest).map_or((Kind::Code, 1), |len| (Kind::Literal, len))
        }
        _ => (Kind::Code, 1),
    }
}

fn line_length(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `None` for a raw identifier.
fn raw_string_length(rest: &[char]) -> Option<usize> {
    let prefix = rest.iter().position(|c| *c == 'r')? + 1;
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let inside = &rest[open + 1..];
    let len = inside
        .windows(close.len())
        .position(|window| window == close)?;
    Some(open + 1 + len + close.len())
}
