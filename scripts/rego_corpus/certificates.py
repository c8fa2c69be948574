"""Certificates: what OPA says of them, but for the members that we leave out."""
import base64
import json
import pathlib

from case import MIXED, case

FOLDER = pathlib.Path(__file__).parent / "certificates"
PEM = {path.name.removesuffix(".pem"): path.read_text() for path in sorted(FOLDER.iterdir())}
TIME = 1780000000
AUTHORITY = "an authority is no leaf here"


def pem(*names):
    return "".join(PEM[name] for name in names)


def der(*names):
    lines = "".join(line for line in pem(*names).splitlines() if not line.startswith("-----"))
    return base64.b64encode(b"".join(base64.b64decode(part) for part in [lines])).decode()


# What is left out of each, beside `PublicKey`.
WITHOUT = {
    "ca": ["SerialNumber"],
    "rsa": ["SerialNumber", "UnhandledCriticalExtensions", "PermittedDNSDomains", "PermittedDNSDomainsCritical", "PermittedEmailAddresses", "PermittedIPRanges", "PermittedURIDomains", "ExcludedDNSDomains", "ExcludedEmailAddresses", "ExcludedIPRanges", "ExcludedURIDomains"],
    "ed": ["SerialNumber"],
    "nosign": ["SerialNumber"],
    "plain": ["SerialNumber", "URIs", "URIStrings"],
    "crit": ["UnhandledCriticalExtensions"],
    "polc": ["InhibitAnyPolicy", "InhibitAnyPolicyZero", "InhibitPolicyMapping", "InhibitPolicyMappingZero", "RequireExplicitPolicy", "RequireExplicitPolicyZero", "PolicyMappings"],
}


def without(name):
    return ["PublicKey", *WITHOUT.get(name, [])]


def documents(name, text, left_out):
    return case(
        f"crypto.x509.parse_certificates: {name}",
        "x := [object.remove(c, input.without) | some c in crypto.x509.parse_certificates(input.text)]",
        input={"text": text, "without": left_out},
    )


def verified(name, text, **more):
    rego = "x := [found[0], [c.Subject.CommonName | some c in found[1]]] if found := crypto.x509.parse_and_verify_certificates(input.text)"
    return case(f"crypto.x509.parse_and_verify_certificates: {name}", rego, input={"text": text, "time": TIME}, **more)


CASES = [
    *[documents(name, PEM[name], without(name)) for name in PEM if not name.endswith(".csr")],
    documents("two", pem("ca", "leaf"), without("ca")),
    documents("DER in base64", der("leaf"), without("leaf")),
    documents("PEM in base64", base64.b64encode(pem("leaf").encode()).decode(), without("leaf")),
    documents("text before and behind", pem("leaf") + "and more\n" + pem("int") + "junk", without("leaf")),
    documents("no certificate", "", []),
    documents("a request", PEM["leaf.csr"], []),
    documents("no base64", "%%%", []),
    documents("no DER", "AAAA", []),
    documents("a cut DER", der("leaf")[:400], []),
    case(
        "crypto.x509.parse_certificates: one of each kind",
        "x := {i: r |\n\tsome i, row in input.rows\n\tr := crypto.x509.parse_certificates(row)\n}\n",
        input={"rows": [v for v in MIXED if not isinstance(v, str)] + ["a", "10"]},
    ),
    case("crypto.x509.parse_certificates: missing", "x if not y\n\ny if crypto.x509.parse_certificates(input.none)"),
    case(
        "crypto.x509.parse_certificates: the members that policies read",
        "x := [c.Subject.CommonName, c.Issuer.Organization, c.URIStrings, c.URIs[0].Host, c.NotAfter, c.IsCA, c.DNSNames, c.ExtKeyUsage, crypto.sha256(c.Raw)] if {\n\tc := crypto.x509.parse_certificates(input.text)[0]\n\ttime.parse_rfc3339_ns(c.NotAfter) > 0\n}",
        input={"text": PEM["leaf"]},
    ),
    case(
        "crypto.x509.parse_certificates: what is left out",
        "x := [m | some m in input.without; not given[m]]\n\ngiven contains m if some m, _ in crypto.x509.parse_certificates(input.text)[0]",
        input={"text": PEM["plain"], "without": without("plain")},
        differs="members that would not be exact are left out",
        ours=json.dumps(without("plain")),
    ),
    verified("a root and a leaf", pem("ca", "leaf")),
    verified("in the wrong order", pem("leaf", "ca")),
    verified("a root alone", pem("ca")),
    verified("a leaf alone", pem("leaf")),
    verified("nothing", ""),
    verified("no certificate", "%%%"),
    verified("a request", PEM["leaf.csr"]),
    verified("an intermediate", pem("ca", "int", "deep")),
    verified("an intermediate that is missing", pem("ca", "deep")),
    verified("intermediates that are not needed", pem("ca", "int", "int2", "leaf")),
    verified("intermediates in another order", pem("ca", "int2", "int", "deep")),
    verified("an intermediate that may not sign", pem("ca", "intnosign", "deepno")),
    verified("an intermediate behind a path of length 0", pem("ca", "int", "int2", "deeper")),
    verified("a root that may not sign", pem("nosign", "undernosign")),
    verified("another root", pem("ed", "leaf")),
    verified("a leaf for clients", pem("ca", "clientonly")),
    verified("a leaf without usages", pem("ca", "plain")),
    verified("a leaf with an unknown critical extension", pem("ca", "crit")),
    verified("Ed25519", pem("ed", "edleaf")),
    verified("a leaf that is an authority", pem("ca", "int"), differs=AUTHORITY, ours="[false, []]"),
    verified("the root as its own leaf", pem("ca", "ca"), differs=AUTHORITY, ours="[false, []]"),
    case("crypto.x509.parse_and_verify_certificates: missing", "x if not y\n\ny if crypto.x509.parse_and_verify_certificates(input.none)", input={"time": TIME}),
    case(
        "crypto.x509.parse_and_verify_certificates: one of each kind",
        "x := {i: r |\n\tsome i, row in input.rows\n\tr := crypto.x509.parse_and_verify_certificates(row)\n}\n",
        input={"rows": MIXED, "time": TIME},
    ),
    *[
        case(
            f"crypto.x509.parse_certificate_request: {name}",
            "x := object.remove(crypto.x509.parse_certificate_request(input.text), input.without)",
            input={"text": text, "without": ["PublicKey", "Attributes"]},
        )
        for name, text in {
            "PEM": PEM["leaf.csr"],
            "Ed25519": PEM["ed.csr"],
            "DER in base64": der("leaf.csr"),
            "a certificate": PEM["leaf"],
            "no base64": "%%%",
            "nothing": "",
        }.items()
    ],
    case(
        "crypto.x509.parse_certificate_request: one of each kind",
        "x := {i: r |\n\tsome i, row in input.rows\n\tr := crypto.x509.parse_certificate_request(row)\n}\n",
        input={"rows": MIXED},
    ),
]
