package firewall

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// digest tells texts apart. It guards against accidents: whoever can write rules
// and wants to deceive is root already.
func digest(text string) string {
	h := fnv.New128a()
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

// An after is after.json: what each view was left like by us. It is written
// before a view is emptied, so that PutBack knows its own work after a crash.
type after struct {
	Views map[string]string `json:"views"` // digests of what is compared
}

func (f *Firewall) afterFile() string { return path.Join(f.Dir, "after.json") }

// record writes after.json.
func (f *Firewall) record(h *host, expected map[string]string) error {
	a := after{Views: map[string]string{}}
	for _, v := range h.views {
		a.Views[v.name] = digest(v.normal())
	}
	for name, text := range expected {
		a.Views[name] = digest(text)
	}
	b, err := tinyjson.Marshal(a)
	if err != nil {
		return err
	}
	if old, err := f.Sys.ReadFile(f.afterFile()); err == nil && string(old) == string(b)+"\n" {
		return nil
	}
	return f.Sys.WriteFile(f.afterFile(), append(b, '\n'), 0o600)
}

// Record takes the host's rules as they are now for what we left. It is called
// after the host's own services were changed on purpose, which may have changed
// tables.
func (f *Firewall) Record(ctx context.Context) error {
	h, err := f.look(ctx)
	if err != nil {
		return err
	}
	return f.record(h, nil)
}

// leftAlone says whether a view is as we left it. One that is not there, or where
// nothing is, counts as that: what we left let everything pass, and a service that
// was stopped, or a start of the host, may have taken the tables away.
func (f *Firewall) leftAlone() (func(name, normal string) bool, error) {
	b, err := f.Sys.ReadFile(f.afterFile())
	if errors.Is(err, fs.ErrNotExist) {
		return func(string, string) bool { return false }, nil
	}
	if err != nil {
		return nil, err
	}
	var a after
	if err := tinyjson.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.afterFile(), err)
	}
	return func(name, normal string) bool {
		return normal == "" || a.Views[name] == digest(normal)
	}, nil
}

// Replaced reports whether the host's own rules are not in force because a policy
// of ours took their place.
func (f *Firewall) Replaced() bool {
	_, err := f.Sys.ReadFile(f.afterFile())
	return !errors.Is(err, fs.ErrNotExist)
}

// State is a digest of our rules and of the host's. It does not change with
// counters, with sets that rules fill, or with other programs' chains.
func (f *Firewall) State(ctx context.Context) (string, error) {
	h, err := f.look(ctx)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, name := range h.own {
		lines := []string{name}
		for _, b := range parseListing(h.texts[name]).blocks {
			lines = append(lines, b.stable()...)
		}
		parts = append(parts, strings.Join(lines, "\n"))
	}
	for _, v := range h.views {
		text := v.normal()
		if v.tool != nil {
			text = v.x.normal(true)
		}
		if text != "" {
			parts = append(parts, v.name+"\n"+text)
		}
	}
	slices.Sort(parts)
	return digest(strings.Join(parts, "\n")), nil
}

// HostRules is what a report says about the packet filter.
type HostRules struct {
	Format  string      `json:"format"`
	Views   []ViewRules `json:"views"`
	Own     []string    `json:"own,omitempty"`     // our tables, or views with chains of ours
	Foreign []string    `json:"foreign,omitempty"` // chains and tables of other programs, which are kept
	Owned   bool        `json:"owned,omitempty"`   // a table goes with the program that made it
	Cannot  []string    `json:"cannot,omitempty"`  // why rules cannot be saved
}

// ViewRules counts the host's rules in one place.
type ViewRules struct {
	View  string `json:"view"`
	Rules int    `json:"rules"` // and policies that let not all pass
}

// HostRules looks at what is in force.
func (f *Firewall) HostRules(ctx context.Context) (HostRules, error) {
	h, err := f.look(ctx)
	if err != nil {
		return HostRules{}, err
	}
	out := HostRules{Format: h.format, Own: h.own, Foreign: h.foreign, Owned: h.owned, Cannot: h.mixed}
	for _, v := range h.views {
		n := v.n.rules()
		if v.tool != nil {
			t := v.x.withoutOwn()
			n = t.rules()
			if v.x.hasOwn() {
				out.Own = append(out.Own, v.name)
			}
		}
		out.Views = append(out.Views, ViewRules{v.name, n})
	}
	return out, nil
}
