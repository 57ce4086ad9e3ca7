package packaging

import "io"

// A Signature is one that a package carries, as it stands there: nothing of it is
// checked.
type Signature struct {
	Name   string // of where it stands: an RPM's tag, a DEB's member, an MSI's stream
	Kind   string // "OpenPGP", "IMA", "fs-verity" or "Authenticode"
	Covers string // "header", "header and payload", "files" or "package"
	Size   int64  // bytes, of all together where there is one for each file
	Files  int    // files that have one, where it covers files
}

// A SignatureLister is a Format that finds the signatures of a package.
type SignatureLister interface {
	// ListSignatures lists them in the package's order, and reads no payload.
	ListSignatures(r io.ReaderAt, size int64) ([]Signature, error)
}
