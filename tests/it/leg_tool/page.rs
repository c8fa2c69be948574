//! docs/legal-teams.md as a person in the legal department follows it.

use crate::page::Reader;

#[test]
fn the_page_for_legal_teams_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let reader = Reader::new(&work);
    let script = "cp -r \"$SOURCE/opa\" . && git init -q -b main . && git add . && git commit -q -m start";
    let (code, printed) = reader.bash(script);
    assert_eq!(code, 0, "{printed}");
    let ran = reader.follow("docs/legal-teams.md");
    assert!(ran >= 10, "the page has {ran} commands");
}
