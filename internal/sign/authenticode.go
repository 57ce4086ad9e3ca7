// Package sign makes and checks signatures: Authenticode of Windows programs and of
// Windows Installer packages, OpenPGP of RPM and Debian packages.
//
// [OpenPGP] signatures are packets of version 4, of RSA or Ed25519 and SHA-256, as
// gpg and rpm read them: RFC 4880 and RFC 9580, section 5.2.
//
// An Authenticode signature is a CMS message (PKCS #7, RFC 5652) over a structure that
// holds the SHA-256 of the program: [Authenticode]. Time stamps are those of RFC 3161.
// Catalogues, page hashes, several signatures of one file, RSA-PSS and what was
// signed with SHA-1 are not supported.
//
// [Authenticode]: https://download.microsoft.com/download/9/c/5/9c5b2167-8017-4bae-9fde-d599bac8184a/Authenticode_PE.docx
package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"

	"github.com/vpkg/vpkg/internal/pe"
)

// Authenticode signs programs and packages. The same input gives the same bytes if
// the key is of RSA, or an [*ecdsa.PrivateKey], and there is no time stamp.
type Authenticode struct {
	// Signer has the key, of RSA or ECDSA. It is asked for signatures of SHA-256
	// digests, of RSA by PKCS #1 v1.5. A [*Command] asks another program.
	Signer crypto.Signer
	// Chain is the certificate of the key and then those that issued it, in order.
	// It may end before the root, which verifiers have themselves.
	Chain []*x509.Certificate

	// Timestamp is the URL of a server for time stamps, with which signatures stay
	// good when their certificate has expired. Empty means none.
	Timestamp string
	// Client asks it; nil means one that waits 30 seconds for an answer.
	Client *http.Client

	Description string // what Windows shows when it asks for consent: "Illumio VEN"; may be empty
	URL         string // where there is more about it; may be empty
}

const (
	tableAlign = 8 // bytes: where a certificate table may start, and its entries
	// entryHeader are the bytes of a WIN_CERTIFICATE before its signature: size with
	// them (4), revision (2), type (2).
	entryHeader   = 8
	entryRevision = 0x0200 // WIN_CERT_REVISION_2_0
	entryType     = 2      // WIN_CERT_TYPE_PKCS_SIGNED_DATA
)

// SignPE copies a program of size bytes to w and adds a signature. The program is
// read twice, and nothing is written before its signature is made. It returns
// [pe.ErrSigned] for a program that has one already.
func (a *Authenticode) SignPE(ctx context.Context, program io.ReaderAt, size int64, w io.Writer) error {
	p, err := openProgram(program, size)
	if err != nil {
		return fmt.Errorf("signing a program: %w", err)
	}
	if p.table > 0 {
		return fmt.Errorf("signing a program: %w", pe.ErrSigned)
	}
	if size > 1<<31 {
		return fmt.Errorf("signing a program: %d bytes are more than 2 GiB", size)
	}
	digest := sha256.New()
	var sum pe.Checksum
	if err := p.digest(digest, &sum); err != nil {
		return fmt.Errorf("signing a program: %w", err)
	}
	signature, err := a.sign(ctx, peData, digest.Sum(nil))
	if err != nil {
		return fmt.Errorf("signing a program: %w", err)
	}

	le := binary.LittleEndian
	padding := make([]byte, -size&(tableAlign-1))
	table := make([]byte, entryHeader, entryHeader+len(signature)+tableAlign)
	table = append(table, signature...)
	table = append(table, make([]byte, -len(table)&(tableAlign-1))...)
	le.PutUint32(table, uint32(len(table)))
	le.PutUint16(table[4:], entryRevision)
	le.PutUint16(table[6:], entryType)

	header := bytes.Clone(p.headers.Raw)
	directory := header[p.directory : p.directory+8]
	le.PutUint32(directory, uint32(size)+uint32(len(padding)))
	le.PutUint32(directory[4:], uint32(len(table)))
	// The order of what is summed up makes no difference. The directory's bytes are
	// in the sum's size already, as zeros.
	_, _ = sum.Write(table)
	_, _ = sum.Write(directory)
	le.PutUint32(header[p.headers.Checksum:], sum.Sum()-8)

	body := io.NewSectionReader(program, int64(len(header)), size-int64(len(header)))
	if _, err := io.Copy(w, io.MultiReader(
		bytes.NewReader(header), body, bytes.NewReader(padding), bytes.NewReader(table),
	)); err != nil {
		return fmt.Errorf("signing a program: %w", err)
	}
	return nil
}

// SignMSI gives the content of the stream "\x05DigitalSignature" of a package of
// Windows Installer. The imprint is the SHA-256 of the content of all other streams
// in the order of their names, compared byte by byte in UTF-16LE, a shorter one
// first, and of the 16 bytes of the root's class behind them. Where there is a stream
// "\x05MsiDigitalSignatureEx", which has the digest of names, sizes and dates, its
// content comes before the others'.
func (a *Authenticode) SignMSI(ctx context.Context, imprint [sha256.Size]byte) ([]byte, error) {
	signature, err := a.sign(ctx, msiData, imprint[:])
	if err != nil {
		return nil, fmt.Errorf("signing a package: %w", err)
	}
	return signature, nil
}

// check says whether the certificate is one for this key, and for programs.
func (a *Authenticode) check() error {
	if a.Signer == nil || len(a.Chain) == 0 {
		return errors.New("a key and its certificate are needed")
	}
	cert := a.Chain[0]
	type equaler interface{ Equal(crypto.PublicKey) bool }
	switch public := a.Signer.Public().(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		if !public.(equaler).Equal(cert.PublicKey) {
			return fmt.Errorf("certificate %q is for another key", cert.Subject)
		}
	default:
		return fmt.Errorf("a key of type %T: Authenticode needs one of RSA or ECDSA", public)
	}
	if !forUse(cert, x509.ExtKeyUsageCodeSigning) {
		return fmt.Errorf("certificate %q is not one for code signing", cert.Subject)
	}
	return nil
}

// forUse says whether a certificate allows a use; one that names none allows all.
func forUse(cert *x509.Certificate, use x509.ExtKeyUsage) bool {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(cert.ExtKeyUsage, use) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// A program is what a signature covers, and where its own parts are.
type program struct {
	headers   *pe.Headers
	r         io.ReaderAt
	size      int64 // bytes of what is signed: without the certificate table
	directory int   // where in the headers the directory entry of the table is
	table     int64 // bytes of the table, which follows; 0 means that there is none
}

// openProgram reads the headers of a program of size bytes.
func openProgram(r io.ReaderAt, size int64) (*program, error) {
	h, err := pe.ReadHeaders(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	broken := func(at int64, format string, args ...any) (*program, error) {
		return nil, &pe.FormatError{Offset: at, Err: fmt.Errorf(format, args...)}
	}
	p := &program{headers: h, r: r, size: size}
	var ok bool
	if p.directory, ok = h.DirectoryOffset(pe.DirectoryCertificate); !ok {
		return broken(int64(h.Checksum), "the data directories have none for signatures")
	}
	if end := h.End(); end > size {
		return broken(size, "sections end at byte %d: the program is cut off", end)
	}
	offset, table := h.Directory(pe.DirectoryCertificate)
	if table == 0 {
		return p, nil
	}
	// What is not signed has to be the end of the file: all before it is.
	p.size, p.table = int64(offset), int64(table)
	if p.size < h.End() || p.size%tableAlign != 0 || p.size+p.table != size {
		return broken(int64(p.directory), "a signature of %d bytes at byte %d is not at the end of a file of %d", table, offset, size)
	}
	return p, nil
}

// digest writes what a signature covers to h: all but the checksum, the directory
// entry of the signature and itself, up to the multiple of eight where it starts.
// If sum is not nil it is given the same with zeros for the two fields.
func (p *program) digest(h hash.Hash, sum *pe.Checksum) error {
	raw, checksum := p.headers.Raw, p.headers.Checksum
	h.Write(raw[:checksum])
	h.Write(raw[checksum+4 : p.directory])
	h.Write(raw[p.directory+8:])

	w := io.Writer(h)
	if sum != nil {
		zeroed := bytes.Clone(raw)
		clear(zeroed[checksum : checksum+4])
		clear(zeroed[p.directory : p.directory+8])
		_, _ = sum.Write(zeroed)
		w = io.MultiWriter(h, sum)
	}
	n := p.size - int64(len(raw))
	if _, err := io.CopyN(w, io.NewSectionReader(p.r, int64(len(raw)), n), n); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, -p.size&(tableAlign-1)))
	return err
}
