package rpm

import "io"

// BuildHost is the host that a package says it was built on; empty if it says none.
func BuildHost(r io.ReaderAt, size int64) (string, error) {
	f, err := open(r, size)
	if err != nil {
		return "", err
	}
	h := fields{h: f.main}
	s := h.string(tagBuildHost)
	return s, h.err
}
