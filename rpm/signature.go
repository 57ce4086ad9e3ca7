package rpm

import (
	"crypto/md5"  //nolint:gosec // the format's, for rpm before 4.14
	"crypto/sha1" //nolint:gosec // the format's
	"encoding/hex"
	"fmt"
	"math"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// reservedSpace is what the signature header keeps free, as rpmbuild does: 4096
// bytes for a signature and two index entries. Signing takes from it what it
// needs, so that the rest of the file stays where it is.
const reservedSpace = 4096 + 2*indexSize // bytes

// signatureHeader gives the signature header of a package with the given main
// header.
func signatureHeader(p *packaging.Package, h []byte, enc *payload.Encoded) (header, error) {
	var s header
	sha := sha1.Sum(h) //nolint:gosec // the format's
	s.addString(sigSHA1, hex.EncodeToString(sha[:]))
	s.addString(sigSHA256, hexSHA256(h))
	size, plain := uint64(len(h))+uint64(enc.Size), uint64(enc.PlainSize)
	if max(size, plain) < math.MaxUint32 {
		s.addUint32s(sigSize, uint32(size))
		s.addUint32s(sigPayloadSize, uint32(plain))
	} else {
		s.addUint64s(sigLongSize, size)
		s.addUint64s(sigLongArchiveSize, plain)
	}
	if p.Features == nil || !p.Features[PayloadDigest] {
		sum := md5.New() //nolint:gosec // the format's
		sum.Write(h)     // never fails
		if _, err := enc.WriteTo(sum); err != nil {
			return nil, fmt.Errorf("reading the payload for its MD5 sum: %w", err)
		}
		s.addBytes(sigMD5, sum.Sum(nil))
	}
	s.addBytes(sigReservedSpace, make([]byte, reservedSpace))
	return s, nil
}
