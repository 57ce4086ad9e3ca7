package dist

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mholt/archives"
)

// Bundle writes one NAME-bundle-VERSION.tar.bz2 of the artifacts, with
// SHA256SUMS and artifacts.json, beside them, and returns its path. It is the
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
	files := []string{sumsFile, artifactsFile}
	for _, a := range artifacts {
		files = append(files, a.Name)
	}
	for _, f := range files {
		if err := addFile(tw, filepath.Join(dir, f), base+"/"+f, date); err != nil {
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
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: fi.Size(), ModTime: date, Format: tar.FormatUSTAR}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(tw, f)
	return err
}
