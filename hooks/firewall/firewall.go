// Package firewall takes over a host's packet filter and gives it back.
//
// Filter rules can stand in several views of one kernel: the tables of
// iptables-legacy, those that iptables-nft keeps in nf_tables, and native tables
// of nft. Each is read and written by its own tool only: what `nft list` prints
// of a table of iptables-nft cannot be loaded again once a rule has a match that
// only xtables knows. All views are in force together, so a packet passes where
// each of them lets it.
//
// That is also how a takeover leaves no gap: ours is loaded in tables of its own
// while the host's rules still stand, then the host's are emptied. On a host that
// has iptables alone, both are one table, which is replaced in one commit.
//
// Not touched are the tables nat, mangle, raw and security, chains of nft that do
// such work, and the chains and tables of container and virtual machine managers.
// All but the managers' are loaded where they are missing after a start of the host,
// for the service that did so is disabled: LoadOthers.
package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// ErrNoFilter says that the host has no packet filter that works.
var ErrNoFilter = errors.New("this host has no packet filter: neither nft nor iptables works")

// A System is the part of the host that the firewall works with.
type System interface {
	// Run runs a program and returns its standard output. A program that is not
	// there is an error that wraps exec.ErrNotFound; the text of the error of one
	// that fails has its standard error.
	Run(ctx context.Context, argv ...string) (string, error)
	// Feed is Run of a program that reads input from its standard input.
	Feed(ctx context.Context, input string, argv ...string) (string, error)
	ReadFile(path string) ([]byte, error)
	// WriteFile puts the whole file in place at once, after making the folders
	// above it.
	WriteFile(path string, b []byte, perm fs.FileMode) error
	Remove(path string) error // a file or an empty folder
}

// A Logger takes what a person should see, as a *slog.Logger does.
type Logger interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
}

// A Firewall is the packet filter of a host.
type Firewall struct {
	Sys System
	Dir string // for root alone: saved sets and what was left in force
	Log Logger // what a person should see; nil for nothing

	programs []xtool // what tools found, which is asked for once
}

// A Policy is the rules that a server wants in force, in one form or both.
type Policy struct {
	Version string // as the server calls it
	Nft     string // tables of nft whose names begin with ILO-
	IPv4    string // a *filter section in the form of iptables-restore
	IPv6    string // the same for ip6tables-restore
}

// The forms of a policy, as Formats names them.
const (
	FormatNft      = "nftables"
	FormatIPTables = "iptables"
)

const (
	ownPrefix  = "ILO-"           // of the names of our tables and chains
	trackTable = "inet ILO-TRACK" // see track
)

// Formats names the forms of a policy that this host takes, which is found by
// trying. It is one: where nft works, that is the form in use.
func (f *Firewall) Formats(ctx context.Context) ([]string, error) {
	form, err := f.form(ctx)
	if err != nil {
		return nil, err
	}
	return []string{form}, nil
}

// form is the form of a policy that the host takes.
func (f *Firewall) form(ctx context.Context) (string, error) {
	_, nft := f.Sys.Run(ctx, "nft", "list", "tables")
	if nft == nil {
		return FormatNft, nil
	}
	_, iptables := f.Sys.Run(ctx, "iptables", "-w", "-S") // -w waits for the lock of the legacy ones
	switch {
	case iptables == nil:
		return FormatIPTables, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", fmt.Errorf("%w (nft: %w; iptables: %w)", ErrNoFilter, nft, iptables)
}

// Check says what is wrong with a policy, by its rules and by those of the
// host's own tool. Nothing is changed.
func (f *Firewall) Check(ctx context.Context, p Policy) error {
	form, err := f.form(ctx)
	if err != nil {
		return err
	}
	if form == FormatNft {
		tables, err := scanNft(p)
		if err != nil {
			return err
		}
		return f.nft(ctx, p, replaceTables(tables, nil, p.Nft), "-c")
	}
	_, err = f.checkIPTables(ctx, p)
	return err
}

// replaceTables is the transaction that puts text in force, which makes the named
// tables, and takes out the stale ones. What comes before the text is on its first
// line, so that the lines in nft's messages are the text's.
func replaceTables(names, stale []string, text string) string {
	var first []string
	for _, name := range names {
		// Adding first makes the deletion right whether or not the table is there.
		first = append(first, "add table", name, "; delete table", name, ";")
	}
	for _, name := range stale {
		first = append(first, "delete table", name, ";")
	}
	return strings.Join(append(first, text), " ")
}

// nft loads a transaction, or with "-c" only checks it.
func (f *Firewall) nft(ctx context.Context, p Policy, text string, options ...string) error {
	err := f.load(ctx, text, append(append([]string{"nft"}, options...), "-f", "-")...)
	if err == nil || p.Nft == "" {
		return err
	}
	// "/dev/stdin:3:5-9: Error: …" is about the policy's line 3.
	return fmt.Errorf("policy %q: %s", p.Version, strings.ReplaceAll(err.Error(), stdin+":", "line "))
}

const stdin = "/dev/stdin"

// load has a program read a text, through a pipe: SELinux lets these programs read
// no file of ours, and rules can be given back on a full disk.
func (f *Firewall) load(ctx context.Context, text string, argv ...string) error {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, err := f.Sys.Feed(ctx, text, argv...); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

func (f *Firewall) warn(msg string, args ...any) {
	if f.Log != nil {
		f.Log.Warn(msg, args...)
	}
}

// lines are the lines of a text, without their ends. This, has and script
// are no iterators, generics and builders because this package is in every hook
// program, where each use of those is code of its own.
func lines(text string) []string { return strings.Split(text, "\n") }

//go:noinline
func has(list []string, s string) bool { return slices.Contains(list, s) }

// A script is text that is made line by line.
type script struct{ text string }

//go:noinline
func (s *script) add(words ...string) { s.text += strings.Join(words, " ") + "\n" }
