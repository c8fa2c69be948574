//! Pieces of text put in the place of others, and the way back: what people wrote is what findings speak of.

/// A piece of text in the place of another.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// Applies edits that do not overlap; those at one place in the order given.
pub(super) fn apply(text: &mut String, mut edits: Vec<Edit>) -> Shifts {
    edits.sort_by_key(|edit| (edit.start, edit.end));
    edits.retain(|edit| text.get(edit.start..edit.end).is_some());
    for edit in edits.iter().rev() {
        text.replace_range(edit.start..edit.end, &edit.text);
    }
    Shifts(edits.into_iter().map(|edit| (edit.start, edit.end, edit.text.len())).collect())
}

/// Where what was edited came from: start and end of each edit in the text before, and its length behind.
#[derive(Debug, Default)]
pub(super) struct Shifts(Vec<(usize, usize, usize)>);

impl Shifts {
    /// The place before, of a place behind; what an edit wrote came from its start.
    pub(super) fn before(&self, at: usize) -> usize {
        let mut moved = 0_isize;
        for (start, end, length) in &self.0 {
            let begins = start.saturating_add_signed(moved);
            if at < begins {
                break;
            }
            if at < begins + length {
                return *start;
            }
            moved += length.cast_signed() - (end - start).cast_signed();
        }
        at.saturating_add_signed(-moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_behind_edits_is_found_in_the_text_before() {
        let mut text = "p[x] { q }".to_owned();
        let edit = |start, end, text: &str| Edit { start, end, text: text.to_owned() };
        let shifts = apply(&mut text, vec![edit(5, 5, "if "), edit(1, 2, " contains "), edit(3, 4, "")]);
        assert_eq!(text, "p contains x if { q }");
        let before: Vec<usize> =
            ["p", "x", "{", "q"].iter().map(|part| shifts.before(text.rfind(part).unwrap())).collect();
        assert_eq!(before, [0, 2, 5, 7]);
        assert_eq!(Shifts::default().before(3), 3);
    }
}
