//! What a law needs to know about Rust source, without a parser: code apart from comments and literals, where
//! the tests begin, and every function with its length and parameters.
//!
//! Blanking keeps every line where it is, so a line number found in the code is a line number of the file.

/// The source with the text of comments, strings and characters replaced by spaces.
pub(crate) fn code_only(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = end_of_blank(&text, at);
        if end > at {
            code.extend(text[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            code.push(text[at]);
            at += 1;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn end_of_blank(text: &[char], at: usize) -> usize {
    let after = |ahead: usize| text.get(at + ahead).copied().unwrap_or('\0');
    match text[at] {
        '/' if after(1) == '/' => find(text, at, |c| c == '\n'),
        '/' if after(1) == '*' => end_of_block_comment(text, at),
        '"' => end_of_string(text, at + 1),
        '\'' if after(1) == '\\' => find(text, at + 3, |c| c == '\'') + 1,
        '\'' if after(2) == '\'' => at + 3,
        'r' if at == 0 || !is_word(text[at - 1]) || text[at - 1] == 'b' => {
            end_of_raw_string(text, at).unwrap_or(at)
        }
        _ => at,
    }
    .min(text.len())
}

fn find(text: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|at| wanted(text[*at])).unwrap_or(text.len())
}

fn end_of_block_comment(text: &[char], start: usize) -> usize {
    let mut depth = 0_u32;
    let mut at = start;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn end_of_string(text: &[char], from: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#` and so on; `r#name` is an identifier, not a string.
fn end_of_raw_string(text: &[char], start: usize) -> Option<usize> {
    let hashes = text[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let mut at = open + 1;
    while at < text.len() {
        let closes =
            text[at] == '"' && text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        if closes {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(text.len())
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many lines come before the tests: before a `#[cfg(test)]` at the margin that opens a module.
pub(crate) fn lines_before_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    let opens_module = |line: &&str| line.trim_start().starts_with("mod ") && line.contains('{');
    (0..lines.len())
        .find(|at| lines[*at] == "#[cfg(test)]" && lines[at + 1..].iter().take(3).any(opens_module))
        .unwrap_or(lines.len())
}

/// One function with a body or a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub name: String,
    /// Counted from one.
    pub line: usize,
    /// From `fn` to the closing brace, both included.
    pub lines: usize,
    /// Without `self`.
    pub parameters: usize,
}

/// Every named function in code whose comments and literals are blanked.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let text: Vec<char> = code.chars().collect();
    let starts = (0..text.len().saturating_sub(2)).filter(|at| {
        text[*at..].starts_with(&['f', 'n', ' ']) && (*at == 0 || !is_word(text[at - 1]))
    });
    starts.filter_map(|at| function_at(&text, at)).collect()
}

fn function_at(text: &[char], start: usize) -> Option<Function> {
    let name: String = text[start + 3..].iter().take_while(|c| is_word(**c)).collect();
    if name.is_empty() {
        return None;
    }
    let after_name = start + 3 + name.chars().count();
    let open = match text.get(after_name)? {
        '<' => end_of_angles(text, after_name),
        _ => after_name,
    };
    if text.get(open) != Some(&'(') {
        return None;
    }
    let close = end_of_group(text, open);
    let parameters = split_parameters(&text[open + 1..close.saturating_sub(1)]);
    let end = end_of_function(text, close);
    let line_of = |at: usize| text[..at].iter().filter(|c| **c == '\n').count() + 1;
    Some(Function {
        name,
        line: line_of(start),
        lines: line_of(end) - line_of(start) + 1,
        parameters: parameters.iter().filter(|parameter| !is_receiver(parameter)).count(),
    })
}

/// One past the `>` that closes the `<` at `open`; the arrow `->` closes nothing.
fn end_of_angles(text: &[char], open: usize) -> usize {
    let mut depth = 0_u32;
    for at in open..text.len() {
        match text[at] {
            '<' => depth += 1,
            '>' if text[at - 1] != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// One past the bracket that closes the one at `open`.
fn end_of_group(text: &[char], open: usize) -> usize {
    let mut depth = 0_u32;
    for (at, c) in text.iter().enumerate().skip(open) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// The last character of the body, or the `;` of a signature without one.
fn end_of_function(text: &[char], after_parameters: usize) -> usize {
    let mut at = after_parameters;
    while at < text.len() {
        match text[at] {
            '{' => return end_of_group(text, at).saturating_sub(1),
            ';' => return at,
            '(' | '[' => at = end_of_group(text, at),
            _ => at += 1,
        }
    }
    text.len().saturating_sub(1)
}

fn split_parameters(text: &[char]) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    let mut before = ' ';
    for c in text.iter().copied() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        before = c;
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn is_receiver(parameter: &str) -> bool {
    let mut rest = parameter.trim().trim_start_matches('&').trim_start();
    if rest.starts_with('\'') {
        rest = rest.split_once(' ').map_or("", |(_, after)| after);
    }
    let rest = rest.strip_prefix("mut ").unwrap_or(rest);
    let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
    word == "self"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        check("let a = \"x // y\"; // z", "let a =         ;     ");
        check("a /* b /* c */ d */ e", "a                   e");
        check("r#\"a \" b\"# + r\"c\" + r#fn", "           +      + r#fn".trim_start_matches(' '));
        check("'\"' 'a '\\'' b'x'", "    'a      b   ");
        assert_eq!(code_only("a\n/* b\nc */\nd").lines().count(), 4);
    }

    #[test]
    fn tests_begin_at_their_module() {
        assert_eq!(lines_before_tests("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(lines_before_tests("#[cfg(test)]\nmod tests;\na\n"), 3);
        assert_eq!(lines_before_tests("a\n"), 1);
    }

    #[test]
    fn functions_are_found_with_lines_and_parameters() {
        check_functions("fn a() {}", &[("a", 1, 0)]);
        check_functions("pub(crate) fn a(&self, b: u8) -> [u8; 2]\n{\n  b\n}\n", &[("a", 4, 1)]);
        check_functions("fn a<F: Fn(u8, u8) -> u8>(f: F, m: Map<u8, u8>) {\n}", &[("a", 2, 2)]);
        check_functions("fn a(&'a mut self, (b, c): (u8, u8),) where X: Y {}", &[("a", 1, 1)]);
        check_functions(
            "trait T { fn a(self: &Self, b: u8); fn c(); }",
            &[("a", 1, 1), ("c", 1, 0)],
        );
        check_functions("let f: fn(u8) -> u8 = g;", &[]);
        check_functions("fn a() { fn b(x: u8) {\n} }", &[("a", 2, 0), ("b", 2, 1)]);
    }

    fn check(source: &str, code: &str) {
        let found = code_only(source);
        assert_eq!(found.trim_start(), code.trim_start(), "{source}");
    }

    fn check_functions(code: &str, expected: &[(&str, usize, usize)]) {
        let found = functions(code);
        let found: Vec<_> =
            found.iter().map(|f| (f.name.as_str(), f.lines, f.parameters)).collect();
        assert_eq!(found, expected, "{code}");
    }
}
