//! Names in certificates as Go marshals them: `pkix.Name`, alternative names, `url.URL`.

use serde_json::{Map, Value as Json, json};
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::x509::X509Name;

use super::Stop;
use super::x509::{arcs, object, or_null};

/// The members of the alternative names of a subject.
pub(super) fn alternative_names(names: Option<&SubjectAlternativeName<'_>>) -> Result<Map<String, Json>, Stop> {
    let (mut dns, mut email, mut ips, mut uris) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for name in names.iter().flat_map(|names| &names.general_names) {
        match name {
            GeneralName::DNSName(name) if name.is_ascii() => dns.push(*name),
            GeneralName::RFC822Name(name) if name.is_ascii() => email.push(*name),
            GeneralName::URI(uri) if uri.is_ascii() => uris.push(*uri),
            GeneralName::IPAddress(bytes) => ips.push(address(bytes).ok_or(Stop::Undefined)?),
            GeneralName::DNSName(_) | GeneralName::RFC822Name(_) | GeneralName::URI(_) | GeneralName::Invalid(..) => {
                return Err(Stop::Undefined);
            }
            _ => {}
        }
    }
    let mut members = object(json!({
        "DNSNames": or_null(dns), "EmailAddresses": or_null(email), "IPAddresses": or_null(ips),
    }));
    if let Some(parsed) = uris.iter().map(|uri| uri_parts(uri)).collect::<Option<Vec<_>>>() {
        members.insert("URIs".to_owned(), or_null(parsed));
        members.insert("URIStrings".to_owned(), or_null(uris));
    }
    Ok(members)
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = match bytes.len() {
        4 => std::net::IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(ip.to_canonical().to_string())
}

/// Go's `url.URL`, of a URI that it writes as it reads it.
fn uri_parts(uri: &str) -> Option<Json> {
    let (scheme, rest) = uri.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let plain = |text: &str, more: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    let lower = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_lowercase());
    let written = lower && !host.is_empty() && plain(host, b".-_") && plain(path, b"/._~-");
    written.then(|| {
        json!({ "Scheme": scheme, "Opaque": "", "User": null, "Host": host, "Path": path, "RawPath": "",
                "OmitHost": false, "ForceQuery": false, "RawQuery": "", "Fragment": "", "RawFragment": "" })
    })
}

/// Go's `pkix.Name`.
pub(super) fn name(name: &X509Name<'_>) -> Result<Json, Stop> {
    const LISTS: [(&str, &str); 7] = [
        ("2.5.4.6", "Country"),
        ("2.5.4.7", "Locality"),
        ("2.5.4.8", "Province"),
        ("2.5.4.9", "StreetAddress"),
        ("2.5.4.10", "Organization"),
        ("2.5.4.11", "OrganizationalUnit"),
        ("2.5.4.17", "PostalCode"),
    ];
    let mut all = Vec::new();
    for attribute in name.iter().flat_map(|set| set.iter()) {
        let text = attribute.as_str().map_err(|_| Stop::Bound("a name that is not a text of ASCII or UTF-8"))?;
        all.push((attribute.attr_type(), text));
    }
    let of =
        |id: &str| all.iter().filter(|(oid, _)| oid.to_id_string() == id).map(|(_, text)| *text).collect::<Vec<_>>();
    let last = |id: &str| of(id).last().copied().unwrap_or_default().to_owned();
    let names: Vec<_> = all.iter().map(|(oid, text)| json!({ "Type": arcs(oid), "Value": text })).collect();
    let mut members = object(json!({
        "CommonName": last("2.5.4.3"), "SerialNumber": last("2.5.4.5"), "Names": or_null(names), "ExtraNames": null,
    }));
    members.extend(LISTS.map(|(id, member)| (member.to_owned(), or_null(of(id)))));
    Ok(Json::Object(members))
}
