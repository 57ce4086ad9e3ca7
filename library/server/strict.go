package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays of a request may be nested.
const maxDepth = 16

// checkJSON refuses what encoding/json reads although it can mean two things: a field
// that is there twice, text that is not UTF-8, something after the end. Strictly, a
// field's name has to be written exactly: encoding/json takes ENABLED for enabled.
func checkJSON(b []byte, strict bool) error {
	if !utf8.Valid(b) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := checkValue(d, strict, 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something after its end")
	}
	return nil
}

func checkValue(d *json.Decoder, strict bool, depth int) error {
	t, err := d.Token()
	switch {
	case err == io.EOF:
		return errors.New("it ends too early")
	case err != nil:
		return err
	case depth > maxDepth:
		return fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			if seen[name] {
				return fmt.Errorf("the field %.40q is there twice", name)
			}
			if seen[name] = true; strict && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				return fmt.Errorf("unknown field %.40q", name)
			}
		}
		if err := checkValue(d, strict, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the end of it
	return err
}

// decode reads an object. Errors of encoding/json name Go's types; those are left out.
func decode(b []byte, v any, strict bool) error {
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		return errors.New("it has to be an object")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(v)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("the field %s cannot be a %s", e.Field, e.Value)
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func readAll(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, refuse(http.StatusBadRequest, "the body ends too early")
	}
	return b, err
}
