package ice

import (
	"slices"
	"strings"
	"testing"
)

func TestParseCondition(t *testing.T) {
	values := map[symbol]string{
		{0, "Installed"}:  "1",
		{0, "REMOVE"}:     "ALL",
		{0, "VersionNT"}:  "603",
		{0, "PATHS"}:      `C:\a;C:\b`,
		{0, "Flags"}:      "6",
		{0, "Packed"}:     "65538", // 1<<16 | 2
		{'%', "USERNAME"}: "eve",
		{'$', "c_agent"}:  "3",
		{'&', "Main"}:     "2",
	}
	value := func(s symbol) string { return values[s] }
	for _, tt := range []struct {
		condition string
		want      bool
	}{
		{"", true},
		{"  ", true},
		{"Installed", true},
		{"NOT Installed", false},
		{"not not Installed", true},
		{"Absent", false},
		{"1", true},
		{"0", false},
		{"-00", false},
		{`"0"`, true}, // a text
		{`""`, false},
		{`"x"`, true},
		{`REMOVE="ALL"`, true},
		{`REMOVE="all"`, false},
		{`REMOVE~="all"`, true},
		{`REMOVE ~= "all" and Installed`, true},
		{"VersionNT>=600", true},
		{"VersionNT < 600", false},
		{"VersionNT<>603", false},
		{"VersionNT>5", true}, // as numbers, not as strings
		{`PATHS><"C:\b"`, true},
		{`PATHS<<"C:\a"`, true},
		{`PATHS>>"C:\a"`, false},
		{`REMOVE<"B"`, true},
		{`REMOVE>"B"`, false},
		{`REMOVE<="ALL"`, true},
		{`REMOVE>="ALM"`, false},
		{"VersionNT<=603", true},
		{"Flags><2", true},
		{"Flags><1", false},
		{"Packed<<1", true},
		{"Packed>>2", true},
		{`Absent<>5`, true},
		{`%USERNAME="eve"`, true},
		{"$c_agent=3", true},
		{"&Main=3 OR &Main=2", true},
		{"!Main=3", false},
		{"?c_agent", false},
		{"Installed AND Absent OR VersionNT", true}, // AND binds more
		{"VersionNT OR Installed AND Absent", true}, //
		{"(VersionNT OR Installed) AND Absent", false},
		{"Installed XOR VersionNT", false},
		{"Absent EQV Missing", true},
		{"Installed IMP Absent", false},
		{"Absent IMP Missing", true},
		{"NOT Installed AND Absent", false}, // NOT binds more than AND
		{"VersionNT > -1", true},
	} {
		c, err := parseCondition(tt.condition)
		if err != nil {
			t.Errorf("%q: %v", tt.condition, err)
		} else if got := c.holds(value); got != tt.want {
			t.Errorf("%q holds: %v, want %v", tt.condition, got, tt.want)
		}
	}
}

func TestParseConditionSymbols(t *testing.T) {
	c, err := parseCondition(`NOT A AND ($B.c=3 OR %P~="x") AND !F > ?C`)
	if err != nil {
		t.Fatal(err)
	}
	want := []symbol{{0, "A"}, {'$', "B.c"}, {'%', "P"}, {'!', "F"}, {'?', "C"}}
	if !slices.Equal(c.symbols, want) {
		t.Errorf("symbols are %v, want %v", c.symbols, want)
	}
}

func TestParseConditionErrors(t *testing.T) {
	for _, tt := range []struct{ condition, want string }{
		{"Installed AND", "missing at the end"},
		{"AND Installed", `missing before "AND"`},
		{"(Installed", "not closed"},
		{"Installed)", "does not belong"},
		{"A B", `"B" does not belong`},
		{`A="x`, "no closing quotation mark"},
		{"A==1", `missing before "="`},
		{"A~B", "tilde"},
		{"A=1=2", `"=" does not belong`},
		{"$", "nothing is named"},
		{"$ c", "nothing is named"},
		{"A=99999999999", "32 bits"},
		{"A=1.5", "32 bits"},
		{"A=12b", "32 bits"},
		{"A # B", "begins nothing"},
		{"[A]", "begins nothing"},
		{"()", `missing before ")"`},
		{strings.Repeat("(", 1000), "deeper"},
		{strings.Repeat("NOT ", 1000) + "A", "deeper"},
	} {
		_, err := parseCondition(tt.condition)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: error %v, want one with %q", tt.condition, err, tt.want)
		}
	}
}

// FuzzCondition proves that no statement stops the parser, and that whatever it
// accepts can be evaluated and says the same within parentheses.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		"", "NOT Installed", `REMOVE~="ALL" AND NOT UPGRADINGPRODUCTCODE`, "VersionNT >= 603 OR (A><B)",
		"&F=3 XOR !F=2 EQV $C IMP ?C", `%P<<"C:\"`, "((", "A=-2147483648", "\xff", "~", `"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCondition(s)
		if err != nil || c.root == nil {
			return
		}
		value := func(s symbol) string { return s.name }
		again, err := parseCondition("(" + s + ")")
		if err != nil {
			if strings.Contains(err.Error(), "deeper") {
				return
			}
			t.Fatalf("%q is a condition, but not in parentheses: %v", s, err)
		}
		if c.holds(value) != again.holds(value) || !slices.Equal(c.symbols, again.symbols) {
			t.Errorf("%q says something else in parentheses", s)
		}
	})
}
