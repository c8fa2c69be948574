//! `crypto.x509.parse_certificates` and `crypto.x509.parse_certificate_request`: the document that Go's `x509.Certificate`
//! marshals to, as OPA hands it to policies.
//!
//! A member that would not be Go's to the letter is left out and never wrong: `PublicKey` (its numbers are larger than
//! what is exact here), a `SerialNumber` beyond 63 bits, the members of a name constraint, of policy constraints and
//! of critical extensions that are not listed here, and URIs that Go would write in another way. Where Go refuses a
//! certificate the call is undefined, as it is where the parser here is stricter. Names in encodings of the last
//! century (BMP, Teletex) are beyond the bounds. What a certificate is worth, [`super::x509_path`] says.

use base64ct::{Base64, Encoding as _};
use serde_json::{Map, Value as Json, json};
use x509_parser::asn1_rs::{FromDer as _, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension, X509Extension};
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use super::super::value;
use super::x509_names::{alternative_names, name};
use super::{Extension, Outcome, Stop, adjusted, args, extension, x509_path};

/// The most bytes of certificates in one call.
const MAX_BYTES: usize = 256 * 1024;
/// The most certificates in one call.
const MAX_CERTIFICATES: usize = 16;

pub(super) const TABLE: &[Extension] = &[
    extension("crypto.x509.parse_and_verify_certificates", 1, |session, a| {
        let ders = match ders(args::text(a, 0)?, "CERTIFICATE") {
            Err(Stop::Undefined) => Vec::new(),
            other => other?,
        };
        let now = session.now()?;
        let verified = match documents(&ders) {
            Err(Stop::Undefined) => Vec::new(),
            Err(bound) => return Err(bound),
            Ok(_) => x509_path::verified(&ders, now).unwrap_or_default(),
        };
        let documents = documents(&verified)?;
        Ok(value::convert(&json!([!documents.is_empty(), documents])))
    }),
    extension("crypto.x509.parse_certificate_request", 1, |_, a| request(args::text(a, 0)?)),
    extension("crypto.x509.parse_certificates", 1, |_, a| {
        let ders = ders(args::text(a, 0)?, "CERTIFICATE")?;
        Ok(value::convert(&Json::Array(documents(&ders)?)))
    }),
];

/// PEM, or base64 of PEM or DER.
pub(super) fn ders(text: &str, label: &str) -> Result<Vec<Vec<u8>>, Stop> {
    args::short(text, MAX_BYTES)?;
    let bytes = if text.starts_with("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        adjusted::base64(text).ok_or(Stop::Undefined)?
    };
    if !bytes.starts_with(b"-----BEGIN") {
        return concatenated(&bytes);
    }
    let mut ders = Vec::new();
    for block in Pem::iter_from_buffer(&bytes) {
        let block = block.map_err(|_| Stop::Undefined)?;
        if block.label != label {
            return Err(Stop::Undefined);
        }
        ders.push(block.contents);
        bounded(ders.len())?;
    }
    Ok(ders)
}

fn bounded(count: usize) -> Result<(), Stop> {
    if count > MAX_CERTIFICATES { Err(Stop::Bound("more than 16 certificates")) } else { Ok(()) }
}

fn concatenated(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, Stop> {
    let mut ders = Vec::new();
    while !bytes.is_empty() {
        let (rest, _) = x509_parser::asn1_rs::Any::from_der(bytes).map_err(|_| Stop::Undefined)?;
        let (der, _) = bytes.split_at_checked(bytes.len() - rest.len()).ok_or(Stop::Undefined)?;
        ders.push(der.to_vec());
        bounded(ders.len())?;
        bytes = rest;
    }
    Ok(ders)
}

fn documents(ders: &[Vec<u8>]) -> Result<Vec<Json>, Stop> {
    ders.iter().map(|der| document(der).map(Json::Object)).collect()
}

/// A certificate that is nothing but one.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Stop> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Stop::Undefined),
    }
}

fn document(der: &[u8]) -> Result<Map<String, Json>, Stop> {
    let certificate = parse(der)?;
    // Go refuses an extension that is there twice, and a serial number below zero.
    certificate.extensions_map().map_err(|_| Stop::Undefined)?;
    if certificate.raw_serial().first().is_some_and(|byte| byte & 0x80 != 0) {
        return Err(Stop::Undefined);
    }
    let tbs = &certificate.tbs_certificate;
    let mut members = object(json!({
        "Raw": base64(der),
        "RawTBSCertificate": base64(tbs.as_ref()),
        "RawIssuer": base64(tbs.issuer.as_raw()),
        "Issuer": name(&tbs.issuer)?,
        "NotBefore": instant(tbs.validity.not_before.timestamp())?,
        "NotAfter": instant(tbs.validity.not_after.timestamp())?,
        "Version": tbs.version.0 + 1,
    }));
    if let Some(serial) = u64::try_from(&tbs.serial).ok().filter(|serial| i64::try_from(*serial).is_ok()) {
        members.insert("SerialNumber".to_owned(), json!(serial));
    }
    members.extend(subject(&tbs.subject, &tbs.subject_pki)?);
    members.extend(signature(&certificate.signature_algorithm, &certificate.signature_value.data));
    members.extend(extensions(certificate.extensions())?);
    Ok(members)
}

fn request(text: &str) -> Outcome {
    args::short(text, MAX_BYTES)?;
    // As OPA: PEM with this label, or base64 of anything.
    let pem = text.starts_with("-----BEGIN CERTIFICATE REQUEST-----");
    if !pem && text.starts_with("-----BEGIN") {
        return Err(Stop::Undefined);
    }
    let ders = ders(text, "CERTIFICATE REQUEST")?;
    let der = ders.first().ok_or(Stop::Undefined)?;
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else { return Err(Stop::Undefined) };
    let info = &request.certification_request_info;
    let mut members = object(json!({
        "Raw": base64(der),
        "RawTBSCertificateRequest": base64(info.raw),
        "Version": info.version.0,
        "ExtraExtensions": null,
    }));
    members.extend(subject(&info.subject, &info.subject_pki)?);
    members.extend(signature(&request.signature_algorithm, &request.signature_value.data));
    let requested = info.iter_attributes().find_map(|attribute| match attribute.parsed_attribute() {
        ParsedCriAttribute::ExtensionRequest(requested) => Some(requested.extensions.as_slice()),
        _ => None,
    });
    let requested = requested.unwrap_or_default();
    members.insert("Extensions".to_owned(), extension_list(requested));
    let names = requested.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(names),
        _ => None,
    });
    let mut names = alternative_names(names)?;
    names.remove("URIStrings");
    members.extend(names);
    Ok(value::convert(&Json::Object(members)))
}

fn subject(subject: &X509Name<'_>, key: &SubjectPublicKeyInfo<'_>) -> Result<Map<String, Json>, Stop> {
    // Go's numbers of algorithms; 0 for one that it does not know.
    let algorithm = match key.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => 1,
        "1.2.840.10040.4.1" => 2,
        "1.2.840.10045.2.1" => 3,
        "1.3.101.112" => 4,
        _ => 0,
    };
    Ok(object(json!({
        "RawSubject": base64(subject.as_raw()),
        "RawSubjectPublicKeyInfo": base64(key.raw),
        "Subject": name(subject)?,
        "PublicKeyAlgorithm": algorithm,
    })))
}

fn signature(algorithm: &AlgorithmIdentifier<'_>, signature: &[u8]) -> Map<String, Json> {
    let mut members = object(json!({ "Signature": base64(signature) }));
    let number = match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.4" => 2,
        "1.2.840.113549.1.1.5" => 3,
        "1.2.840.113549.1.1.11" => 4,
        "1.2.840.113549.1.1.12" => 5,
        "1.2.840.113549.1.1.13" => 6,
        "1.2.840.10045.4.1" => 9,
        "1.2.840.10045.4.3.2" => 10,
        "1.2.840.10045.4.3.3" => 11,
        "1.2.840.10045.4.3.4" => 12,
        "1.3.101.112" => 16,
        // The number of the others depends on parameters.
        _ => return members,
    };
    members.insert("SignatureAlgorithm".to_owned(), json!(number));
    members
}

fn extensions(all: &[X509Extension<'_>]) -> Result<Map<String, Json>, Stop> {
    let mut members = object(json!({
        "Extensions": extension_list(all), "ExtraExtensions": null,
        "KeyUsage": 0, "ExtKeyUsage": null, "UnknownExtKeyUsage": null,
        "BasicConstraintsValid": false, "IsCA": false, "MaxPathLen": 0, "MaxPathLenZero": false,
        "SubjectKeyId": null, "AuthorityKeyId": null, "OCSPServer": null, "IssuingCertificateURL": null,
        "CRLDistributionPoints": null, "PolicyIdentifiers": null, "Policies": null, "PolicyMappings": null,
        "PermittedDNSDomainsCritical": false,
        "InhibitAnyPolicy": 0, "InhibitAnyPolicyZero": false, "InhibitPolicyMapping": 0,
        "InhibitPolicyMappingZero": false, "RequireExplicitPolicy": 0, "RequireExplicitPolicyZero": false,
        "UnhandledCriticalExtensions": null,
    }));
    const CONSTRAINED: [&str; 4] = ["DNSDomains", "EmailAddresses", "IPRanges", "URIDomains"];
    for kind in ["Permitted", "Excluded"] {
        members.extend(CONSTRAINED.map(|of| (format!("{kind}{of}"), Json::Null)));
    }
    let mut names = None;
    for extension in all {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(read) => names = Some(read),
            ParsedExtension::NameConstraints(_) => {
                members.retain(|member, _| !member.starts_with("Permitted") && !member.starts_with("Excluded"))
            }
            ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::PolicyMappings(_)
            | ParsedExtension::InhibitAnyPolicy(_) => members.retain(|member, _| {
                !member.starts_with("Inhibit") && !member.starts_with("Require") && member != "PolicyMappings"
            }),
            ParsedExtension::ParseError { .. } => return Err(Stop::Undefined),
            parsed => members.extend(simple(parsed, extension.value)?),
        }
    }
    members.extend(alternative_names(names)?);
    // Names that Go does not process leave theirs unhandled.
    let none = ["DNSNames", "EmailAddresses", "IPAddresses", "URIs"]
        .iter()
        .all(|m| members.get(*m).is_some_and(Json::is_null));
    if !all.iter().all(is_handled) || (none && names.is_some()) {
        members.remove("UnhandledCriticalExtensions");
    }
    Ok(members)
}

/// Whether Go has processed an extension when it has read it, whatever is in it, or may pass over it.
pub(super) fn is_handled(extension: &X509Extension<'_>) -> bool {
    const HANDLED: [&str; 9] = [
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.31",
        "2.5.29.32",
        "2.5.29.35",
        "2.5.29.37",
        "1.3.6.1.5.5.7.1.1",
    ];
    !extension.critical || HANDLED.contains(&extension.oid.to_id_string().as_str())
}

/// The members of an extension that has its own and no others'.
fn simple(extension: &ParsedExtension<'_>, der: &[u8]) -> Result<Map<String, Json>, Stop> {
    let members = match extension {
        ParsedExtension::KeyUsage(usage) => json!({ "KeyUsage": usage.flags }),
        ParsedExtension::BasicConstraints(constraints) => {
            let longest = constraints.path_len_constraint.map_or(-1, i64::from);
            json!({ "BasicConstraintsValid": true, "IsCA": constraints.ca, "MaxPathLen": longest,
                    "MaxPathLenZero": longest == 0 })
        }
        ParsedExtension::SubjectKeyIdentifier(id) => json!({ "SubjectKeyId": base64(id.0) }),
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            json!({ "AuthorityKeyId": id.key_identifier.as_ref().map(|id| base64(id.0)) })
        }
        ParsedExtension::ExtendedKeyUsage(_) => {
            let (_, usages) = <Vec<Oid<'_>>>::from_der(der).map_err(|_| Stop::Undefined)?;
            let known: Vec<_> = usages.iter().filter_map(usage).collect();
            let unknown: Vec<_> = usages.iter().filter(|oid| usage(oid).is_none()).map(arcs).collect();
            json!({ "ExtKeyUsage": or_null(known), "UnknownExtKeyUsage": or_null(unknown) })
        }
        ParsedExtension::AuthorityInfoAccess(access) => {
            let of = |method: &str| {
                let uris = access.accessdescs.iter().filter_map(|one| match &one.access_location {
                    GeneralName::URI(uri) if one.access_method.to_id_string() == method => Some(*uri),
                    _ => None,
                });
                or_null(uris.collect())
            };
            json!({ "OCSPServer": of("1.3.6.1.5.5.7.48.1"), "IssuingCertificateURL": of("1.3.6.1.5.5.7.48.2") })
        }
        ParsedExtension::CRLDistributionPoints(points) => {
            let full = points.points.iter().filter_map(|point| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => Some(names),
                _ => None,
            });
            let uris = full.flatten().filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
            json!({ "CRLDistributionPoints": or_null(uris.collect()) })
        }
        ParsedExtension::CertificatePolicies(policies) => {
            let ids: Vec<_> = policies.iter().map(|policy| arcs(&policy.policy_id)).collect();
            let texts: Vec<_> = policies.iter().map(|policy| policy.policy_id.to_id_string()).collect();
            json!({ "PolicyIdentifiers": or_null(ids), "Policies": or_null(texts) })
        }
        _ => return Ok(Map::new()),
    };
    Ok(object(members))
}

/// Go's numbers of extended key usages.
fn usage(oid: &Oid<'_>) -> Option<u8> {
    Some(match oid.to_id_string().as_str() {
        "2.5.29.37.0" => 0,
        "1.3.6.1.5.5.7.3.1" => 1,
        "1.3.6.1.5.5.7.3.2" => 2,
        "1.3.6.1.5.5.7.3.3" => 3,
        "1.3.6.1.5.5.7.3.4" => 4,
        "1.3.6.1.5.5.7.3.5" => 5,
        "1.3.6.1.5.5.7.3.6" => 6,
        "1.3.6.1.5.5.7.3.7" => 7,
        "1.3.6.1.5.5.7.3.8" => 8,
        "1.3.6.1.5.5.7.3.9" => 9,
        "1.3.6.1.4.1.311.10.3.3" => 10,
        "2.16.840.1.113730.4.1" => 11,
        "1.3.6.1.4.1.311.2.1.22" => 12,
        "1.3.6.1.4.1.311.61.1.1" => 13,
        _ => return None,
    })
}

fn extension_list(all: &[X509Extension<'_>]) -> Json {
    let one = |extension: &X509Extension<'_>| json!({ "Id": arcs(&extension.oid), "Critical": extension.critical, "Value": base64(extension.value) });
    or_null(all.iter().map(one).collect())
}

pub(super) fn arcs(oid: &Oid<'_>) -> Vec<u64> {
    oid.iter().map(Iterator::collect).unwrap_or_default()
}

/// A list of Go that has nothing in it is null in JSON.
pub(super) fn or_null<T: serde::Serialize>(items: Vec<T>) -> Json {
    if items.is_empty() { Json::Null } else { json!(items) }
}

pub(super) fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}

fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

fn instant(seconds: i64) -> Result<String, Stop> {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Stop::Undefined)?;
    at.format(&time::format_description::well_known::Rfc3339).map_err(|_| Stop::Undefined)
}
