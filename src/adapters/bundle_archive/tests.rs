use super::*;

/// One tar entry: a header as `change` leaves it, with a fresh checksum, and its content.
fn entry(name: &[u8], content: &[u8], change: impl Fn(&mut Header)) -> Vec<u8> {
    let mut header = super::header("x", content.len()).unwrap();
    let field = &mut header.as_old_mut().name;
    field.fill(0);
    field[..name.len()].copy_from_slice(name);
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    entry(name, content, |_| {})
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    gzip(&[entries.concat(), vec![0; 2 * BLOCK]].concat())
}

fn refusal(archive: &[u8]) -> String {
    match read(archive) {
        Ok(read) => panic!("it was read: {read:?}"),
        Err(error) => error.to_string(),
    }
}

fn files(list: &[(&str, &str)]) -> BundleFiles {
    BundleFiles::new(list.iter().map(|(p, c)| ((*p).to_owned(), c.as_bytes().to_vec()))).unwrap()
}

#[test]
fn what_was_written_is_read_and_one_content_has_one_form() {
    let content = files(&[("policy/poa.rego", "package a"), (".manifest", "{}"), ("empty", "")]);
    let written = write(&content, Some(b"{}")).unwrap();
    let back = read(&written).unwrap();
    assert_eq!((back.files, back.signatures), (content.clone(), Some(b"{}".to_vec())));
    assert_eq!(write(&content, Some(b"{}")).unwrap(), written);
    assert_eq!(read(&write(&content, None).unwrap()).unwrap().files.digest(), content.digest());
    // No time, no name, no operating system (RFC 1952 §2.3).
    assert_eq!(written[..4], [0x1f, 0x8b, 8, 0]);
    assert_eq!((&written[4..8], written[9]), (&[0; 4][..], 255));
}

#[test]
fn names_as_opa_and_tar_write_them_are_paths_of_a_bundle() {
    let folder = entry(b"./policy/", b"", |header| header.set_entry_type(EntryType::Directory));
    let read = read(&archive(&[folder, file(b"/data.json", b"{}"), file(b"./policy/a.rego", b"x")])).unwrap();
    assert_eq!(read.files, files(&[("data.json", "{}"), ("policy/a.rego", "x")]));
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    for name in [
        &b"../x"[..],
        b"a/../x",
        b"/../x",
        b"//x",
        b"/./x",
        b"./../x",
        b"a//b",
        b"a/",
        b"a\\b",
        b"/",
        b"./",
        b"",
        b"a\xffb",
        b"C:\\x",
    ] {
        let error = refusal(&archive(&[file(name, b"")]));
        assert!(error.contains("leads elsewhere") || error.contains("path") || error.contains("UTF-8"), "{error}");
    }
}

#[test]
fn a_path_is_as_deep_as_in_a_folder_and_no_deeper() {
    let deep = |n: usize| [b"a/".repeat(n), b"x".to_vec()].concat();
    assert!(read(&archive(&[file(&deep(15), b"")])).is_ok());
    assert!(refusal(&archive(&[file(&deep(16), b"")])).contains("16 segments"));
}

#[test]
fn a_hidden_file_is_refused() {
    for name in [&b".git/config"[..], b"policy/.x.rego.swp", b"sub/.manifest", b"sub/.signatures.json", b".env"] {
        assert!(refusal(&archive(&[file(name, b"")])).contains("hidden"), "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn a_name_twice_is_refused_however_it_is_written() {
    for (one, other) in [("a", "a"), ("a", "/a"), ("./a", "/a"), (".signatures.json", "/.signatures.json")] {
        let error = refusal(&archive(&[file(one.as_bytes(), b"1"), file(other.as_bytes(), b"2")]));
        assert!(error.contains("there twice"), "{error}");
    }
}

#[test]
fn links_devices_and_extension_headers_are_refused() {
    for (kind, what) in [
        (EntryType::Symlink, "link"),
        (EntryType::Link, "link"),
        (EntryType::Char, "neither"),
        (EntryType::Block, "neither"),
        (EntryType::Fifo, "neither"),
        (EntryType::Continuous, "neither"),
        (EntryType::GNUSparse, "neither"),
        (EntryType::XHeader, "extension"),
        (EntryType::XGlobalHeader, "extension"),
        (EntryType::GNULongName, "extension"),
        (EntryType::GNULongLink, "extension"),
        (EntryType::new(b'?'), "neither"),
    ] {
        let bad = entry(b"policy/a.rego", b"", |header| header.set_entry_type(kind));
        let error = refusal(&archive(&[bad]));
        assert!(error.contains(what), "{kind:?}: {error}");
    }
}

/// Go takes the size of a folder as 0 and reads its content as headers.
#[test]
fn a_folder_with_content_is_refused() {
    let inner = file(b"hidden.rego", b"package evil");
    let folder = entry(b"policy/", &inner, |header| header.set_entry_type(EntryType::Directory));
    assert!(refusal(&archive(&[folder])).contains("neither"));
}

#[test]
fn a_header_of_another_dialect_is_refused() {
    let v7 = entry(b"a", b"", |header| header.as_mut_bytes()[257..265].fill(0));
    assert!(refusal(&archive(&[v7])).contains("ustar"));
    let star = entry(b"a", b"", |header| header.as_mut_bytes()[508..512].copy_from_slice(b"tar\0"));
    assert!(refusal(&archive(&[star])).contains("ustar"));
}

#[test]
fn a_broken_header_is_refused() {
    let mut bad = file(b"a", b"");
    bad[0] = b'b';
    assert!(refusal(&archive(&[bad])).contains("tar"));
    let huge = entry(b"a", b"", |header| header.set_size(u64::MAX));
    assert!(refusal(&archive(&[huge])).contains("tar"));
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let whole = archive(&[file(b"a", b"1")]);
    assert!(read(&whole).is_ok());
    assert!(matches!(read(&[whole.clone(), vec![0]].concat()), Err(ArchiveError::Trailing)));
    // A second gzip member, which other readers append to the first.
    assert!(matches!(read(&[whole.clone(), archive(&[file(b"b", b"2")])].concat()), Err(ArchiveError::Trailing)));
    let behind = gzip(&[file(b"a", b"1"), vec![0; 2 * BLOCK], file(b"b", b"2"), vec![0; 2 * BLOCK]].concat());
    assert!(refusal(&behind).contains("nothing behind"));
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = archive(&[file(b"a", &[7; 3000]), file(b"b", b"2")]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    let tar = [file(b"a", b"1"), file(b"b", b"2")].concat();
    for end in (0..=tar.len() + BLOCK).step_by(BLOCK) {
        let cut: Vec<u8> = tar.iter().copied().chain([0; BLOCK]).take(end).collect();
        assert!(read(&gzip(&cut)).is_err(), "{end}");
    }
    assert!(read(b"").is_err() && read(b"PK\x03\x04").is_err());
}

#[test]
fn a_changed_byte_is_seen_by_the_checksums() {
    let whole = archive(&[file(b"policy/a.rego", b"package a")]);
    let original = read(&whole).unwrap();
    for i in 0..whole.len() {
        let mut changed = whole.clone();
        changed[i] ^= 0x10;
        // Only the header's time, flags of speed and system (RFC 1952) are not part of the content.
        assert!(read(&changed).is_err() || read(&changed).unwrap() == original, "{i}");
    }
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let bomb = gzip(&vec![0; MAX_TAR_BYTES + 1]);
    assert!(bomb.len() < 64 * 1024);
    assert!(matches!(read(&bomb), Err(ArchiveError::TooLarge(MAX_TAR_BYTES))));
    let large = archive(&[file(b"a", &vec![0; MAX_BYTES]), file(b"b", b"1")]);
    assert!(refusal(&large).contains("bytes"));
    assert!(matches!(read(&vec![0; MAX_ARCHIVE_BYTES + 1]), Err(ArchiveError::TooLarge(MAX_ARCHIVE_BYTES))));
}

#[test]
fn files_and_folders_are_counted() {
    let many: Vec<_> = (0..=MAX_FILES).map(|i| file(i.to_string().as_bytes(), b"")).collect();
    assert!(refusal(&archive(&many)).contains("files"));
    let folder = |_| entry(b"a/", b"", |header| header.set_entry_type(EntryType::Directory));
    let folders: Vec<_> = (0..=MAX_ENTRIES).map(folder).collect();
    assert!(refusal(&archive(&folders)).contains("entries"));
}

#[test]
fn a_folder_and_its_archive_are_the_same_bundle() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policy")).unwrap();
    fs::write(dir.path().join("policy/a.rego"), "package a").unwrap();
    fs::write(dir.path().join(".manifest"), "{}").unwrap();
    fs::write(dir.path().join(SIGNATURES), "signed").unwrap();
    let folder = read_path(dir.path()).unwrap();
    assert_eq!(folder.signatures.as_deref(), Some(&b"signed"[..]));
    let path = dir.path().join("bundle.tar.gz");
    fs::write(&path, write(&folder.files, folder.signatures.as_deref()).unwrap()).unwrap();
    assert_eq!(read_path(&path).unwrap(), folder);
    assert!(matches!(read_path(&dir.path().join("none")), Err(BundleReadError::Io { .. })));
}
