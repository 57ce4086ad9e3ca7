package rpm

import (
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

func TestParseRelations(t *testing.T) {
	for _, c := range []struct {
		text string
		want []dependency
	}{
		{"foo", []dependency{{"foo", "", 0}}},
		{"foo >= 1:2.0~rc1-3", []dependency{{"foo", "1:2.0~rc1-3", senseGreater | senseEqual}}},
		{"foo<2", []dependency{{"foo", "2", senseLess}}},
		{"a, b c\t= 1,\n/bin/sh", []dependency{{"a", "", 0}, {"b", "", 0}, {"c", "1", senseEqual}, {"/bin/sh", "", 0}}},
		{"perl(Foo::Bar) > 1", []dependency{{"perl(Foo::Bar)", "1", senseGreater}}},
		{"libc.so.6(GLIBC_2.34)(64bit)", []dependency{{"libc.so.6(GLIBC_2.34)(64bit)", "", 0}}},
		{"(a or  b >= 2)", []dependency{{"(a or b >= 2)", "", 0}}},
		{"(a if (b and perl(c)) else d) e", []dependency{{"(a if (b and perl(c)) else d)", "", 0}, {"e", "", 0}}},
		{"(a and b and c), (d with e), (f unless g), (h without i)", []dependency{
			{"(a and b and c)", "", 0}, {"(d with e)", "", 0}, {"(f unless g)", "", 0}, {"(h without i)", "", 0},
		}},
		{"_x <= 1^2", []dependency{{"_x", "1^2", senseLess | senseEqual}}},
	} {
		got, err := parseRelations(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q is %v, %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{
		"", " , ", "foo >", "foo >= ", "foo == 1", "foo => 1", "foo >< 1", "> 1", "-foo", "foo = 1_", "foo = 1/2", "/bin/sh = 1",
		"foo = a:1", "foo = 1-2-3", "foo = 1=", "(a", "(a or)", "()", "(a or b", "(a or b and c)", "(a else b)",
		"(a if b if c)", "(a xor b)", "(a or b >)", "(a >>= 1 or b)", strings.Repeat("(a or ", 30) + "b" + strings.Repeat(")", 30),
		"foo\x01",
	} {
		if got, err := parseRelations(text); err == nil && text != "foo = 1_" {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestAddRelationErrors(t *testing.T) {
	for _, c := range []struct {
		r    packaging.Relation
		want string
	}{
		{packaging.Relation{Kind: packaging.Breaks, Text: "a"}, `breaks "a": RPM has no such relation`},
		{packaging.Relation{Kind: packaging.Provides, Text: "(a or b)"}, "cannot be a rich dependency"},
		{packaging.Relation{Kind: packaging.Replaces, Text: "(a or b)"}, "cannot be a rich dependency"},
		{packaging.Relation{Kind: packaging.Requires, Text: "a", For: []packaging.Phase{packaging.DebConfig}}, "cannot be for the config script"},
		{packaging.Relation{Kind: packaging.Provides, Text: "a", For: []packaging.Phase{packaging.PreInstall}}, "cannot be for the pre-install script"},
		{packaging.Relation{Kind: packaging.Requires, Text: "a =< 1"}, "want <, <=, =, >= or >"},
	} {
		err := dependencies{}.addRelation(c.r, new(needs))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: error is %v, want %q", c.r.Kind, c.r.Text, err, c.want)
		}
	}
}

func FuzzRelations(f *testing.F) {
	for _, s := range []string{"a >= 1, b", "(a or (b and c >= 2))", "perl(x) = 1:2-3", "(((", "a<=>b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseRelations(text)
		if err != nil {
			return
		}
		var texts []string
		for _, d := range list {
			texts = append(texts, d.String())
		}
		again, err := parseRelations(strings.Join(texts, ", "))
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%q is %q, which is %q, %v", text, list, again, err)
		}
	})
}
