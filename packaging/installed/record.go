package installed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// ReadRecord reads a record, which may be hostile: its entries have clean absolute
// paths, in order and each once, and say of files what is in them.
func ReadRecord(text []byte) (packaging.Layout, error) {
	var l packaging.Layout
	if err := l.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	for i := range l {
		e := &l[i]
		switch {
		case !isClean(e.Path) || len(e.Path) > 4096:
			return nil, fmt.Errorf("entry %d: %.100q is not a clean absolute path", i, e.Path)
		case i > 0 && e.Path <= l[i-1].Path:
			return nil, fmt.Errorf("entry %d: %q comes after %q", i, e.Path, l[i-1].Path)
		case e.Regular() && !e.Ghost && e.SHA256.IsZero():
			return nil, fmt.Errorf("%s: it is a file without a digest", e.Path)
		case e.Size < 0:
			return nil, fmt.Errorf("%s: its size is %d", e.Path, e.Size)
		}
		if e.HardLink == "" {
			continue
		}
		if t, ok := l[:i].Lookup(e.HardLink); !ok || !t.Regular() || !e.Regular() || t.HardLink != "" {
			return nil, fmt.Errorf("%s: it is a hard link to %q, which is no file before it", e.Path, e.HardLink)
		}
	}
	return l, nil
}

// readRecord reads the record of a product. What is wrong with it is a finding.
func (p *product) readRecord(ctx context.Context, s *packaging.Scan) ([]finding, error) {
	at := p.program() + hooks.RecordFile
	text, err := s.ReadFile(at, maxRecord)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the record cannot be read: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return []finding{{rule: ruleRecord, where: at, text: "the record is missing: nothing says what is to be there"}}, nil
	case err != nil:
		return []finding{{rule: ruleRecord, where: at, text: "the record cannot be read: " + err.Error()}}, nil
	}
	p.digest = sha256.Sum256(text)
	if p.record, err = ReadRecord(text); err != nil {
		return []finding{{rule: ruleRecord, where: at, text: "the record is damaged: " + strings.ReplaceAll(err.Error(), "\n", " ")}}, nil
	}
	got, _, err := s.Read(ctx, packaging.Layout{{Path: at}})
	if err != nil || len(got) == 0 {
		return nil, err
	}
	if got[0].Mode&0o002 != 0 {
		return []finding{{rule: ruleRecord, where: at, text: "everybody can change the record", got: octal(got[0].Mode)}}, nil
	}
	return nil, nil
}
