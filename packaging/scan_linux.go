package packaging

import (
	"errors"
	"syscall"
)

// capsOf gives the capabilities of a file, spelt as want where they are the same.
func capsOf(name, want string) (string, error) {
	var b [64]byte // a revision of today has at most 24
	n, err := syscall.Getxattr(name, "security.capability", b[:])
	switch {
	case errors.Is(err, syscall.ENODATA), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOENT):
		return "", nil
	case err != nil:
		return "", err
	}
	c, err := DecodeCaps(b[:n])
	if err != nil {
		return "", err
	}
	if w, err := ParseCaps(want); err == nil && w == c {
		return want, nil
	}
	return c.String(), nil
}
