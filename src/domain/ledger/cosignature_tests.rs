//! Cosignatures, made here by the words of the specification and not by the code under test.

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{LogKey, LogVerifier};

struct Witness(SigningKey, &'static str);

impl Witness {
    fn new(seed: u8, name: &'static str) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]), name)
    }

    fn id(&self) -> Vec<u8> {
        let mut hashed = format!("{}\n\u{4}", self.1).into_bytes();
        hashed.extend_from_slice(self.0.verifying_key().as_bytes());
        Sha256::digest(&hashed)[..4].to_vec()
    }

    fn vkey(&self) -> String {
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = [&[4][..], self.0.verifying_key().as_bytes()].concat();
        format!("{}+{id}+{}", self.1, Base64::encode_string(&key))
    }

    fn key(&self) -> WitnessKey {
        self.vkey().parse().unwrap()
    }

    fn line(&self, text: &str, time: u64) -> String {
        let signature = self.0.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
        let value = [&self.id()[..], &time.to_be_bytes(), &signature.to_bytes()].concat();
        format!("— {} {}", self.1, Base64::encode_string(&value))
    }
}

fn log() -> (LogVerifier, Checkpoint) {
    let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
    let origin: Origin = "atb.example/broker-1".parse().unwrap();
    (key.verifier(&origin), key.sign(&origin, 20_852_163, Sha256Digest::of(b"a root")))
}

#[test]
fn a_cosigned_checkpoint_is_still_the_logs_and_says_who_saw_it_when() {
    let (verifier, checkpoint) = log();
    let (one, two) = (Witness::new(1, "w.example/1"), Witness::new(2, "w.example/2"));
    let lines = [one.line(checkpoint.text(), 1_679_315_147), two.line(checkpoint.text(), 1_679_315_150)];
    let cosigned = checkpoint.with_lines(lines.iter().map(String::as_str));
    let read = verifier.verify(cosigned.note()).unwrap();
    assert_eq!(read, cosigned);
    let policy = WitnessPolicy::new(vec![one.key(), two.key()], 2).unwrap();
    let found = policy.check(&read).unwrap();
    assert_eq!(found.iter().map(|c| c.at.as_secs()).collect::<Vec<_>>(), [1_679_315_147, 1_679_315_150]);
    assert_eq!(found[0].line, lines[0]);
    assert_eq!(cosigned.with_lines([lines[0].as_str()]), cosigned, "no line twice");
}

#[test]
fn a_quorum_is_counted_by_witnesses_and_names_who_is_missing() {
    let (_, checkpoint) = log();
    let (one, two) = (Witness::new(1, "w.example/1"), Witness::new(2, "w.example/2"));
    let again = [one.line(checkpoint.text(), 5), one.line(checkpoint.text(), 6)];
    let cosigned = checkpoint.with_lines(again.iter().map(String::as_str));
    let policy = |quorum| WitnessPolicy::new(vec![one.key(), two.key()], quorum);
    assert_eq!(policy(1).unwrap().check(&cosigned).unwrap()[0].at.as_secs(), 6, "the latest of one witness");
    let lacking = policy(2).unwrap().check(&cosigned).unwrap_err();
    assert_eq!(lacking, CosignatureError::Quorum { found: 1, required: 2, missing: vec!["w.example/2".to_owned()] });
    assert_eq!(policy(0), Err(CosignatureError::Policy));
    assert_eq!(policy(3), Err(CosignatureError::Policy));
    let twice = WitnessPolicy::new(vec![one.key(), Witness::new(1, "w.example/3").key()], 1);
    assert_eq!(twice, Err(CosignatureError::Policy), "one key under two names");
    assert!(WitnessPolicy::default().check(&checkpoint).unwrap().is_empty());
}

#[test]
fn a_cosignature_of_another_text_time_key_or_name_does_not_count() {
    let (_, checkpoint) = log();
    let witness = Witness::new(1, "w.example/1");
    let good = witness.line(checkpoint.text(), 5);
    let key = witness.key();
    assert!(key.cosignature_in(&checkpoint, &format!("{good}\n")).unwrap().is_some());
    let other_text = checkpoint.text().replace("20852163", "20852164");
    let forged = [
        witness.line(&other_text, 5),
        Witness(SigningKey::from_bytes(&[3; 32]), "w.example/1").line(checkpoint.text(), 5),
        Witness::new(1, "w.example/2").line(checkpoint.text(), 5),
    ];
    assert!(matches!(
        key.cosignature_in(&checkpoint, &format!("{}\n", forged[0])),
        Err(CosignatureError::BadSignature(_))
    ));
    for unknown in &forged[1..] {
        assert_eq!(key.cosignature_in(&checkpoint, &format!("{unknown}\n")), Ok(None), "{unknown}");
    }
    let (_, value) = good.rsplit_once(' ').unwrap();
    let bytes = Base64::decode_vec(value).unwrap();
    for place in 4..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let line = format!("— w.example/1 {}\n", Base64::encode_string(&changed));
        assert!(key.cosignature_in(&checkpoint, &line).is_err(), "byte {place}");
    }
    for malformed in ["", "x\n", "— w.example/1\n", good.as_str()] {
        assert_eq!(key.cosignature_in(&checkpoint, malformed), Err(CosignatureError::Malformed), "{malformed:?}");
    }
}

#[test]
fn a_logs_own_key_is_not_a_witnesss_and_the_other_way_round() {
    let (verifier, _) = log();
    assert!(verifier.to_string().parse::<WitnessKey>().is_err());
    let witness = Witness::new(1, "w.example/1");
    assert_eq!(witness.key().to_string(), witness.vkey());
    assert!(witness.vkey().parse::<LogVerifier>().is_err());
}
