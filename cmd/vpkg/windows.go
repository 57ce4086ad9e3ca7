package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/vpkg/vpkg/internal/pe"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/manifest"
)

// passphraseVariable has the passphrase of a key: a command line would show it.
const passphraseVariable = "VPKG_SIGN_PASSPHRASE" //nolint:gosec // the name of a variable, not a passphrase

// signOptions are the flags that say with what Windows packages are signed.
type signOptions struct {
	prefix    string // of the flags' names, such as "sign" of --sign-key
	key       string
	cert      string
	command   string
	timestamp string
}

// flags adds the flags, whose names begin with prefix, for signing what is named.
func (o *signOptions) flags(fl *pflag.FlagSet, prefix, what string) {
	o.prefix = prefix
	fl.StringVar(&o.key, prefix+"-key", "", "sign "+what+" with the key in `FILE`, PEM or PFX;\nthe passphrase of a PFX is in "+passphraseVariable)
	fl.StringVar(&o.cert, prefix+"-cert", "", "the key's certificates, if they are in another `FILE`")
	fl.StringVar(&o.command, prefix+"-command", "", "in place of a key, a `COMMAND` that reads a SHA-256 digest and writes a signature")
	fl.StringVar(&o.timestamp, prefix+"-timestamp", "", "the `URL` of an RFC 3161 server that puts the time into signatures")
}

func (o *signOptions) given() bool { return *o != signOptions{prefix: o.prefix} }

// signer gives what signs; nil if nothing is to be signed. The passphrase is that of
// the key.
func (o *signOptions) signer(passphrase string) (*sign.Authenticode, error) {
	wrong := func(format string) error {
		return usageError{errors.New(strings.ReplaceAll(format, "--", "--"+o.prefix+"-"))}
	}
	switch {
	case !o.given():
		return nil, nil
	case o.key != "" && o.command != "":
		return nil, wrong("--key and --command: want one of them")
	case o.key == "" && o.command == "":
		return nil, wrong("--cert and --timestamp need --key or --command")
	case o.command != "" && o.cert == "":
		return nil, wrong("--command needs the certificate of its key, --cert")
	}
	a := &sign.Authenticode{}
	var err error
	if o.command != "" {
		if a.Chain, err = sign.LoadCertificates(o.cert); err != nil {
			return nil, fmt.Errorf("reading the certificates %q: %w", o.cert, err)
		}
		a.Signer = &sign.Command{Argv: strings.Fields(o.command), Certificate: a.Chain[0]}
	} else if a, err = sign.Load(o.key, o.cert, []byte(passphrase)); err != nil {
		return nil, err
	}
	a.Timestamp = o.timestamp
	if c := a.Chain[0]; time.Now().After(c.NotAfter) {
		return nil, fmt.Errorf("the certificate of %s ended on %s: Windows would not believe a signature of it", c.Subject, c.NotAfter.UTC().Format(time.DateOnly))
	}
	return a, nil
}

// A finisher puts versions and signatures into programs for Windows. What comes of
// it is in its folder until the packages are written.
type finisher struct {
	parent string // of the folder
	signer *sign.Authenticode
	dir    string
	n      int
}

// finish implements manifest.Resolver's Executable.
func (f *finisher) finish(ctx context.Context, x manifest.Executable) (manifest.Program, error) {
	if x.Stamp == nil && f.signer == nil {
		return x.Program, nil
	}
	if f.dir == "" {
		dir, err := os.MkdirTemp(f.parent, "windows-*")
		if err != nil {
			return manifest.Program{}, err
		}
		f.dir = dir
	}
	file, err := f.write(func(w io.Writer) error { return copyBody(w, x.Body) })
	if err != nil {
		return manifest.Program{}, err
	}
	if s := x.Stamp; s != nil {
		file, err = f.change(file, pe.ErrResources, func(in *os.File, size int64, w io.Writer) error {
			return pe.Stamp(in, size, w, pe.Resources{
				Version: s.Version, Product: s.Product, Company: s.Company, Description: s.Description,
				Original: path.Base(x.Path), Data: s.Data,
			})
		})
		if err != nil {
			return manifest.Program{}, err
		}
	}
	if f.signer != nil {
		file, err = f.change(file, pe.ErrSigned, func(in *os.File, size int64, w io.Writer) error {
			return f.signer.SignPE(ctx, in, size, w)
		})
		if err != nil {
			return manifest.Program{}, err
		}
	}
	return programOf(file)
}

// write makes a new file.
func (f *finisher) write(content func(io.Writer) error) (string, error) {
	f.n++
	name := filepath.Join(f.dir, fmt.Sprintf("%d.exe", f.n))
	w, err := os.Create(name)
	if err != nil {
		return "", err
	}
	return name, errors.Join(content(w), w.Close())
}

// change makes a new file of another, which goes; with the error done the other one
// stays as it is.
func (f *finisher) change(file string, done error, content func(in *os.File, size int64, w io.Writer) error) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", err
	}
	out, err := f.write(func(w io.Writer) error { return content(in, info.Size(), w) })
	if errors.Is(err, done) {
		return file, os.Remove(out)
	}
	if err != nil {
		return "", err
	}
	return out, os.Remove(file)
}

// close removes the folder.
func (f *finisher) close() error {
	if f.dir == "" {
		return nil
	}
	return os.RemoveAll(f.dir)
}

func copyBody(w io.Writer, b packaging.Body) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// A fileBody is content in a file of the host.
type fileBody string

// Open implements packaging.Body.
func (f fileBody) Open() (io.ReadCloser, error) { return os.Open(string(f)) }

func programOf(file string) (manifest.Program, error) {
	h := sha256.New()
	r, err := os.Open(file)
	if err != nil {
		return manifest.Program{}, err
	}
	defer r.Close()
	n, err := io.Copy(h, r)
	return manifest.Program{Body: fileBody(file), Size: n, SHA256: packaging.Digest(h.Sum(nil))}, err
}
