package tinyjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/firewall"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// An all has every kind that is supported.
type all struct {
	String   string `json:"string"`
	Bool     bool   `json:"bool,omitempty"`
	Int      int
	Int8     int8              `json:"int8,omitempty"`
	Int16    int16             `json:",omitzero"`
	Int32    int32             `json:"a<b&c"`
	Int64    int64             `json:"int64" xml:"x"`
	Uint     uint              `yaml:"u" json:"uint"`
	Uint8    uint8             `json:"uint8,omitzero,omitempty"`
	Uint16   uint16            `json:"uint16"`
	Uint32   uint32            `json:"uint32"`
	Uint64   uint64            `json:"uint64"`
	Uintptr  uintptr           `json:"-,"` //nolint:staticcheck // its name is -
	Named    kind              `json:"named,omitempty"`
	Mode     hooks.Mode        `json:"mode,omitempty"`
	Modes    []hooks.Mode      `json:"modes"`
	Pointed  *hooks.Mode       `json:"pointed"`
	Reversed reversed          `json:"reversed,omitempty"` //nolint:modernize // it has no effect, as here
	Inner    inner             `json:"inner,omitzero"`
	Kept     inner             `json:"kept,omitempty"` //nolint:modernize // it has no effect, as here
	Pointer  *inner            `json:"pointer"`
	Number   *int              `json:"number,omitempty"`
	Strings  []string          `json:"strings"`
	Empty    []string          `json:"empty,omitempty"`
	Zero     []string          `json:"zero,omitzero"`
	Inners   []inner           `json:"inners,omitempty"`
	Pointers []*inner          `json:"pointers"`
	Matrix   [][]int           `json:"matrix"`
	Map      map[string]string `json:"map"`
	Maps     []map[string]string
	Some     map[string]string `json:"some,omitempty"`
	Any      map[string]string `json:"any,omitzero"`
	Again    *all              `json:"again,omitempty"`
	Skipped  string            `json:"-"`
	hidden   string
}

type kind string

type inner struct {
	X int    `json:"x"`
	Y string `json:"y,omitempty"`
	Z []bool `json:"z,omitempty"`
}

// A reversed has its methods on the pointer, and refuses some texts.
type reversed struct{ s string }

var errReversed = errors.New("has an X")

func (r *reversed) MarshalText() ([]byte, error) {
	b := []byte(r.s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b, nil
}

func (r *reversed) UnmarshalText(b []byte) error {
	if bytes.Contains(b, []byte("X")) {
		return errReversed
	}
	t, _ := (&reversed{string(b)}).MarshalText()
	r.s = string(t)
	return nil
}

type refusing struct{}

func (refusing) MarshalText() ([]byte, error) { return nil, errReversed }

type loop struct{ Next *loop }

// allowed lets cmp compare what is not exported.
var allowed = cmp.AllowUnexported(all{}, reversed{})

// sample is a value with everything in it.
func sample() all {
	mode, n := hooks.Mode(0o4755), -7
	return all{
		String: "\x00\x1f\b\f\n\r\t\"\\/<>&\u2028\u2029é\U0001f600\xff\xed\xa0\x80\x7f", Bool: true,
		Int: math.MinInt, Int8: -128, Int16: 5, Int32: math.MaxInt32, Int64: math.MaxInt64,
		Uint: math.MaxUint, Uint8: 255, Uint16: 65535, Uint32: math.MaxUint32, Uint64: math.MaxUint64, Uintptr: 9,
		Named: "k", Mode: 0o644, Modes: []hooks.Mode{0, 0o7777}, Pointed: &mode, Reversed: reversed{"abc<"},
		Inner: inner{X: 1, Y: "y", Z: []bool{true, false}}, Pointer: &inner{}, Number: &n,
		Strings: []string{"", "a"}, Empty: []string{}, Zero: []string{}, Inners: []inner{{}, {Y: "2"}},
		Pointers: []*inner{nil, {X: 3}}, Matrix: [][]int{nil, {}, {1, 2}},
		Map: map[string]string{"b": "2", "a<": "1", "": "0", "a": ""}, Maps: []map[string]string{nil, {}},
		Some: map[string]string{}, Any: map[string]string{}, Again: &all{Again: &all{}}, Skipped: "s", hidden: "h",
	}
}

// config is one with all that a configuration can have.
func config() hooks.Config {
	return hooks.Config{
		Format: hooks.ConfigVersion, Name: "agent", Version: "1:2.0-3", Program: "/opt/agent", Data: "/var/lib/agent", Log: "/var/log/a.log",
		EnvPrefix: "AGENT_", Account: hooks.Account{User: "agent", Comment: "<agent & co>"},
		Folders:    []hooks.Folder{{Path: "/var/lib/agent", Mode: 0o2750, Owner: "agent", Group: "agent"}, {Path: "/etc/agent", Mode: 0o755}},
		Units:      []hooks.Unit{{Name: "agent.service", Enable: true, Start: true, RunAs: true}, {Name: "agent.timer"}},
		Components: []hooks.Component{{Name: "agentd", Args: []string{"-v", "--name=\"é\""}, Root: true}},
		Modules:    []hooks.Module{{Name: "nf_tables", Substitutes: []string{"ip_tables"}, Required: true, For: "rules"}},
		Sysctls:    []hooks.Setting{{Name: "net.ipv4.ip_forward", Value: "1"}},
		Firewall:   &hooks.Firewall{},
		Start:      []string{"bin/agentctl", "start"},
	}
}

func step() hooks.Step {
	return hooks.Step{
		Kind: hooks.File, Absent: true, Account: &hooks.Account{User: "u"}, Path: "/etc/x", Mode: 0o600, Text: "a\n\tb\x01\n",
		Only: []string{"", "b"}, Argv: []string{}, Optional: true,
	}
}

// values are what is written and read back.
func values() map[string]any {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", -3600))
	n := 3
	return map[string]any{
		"everything": sample(),
		"by pointer": func() any { v := sample(); return &v }(),
		"nothing":    all{},
		"string":     "s<", "number": -5, "bool": true, "pointer": &n, "nil pointer": (*all)(nil), "nil slice": []string(nil), "nil map": map[string]string(nil),
		"empty slice": []int{}, "empty map": map[string]string{}, "empty struct": struct{}{}, "slices": [][]string{{}, nil, {"a"}},
		"time": []time.Time{at, {}}, "times": struct {
			A time.Time  `json:"a,omitzero"`
			B time.Time  `json:"b,omitzero"`
			C *time.Time `json:"c,omitempty"`
			D time.Time  `json:"d,omitzero"`
		}{B: at, C: &at, D: time.Time{}.In(time.FixedZone("x", 60))},
		"no address":         struct{ R reversed }{reversed{"ab"}},
		"address in a slice": []reversed{{"ab"}},
		"configuration":      config(),
		"installed":          hooks.Installed{Format: 1, Version: "1.0", Units: []string{"a.service"}},
		"failure":            hooks.Failure{Event: hooks.Event{Package: "agent", Phase: hooks.PostInstall, Action: hooks.Upgrade, Open: true}, Error: "x: <y>"},
		"steps":              []hooks.Step{step(), {Kind: hooks.Reload}},
		"saved rules":        firewall.Set{ID: "1", Format: 1, Parts: []firewall.Part{{View: "nft inet filter", Rules: 3, Kept: true}}},
	}
}

func TestMarshal(t *testing.T) {
	for name, v := range values() {
		t.Run(name, func(t *testing.T) {
			want, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got, err := tinyjson.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from encoding/json (-want +got):\n%s", diff)
			}
		})
	}
	if got, err := tinyjson.Marshal(nil); err != nil || string(got) != "null" {
		t.Errorf("nil: %s, %v, want null", got, err)
	}
}

func TestMarshalErrors(t *testing.T) {
	endless := &loop{}
	endless.Next = endless
	n := new(int)
	for _, tt := range []struct {
		name string
		v    any
		want string
	}{
		{"float", struct{ F float64 }{}, "type float64 is not supported"},
		{"interface", struct{ F any }{}, "type interface {} is not supported"},
		{"array", [2]int{}, "type [2]int is not supported"},
		{"bytes", []byte{1}, "type []uint8 is not supported"},
		{"nil bytes", []byte(nil), "type []uint8 is not supported"},
		{"map of integers", map[string]int{}, "type map[string]int is not supported"},
		{"named map", map[kind]string{}, "type map[tinyjson_test.kind]string is not supported"},
		{"pointer to a pointer", &n, "type **int is not supported"},
		{"channel", make(chan int), "type chan int is not supported"},
		{"embedded field", struct{ inner }{}, "field inner of struct { tinyjson_test.inner }: embedded fields and the option string are not supported"},
		{"option string", struct {
			N int `json:"n,string"`
		}{}, `field N of struct { N int "json:\"n,string\"" }: embedded fields and the option string are not supported`},
		{"text refused", []refusing{{}}, "has an X"},
		{"endless", endless, "nested more than 100 deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tinyjson.Marshal(tt.v)
			if err == nil || err.Error() != "writing JSON: "+tt.want {
				t.Errorf("got %s, %v, want error %q", got, err, tt.want)
			}
		})
	}
}

// What is written is read back by both in the same way.
func TestUnmarshalWritten(t *testing.T) {
	for name, v := range values() {
		if v == nil || reflect.TypeOf(v).Kind() == reflect.Pointer {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b, err := tinyjson.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			want, got := reflect.New(reflect.TypeOf(v)), reflect.New(reflect.TypeOf(v))
			wantErr := json.Unmarshal(b, want.Interface()) // a reversed without an address was written as an object
			if err := tinyjson.Strict(b, got.Interface()); (err == nil) != (wantErr == nil) {
				t.Fatalf("got error %v, want as encoding/json %v", err, wantErr)
			}
			if wantErr == nil && !reflect.DeepEqual(want.Interface(), got.Interface()) {
				t.Errorf("got %+v, want as encoding/json %+v", got.Elem(), want.Elem())
			}
		})
	}
}

// texts are read as encoding/json does, or refused as it does.
var texts = []string{
	`{}`, ` { } `, "\t\r\n{}\n", `null`, ``, ` `, `{`, `}`, `[`, `nul`, `nulll`, `{}x`, `{} {}`, `{},`, `"`, "\xef\xbb\xbf{}", "\v{}", `{}` + "\x00",
	`{"string":"a"}`, `{"string":"a","string":"b"}`, `{"string":null}`, `{"string":1}`, `{"string":{}}`, `{"string":[]}`, `{"string":true}`,
	`{"string" : "a" , "bool" : true}`, `{"string":"a",}`, `{,}`, `{"string"}`, `{"string":}`, `{"string" "a"}`, `{"string":"a" "bool":true}`, `{string:"a"}`, `{"string":'a'}`, `{1:2}`, `{null:1}`,
	`{"string":"\"\\\/\b\f\n\r\t"}`, `{"string":"\u0041\u00e9\uD83D\uDE00\u0000\uABCD\uabcd"}`, `{"string":"\u004"}`, `{"string":"\u004g"}`, `{"string":"\u+041"}`, `{"string":"\u0_41"}`, `{"string":"\x"}`, `{"string":"\'"}`, `{"string":"\`, `{"string":"\u`,
	`{"string":"\ud800"}`, `{"string":"\udc00"}`, `{"string":"\ud800\ud800\udc00"}`, `{"string":"\ud800\u0041"}`, `{"string":"\ud800\n"}`, `{"string":"\ud800\x"}`, `{"string":"\ud800\u12"}`, `{"string":"\ufffd\ud800\ufffd"}`, `{"string":"\ud800\udc0`,
	"{\"string\":\"\n\"}", "{\"string\":\"\x1f\"}", "{\"string\":\"\x7f\xff\xed\xa0\x80\xc3\"}", "{\"string\":\"\xe2\x80\xa8\"}", "{\"\xff\":1}", `{"str\u0069ng":"a"}`,
	`{"bool":true}`, `{"bool":false}`, `{"bool":null}`, `{"bool":tru}`, `{"bool":truex}`, `{"bool":"true"}`, `{"bool":1}`, `{"bool":True}`,
	`{"Int":0}`, `{"Int":-0}`, `{"Int":-1}`, `{"Int":+1}`, `{"Int":01}`, `{"Int":-}`, `{"Int":1.0}`, `{"Int":1.}`, `{"Int":.5}`, `{"Int":1e2}`, `{"Int":1E}`, `{"Int":1e+}`, `{"Int":0x1}`, `{"Int":1_0}`, `{"Int":"1"}`, `{"Int":null}`, `{"Int":9223372036854775807}`, `{"Int":9223372036854775808}`, `{"Int":-9223372036854775808}`, `{"Int":--1}`, `{"Int":1-1}`,
	`{"int8":127,"Int16":-32768,"a<b&c":-2147483648}`, `{"int8":128}`, `{"int8":-129}`, `{"Int16":32768}`, `{"uint8":256}`, `{"uint8":-0}`, `{"uint8":-1}`, `{"uint16":65535,"uint32":4294967295,"uint64":18446744073709551615}`, `{"uint16":65536}`, `{"uint64":18446744073709551616}`, `{"-":5}`,
	`{"named":"x","mode":"0644","modes":["1","7777"],"pointed":"0"}`, `{"mode":"8"}`, `{"mode":420}`, `{"mode":null}`, `{"mode":{}}`, `{"mode":"\u0037"}`, `{"modes":null}`, `{"modes":[null]}`, `{"pointed":"7","pointed":null}`, `{"pointed":7}`, `{"reversed":"ab"}`, `{"reversed":"aX"}`, `{"reversed":null}`,
	`{"inner":{"x":1,"y":"a"},"inner":{"y":"b"}}`, `{"inner":null}`, `{"inner":[]}`, `{"inner":{"x":"a"}}`, `{"pointer":{"x":1},"pointer":{"y":"b"}}`, `{"pointer":{},"pointer":null}`, `{"number":1,"number":2}`, `{"number":null}`, `{"number":{}}`,
	`{"strings":[]}`, `{"strings":[ ]}`, `{"strings":["a","b"]}`, `{"strings":["a",]}`, `{"strings":[,]}`, `{"strings":["a" "b"]}`, `{"strings":["a"}`, `{"strings":["a"`, `{"strings":null}`, `{"strings":{}}`, `{"strings":[null]}`, `{"strings":["a"],"strings":null}`, `{"strings":"a"}`,
	`{"inners":[{"x":1},{"x":2,"y":"b"}],"inners":[{"y":"c"}],"inners":[{},{}]}`, `{"inners":[{"x":1}],"inners":[],"inners":[{"y":"c"}]}`, `{"matrix":[[1],[],null]}`, `{"matrix":[1]}`, `{"pointers":[null,{"x":1}],"pointers":[{},null]}`,
	`{"map":{"a":"1","b":"2"},"map":{"b":"3"}}`, `{"map":{"a":null}}`, `{"map":{"a":1}}`, `{"map":null}`, `{"map":{}}`, `{"map":[]}`, `{"map":{"a":"1","a":"2"}}`, `{"map":{"a":"1"},"map":null}`, `{"Maps":[{"a":"1"}],"Maps":[{"b":"2"},null]}`, `{"map":{"a":"b"`,
	`{"again":{"again":{"string":"a"}}}`, `{"Skipped":"a","hidden":"b","":1}`,
	`{"unknown":1}`, `{"unknown":-1.5e+7}`, `{"unknown":01}`, `{"unknown":{"a":[1,"b",true,false,null,{}]}}`, `{"unknown":[1,]}`, `{"unknown":{"a" 1}}`, `{"unknown":tru}`, `{"unknown":"\x"}`, `{"unknown":x}`, `{"unknown":[}`, `{"unknown":{]}`, `{"unknown":{1:1}}`, `{"unknown":-}`, `{"unknown":[]]}`, `{"unknown":falsenull}`,
	`[]`, `"a"`, `1`, `true`,
}

// compare reads with both. It skips what is documented to be different.
func compare(t *testing.T, text []byte) {
	var want, got all
	wantErr := json.Unmarshal(text, &want)
	gotErr := tinyjson.Unmarshal(text, &got)
	if gotErr == nil && !json.Valid(text) {
		t.Fatalf("%s: got no error, and it is not JSON", text)
	}
	if otherCase(text) || gotErr != nil && strings.HasSuffix(gotErr.Error(), "nested more than 100 deep") {
		return
	}
	if (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("%s: got error %v, want as encoding/json %v", text, gotErr, wantErr)
	}
	if gotErr == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: differs from encoding/json (-want +got):\n%s", text, cmp.Diff(want, got, allowed))
	}
}

// otherCase reports whether the text has a name that only encoding/json knows.
func otherCase(text []byte) bool {
	var names []string
	for _, t := range []reflect.Type{reflect.TypeFor[all](), reflect.TypeFor[inner]()} {
		for sf := range t.Fields() {
			name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
			if name == "" {
				name = sf.Name
			}
			names = append(names, name)
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		s, _ := token.(string)
		for _, n := range names {
			if s != n && strings.EqualFold(s, n) {
				return true
			}
		}
	}
}

func TestUnmarshal(t *testing.T) {
	for _, text := range texts {
		compare(t, []byte(text))
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	b, err := tinyjson.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(compare)
}

func TestUnmarshalErrors(t *testing.T) {
	deep := strings.Repeat(`{"again":`, 101)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "byte 0: want an object, got the end"},
		{"other kind", ` [`, "byte 1: want an object, got '['"},
		{"more text", "{} é", "byte 3: want the end, got 'é'"},
		{"not a name", `{1`, "byte 1: want a name, got '1'"},
		{"no colon", `{"a" 1}`, "byte 5: a: want ':', got '1'"},
		{"no comma", `{"modes":["1" "2"]}`, "byte 14: modes: want ',' or ']', got '\"'"},
		{"type in a list", `{"inners":[{},{"x":{}}]}`, "byte 19: inners[1].x: want a number, got '{'"},
		{"null in a word", `{"string":nil}`, "byte 10: string: want a string, got 'n'"},
		{"list", `{"strings":"a"}`, "byte 11: strings: want an array, got '\"'"},
		{"bool", `{"bool":0}`, "byte 8: bool: want true or false, got '0'"},
		{"range", `{"int8":-129}`, "byte 8: int8: want a number of type int8, got -129"},
		{"fraction", `{"uint":1.5}`, "byte 8: uint: want a number of type uint, got 1.5"},
		{"digit", `{"uint":-a}`, "byte 9: uint: want a digit, got 'a'"},
		{"text", `{"map":{"a\nb":"1"},"reversed":"X"}`, "byte 31: reversed: has an X"},
		{"key", `{"map":{"a\nb":1}}`, `byte 15: map.a\nb: want a string, got '1'`},
		{"escape", `{"string":"\q"}`, "byte 12: string: want an escape, got 'q'"},
		{"string without end", `{"string":"a`, "byte 12: string: want a character or '\"', got the end"},
		{"skipped", `{"x":[1,?]}`, "byte 8: x: want a value, got '?'"},
		{"deep", deep, "byte 901: " + strings.Repeat("again.", 99) + "again: nested more than 100 deep"},
		{"deep and skipped", `{"x":` + strings.Repeat("[", 200), "byte 105: x: nested more than 100 deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v all
			if err := tinyjson.Unmarshal([]byte(tt.text), &v); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	var v all
	if err := tinyjson.Unmarshal([]byte(`{"reversed":"X"}`), &v); !errors.Is(err, errReversed) {
		t.Errorf("got %v, want the error of UnmarshalText", err)
	}
}

func TestUnmarshalInto(t *testing.T) {
	n := new(int)
	for _, tt := range []struct {
		name string
		into any
		text string
		want string
	}{
		{"nil", nil, "1", "reading JSON into a <nil>: want a pointer that is not nil"},
		{"no pointer", 1, "1", "reading JSON into a int: want a pointer that is not nil"},
		{"nil pointer", (*int)(nil), "1", "reading JSON into a *int: want a pointer that is not nil"},
		{"pointer", &n, "1", ""},
		{"pointer to pointers", new(**int), "1", "byte 0: type **int is not supported"},
		{"float", new(float64), "1", "byte 0: type float64 is not supported"},
		{"interface", new(any), "1", "byte 0: type interface {} is not supported"},
		{"bytes", new([]byte), `"YQ=="`, "byte 0: type []uint8 is not supported"},
		{"array", new([2]int), "[1]", "byte 0: type [2]int is not supported"},
		{"map", new(map[string]bool), "{}", "byte 0: type map[string]bool is not supported"},
		{"embedded field", new(struct{ inner }), `{"x":1}`, "byte 5: x: field inner of struct { tinyjson_test.inner }: embedded fields and the option string are not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tinyjson.Unmarshal([]byte(tt.text), tt.into)
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	if *n != 1 {
		t.Errorf("got %d by the pointer, want 1", *n)
	}

	v := all{String: "kept", Int: 5, Inner: inner{X: 1}}
	if err := tinyjson.Unmarshal([]byte(`{"Int":6,"inner":{"y":"new"}}`), &v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all{String: "kept", Int: 6, Inner: inner{X: 1, Y: "new"}}, v, allowed); diff != "" {
		t.Errorf("into a value that is there (-want +got):\n%s", diff)
	}
}

func TestStrict(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"known", `{"string":"a","map":{"any":"b"}}`, ""},
		{"unknown", `{"string":"a", "other":1}`, "byte 15: other: unknown field"},
		{"unknown below", `{"inners":[{},{"q":{}}]}`, "byte 15: inners[1].q: unknown field"},
		{"case", `{"String":"a"}`, "byte 1: String: unknown field"},
		{"not read", `{"Skipped":"a"}`, "byte 1: Skipped: unknown field"},
		{"not exported", `{"hidden":"a"}`, "byte 1: hidden: unknown field"},
		{"empty name", `{"":"a"}`, "byte 1: unknown field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v all
			err := tinyjson.Strict([]byte(tt.text), &v)
			if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err := tinyjson.Unmarshal([]byte(tt.text), &v); err != nil {
				t.Errorf("not strict: %v", err)
			}
		})
	}
}

// A filler makes values of bytes.
type filler struct{ b []byte }

func (f *filler) next() byte {
	if len(f.b) == 0 {
		return 0
	}
	c := f.b[0]
	f.b = f.b[1:]
	return c
}

func (f *filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		n := min(int(f.next()%16), len(f.b))
		v.SetString(string(f.b[:n]))
		f.b = f.b[n:]
	case reflect.Bool:
		v.SetBool(f.next()%2 == 1)
	case reflect.Slice:
		if n := int(f.next() % 4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				f.fill(v.Index(i))
			}
		}
	case reflect.Map:
		if n := int(f.next() % 8); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.fill(k)
				f.fill(e)
				v.SetMapIndex(k, e)
			}
		}
	case reflect.Pointer:
		if f.next()%2 == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Struct:
		if r, ok := reflect.TypeAssert[*reversed](v.Addr()); ok {
			f.fill(reflect.ValueOf(&r.s).Elem())
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(v.Field(i))
			}
		}
	default:
		var n uint64
		for range f.next() % 9 {
			n = n<<8 | uint64(f.next())
		}
		if v.CanInt() {
			v.SetInt(int64(n) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
		} else {
			v.SetUint(n << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
		}
	}
}

func FuzzMarshal(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x05a<\xe2\x80\xa8\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff\x03\x02\x01\x07\x07\x05abc\"\\"))
	f.Add(bytes.Repeat([]byte{3}, 400))
	f.Fuzz(func(t *testing.T, b []byte) {
		fl := filler{b}
		var v struct {
			All     all
			Steps   []hooks.Step
			Failure hooks.Failure
			Config  hooks.Config
			Set     firewall.Set
		}
		fl.fill(reflect.ValueOf(&v).Elem())
		for _, v := range []any{v, &v} { // without and with an address
			want, wantErr := json.MarshalIndent(v, "", "  ")
			got, err := tinyjson.Marshal(v)
			if err != nil || wantErr != nil {
				if err != nil && wantErr == nil && strings.HasSuffix(err.Error(), "nested more than 100 deep") {
					return
				}
				t.Fatalf("got %v and from encoding/json %v, want no errors", err, wantErr)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("differs from encoding/json (-want +got):\n%s", cmp.Diff(string(want), string(got)))
			}
		}
		text, err := tinyjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want, got := v, v
		if err := json.Unmarshal(text, &want); err != nil {
			t.Skip(err) // a text that the type does not read back, as "X"
		}
		if err := tinyjson.Strict(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatal("what was written is read differently from encoding/json")
		}
	})
}
