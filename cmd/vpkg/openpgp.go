package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/internal/sign"
	"github.com/vpkg/vpkg/rpm"
)

// notChecked is the word for a signature where no keys were given.
const notChecked = "not checked"

// An openPGPSignature is one of an RPM or a DEB.
type openPGPSignature struct {
	What      string `json:"what"`   // "header", "header and payload", "origin", "detached", …
	Status    string `json:"status"` // a sign.Status, or "not checked"
	Reason    string `json:"reason,omitempty"`
	Signer    string `json:"signer,omitempty"`
	KeyID     string `json:"key,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Created   string `json:"created,omitempty"` // RFC 3339

	sign.OpenPGPSignature `json:"-"`
}

// signatures checks those of an RPM, and of a DEB inside of it and beside it.
func (f *packageFile) signatures(ctx context.Context, keys *sign.Keys) ([]openPGPSignature, error) {
	var all []openPGPSignature
	add := func(what string, s sign.OpenPGPSignature) {
		o := openPGPSignature{
			What: what, Status: string(s.Status), Reason: s.Reason, Signer: s.Signer,
			KeyID: s.KeyID, Algorithm: s.Algorithm, OpenPGPSignature: s,
		}
		if !s.Created.IsZero() {
			o.Created = s.Created.Format(time.RFC3339)
		}
		all = append(all, o)
	}
	if f.Format.Name() == "rpm" {
		found, err := rpm.Signatures(ctx, f, f.Size, keys)
		for _, s := range found {
			what := "header"
			if s.Payload {
				what = "header and payload"
			}
			add(what, s.OpenPGPSignature)
		}
		return all, err
	}
	found, err := deb.Signatures(ctx, f, f.Size, keys)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		add(s.Role, s.OpenPGPSignature)
	}
	text, err := readDetached(f.Name())
	if err != nil || text == nil {
		return all, err
	}
	beside, err := keys.Check(ctx, text, func() io.Reader { return io.NewSectionReader(f, 0, f.Size) })
	for _, s := range beside {
		add("detached", s)
	}
	return all, err
}

// readDetached reads the signature beside a package; nil if there is none.
func readDetached(name string) ([]byte, error) {
	f, err := os.Open(name + ".asc")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// What is longer is no signature, and Check says so.
	return io.ReadAll(io.LimitReader(f, sign.MaxOpenPGP+1))
}

// openPGP notes what was found about signatures; checked says that there were keys.
func (v *verification) openPGP(all []openPGPSignature, checked bool) {
	var each []sign.OpenPGPSignature
	for i := range all {
		s := &all[i]
		each = append(each, s.OpenPGPSignature)
		switch {
		case !checked && s.OpenPGPSignature.Status == sign.UnknownKey:
			s.Status = notChecked
		case s.OpenPGPSignature.Status == sign.Bad:
			text := fmt.Sprintf("signature of %s: %s", s.What, s.Reason)
			v.find("signature", text)
		}
	}
	v.Signatures = all
	verdict := sign.Verdict(each)
	v.Signature = string(verdict)
	if !checked && verdict == sign.UnknownKey {
		v.Signature = notChecked
	}
	v.unsigned = verdict == sign.Bad || checked && verdict != sign.Good
	for _, s := range all {
		if s.OpenPGPSignature.Status == sign.Good && verdict == sign.Good {
			v.Signer = s.Signer
			break
		}
	}
}

// printOpenPGP writes a line for each signature.
func (v *verification) printOpenPGP(w io.Writer) {
	for _, s := range v.Signatures {
		text := s.What + ": " + s.Status
		if s.Signer != "" {
			text += ", by " + s.Signer
		}
		if s.KeyID != "" {
			text += ", key " + s.KeyID
		}
		if s.Algorithm != "" {
			text += ", " + s.Algorithm + ", " + s.Created
		}
		if s.Reason != "" {
			text += ": " + s.Reason
		}
		fmt.Fprintf(w, "  %s\n", inLine(text))
	}
}
