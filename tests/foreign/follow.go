// Follow follows a running log over HTTP with Go's own implementation of
// transparency logs, golang.org/x/mod/sumdb, which knows nothing of Withhold.
//
//	follow ADDRESS KEY [SIZE HASH]
//
// It opens ADDRESS/checkpoint with the verifier key, checks that the tree begins
// with the one of SIZE and HASH, checks every entry of the bundles against the
// tree, and prints size, hash and key for the next time. If the key was replaced,
// it believes the one that an entry names which the key it knows signed for.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	server := &served{address: os.Args[1]}
	key := server.newest(os.Args[2])
	head := server.checkpoint(key)
	reader := tlog.TileHashReader(head, server)
	if len(os.Args) > 3 {
		begins(head, reader, os.Args[3], os.Args[4])
	}
	for position, entry := range server.entries(head.N) {
		proof, err := tlog.ProveRecord(head.N, int64(position), reader)
		must(err)
		must(tlog.CheckRecord(proof, head.N, head.Hash, int64(position), tlog.RecordHash(entry)))
	}
	fmt.Println(head.N, head.Hash, key)
}

// begins checks that the tree begins with an older one.
func begins(head tlog.Tree, reader tlog.HashReader, size, hash string) {
	older, err := strconv.ParseInt(size, 10, 64)
	must(err)
	known, err := tlog.ParseHash(hash)
	must(err)
	proof, err := tlog.ProveTree(head.N, older, reader)
	must(err)
	must(tlog.CheckTree(proof, head.N, head.Hash, older, known))
}

type served struct{ address string }

func (s *served) get(path string) []byte {
	answer, err := http.Get(s.address + "/" + path)
	must(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(err)
	if answer.StatusCode != 200 {
		must(fmt.Errorf("%s: %s", path, answer.Status))
	}
	return data
}

func (s *served) checkpoint(key string) tlog.Tree {
	return open(s.get("checkpoint"), key)
}

// newest returns the key in use, led there from an older one, which is all it believes.
func (s *served) newest(key string) string {
	for {
		var keys struct {
			Ed25519 []struct {
				Key  string
				Last *int64
			}
		}
		must(json.Unmarshal(s.get("keys"), &keys))
		var replaced *int64
		for _, each := range keys.Ed25519 {
			if each.Key == key {
				replaced = each.Last
			}
		}
		if replaced == nil {
			return key
		}
		key = s.next(key, *replaced)
	}
}

// next returns the key that the entry at a position put into the place of one.
func (s *served) next(key string, position int64) string {
	var shown struct{ Event, Proof string }
	must(json.Unmarshal(s.get(fmt.Sprintf("keys/%d", position)), &shown))
	top, checkpoint, _ := strings.Cut(shown.Proof, "\n\n")
	head := open([]byte(checkpoint), key)
	if head.N != position {
		must(fmt.Errorf("expected a tree that ends at %d, got %d", position, head.N))
	}
	var proof tlog.RecordProof
	for _, line := range strings.Split(top, "\n")[2:] {
		hash, err := tlog.ParseHash(line)
		must(err)
		proof = append(proof, hash)
	}
	commitment := sha256.Sum256([]byte("withhold/public/v1\x00" + shown.Event))
	entry := binary.BigEndian.AppendUint64([]byte("withhold/entry/v1\x00"), uint64(position))
	entry = append(append(entry, 1), commitment[:]...)
	must(tlog.CheckRecord(proof, head.N, head.Hash, position-1, tlog.RecordHash(entry)))
	var event struct{ Kind, Key string }
	must(json.Unmarshal([]byte(shown.Event), &event))
	if event.Kind != "log_key_replaced" {
		must(fmt.Errorf("entry %d replaces no key", position))
	}
	open([]byte(checkpoint), event.Key)
	return event.Key
}

func open(checkpoint []byte, key string) tlog.Tree {
	verifier, err := note.NewVerifier(key)
	must(err)
	opened, err := note.Open(checkpoint, note.VerifierList(verifier))
	must(err)
	text := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(text[1], 10, 64)
	must(err)
	hash, err := tlog.ParseHash(text[2])
	must(err)
	return tlog.Tree{N: size, Hash: hash}
}

// entries returns all entries, from bundles of 256 and a partial one.
func (s *served) entries(size int64) [][]byte {
	var all [][]byte
	for number := int64(0); number*256 < size; number++ {
		width := min(256, int(size-number*256))
		tile := tlog.Tile{H: 8, L: 0, N: number, W: width}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		for data := s.get(path); len(data) > 0; {
			end := 2 + int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:end])
			data = data[end:]
		}
	}
	return all
}

func (s *served) Height() int { return 8 }

func (s *served) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *served) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		all = append(all, s.get(strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
	}
	return all, nil
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
