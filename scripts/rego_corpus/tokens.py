"""`io.jwt.*`. The tokens and public keys of tokens.json were made once for this; the private keys are gone."""
import json, pathlib
from case import MIXED, case, mixed

MADE = json.loads((pathlib.Path(__file__).parent / "tokens.json").read_text())
TOKENS, KEYS, SECRET = MADE["tokens"], MADE["keys"], MADE["secret"]
CASES = []
OF = {"rs": "RSA", "ps": "RSA", "es256": "ES256", "es384": "ES384", "es512": "ES512", "eddsa": "EdDSA"}
# Where OPA takes a key whose curve is not the algorithm's, or panics, there is nothing to compare.
OTHERS = ["RSA of another", "garbage", "two keys", "empty set", "no kty"]


def table(name, call, tokens, keys, data=None):
    CASES.append(case(
        name,
        f"x := {{t: r |\n\tsome t, token in input.tokens\n\tr := {{k: v |\n\t\tsome k, key in input.keys\n\t\tv := {call}\n\t}}\n}}",
        input={"tokens": {t: TOKENS[t] for t in tokens}, "keys": {k: KEYS[k] for k in keys}},
    ))


for size in ("256", "384", "512"):
    for family in ("rs", "ps", "es"):
        own = OF.get(family + size, OF.get(family))
        jwk = {"RSA": ["RSA jwk", "RSA set", "certificate", "for RS512"]}.get(own, [own + " jwk"])
        name = f"io.jwt.verify_{family}{size}"
        table(f"{name} under its keys", f"{name}(token, key)", [family.upper() + size, "tampered", "HS256"], [own, *jwk])
        table(f"{name} under other keys", f"{name}(token, key)", [family.upper() + size], [*OTHERS, "EdDSA", "oct"])
        CASES.append(mixed(name, TOKENS[family.upper() + size], KEYS[own]))
    name = f"io.jwt.verify_hs{size}"
    CASES.append(case(f"{name} under secrets", f'x := {{t: [{name}(token, input.secret), {name}(token, "another")] | some t, token in input.tokens}}',
                      input={"secret": SECRET, "tokens": {t: TOKENS[t] for t in (f"HS{size}", "RS256", "padded", "tampered", "none")}}))
    CASES.append(mixed(name, TOKENS[f"HS{size}"], SECRET))
table("io.jwt.verify_eddsa under its keys", "io.jwt.verify_eddsa(token, key)", ["EdDSA", "RS256"], ["EdDSA", "EdDSA jwk", "RSA", "garbage"])
CASES.append(mixed("io.jwt.verify_eddsa", TOKENS["EdDSA"], KEYS["EdDSA"]))
table("headers under io.jwt.verify_rs256", "io.jwt.verify_rs256(token, key)",
      ["kid one", "kid none", "no alg", "none", "crit", "crit empty", "kid number", "enc", "nested", "list", "text"], ["RSA", "RSA set", "wrong kid", "unknown alg"])

for t in TOKENS:
    CASES.append(case(f"io.jwt.decode of the token: {t}", "x := io.jwt.decode(input.token)", input={"token": TOKENS[t]}))
for name, text in {"no dots": "abc", "one dot": "a.b", "three dots": "a.b.c.d", "empty": "", "empty parts": "..", "not base64": "!.!.!", "not JSON": "YQ.YQ.YQ", "duplicates of nothing": "e30.e30."}.items():
    CASES.append(case(f"io.jwt.decode of a text: {name}", "x := io.jwt.decode(input.token)", input={"token": text}))
CASES.append(mixed("io.jwt.decode", TOKENS["HS256"]))

NOW = 1_500_000_000_000


def verify(name, token, **constraints):
    CASES.append(case(f"io.jwt.decode_verify: {name}", "x := io.jwt.decode_verify(input.token, input.constraints)",
                      input={"token": TOKENS[token], "constraints": {"time": NOW, **constraints}}))


for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
    verify(alg, alg, cert=KEYS["RSA"], aud="us", iss="issuer", alg=alg)
for alg in ("ES256", "ES384", "ES512", "EdDSA"):
    verify(alg, alg, cert=KEYS[alg], aud="us")
    verify(alg + " by JWK", alg, cert=KEYS[alg + " jwk"], aud="us")
for alg in ("HS256", "HS384", "HS512"):
    verify(alg, alg, secret=SECRET, aud="us")
for name, token, constraints in [
    ("by certificate", "RS256", {"cert": KEYS["certificate"], "aud": "us"}),
    ("another key", "RS256", {"cert": KEYS["RSA of another"], "aud": "us"}),
    ("another algorithm", "RS256", {"cert": KEYS["RSA"], "aud": "us", "alg": "RS512"}),
    ("no audience asked", "RS256", {"cert": KEYS["RSA"]}),
    ("another audience", "RS256", {"cert": KEYS["RSA"], "aud": "them"}),
    ("another issuer", "RS256", {"cert": KEYS["RSA"], "aud": "us", "iss": "me"}),
    ("at its end", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": 2_000_000_000_000}),
    ("just before its end", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": 1_999_999_999_999}),
    ("at its start", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": 1_000_000_000_000}),
    ("before its start", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": 999_999_999_999}),
    ("a negative time", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": -1}),
    ("a time that is a text", "RS256", {"cert": KEYS["RSA"], "aud": "us", "time": "1"}),
    ("a key and a secret", "RS256", {"cert": KEYS["RSA"], "secret": SECRET, "aud": "us"}),
    ("neither key nor secret", "RS256", {"aud": "us"}),
    ("an unknown constraint", "RS256", {"cert": KEYS["RSA"], "zzz": 1}),
    ("a key that is none", "RS256", {"cert": "garbage"}),
    ("a secret that is no text", "HS256", {"secret": 5}),
    ("another secret", "HS256", {"secret": "x", "aud": "us"}),
    ("a secret for an asymmetric token", "RS256", {"secret": KEYS["RSA"], "aud": "us"}),
    ("algorithm none", "none", {"cert": KEYS["RSA"], "aud": "us"}),
    ("no algorithm", "no alg", {"cert": KEYS["RSA"], "aud": "us"}),
    ("critical and unknown", "crit", {"cert": KEYS["RSA"], "aud": "us"}),
    ("critical and empty", "crit empty", {"cert": KEYS["RSA"], "aud": "us"}),
    ("critical and absent", "crit known", {"cert": KEYS["RSA"], "aud": "us"}),
    ("a number as key id", "kid number", {"cert": KEYS["RSA"], "aud": "us"}),
    ("encrypted", "enc", {"cert": KEYS["RSA"], "aud": "us"}),
    ("nested", "nested", {"cert": KEYS["RSA"], "aud": "us"}),
    ("a list as claims", "list", {"cert": KEYS["RSA"]}),
    ("no JSON as claims", "text", {"cert": KEYS["RSA"]}),
    ("by key id", "kid one", {"cert": KEYS["RSA set"], "aud": "us"}),
    ("by the wrong key of that id", "kid one", {"cert": KEYS["wrong kid"], "aud": "us"}),
    ("an id that no key has", "kid none", {"cert": KEYS["RSA set"], "aud": "us"}),
    ("a key for another algorithm", "RS256", {"cert": KEYS["for RS512"], "aud": "us"}),
    ("an empty set of keys", "RS256", {"cert": KEYS["empty set"], "aud": "us"}),
    ("no end", "no exp", {"secret": SECRET}),
    ("one of several audiences", "aud list", {"secret": SECRET, "aud": "us"}),
    ("none of several audiences", "aud list", {"secret": SECRET, "aud": "them"}),
    ("an audience that is a number", "aud number", {"secret": SECRET, "aud": "us"}),
    ("an end that is a text", "exp text", {"secret": SECRET}),
    ("an end with a fraction", "exp float", {"secret": SECRET}),
    ("an end of 1e300", "exp large", {"secret": SECRET}),
    ("an end of null", "exp null", {"secret": SECRET}),
    ("a start that is a text", "nbf text", {"secret": SECRET}),
    ("no issuer", "no exp", {"secret": SECRET, "iss": "issuer"}),
    ("tampered", "tampered", {"cert": KEYS["RSA"], "aud": "us"}),
    ("padded", "padded", {"secret": SECRET, "aud": "us"}),
]:
    verify(name, token, **constraints)
CASES.append(mixed("io.jwt.decode_verify", TOKENS["HS256"], {"secret": SECRET, "aud": "us", "time": NOW}))
