package deb

import (
	"errors"
	"io"
	"strings"

	"github.com/vpkg/vpkg/deb/internal/ar"
	"github.com/vpkg/vpkg/packaging"
)

// ListSignatures lists the members that debsigs(1) and dpkg-sig(1) put signatures
// in: their names begin with _gpg.
func (Format) ListSignatures(r io.ReaderAt, size int64) ([]packaging.Signature, error) {
	members, err := ar.Read(r, size, maxArchive)
	if fe, ok := errors.AsType[*ar.FormatError](err); ok {
		return nil, &FormatError{fe.Offset, fe.Err}
	} else if err != nil {
		return nil, err
	}
	var list []packaging.Signature
	for _, m := range members {
		if strings.HasPrefix(m.Name, "_gpg") {
			list = append(list, packaging.Signature{Name: m.Name, Kind: "OpenPGP", Covers: "package", Size: m.Size})
		}
	}
	return list, nil
}
