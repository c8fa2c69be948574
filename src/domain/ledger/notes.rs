//! Several signed notes in one text: checkpoints that were kept, one behind the other.
//!
//! ```text
//! text lines, empty line, signature lines, empty line    one note and what parts it from the next
//! # incomplete                                            last line of a stretch that a crash cut off: no note
//! ```
//!
//! A file of this form only grows. Nothing here is verified: that is [`LogVerifier`](super::LogVerifier)'s.

/// The most notes that are read from one text.
pub const MAX_NOTES: usize = 1_000_000;
/// The last line of a stretch that was not finished.
pub const INCOMPLETE: &str = "# incomplete";

/// A note as it is appended.
pub fn appended(note: &str) -> String {
    format!("{}\n\n", note.trim_end_matches('\n'))
}

/// What must be appended before the next note so that a reader finds it; empty where the text ends between two notes.
pub fn mend(tail: &str) -> String {
    if tail.is_empty() || tail.ends_with("\n\n") {
        return String::new();
    }
    // On the line behind what is there, so that the mark and the stretch are one paragraph.
    format!("{}{INCOMPLETE}\n\n", if tail.ends_with('\n') { "" } else { "\n" })
}

/// The notes in `text`, in order, each as it was signed, and how many stretches are none: what a crash cut off.
/// Newlines at the end may be more or fewer, as editors and shells leave them.
pub fn split(text: &str) -> (Vec<String>, usize) {
    let (mut notes, mut incomplete) = (Vec::new(), 0);
    let mut pending: Option<&str> = None;
    for paragraph in text.split("\n\n").map(|paragraph| paragraph.trim_matches('\n')).filter(|p| !p.is_empty()) {
        let cut_off = paragraph.lines().next_back() == Some(INCOMPLETE);
        let signatures = paragraph.starts_with("— ");
        match pending.take() {
            _ if cut_off => incomplete += 1,
            Some(body) if signatures => notes.push(format!("{body}\n\n{paragraph}\n")),
            None if signatures => incomplete += 1,
            before => {
                incomplete += usize::from(before.is_some());
                pending = Some(paragraph);
            }
        }
        if notes.len() >= MAX_NOTES {
            break;
        }
    }
    (notes, incomplete + usize::from(pending.is_some()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(size: u64) -> String {
        format!("atb.example/x\n{size}\nroot\n\n— atb.example/x c2ln\n— w.example/1 c2ln\n")
    }

    #[test]
    fn one_note_is_read_whatever_newlines_it_was_kept_with() {
        for text in [note(1), format!("{}\n", note(1)), note(1).trim_end().to_owned(), format!("\n{}\n\n", note(1))] {
            assert_eq!(split(&text), (vec![note(1)], 0), "{text:?}");
        }
        assert_eq!(split(""), (Vec::new(), 0));
        assert_eq!(split("no note"), (Vec::new(), 1));
    }

    proptest! {
        #[test]
        fn notes_are_found_again_wherever_a_crash_cut_one_off(
            sizes in prop::collection::vec(0_u64..1000, 0..6), cut in 0_usize..120, torn in any::<bool>(),
        ) {
            let mut text = String::new();
            sizes.iter().for_each(|size| text.push_str(&appended(&note(*size))));
            let mut expected: Vec<_> = sizes.iter().map(|size| note(*size)).collect();
            if torn {
                let unfinished = appended(&note(7777));
                let cut = (0..=cut.min(unfinished.len() - 3)).rev().find(|at| unfinished.is_char_boundary(*at)).unwrap();
                text.push_str(&unfinished[..cut]);
            }
            text.push_str(&mend(&text));
            text.push_str(&appended(&note(5)));
            expected.push(note(5));
            prop_assert_eq!(split(&text).0, expected);
        }
    }
}
