package ice

import (
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// cells are what FuzzCheck writes into cells: of all types, right in some columns
// and wrong in others.
var cells = []any{
	msidb.Null{},
	int32(0), int32(1), int32(-3), int32(0x400), int32(0x500), int32(51), int32(1<<31 - 1), int32(-1 << 31), true,
	"", "c_agent", "f_agent", "TARGETDIR", "Main", "HookInstall", "Done", "[#f_agent]", "[$c_none]", "[[P]]", "[", "]", `[\[]`, "#", "#x", "##", "#[A][B]",
	"[~]", "[~];", ";[~]", `"`, `"[DATAFOLDER]"`, "NOT", `REMOVE~="ALL"`, "$c_agent=3", "1.2.3", ";", "|", ".", ":", "a|b", "A\nB", "\xff", "ä",
	"ACTIVATION_CODE", "[ACTIVATION_CODE]", "{\\Plain}x", "{&", "RadioButtonGroup", "PushButton", "Billboard", "NewDialog", "Registry", "CreateFolder", "InstallFiles",
}

// mutate changes a database as data says, four bytes a change.
func mutate(db *msidb.Database, data []byte) {
	for ; len(data) >= 4 && len(db.Tables) > 0; data = data[4:] {
		t := db.Tables[int(data[1])%len(db.Tables)]
		if len(t.Rows) == 0 {
			continue
		}
		i := int(data[2]) % len(t.Rows)
		row := slices.Clone(t.Rows[i])
		switch data[0] % 16 {
		case 0:
			t.Rows = slices.Delete(t.Rows, i, i+1)
		case 1:
			t.Rows = append(t.Rows, row)
		case 2:
			t.Rows[i] = row[:int(data[3])%(len(row)+1)]
		case 3:
			db.Tables = slices.Delete(db.Tables, int(data[1])%len(db.Tables), int(data[1])%len(db.Tables)+1)
		case 4:
			if len(t.Columns) > 0 {
				t.Columns = slices.Delete(slices.Clone(t.Columns), len(t.Columns)-1, len(t.Columns))
			}
		case 5:
			if len(t.Columns) > 0 {
				t.Columns = slices.Clone(t.Columns)
				t.Columns[int(data[3])%len(t.Columns)].Type ^= msidb.Type(1) << (data[2] % 16)
			}
		default:
			if len(row) > 0 {
				row[int(data[3])%len(row)] = cells[(int(data[0])/16*7+int(data[3])/8+int(data[2]))%len(cells)]
				t.Rows[i] = row
			}
		}
	}
}

// FuzzCheck proves that no database stops Check, and that it finds the same twice.
func FuzzCheck(f *testing.F) {
	f.Add(true, []byte{})
	f.Add(true, []byte{2, 3, 0, 1, 3, 5, 0, 0, 4, 9, 0, 0, 5, 7, 1, 2})
	for i := range byte(60) { // some of everything, before there is a fuzzer
		f.Add(i%2 == 0, []byte{i, i * 3, i * 5, i * 7, i*11 + 6, i * 13, i * 17, i * 19, 40, i, i, i, 86, i, 1, 3, 150, i, 2, 5})
	}
	f.Fuzz(func(t *testing.T, validated bool, data []byte) {
		db, contents := base()
		dialogs(db)
		userFolder(db, "AppDataFolder")
		if validated {
			validate(db)
		}
		mutate(db, data)
		findings := Check(db, contents)
		if !slices.Equal(findings, Check(db, contents)) {
			t.Error("a second Check finds something else")
		}
		for _, finding := range findings {
			if finding.Text == "" || strings.ContainsAny(finding.String(), "\r\n") {
				t.Errorf("%q is no line", finding)
			}
		}
	})
}
