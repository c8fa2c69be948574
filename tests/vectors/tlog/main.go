package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	tnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = s[x]
	}
	return out, nil
}

func b64(h tlog.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = 7
	}
	wseed := make([]byte, 32)
	for i := range wseed {
		wseed[i] = 9
	}
	origin := "atb.example/broker-1"
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(origin, pub)
	must(err)
	v, err := note.NewVerifier(vkey)
	must(err)
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, v.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	signer, err := note.NewSigner(skey)
	must(err)

	const n = 300
	var hs stored
	for i := int64(0); i < n; i++ {
		more, err := tlog.StoredHashes(i, []byte(fmt.Sprintf("entry %d", i)), hs)
		must(err)
		hs = append(hs, more...)
	}
	root, err := tlog.TreeHash(n, hs)
	must(err)
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, n, b64(root))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	must(err)

	wname := "witness.example/w1"
	wpub := ed25519.NewKeyFromSeed(wseed).Public().(ed25519.PublicKey)
	wv0, err := note.NewEd25519VerifierKey(wname, wpub)
	must(err)
	w0, err := note.NewVerifier(wv0)
	must(err)
	wskey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", wname, w0.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{1}, wseed...)))
	ws, err := tnote.NewSignerForCosignatureV1(wskey)
	must(err)
	msg, err := note.Open(signed, note.VerifierList(v))
	must(err)
	cosigned, err := note.Sign(msg, ws)
	must(err)
	wvkey, err := tnote.VKeyToCosignatureV1(wv0)
	must(err)

	inclusion := map[string][]string{}
	for _, i := range []int64{0, 1, 127, 255, 256, 299} {
		p, err := tlog.ProveRecord(n, i, hs)
		must(err)
		var path []string
		for _, h := range p {
			path = append(path, b64(h))
		}
		inclusion[fmt.Sprint(i)] = path
	}
	consistency := map[string][]string{}
	for _, o := range []int64{1, 2, 128, 255, 256, 299} {
		p, err := tlog.ProveTree(n, o, hs)
		must(err)
		var path []string
		for _, h := range p {
			path = append(path, b64(h))
		}
		consistency[fmt.Sprint(o)] = path
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	must(e.Encode(map[string]any{
		"made_by": "tests/vectors/tlog/main.go: go run . > vectors.json",
		"log_key_seed": 7, "witness_key_seed": 9, "size": n, "entries": "entry {index}",
		"verifier_key": vkey, "checkpoint": string(signed),
		"witness_key": wvkey, "cosigned_checkpoint": string(cosigned),
		"inclusion": inclusion, "consistency": consistency,
	}))
}
