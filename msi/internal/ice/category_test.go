package ice

import (
	"strings"
	"testing"
)

func TestCategories(t *testing.T) {
	const g = "{0000000A-0003-0000-0000-624474736554}"
	for _, tt := range []struct {
		category  string
		good, bad []string
	}{
		{"Text", []string{"", "any thing"}, nil},
		{"UpperCase", []string{"ABC_1"}, []string{"ABc"}},
		{"LowerCase", []string{"abc 1"}, []string{"abC"}},
		{"Identifier", []string{"_a", "A.b_9"}, []string{"", "9a", ".a", "a-b", "a b", "é"}},
		{"Property", []string{"P", "%PATH"}, []string{"%", "1P", "[P]"}},
		{"GUID", []string{g}, []string{strings.ToLower(g), g[1:], g[:37], strings.Replace(g, "-", "_", 1), strings.Replace(g, "A", "G", 1)}},
		{"Version", []string{"1", "1.00.100", "65535.65535.65535.65535"}, []string{"", "1.", "1.2.3.4.5", "65536", "1.a", "-1", "1..2"}},
		{"Language", []string{"0", "1033", "1033,1031"}, []string{"", "en", "65536", "1033;1031", "-1"}},
		{"Filename", []string{"status.txt", "projec~1.txt|Project Status.txt", "README", "A|.profile"}, []string{
			"", "Project.text", "longername.txt", ".ext", "a.", "a b.txt", "a.b.c", "A|", "|long", "A|a/b", "A|a:b", "A+B", "A|b|c", "a\\b",
		}},
		{"WildCardFilename", []string{"*.*", "*", "?.txt", "PROJ~1|Project*"}, []string{"A|a<b", "a/b*"}},
		{"Path", []string{`C:\temp`, `[INSTALLFOLDER]x`, `\\server\share`, `C:\a;D:\b`}, []string{`temp`, `\temp`}},
		{"AnyPath", []string{`C:\temp`, `\temp`, "projec~1|Project Status", "[DIR]x", "a/b"}, []string{`C:\temp\projec~1|C:\temp one\Project`, "a|b|c", `a*b`}},
		{"DefaultDir", []string{"SourceDir", ".", "agent", "ILLUMI~1|Illumio VEN", "a:b", ".:src"}, []string{"a:b:c", "a b", "A|b?"}},
		{"RegPath", []string{`Software\Illumio`, `Software\[ProductName]`}, []string{`\Software`, `Software\`}},
		{"Formatted", []string{"", "a [P] b", "[%ProgramFiles(x86)]", "[#f]", "[$c]", "[!f]", "[~]", `[\[]x[\]]`, "[[P]]", "a[b", "a]b", "[%A]"}, []string{"[0-9]", "[]", "[a b]", "[#]", "[~x]", "[]]"}},
		{"KeyFormatted", []string{"[P]"}, []string{"[a b]"}},
		{"Template", []string{"[1] of [2]", "[P]"}, []string{"[a b]"}},
		{"FormattedSDDLText", []string{"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", "O:BAG:BAD:(A;;GA;;;[SID])"}, []string{"", "(A;;GA;;;SY)", "D:(A;GA;SY)", "D:(A;;GA;;;SY", "D:((A;;GA;;;SY))"}},
		{"Condition", []string{"", "NOT Installed"}, []string{"NOT"}},
		{"CustomSource", []string{"hook"}, []string{"a b"}},
		{"Cabinet", []string{"#cab1.cab", "data1.cab", "a longer name.cab"}, []string{"#", "#a b", "A|b.cab", "a:b"}},
		{"Shortcut", []string{"Main", "[#f_exe]"}, []string{"a b", "[a b]"}},
		{"URL", []string{"https://example.com/"}, []string{"example", "http://a b"}},
	} {
		f := categories[tt.category]
		if f == nil {
			t.Errorf("there is no category %s", tt.category)
			continue
		}
		for _, s := range tt.good {
			if text := f(s); text != "" {
				t.Errorf("%s %q: %s", tt.category, s, text)
			}
		}
		for _, s := range tt.bad {
			if f(s) == "" {
				t.Errorf("%s %q is said to be right", tt.category, s)
			}
		}
	}
}
