// Follow follows a running log over HTTP with Go's own implementation of
// transparency logs, golang.org/x/mod/sumdb, which knows nothing of Withhold.
//
//	follow ADDRESS KEY [SIZE HASH]
//
// It opens ADDRESS/checkpoint with the verifier key, checks that the tree begins
// with the one of SIZE and HASH, checks every entry of the bundles against the
// tree, and prints size and hash for the next time.
package main

import (
	"encoding/binary"
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
	head := server.checkpoint(os.Args[2])
	reader := tlog.TileHashReader(head, server)
	if len(os.Args) > 3 {
		begins(head, reader, os.Args[3], os.Args[4])
	}
	for position, entry := range server.entries(head.N) {
		proof, err := tlog.ProveRecord(head.N, int64(position), reader)
		must(err)
		must(tlog.CheckRecord(proof, head.N, head.Hash, int64(position), tlog.RecordHash(entry)))
	}
	fmt.Println(head.N, head.Hash)
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
	verifier, err := note.NewVerifier(key)
	must(err)
	opened, err := note.Open(s.get("checkpoint"), note.VerifierList(verifier))
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
