package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A Command has a key that another program keeps: one for a smart card, a hardware
// security module or a signing service. It is started for each signature and given
// the digest, the 32 bytes of a SHA-256, on its standard input; it writes the
// signature on its standard output, as
//
//	openssl pkeyutl -sign -inkey key.pem -pkeyopt digest:sha256
//
// does: of RSA by PKCS #1 v1.5, of ECDSA in ASN.1. It inherits the environment.
type Command struct {
	Argv        []string // the program and its arguments
	Certificate *x509.Certificate
}

const (
	maxSignature = 16 << 10 // bytes that a command may write
	maxStderr    = 4 << 10  // bytes of its messages that are kept
)

// Public implements crypto.Signer: the key is that of the certificate.
func (c *Command) Public() crypto.PublicKey { return c.Certificate.PublicKey }

// Sign implements crypto.Signer for SHA-256 digests. The signature is checked.
func (c *Command) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return c.sign(context.Background(), digest, opts)
}

func (c *Command) sign(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h := opts.HashFunc(); h != crypto.SHA256 || len(digest) != h.Size() {
		return nil, fmt.Errorf("the signing command signs digests of SHA-256, not %d bytes of %v", len(digest), h)
	}
	signature, err := runCommand(ctx, c.Argv, digest)
	if err != nil {
		return nil, err
	}
	if err := checkSignature(c.Certificate.PublicKey, crypto.SHA256, digest, signature); err != nil {
		return nil, fmt.Errorf("signing command %q: what it wrote, %d bytes, is no signature by the key of certificate %q: %w",
			c.Argv[0], len(signature), c.Certificate.Subject, err)
	}
	return signature, nil
}

// runCommand gives what a signing command writes for a digest.
func runCommand(ctx context.Context, argv []string, digest []byte) ([]byte, error) {
	if len(argv) == 0 {
		return nil, errors.New("the signing command is empty")
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// What it has started may keep its output open.
	cmd.WaitDelay = 5 * time.Second
	stdout, stderr := &limited{max: maxSignature}, &limited{max: maxStderr}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(digest), stdout, stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if said := strings.TrimSpace(string(stderr.kept)); said != "" {
			return nil, fmt.Errorf("signing command %q: %w: %s", argv[0], err, said)
		}
		return nil, fmt.Errorf("signing command %q: %w", argv[0], err)
	}
	if stdout.dropped {
		return nil, fmt.Errorf("signing command %q wrote more than %d bytes, not a signature", argv[0], maxSignature)
	}
	return stdout.kept, nil
}

// limited keeps the first bytes that are written to it.
type limited struct {
	kept    []byte
	max     int
	dropped bool
}

// Write implements io.Writer; it returns no error.
func (l *limited) Write(p []byte) (int, error) {
	keep := min(len(p), l.max-len(l.kept))
	l.dropped = l.dropped || keep < len(p)
	l.kept = append(l.kept, p[:keep]...)
	return len(p), nil
}
