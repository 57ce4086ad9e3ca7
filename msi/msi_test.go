package msi

import (
	"testing"

	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestFormat(t *testing.T) {
	packagingtest.TestFormat(t, Format{Spool: t.TempDir()}, "x64")
}
