//go:build linux || windows

package platform

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/vpkg/vpkg/hooks"
)

// hashers is how many files are read at once: more than two would be felt by what
// the host is there for.
const hashers = 2

// RecordDeviations compares the files of the record, PROGRAM/etc/layout.json, with
// those of the host, and looks for others in the program folder. Content of a
// configuration file may differ. Root is as in Deviations.
//
// A record that was replaced together with a file is not noticed: its own digest
// stands in the package database, which vpkg verify --installed asks.
func (p Product) RecordDeviations(ctx context.Context, root string) ([]Deviation, error) {
	v := recordVerification{verification: verification{Product: p.in(root)}, paths: map[string]bool{}, numbers: map[string]int{}}
	name := p.Config.Program + hooks.RecordFile
	entries, err := hooks.ReadRecord(v.Sys, name)
	if err != nil {
		v.add(RuleRecord, name, "cannot be read: "+err.Error())
		return v.found, nil
	}
	v.paths[name] = false
	for _, e := range entries {
		v.paths[e.Path] = e.Config != ""
	}
	contents := hash(v.at)
	gone := "\x00" // a folder
	var failed error
	for i := range entries {
		e := &entries[i]
		if strings.HasPrefix(e.Path, gone) {
			continue
		}
		there, err := v.entry(ctx, e, contents)
		failed = errors.Join(failed, err)
		if !there && e.Type == "dir" {
			gone = e.Path + "/"
		}
	}
	for _, c := range contents.wait() {
		failed = errors.Join(failed, c.err)
		if c.err == nil && c.got != c.SHA256 {
			v.differ(RuleContent, c.Path, c.SHA256, c.got)
		}
	}
	return v.found, errors.Join(failed, v.extra(p.Config.Program), ctx.Err())
}

// A recordVerification is one run of RecordDeviations.
type recordVerification struct {
	verification
	paths   map[string]bool // of the record; true for a configuration file
	numbers map[string]int  // of accounts, by database and name
}

// A content is a file whose hash is computed.
type content struct {
	*hooks.RecordEntry
	got string // in hex
	err error
}

// A hashing reads files while others are being looked at.
type hashing struct {
	at   func(string) string
	all  []*content
	work chan *content
	done sync.WaitGroup
}

func hash(at func(string) string) *hashing {
	h := &hashing{at: at, work: make(chan *content)}
	for range hashers {
		h.done.Add(1)
		go h.run()
	}
	return h
}

func (h *hashing) run() {
	defer h.done.Done()
	buf := make([]byte, 64<<10)
	for c := range h.work {
		c.got, c.err = hashFile(h.at(c.Path), buf)
		if errors.Is(c.err, fs.ErrNotExist) { // just now
			c.got, c.err = "nothing", nil
		}
	}
}

func (h *hashing) add(e *hooks.RecordEntry) {
	c := &content{RecordEntry: e}
	h.all = append(h.all, c)
	h.work <- c
}

// wait returns what was added, in its order.
func (h *hashing) wait() []*content {
	close(h.work)
	h.done.Wait()
	return h.all
}

func hashFile(name string, buf []byte) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // only read
	s := newSHA256()
	for {
		n, err := f.Read(buf)
		s.write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	sum := s.sum()
	return hex.EncodeToString(sum[:]), nil
}

// entry compares all but the content, which it has hashed.
func (v *recordVerification) entry(ctx context.Context, e *hooks.RecordEntry, contents *hashing) (there bool, err error) {
	if ctx.Err() != nil {
		return true, nil
	}
	info, err := os.Lstat(v.at(e.Path))
	if errors.Is(err, fs.ErrNotExist) {
		if !e.Ghost && e.Config != "config(missingok)" {
			v.add(RuleMissing, e.Path, "is not there")
		}
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if is := typeOf(info.Mode()); is != e.Type {
		v.differ(RuleType, e.Path, e.Type, is)
		return true, nil
	}
	if err := v.attributes(ctx, e, info); err != nil {
		return true, err
	}
	switch {
	case e.SHA256 == "" || e.Config != "":
	case info.Size() != e.Size:
		v.differ(RuleContent, e.Path, bytesOf(e.Size), bytesOf(info.Size()))
	case e.HardLink == "":
		contents.add(e)
	}
	return true, nil
}

func bytesOf(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

func typeOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "dir"
	case fs.ModeSymlink:
		return "symlink"
	}
	return "special"
}

// extra looks for what is in the folder and not in the record. What package managers
// put beside a configuration file is theirs.
func (v *recordVerification) extra(dir string) error {
	list, err := os.ReadDir(v.at(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range list {
		name := dir + "/" + d.Name()
		_, known := v.paths[name]
		switch {
		case !known && !v.besideConfig(name):
			v.add(RuleExtra, name, "is not in the record")
		case known && d.IsDir():
			err = errors.Join(err, v.extra(name))
		}
	}
	return err
}

// besides are the endings of files that rpm and dpkg make beside a configuration
// file: rpm(8), dpkg(1).
var besides = []string{".rpmnew", ".rpmsave", ".rpmorig", ".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-bak"}

func (v *recordVerification) besideConfig(name string) bool {
	for _, ending := range besides {
		if config, ok := strings.CutSuffix(name, ending); ok && v.paths[config] {
			return true
		}
	}
	return false
}

// Verify looks at everything, prints a line for each deviation, or all of them as
// JSON, and returns the exit status: 1 if there are any.
func (p Product) Verify(ctx context.Context, asJSON bool) int {
	found, err := p.RecordDeviations(ctx, "")
	more, merr := p.Deviations(ctx, "")
	found = append(append([]Deviation{}, found...), more...) // as JSON never null
	for i := range found {
		if w := &found[i].Where; strings.HasPrefix(*w, "/") {
			*w = p.at(*w)
		}
	}
	if asJSON {
		if err := p.printJSON(found); err != nil {
			return p.fail("verify", err)
		}
	} else {
		for _, d := range found {
			p.print("%s\n", d)
		}
	}
	if err := errors.Join(err, merr); err != nil {
		fmt.Fprintf(p.Stderr, "vpkg-hook: verify: %v\n", err)
		return platformMisused
	}
	if len(found) > 0 {
		return platformFailed
	}
	return platformDone
}
