#!/usr/bin/env bash
# Makes every fixture of this folder anew: one defect a file, listed in index.txt. Needs OpenSSL 3 and Python 3.
# The keys of the authorities are thrown away; leaf-key.pem is kept so that tests can offer the leaves over TLS.
set -euo pipefail
cd "$(dirname "$0")"
OUT=$PWD
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

FROM=20260101000000Z
TO=20460101000000Z

cat > ca.cnf <<'CNF'
[ca]
default_ca = test
[test]
database = ./index
new_certs_dir = .
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
email_in_dn = no
[any]
organizationName = optional
commonName = supplied
CNF
: > index

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:"${2:-P-256}" -out "$1.key" 2>/dev/null; }

# sign NAME KEY ISSUER EXTENSIONS [FROM] [TO] [DIGEST]   (ISSUER `self` for a root)
sign() {
  local name=$1 key=$2 issuer=$3 from=${5:-$FROM} to=${6:-$TO} md=${7:-sha256}
  printf '[ext]\n%b\n' "$4" > ext.cnf
  openssl req -new -key "$key.key" -subj "/O=ATB fixtures/CN=${SUBJECT:-$name}" -out req.csr
  local by=(-cert "$issuer.crt" -keyfile "$issuer.key")
  [ "$issuer" = self ] && by=(-selfsign -keyfile "$key.key")
  openssl ca -batch -notext -preserveDN -config ca.cnf -in req.csr -out "$name.crt" "${by[@]}" \
    -startdate "$from" -enddate "$to" -md "$md" -extfile ext.cnf -extensions ext 2> ca.log || { cat ca.log; exit 1; }
}

CA='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
authority() { key "$1"; sign "$1" "$1" "${2:-self}" "$CA\nsubjectAltName=URI:spiffe://$3" "${4:-$FROM}" "${5:-$TO}"; }

LEAF='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth'
ID='subjectAltName=URI:spiffe://atb.dev/agent/procurement'
leaf() { sign "$1" leaf root "$2" "${3:-$FROM}" "${4:-$TO}"; cp "$1.crt" "$OUT/$1.pem"; }
# chain NAME CERT...: the fixture NAME is these certificates, in this order
chain() { local name=$1; shift; cat "${@/%/.crt}" > "$OUT/$name.pem"; }

key leaf; cp leaf.key "$OUT/leaf-key.pem"
authority root self atb.dev
authority partner self partner.example
authority old self old.example 20250101000000Z 20261130235959Z
cp root.crt "$OUT/atb.dev.bundle.pem"; cp partner.crt "$OUT/partner.example.bundle.pem"; cp old.crt "$OUT/old.example.bundle.pem"
authority inner root atb.dev

# --- good ones
leaf valid "$LEAF\n$ID"
leaf valid-without-extended-key-usage "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n$ID"
leaf valid-without-basic-constraints "keyUsage=digitalSignature\n$ID"
leaf valid-with-dns-name "$LEAF\n$ID,DNS:procurement.internal"
leaf valid-in-half-a-minute "$LEAF\n$ID" 20261201000030Z
leaf valid-until-now "$LEAF\n$ID" $FROM 20261201000000Z
sign under-inner leaf inner "$LEAF\n$ID"; chain valid-with-intermediate under-inner inner
key p384 P-384; sign valid-p384 p384 root "$LEAF\n$ID"; chain valid-p384 valid-p384
openssl genpkey -algorithm ed25519 -out ed25519.key; sign valid-ed25519 ed25519 root "$LEAF\n$ID"; chain valid-ed25519 valid-ed25519
openssl genrsa -out rsa2048.key 2048 2>/dev/null; sign valid-rsa2048 rsa2048 root "$LEAF\n$ID"; chain valid-rsa2048 valid-rsa2048
sign of-partner leaf partner "$LEAF\nsubjectAltName=URI:spiffe://partner.example/agent/x"; chain valid-of-partner of-partner

# --- names
leaf two-uri-names "$LEAF\n$ID,URI:spiffe://atb.dev/agent/support"
leaf no-uri-name-but-dns "$LEAF\nsubjectAltName=DNS:atb.dev"
leaf no-alternative-name "$LEAF"
uri() { leaf "spiffe-id-$1" "$LEAF\nsubjectAltName=URI:$2"; }
uri other-scheme https://atb.dev/agent/procurement
uri upper-case-scheme SPIFFE://atb.dev/agent/procurement
uri upper-case-domain spiffe://ATB.dev/agent/procurement
uri port spiffe://atb.dev:8443/agent/procurement
uri user spiffe://root@atb.dev/agent/procurement
uri query 'spiffe://atb.dev/agent/procurement?admin=1'
uri fragment 'spiffe://atb.dev/agent/procurement\\#admin'
uri percent-encoded spiffe://atb.dev/agent%2fprocurement
uri dot-dot spiffe://atb.dev/agent/../approver/alice
uri dot spiffe://atb.dev/agent/./procurement
uri no-trust-domain spiffe:///agent/procurement
uri trust-domain-too-long "spiffe://$(head -c 256 /dev/zero | tr '\0' a)/agent"
uri empty-segment spiffe://atb.dev//agent
uri trailing-slash spiffe://atb.dev/agent/
uri no-path spiffe://atb.dev
uri too-long "spiffe://atb.dev/$(head -c 2040 /dev/zero | tr '\0' a)"
# "spiffe://atb.dev/a" NUL "b" as an IA5String
leaf spiffe-id-nul "$LEAF\nsubjectAltName=DER:30:16:86:14:73:70:69:66:66:65:3a:2f:2f:61:74:62:2e:64:65:76:2f:61:00:62"

# --- the leaf's extensions
leaf leaf-is-ca "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\n$ID"
leaf leaf-key-cert-sign "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyCertSign\n$ID"
leaf leaf-crl-sign "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,cRLSign\n$ID"
leaf no-key-usage "basicConstraints=CA:FALSE\n$ID"
leaf no-digital-signature "basicConstraints=CA:FALSE\nkeyUsage=critical,keyEncipherment\n$ID"
for use in serverAuth clientAuth codeSigning anyExtendedKeyUsage; do
  leaf "only-$use" "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=$use\n$ID"
done
leaf unknown-critical-extension "$LEAF\n$ID\n1.3.6.1.4.1.55555.1=critical,DER:05:00"
leaf certificate-too-large "$LEAF\n$ID\nnsComment=$(head -c 9000 /dev/zero | tr '\0' x)"

# --- keys and signatures
odd_key() { openssl "$2" -out "$1.key" "${@:3}" 2>/dev/null; sign "$1" "$1" root "$LEAF\n$ID"; chain "$1" "$1"; }
odd_key key-rsa1024 genrsa 1024
odd_key key-p521 genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521
odd_key key-secp256k1 genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1
odd_key key-ed448 genpkey -algorithm ed448
odd_key key-compressed-point ec -in leaf.key -conv_form compressed
odd_key key-explicit-curve ec -in leaf.key -param_enc explicit
sign signed-with-sha1 leaf root "$LEAF\n$ID" $FROM $TO sha1; chain signed-with-sha1 signed-with-sha1

# --- time
leaf expired "$LEAF\n$ID" $FROM 20261130235959Z
leaf not-yet-valid "$LEAF\n$ID" 20261201000101Z
authority inner-expired root atb.dev $FROM 20261130235959Z
sign x leaf inner-expired "$LEAF\n$ID"; chain intermediate-expired x inner-expired
sign x leaf old "$LEAF\nsubjectAltName=URI:spiffe://old.example/agent/x"; chain authority-expired x

# --- who issued it
authority stranger self atb.dev
sign x leaf stranger "$LEAF\n$ID"; chain untrusted-authority x
chain untrusted-authority-presented x stranger
key double; SUBJECT=root sign double double self "$CA"
sign x leaf double "$LEAF\n$ID"; chain authority-of-the-same-name x
sign x leaf self "$LEAF\n$ID"; chain self-signed x
sign x leaf partner "$LEAF\n$ID"; chain issued-by-foreign-domain x
authority partner-inner partner atb.dev
sign x leaf partner-inner "$LEAF\n$ID"; chain through-foreign-domains-intermediate x partner-inner
sign x leaf root "$LEAF\nsubjectAltName=URI:spiffe://nowhere.example/agent/x"; chain unknown-trust-domain x
sign x leaf root "$LEAF\nsubjectAltName=URI:spiffe://partner.example/agent/x"; chain speaks-for-foreign-domain x
chain intermediate-left-out under-inner

# --- intermediates
inner() { key "$1"; sign "$1" "$1" "${3:-root}" "$2"; sign x leaf "$1" "$LEAF\n$ID"; chain "$1" x "$1" ${3:+"$3"}; }
inner intermediate-not-ca "basicConstraints=CA:FALSE\nkeyUsage=keyCertSign,digitalSignature"
inner intermediate-without-key-usage "basicConstraints=critical,CA:TRUE"
inner intermediate-without-key-cert-sign "basicConstraints=critical,CA:TRUE\nkeyUsage=digitalSignature,cRLSign"
inner intermediate-with-path "$CA\nsubjectAltName=URI:spiffe://atb.dev/ca"
inner intermediate-of-foreign-domain "$CA\nsubjectAltName=URI:spiffe://partner.example"
inner intermediate-with-two-uri-names "$CA\nsubjectAltName=URI:spiffe://atb.dev,URI:spiffe://atb.dev"
inner intermediate-unknown-critical-extension "$CA\n1.3.6.1.4.1.55555.1=critical,DER:05:00"
inner name-constraint "$CA\nnameConstraints=critical,permitted;URI:.partner.example"
inner inner-pathlen-0 "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign"; rm "$OUT/inner-pathlen-0.pem"
inner path-too-long "$CA" inner-pathlen-0
authority c2 inner atb.dev; authority c3 c2 atb.dev; authority c4 c3 atb.dev
sign x leaf c3 "$LEAF\n$ID"; chain valid-with-three-intermediates x c3 c2 inner
sign x leaf c4 "$LEAF\n$ID"; chain chain-too-long x c4 c3 c2 inner

# --- bundles
chain bundle-authority-not-ca under-inner
chain bundle-authority-without-key-cert-sign intermediate-without-key-cert-sign
chain bundle-authority-of-foreign-domain root partner
cat root.crt leaf.key > "$OUT/bundle-with-a-key.pem"
echo "nothing to see" > "$OUT/bundle-empty.pem"
head -c 400 root.crt > "$OUT/bundle-cut-short.pem"

# --- bytes that no CA would write
openssl x509 -req -in req.csr -CA root.crt -CAkey root.key -days 7000 -set_serial 1 -out version-1.crt 2>/dev/null
chain version-1 version-1
python3 - "$OUT" <<'PY'
import base64, sys, textwrap
out = sys.argv[1]
def der(name):
    text = open(f"{out}/{name}.pem").read()
    return bytearray(base64.b64decode(text.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]))
def write(name, der):
    body = "\n".join(textwrap.wrap(base64.b64encode(bytes(der)).decode(), 64))
    open(f"{out}/{name}.pem", "w").write(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
write("trailing-bytes", der("valid") + b"\x00")
write("cut-short", der("valid")[:-1])
write("not-der", b"not a certificate")
flipped = der("valid"); flipped[-1] ^= 1; write("tampered-signature", flipped)
renamed = der("valid"); at = renamed.index(b"/agent/procurement"); renamed[at:at + 18] = b"/approver/alice-ab"
write("tampered-name", renamed)
weak = der("valid-ed25519"); at = weak.index(bytes.fromhex("06032b6570032100")) + 8
weak[at:at + 32] = bytes(32); write("key-ed25519-of-small-order", weak)
# two subjectAltName extensions: the comment of the same length becomes the second one
def tlv(tag, body):
    n = len(body); length = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + length + body
def read(data, at):
    n = data[at + 1]; head = 2
    if n > 127: head, n = 2 + (n & 127), int.from_bytes(data[at + 2:at + 2 + (n & 127)], "big")
    return data[at], bytes(data[at + head:at + head + n]), at + head + n
_, body, _ = read(der("valid"), 0)
_, tbs, rest = read(body, 0)
fields, at = [], 0
while at < len(tbs):
    tag, value, at = read(tbs, at); fields.append((tag, value))
_, extensions, _ = read(fields[-1][1], 0)
second = tlv(0x30, bytes.fromhex("0603551d11") + tlv(4, tlv(0x30, tlv(0x86, b"spiffe://atb.dev/approver/alice"))))
fields[-1] = (0xA3, tlv(0x30, extensions + second))
write("duplicate-extension", tlv(0x30, tlv(0x30, b"".join(tlv(t, v) for t, v in fields)) + body[rest:]))
PY
echo "$(ls "$OUT"/*.pem | wc -l) files"
