//! Rust source taken apart into code and comments, so that a rule about code is not fooled by a text or a comment.

/// The two parts of a source file. Both have the lines of the whole; what belongs to the other part, and the inside
/// of texts, is blank.
pub(crate) struct Source {
    /// Code without comments and without the inside of texts.
    pub(crate) code: String,
    /// Comments alone.
    pub(crate) comments: String,
}

#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Text,
}

/// Takes a file apart.
pub(crate) fn split(text: &str) -> Source {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Source { code: String::new(), comments: String::new() };
    let mut put = |c: char, part: Part| {
        let blank = if c == '\n' { '\n' } else { ' ' };
        out.code.push(if matches!(part, Part::Code) { c } else { blank });
        out.comments.push(if matches!(part, Part::Comment) { c } else { blank });
    };
    let mut i = 0;
    while i < chars.len() {
        let (end, part) = span(&chars, i);
        let edges = matches!(part, Part::Text);
        for (at, &c) in chars.iter().enumerate().take(end).skip(i) {
            // The quotes of a text are code, so that what stands around a text still parses.
            let quote = edges && (at == i || at + 1 == end) && c == '"';
            put(c, if quote { Part::Code } else { part });
        }
        i = end;
    }
    out
}

/// Where what begins at `i` ends, and what it is.
fn span(chars: &[char], i: usize) -> (usize, Part) {
    let at = |j: usize| chars.get(j).copied().unwrap_or('\0');
    let find = |from: usize, stop: &dyn Fn(usize) -> bool| (from..chars.len()).find(|&j| stop(j));
    match at(i) {
        '/' if at(i + 1) == '/' => (find(i, &|j| at(j) == '\n').unwrap_or(chars.len()), Part::Comment),
        '/' if at(i + 1) == '*' => (block_comment(chars, i), Part::Comment),
        '"' => (quoted(chars, i, '"'), Part::Text),
        '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => (quoted(chars, i, '\''), Part::Text),
        'r' if i == 0 || !is_word(at(i - 1)) || (at(i - 1) == 'b' && (i < 2 || !is_word(at(i - 2)))) => {
            let hashes = (i + 1..).take_while(|&j| at(j) == '#').count();
            if at(i + 1 + hashes) != '"' {
                return (i + 1, Part::Code);
            }
            let closes = |j: usize| at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#');
            let end = find(i + 2 + hashes, &closes).map_or(chars.len(), |j| j + 1 + hashes);
            (end, Part::Text)
        }
        _ => (i + 1, Part::Code),
    }
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0usize;
    let mut i = start;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut i = start + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// Whether a character may stand in a name.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The places where `needle` stands in `code` as a whole word (at the ends that are words).
pub(crate) fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let (first, last) = (needle.chars().next(), needle.chars().last());
    code.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + needle.len()..].chars().next();
        let joined = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) && b.is_some_and(is_word);
        !joined(before, first) && !joined(last, after)
    })
}

/// The line, from 1, of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_comments_are_told_from_code() {
        let s = split(
            "a(\"un\\\"safe\"); // why\n/* x /* y */ z */ b('\"', '\\'', r#\"q\"q\"#); fn c<'a>() {}\n",
        );
        assert!(s.code.contains("a(\"") && s.code.contains("b(") && s.code.contains("fn c<'a>() {}"));
        for gone in ["safe", "why", "z", "q"] {
            assert!(!s.code.contains(gone), "{gone} in {}", s.code);
        }
        assert!(s.comments.contains("// why") && s.comments.contains("z */"));
        assert_eq!(s.code.lines().count(), 2);
    }

    #[test]
    fn words_are_whole() {
        let code = "unsafe_code unsafe { } not_unsafe";
        assert_eq!(words(code, "unsafe").collect::<Vec<_>>(), [12]);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
