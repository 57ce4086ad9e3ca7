package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// A Set is what was saved of a host at one time.
type Set struct {
	ID      string   `json:"id"` // sorts by age; counted, for a clock can be wrong
	Format  int      `json:"format"`
	Time    string   `json:"time"` // for people
	Parts   []Part   `json:"parts"`
	Foreign []string `json:"foreign,omitempty"` // chains and tables of other programs, which are never touched

	// Owned says that a table of nft's went with the process that made it: firewalld
	// 2.1 and later. Its rules are in no part.
	Owned bool `json:"owned,omitempty"`
}

// A Part is one file of a set.
type Part struct {
	View  string `json:"view"` // "ipset", "iptables-nft", "nft inet filter"
	File  string `json:"file"` // in the set's folder
	Rules int    `json:"rules"`
	Kept  bool   `json:"kept,omitempty"` // not taken over: nothing of it is put back, but ipsets that are missing
}

const (
	setFormat = 1
	mostSets  = 10
	ipsetView = "ipset"
)

// An index is sets.json.
type index struct {
	Next int      `json:"next"`
	Sets []string `json:"sets"` // oldest first
}

func (f *Firewall) index() (index, error) {
	var x index
	name := path.Join(f.Dir, "sets.json")
	b, err := f.Sys.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return index{Next: 1}, nil
	}
	if err == nil {
		err = tinyjson.Unmarshal(b, &x)
	}
	if err != nil {
		return index{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return x, nil
}

func (f *Firewall) writeJSON(name string, v any) error {
	b, err := tinyjson.Marshal(v)
	if err != nil {
		return err
	}
	return f.Sys.WriteFile(path.Join(f.Dir, name), append(b, '\n'), 0o600)
}

// Sets are the identifiers of the saved sets, oldest first.
func (f *Firewall) Sets() ([]string, error) {
	x, err := f.index()
	return x.Sets, err
}

// LoadSet reads a saved set.
func (f *Firewall) LoadSet(id string) (Set, error) {
	if _, err := strconv.ParseUint(id, 10, 32); err != nil {
		return Set{}, fmt.Errorf("%q is not the name of a saved set", id)
	}
	name := path.Join(f.Dir, id, "set.json")
	var s Set
	b, err := f.Sys.ReadFile(name)
	if err != nil {
		return Set{}, err
	}
	if err := tinyjson.Unmarshal(b, &s); err != nil {
		return Set{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if s.Format > setFormat {
		return Set{}, fmt.Errorf("%s has format %d, which is newer than this program", name, s.Format)
	}
	for _, p := range s.Parts {
		if path.Base(p.File) != p.File {
			return Set{}, fmt.Errorf("%s names the file %q, which is not in its folder", name, p.File)
		}
	}
	s.ID = id
	return s, nil
}

func (f *Firewall) read(s Set, p Part) (string, error) {
	b, err := f.Sys.ReadFile(path.Join(f.Dir, s.ID, p.File))
	return string(b), err
}

// A piece is a part and its text, before it is written.
type piece struct {
	Part

	text string
	tool *xtool
}

// Save saves the rules of the host, and proves of each piece that it can be
// loaded again. Of more than ten sets the oldest is removed that is not in keep.
// If nothing has changed since the newest set, that is the result.
func (f *Firewall) Save(ctx context.Context, keep ...string) (Set, error) {
	h, err := f.look(ctx)
	if err != nil {
		return Set{}, err
	}
	if err := h.savable(); err != nil {
		return Set{}, err
	}
	pieces, err := f.pieces(ctx, h)
	if err != nil {
		return Set{}, err
	}
	x, err := f.index()
	if err != nil {
		return Set{}, err
	}
	if len(x.Sets) > 0 {
		if s, err := f.LoadSet(x.Sets[len(x.Sets)-1]); err == nil && f.unchanged(s, pieces) {
			return s, nil
		}
	}
	s := Set{ID: fmt.Sprintf("%06d", x.Next), Format: setFormat, Time: time.Now().UTC().Format(time.RFC3339), Foreign: h.foreign, Owned: h.owned}
	for _, p := range pieces {
		if err := f.Sys.WriteFile(path.Join(f.Dir, s.ID, p.File), []byte(p.text), 0o600); err != nil {
			return Set{}, err
		}
		if err := f.loadable(ctx, p); err != nil {
			return Set{}, err
		}
		s.Parts = append(s.Parts, p.Part)
	}
	if err := f.writeJSON(path.Join(s.ID, "set.json"), s); err != nil {
		return Set{}, err
	}
	x.Next++
	x.Sets = append(x.Sets, s.ID)
	if err := f.writeJSON("sets.json", x); err != nil {
		return Set{}, err
	}
	return s, f.expire(x, append(keep, s.ID))
}

// pieces are what there is to save.
func (f *Firewall) pieces(ctx context.Context, h *host) ([]piece, error) {
	var out []piece
	ipsets, err := f.Sys.Run(ctx, "ipset", "save")
	switch {
	case err == nil:
		if strings.TrimSpace(ipsets) != "" {
			out = append(out, piece{Part: Part{View: ipsetView, File: "ipset.save", Kept: true}, text: ipsets})
		}
	case slices.ContainsFunc(h.views, func(v *view) bool { return len(neededSets(v.x)) > 0 }):
		return nil, fmt.Errorf("the host's rules cannot be saved: they use ipsets, and saving those failed: %w", err)
	case !errors.Is(err, exec.ErrNotFound):
		f.warn("ipsets are not saved", "error", err)
	}
	for _, tool := range h.saves {
		text, err := f.Sys.Run(ctx, tool.save)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tool.save, err)
		}
		p := piece{Part: Part{View: tool.view, File: tool.view + ".rules", Kept: h.view(tool.view) == nil}, text: text, tool: tool}
		if t, ok := parseSave(text); ok && !p.Kept {
			if t.hasOwn() {
				t = t.withoutOwn()
				p.text = replaceSection(text, t)
			}
			p.Rules = t.rules()
		}
		out = append(out, p)
	}
	for i, v := range append(slices.Clone(h.views), h.others...) {
		if v.tool != nil {
			continue
		}
		p := piece{Part: Part{View: v.name, File: fmt.Sprintf("nft-%d.nft", i+1), Rules: v.n.rules(), Kept: h.view(v.name) == nil}, text: v.text}
		out = append(out, p)
	}
	return out, nil
}

// replaceSection puts t in the place of the filter section of a text of
// iptables-save.
func replaceSection(text string, t table) string {
	var out []string
	in := false
	for _, line := range lines(text) {
		trimmed := strings.TrimSpace(line)
		if trimmed == "*filter" {
			in = true
			out = append(out, strings.TrimSuffix(t.render(), "\n"))
		}
		if !in {
			out = append(out, line)
		}
		in = in && trimmed != "COMMIT"
	}
	return strings.Join(out, "\n")
}

// loadable asks the tool that would load the piece whether it could.
func (f *Firewall) loadable(ctx context.Context, p piece) error {
	var err error
	switch {
	case p.Kept:
	case p.tool != nil:
		err = f.load(ctx, p.text, p.tool.restore, "--test")
	default:
		name := strings.TrimPrefix(p.View, "nft ")
		err = f.nft(ctx, Policy{}, replaceTables([]string{name}, nil, p.text), "-c")
	}
	if err != nil {
		return fmt.Errorf("the host's rules cannot be saved: what was saved of %s cannot be loaded again: %w", p.View, err)
	}
	return nil
}

// unchanged says that a set has the same pieces, counters aside.
func (f *Firewall) unchanged(s Set, pieces []piece) bool {
	if len(s.Parts) != len(pieces) {
		return false
	}
	for i, p := range pieces {
		if s.Parts[i] != p.Part {
			return false
		}
		old, err := f.read(s, p.Part)
		if err != nil || plain(old) != plain(p.text) {
			return false
		}
	}
	return true
}

// plain is a text without comments, which have the time, and counters.
func plain(text string) string {
	var out []string
	for _, line := range lines(text) {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, ":"):
			line, _, _ = strings.Cut(line, " [")
			out = append(out, line)
		default:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// expire removes sets until there are ten, or those that remain are kept. The
// list is written last: what a crash leaves over is removed the next time.
func (f *Firewall) expire(x index, keep []string) error {
	changed := false
	for len(x.Sets) > mostSets {
		i := slices.IndexFunc(x.Sets, func(id string) bool { return !has(keep, id) })
		if i < 0 {
			break
		}
		id := x.Sets[i]
		if s, err := f.LoadSet(id); err == nil {
			for _, p := range s.Parts {
				if err := f.remove(path.Join(id, p.File)); err != nil {
					return err
				}
			}
		}
		if err := errors.Join(f.remove(path.Join(id, "set.json")), f.remove(id)); err != nil {
			f.warn("an old saved set is not removed whole", "set", id, "error", err)
		}
		x.Sets = slices.Delete(x.Sets, i, i+1)
		changed = true
	}
	if !changed {
		return nil
	}
	return f.writeJSON("sets.json", x)
}

func (f *Firewall) remove(name string) error {
	err := f.Sys.Remove(path.Join(f.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// neededSets are the ipsets that the rules of a table name: iptables-extensions(8),
// set and SET.
func neededSets(t table) []string {
	var out []string
	for _, c := range t.chains {
		for _, r := range c.rules {
			w := words(r)
			for i, word := range w[:max(len(w)-1, 0)] {
				switch word {
				case "--match-set", "--add-set", "--del-set", "--map-set":
					out = append(out, w[i+1])
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
