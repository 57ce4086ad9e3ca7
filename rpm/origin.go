package rpm

import "io"

// An Origin is what a package says of how it was built.
type Origin struct {
	Host   string // that it was built on; empty if it says none
	Source string // the source package's file name: "agent-1.4.0-7.el9.src.rpm"; empty if it says none
}

// ReadOrigin reads it from the main header.
func ReadOrigin(r io.ReaderAt, size int64) (Origin, error) {
	f, err := open(r, size)
	if err != nil {
		return Origin{}, err
	}
	h := fields{h: f.main}
	o := Origin{Host: h.string(tagBuildHost), Source: h.string(tagSourceRPM)}
	return o, h.err
}
