package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

const (
	timestampTries   = 3
	timestampWait    = 2 * time.Second // before the second try; twice that before the third
	timestampTimeout = 30 * time.Second
	maxTimestamp     = 1 << 20 // bytes of an answer
)

// timestamp asks the server for a time stamp of a signature: a token in DER.
func (a *Authenticode) timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	client := a.Client
	if client == nil {
		client = &http.Client{Timeout: timestampTimeout}
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // TimeStampReq
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidSHA256, true)
			b.AddASN1OctetString(sum(crypto.SHA256, signature))
		})
		b.AddASN1BigInt(nonce)
		b.AddASN1Boolean(true) // with certificates
	})
	query := b.BytesOrPanic()

	var answer []byte
	for try := range timestampTries {
		if try > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(timestampWait << (try - 1)):
			}
		}
		var again bool
		if answer, again, err = ask(ctx, client, a.Timestamp, query); !again || ctx.Err() != nil {
			break
		}
		if try == timestampTries-1 {
			err = fmt.Errorf("after %d tries: %w", timestampTries, err)
		}
	}
	var token []byte
	if err == nil {
		token, err = parseAnswer(answer, signature, nonce)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %q for a time stamp: %w", a.Timestamp, err)
	}
	return token, nil
}

// ask sends a query, and says whether another try may do better.
func ask(ctx context.Context, client *http.Client, url string, query []byte) (answer []byte, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	req.Header.Set("Accept", "application/timestamp-reply")
	resp, err := client.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		again = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
		return nil, again, fmt.Errorf("it answers %q", resp.Status)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxTimestamp+1))
	if len(answer) > maxTimestamp {
		return nil, false, fmt.Errorf("an answer of more than %d bytes", maxTimestamp)
	}
	return answer, err != nil, err
}

// parseAnswer reads a TimeStampResp and checks that it is for this query.
func parseAnswer(answer, signature []byte, nonce *big.Int) ([]byte, error) {
	input := cryptobyte.String(answer)
	var resp, status, token cryptobyte.String
	var code int
	if !input.ReadASN1(&resp, cbasn1.SEQUENCE) ||
		!resp.ReadASN1(&status, cbasn1.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, errors.New("its answer is not one of a time stamp server")
	}
	if code > 1 || code < 0 { // granted, perhaps with changes
		return nil, fmt.Errorf("it refuses with status %d%s", code, statusText(status))
	}
	if !resp.ReadASN1Element(&token, cbasn1.SEQUENCE) {
		return nil, errors.New("its answer has no time stamp")
	}
	t, err := parseToken(token, signature)
	if err != nil {
		return nil, err
	}
	if t.nonce.Cmp(nonce) != 0 {
		return nil, errors.New("its answer is for another query")
	}
	return token, nil
}

// statusText gives the words that a server says to its status, if any.
func statusText(s cryptobyte.String) string {
	var texts, text cryptobyte.String
	if !s.ReadASN1(&texts, cbasn1.SEQUENCE) || !texts.ReadASN1(&text, cbasn1.UTF8String) {
		return ""
	}
	return fmt.Sprintf(": %q", text)
}

// A token is a time stamp whose signature is good.
type token struct {
	message *message
	time    time.Time
	nonce   *big.Int // zero if it has none
}

// parseToken reads a time stamp and checks that it is one of the signature.
func parseToken(der, signature []byte) (*token, error) {
	m, err := parseMessage(der)
	if err != nil {
		return nil, err
	}
	if !m.contentType.Equal(oidTSTInfo) {
		return nil, fmt.Errorf("a message of type %v is no time stamp", m.contentType)
	}
	if err := m.verify(); err != nil {
		return nil, err
	}
	if !forUse(m.signer, x509.ExtKeyUsageTimeStamping) {
		return nil, fmt.Errorf("certificate %q is not one for time stamps", m.signer.Subject)
	}
	broken := errors.New("the time stamp is broken")
	content := cryptobyte.String(m.content)
	var info, imprint, when cryptobyte.String
	if !content.ReadASN1(&info, cbasn1.SEQUENCE) || !content.Empty() ||
		!info.SkipASN1(cbasn1.INTEGER) || // version
		!info.SkipASN1(cbasn1.OBJECT_IDENTIFIER) || // policy
		!info.ReadASN1(&imprint, cbasn1.SEQUENCE) {
		return nil, broken
	}
	h, err := readHash(&imprint)
	if err != nil {
		return nil, err
	}
	var digest []byte
	t := &token{message: m, nonce: new(big.Int)}
	if !imprint.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) ||
		!info.SkipASN1(cbasn1.INTEGER) || // serial number
		!info.ReadASN1(&when, cbasn1.GeneralizedTime) ||
		!info.SkipOptionalASN1(cbasn1.SEQUENCE) || // accuracy
		!info.SkipOptionalASN1(cbasn1.BOOLEAN) || // ordering
		info.PeekASN1Tag(cbasn1.INTEGER) && !info.ReadASN1Integer(t.nonce) {
		return nil, broken
	}
	// Fractions of seconds are allowed here, unlike in certificates.
	whole, _, _ := strings.Cut(strings.TrimSuffix(string(when), "Z"), ".")
	if t.time, err = time.Parse("20060102150405", whole); err != nil {
		return nil, broken
	}
	if !bytes.Equal(digest, sum(h, signature)) {
		return nil, errors.New("the time stamp is of another signature")
	}
	return t, nil
}
