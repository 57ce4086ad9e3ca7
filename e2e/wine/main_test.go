//go:build linux

package wine

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// The built-in product in three versions: the second has the same X.Y.Z as the
// first, and only its build number is higher.
const (
	oldVersion = "25.2.20-10"
	rebuilt    = "25.2.20-11"
	newVersion = "25.2.30-5"
)

func TestMain(m *testing.M) { testbed.Main(m, testbed.Setup{Before: build}) }

// build makes the packages and programs of all tests.
func build(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("wine"); err != nil {
		return nil // every test says so
	}
	vpkg := filepath.Join(dir, "vpkg")
	if err := command(ctx, "go", "build", "-buildvcs=false", "-o", vpkg, "github.com/vpkg/vpkg/cmd/vpkg"); err != nil {
		return err
	}
	if err := command(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "wineshim"), "github.com/vpkg/vpkg/internal/wineshim"); err != nil {
		return err
	}
	if err := command(ctx, "env", "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0",
		"go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "look.exe"), "github.com/vpkg/vpkg/e2e/wine/look"); err != nil {
		return err
	}
	key := filepath.Join(dir, "key.pem")
	if err := makeKey(key, filepath.Join(dir, "ca.pem")); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--version", oldVersion, "--arch", "x64,arm64"},
		{"--version", rebuilt},
		{"--version", newVersion},
		{"--version", oldVersion, "--sign-key", key, "--out", filepath.Join(dir, "signed")},
		{"--manifest", "testdata/small/vpkg.yaml", "--version", "1.0.0-1"},
		{"--manifest", "testdata/small/vpkg.yaml", "--version", "1.1.0-1"},
		{"--manifest", "testdata/broken/vpkg.yaml"},
	} {
		// A flag that is given twice counts as it is given last.
		args = append([]string{vpkg, "build", "--os", "windows", "--out", filepath.Join(dir, "packages")}, args...)
		if err := command(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// makeKey writes a key with a certificate for signing programs that it issued
// itself, and the certificate alone.
func makeKey(keyFile, certFile string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vpkg test publisher"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, cert, 0o644); err != nil {
		return err
	}
	return os.WriteFile(keyFile, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), cert...), 0o600)
}
