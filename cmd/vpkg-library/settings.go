package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Settings are the flags of serve and those of all commands. They can be given in
// the environment and in a file, too, for every command that has the flag.

const environment = "VPKG_LIBRARY_"

// variable is the name of a setting in the environment.
func variable(name string) string {
	return environment + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// maxSettings bounds a file of settings, in bytes.
const maxSettings = 1 << 20

// loadSettings sets the flags of a command that were not given, from the environment
// or else from the file.
func loadSettings(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	known := new(pflag.FlagSet)
	new(serveOptions).flags(known)
	for _, name := range []string{"data", "config"} {
		known.AddFlag(cmd.Root().PersistentFlags().Lookup(name))
	}
	fl := cmd.Flags()
	var errs []error
	given := map[string]bool{}
	fl.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	known.VisitAll(func(k *pflag.Flag) {
		f := fl.Lookup(k.Name)
		v, ok := lookup(variable(k.Name))
		if f == nil || !ok || v == "" || given[k.Name] {
			return
		}
		given[k.Name] = true
		if err := f.Value.Set(v); err != nil {
			errs = append(errs, fmt.Errorf("%s=%.200q: %w", variable(k.Name), v, err))
		}
	})
	if name := fl.Lookup("config").Value.String(); name != "" {
		all, err := readSettings(name, func(setting string) bool { return known.Lookup(setting) != nil && setting != "config" })
		if err != nil {
			return usageError{err}
		}
		for _, s := range all {
			f := fl.Lookup(s.name)
			if f == nil || given[s.name] {
				continue
			}
			if _, list := f.Value.(pflag.SliceValue); !list && len(s.values) != 1 {
				errs = append(errs, fmt.Errorf("%s: %s has one value, found %d", s.at, s.name, len(s.values)))
				continue
			}
			for _, v := range s.values {
				if err := f.Value.Set(v); err != nil {
					errs = append(errs, fmt.Errorf("%s: %s: %w", s.at, s.name, err))
				}
			}
		}
	}
	if len(errs) > 0 {
		return usageError{errors.Join(errs...)}
	}
	return nil
}

// A setting is one line of the file.
type setting struct {
	name   string
	values []string
	at     string // FILE:LINE:COLUMN
}

// readSettings reads a file of settings, and reports everything that is wrong with it.
func readSettings(name string, known func(string) bool) ([]setting, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSettings {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxSettings)
	}
	return parseSettings(name, b, known)
}

func parseSettings(name string, b []byte, known func(string) bool) ([]setting, error) {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	var pairs []*ast.MappingValueNode
	for i, d := range file.Docs {
		switch body := d.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		case *ast.MappingNode:
			pairs = append(pairs, body.Values...)
		case *ast.MappingValueNode:
			pairs = append(pairs, body)
		default:
			return nil, fmt.Errorf("%s: want lines of NAME: VALUE, found a %s", place(name, body), strings.ToLower(body.Type().String()))
		}
		if i > 0 {
			return nil, fmt.Errorf("%s: there is more than one document", name)
		}
	}
	var all []setting
	var errs []error
	for _, p := range pairs {
		s := setting{name: p.Key.String(), at: place(name, p.Key)}
		if k, ok := p.Key.(*ast.StringNode); ok {
			s.name = k.Value
		}
		if !known(s.name) {
			errs = append(errs, fmt.Errorf("%s: there is no setting %.80q", s.at, s.name))
			continue
		}
		s.at = place(name, p.Value)
		if s.values, err = scalars(name, p.Value); err != nil {
			errs = append(errs, fmt.Errorf("%w, for %s", err, s.name))
			continue
		}
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// syntaxError gives the parser's error, which has several lines, its place in one.
func syntaxError(file string, err error) error {
	if p, ok := errors.AsType[interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}](err); ok {
		return fmt.Errorf("%s: %s", placeOf(file, p.GetToken()), p.GetMessage())
	}
	return fmt.Errorf("%s: %w", file, err)
}

func place(file string, n ast.Node) string { return placeOf(file, n.GetToken()) }

func placeOf(file string, t *token.Token) string {
	if t != nil && t.Position != nil {
		return fmt.Sprintf("%s:%d:%d", file, t.Position.Line, t.Position.Column)
	}
	return file
}

// scalars gives the text of a value, or of those in a list.
func scalars(file string, n ast.Node) ([]string, error) {
	switch n := n.(type) {
	case *ast.SequenceNode:
		var all []string
		for _, v := range n.Values {
			s, err := scalar(file, v)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, nil
	default:
		s, err := scalar(file, n)
		return []string{s}, err
	}
}

func scalar(file string, n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value), nil
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, nil
	}
	return "", fmt.Errorf("%s: want text, a number, true or false, found a %s", place(file, n), strings.ToLower(n.Type().String()))
}
