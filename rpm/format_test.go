package rpm_test

import (
	"testing"

	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

func TestFormat(t *testing.T) { packagingtest.TestFormat(t, rpm.Format{}, "x86_64") }
