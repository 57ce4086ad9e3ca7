package hooks_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
)

func TestRedactor(t *testing.T) {
	const code = "1a2b3c"
	for _, tc := range []struct{ in, want string }{
		{"nothing secret\n", "nothing secret\n"},
		{"code 1a2b3c.\n", "code [redacted].\n"},
		{"pair.sh --activation-code 99ff --role web", "pair.sh --activation-code [redacted] --role web"},
		{"VEN_ACTIVATION_CODE=99ff rpm", "VEN_ACTIVATION_CODE=[redacted] rpm"},
		{"activation_code: 99ff\nrole: web\n", "activation_code: [redacted]\nrole: web\n"},
		{`{"activation_code": "99ff", "x": 1}`, `{"activation_code": "[redacted]", "x": 1}`},
		{`msg="{\"activation_code\":\"99ff\"}"`, `msg="{\"activation_code\":\"[redacted]\"}"`},
		{"ActivationCode=99ff", "ActivationCode=[redacted]"},
		{"activation codes: 99ff and Activation code 88ee", "activation codes: 99ff and Activation code [redacted]"},
		{"the activation code is not valid", "the activation code is not valid"},
		{"--activation-code-file /x/activation_code --timeout 60s", "--activation-code-file /x/activation_code --timeout 60s"},
		{"activation", "activation"},
		{"activation code", "activation code"},
		{"İ activation-code=99ff", "İ activation-code=[redacted]"},
		{"\xff\xff activation-code=99ff", "\xff\xff activation-code=[redacted]"},
	} {
		var b strings.Builder
		n, err := hooks.Redactor{W: &b, Secrets: []string{"", code}}.Write([]byte(tc.in))
		if err != nil || n != len(tc.in) {
			t.Errorf("Write gives %d, %v, want %d", n, err, len(tc.in))
		}
		if got := b.String(); got != tc.want {
			t.Errorf("%q becomes %q, want %q", tc.in, got, tc.want)
		}
	}
}

// What needs quoting is redacted in its quoted form.
func TestRedactorQuoted(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(hooks.Redactor{W: &b, Secrets: []string{"a\"b\tc"}}, nil))
	log.Info("called", "args", []string{"a\"b\tc"}, "error", "bad value a\"b\tc")
	if strings.Contains(b.String(), "b\\t") || strings.Count(b.String(), hooks.Redacted) != 2 {
		t.Errorf("the log has %s", b.String())
	}
}
