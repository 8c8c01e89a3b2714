// Verify checks a folder written by test_go.py with Go's own implementation of
// transparency logs, golang.org/x/mod/sumdb, which knows nothing of Withhold.
//
//	DIR/keys          verifier keys, one a line
//	DIR/checkpoint    the signed checkpoint
//	DIR/older         lines: size, root, and the hashes of a consistency proof
//	DIR/proofs/N      a tlog-proof; DIR/entries/N is the entry it is about
//	DIR/tile/...      full and partial tiles
//
// It prints how many of each it checked, and ends with status 1 at the first
// that does not hold.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	dir := os.Args[1]
	head, signatures := checkpoint(dir)
	tiles := &folder{dir: dir}
	reader := tlog.TileHashReader(head, tiles)
	inclusions := inclusion(dir, head, reader)
	consistencies := consistency(dir, head, reader)
	root, err := tlog.TreeHash(head.N, reader)
	must(err)
	expect(root == head.Hash, "the root from the tiles is another one")
	fmt.Printf("%d signatures, %d inclusions, %d consistencies, %d tiles\n",
		signatures, inclusions, consistencies, tiles.read)
}

// checkpoint opens the checkpoint with all keys and returns what it says.
func checkpoint(dir string) (tlog.Tree, int) {
	var verifiers []note.Verifier
	for _, line := range lines(dir, "keys") {
		verifiers = append(verifiers, verifier(line))
	}
	opened, err := note.Open(read(dir, "checkpoint"), note.VerifierList(verifiers...))
	must(err)
	text := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(text[1], 10, 64)
	must(err)
	return tlog.Tree{N: size, Hash: hash(text[2])}, len(opened.Sigs)
}

// inclusion checks every proof, and that Go makes the same one from the tiles.
func inclusion(dir string, head tlog.Tree, reader tlog.HashReader) int {
	names, err := os.ReadDir(filepath.Join(dir, "proofs"))
	must(err)
	for _, name := range names {
		parts := bytes.SplitN(read(dir, "proofs", name.Name()), []byte("\n\n"), 2)
		top := strings.Split(string(parts[0]), "\n")
		expect(top[0] == "c2sp.org/tlog-proof@v1", "the first line is another one")
		expect(bytes.Equal(parts[1], read(dir, "checkpoint")), "the checkpoint is another one")
		index, err := strconv.ParseInt(strings.TrimPrefix(top[1], "index "), 10, 64)
		must(err)
		proof := tlog.RecordProof(hashes(top[2:]))
		leaf := tlog.RecordHash(read(dir, "entries", name.Name()))
		must(tlog.CheckRecord(proof, head.N, head.Hash, index, leaf))
		own, err := tlog.ProveRecord(head.N, index, reader)
		must(err)
		expect(fmt.Sprint(own) == fmt.Sprint(proof), "Go makes another inclusion proof")
	}
	return len(names)
}

// consistency checks every older head, and that Go makes the same proof.
func consistency(dir string, head tlog.Tree, reader tlog.HashReader) int {
	older := lines(dir, "older")
	for _, line := range older {
		fields := strings.Fields(line)
		size, err := strconv.ParseInt(fields[0], 10, 64)
		must(err)
		proof := tlog.TreeProof(hashes(fields[2:]))
		must(tlog.CheckTree(proof, head.N, head.Hash, size, hash(fields[1])))
		own, err := tlog.ProveTree(head.N, size, reader)
		must(err)
		expect(fmt.Sprint(own) == fmt.Sprint(proof), "Go makes another consistency proof")
	}
	return len(older)
}

// A folder reads tiles as C2SP names them: without the height, which is 8.
type folder struct {
	dir  string
	read int
}

func (f *folder) Height() int { return 8 }

func (f *folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f *folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(f.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
		f.read++
	}
	return all, nil
}

// verifier returns the key of a line; witnesses' keys are not known to x/mod.
func verifier(line string) note.Verifier {
	parts := strings.SplitN(line, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	must(err)
	if raw[0] == 4 {
		return witness{parts[0], raw}
	}
	known, err := note.NewVerifier(line)
	must(err)
	return known
}

type witness struct {
	name string
	raw  []byte
}

func (w witness) Name() string { return w.name }

func (w witness) KeyHash() uint32 {
	sum := sha256.Sum256([]byte(w.name + "\n" + string(w.raw)))
	return binary.BigEndian.Uint32(sum[:])
}

func (w witness) Verify(text, signature []byte) bool {
	seconds := binary.BigEndian.Uint64(signature)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text)
	return ed25519.Verify(ed25519.PublicKey(w.raw[1:]), []byte(message), signature[8:])
}

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	must(err)
	return data
}

func lines(parts ...string) []string {
	return strings.Split(strings.TrimSuffix(string(read(parts...)), "\n"), "\n")
}

func hash(text string) tlog.Hash {
	found, err := tlog.ParseHash(text)
	must(err)
	return found
}

func hashes(texts []string) []tlog.Hash {
	all := []tlog.Hash{}
	for _, text := range texts {
		all = append(all, hash(text))
	}
	return all
}

func expect(holds bool, message string) {
	if !holds {
		must(fmt.Errorf("%s", message))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
