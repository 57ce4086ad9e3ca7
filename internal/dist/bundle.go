package dist

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mholt/archives"
)

// Bundle writes one NAME-bundle-VERSION.tar.bz2 of the artifacts in dir, with a
// SHA256SUMS and an artifacts.json of just these, and returns its path. It is the
// form in which a library server imports a release. Times are date.
func Bundle(dir, name, version string, date time.Time, artifacts []Artifact) (_ string, err error) {
	base := fmt.Sprintf("%s-bundle-%s", name, version)
	path := filepath.Join(dir, base+".tar.bz2")
	tmp, err := os.CreateTemp(dir, ".vpkg-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			tmp.Close() // err says what went wrong already
			err = errors.Join(fmt.Errorf("writing %s: %w", filepath.Base(path), err), os.Remove(tmp.Name()))
		}
	}()
	bz, err := archives.Bz2{}.OpenWriter(tmp)
	if err != nil {
		return "", err
	}
	tw := tar.NewWriter(bz)
	files, err := lists(artifacts)
	if err != nil {
		return "", err
	}
	for _, name := range []string{sumsFile, artifactsFile} {
		b := files[name]
		if err := add(tw, base+"/"+name, bytes.NewReader(b), int64(len(b)), date); err != nil {
			return "", err
		}
	}
	for _, a := range artifacts {
		if err := addFile(tw, filepath.Join(dir, a.Name), base+"/"+a.Name, date); err != nil {
			return "", err
		}
	}
	if err := errors.Join(tw.Close(), bz.Close(), tmp.Chmod(0o644)); err != nil {
		return "", err
	}
	if err := tmp.Close(); err != nil {
		return "", err
	}
	return path, os.Rename(tmp.Name(), path)
}

func addFile(tw *tar.Writer, path, name string, date time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return add(tw, name, f, fi.Size(), date)
}

func add(tw *tar.Writer, name string, r io.Reader, size int64, date time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: date, Format: tar.FormatUSTAR}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, r)
	return err
}
