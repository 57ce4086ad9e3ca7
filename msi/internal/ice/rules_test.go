package ice

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

var update = flag.Bool("update", false, "write golden files")

const (
	upgradeCode = "{6F0E1F4A-4E0B-4C0E-9B5E-0C1B1C7E9A01}"
	agentID     = "{0B7C3A52-6E0F-5B1C-8F43-0C9B63D5A001}"
	confID      = "{0B7C3A52-6E0F-5B1C-8F43-0C9B63D5A002}"
	dataID      = "{0B7C3A52-6E0F-5B1C-8F43-0C9B63D5A003}"
)

// base is a package as this project's writer makes them, in which there is nothing
// to find: a service with a configuration file and a data folder, a hook for
// installation and removal, and a secret.
func base() (*msidb.Database, Contents) {
	db := &msidb.Database{
		Codepage: 1252,
		Summary: msidb.Summary{
			Template: "x64;1033", PackageCode: "{5F0C9A44-3C6A-5A2E-9B4D-6E1F2A3B4C5D}", Schema: 500, Source: 2, Security: 2,
			Created: time.Unix(1_700_000_000, 0), Saved: time.Unix(1_700_000_000, 0),
		},
		Streams: []msidb.Stream{{Name: "Binary.hook"}, {Name: "agent.cab"}},
	}
	for _, p := range [][2]string{
		{"ALLUSERS", "1"},
		{"Manufacturer", "Example"},
		{"MsiHiddenProperties", "ACTIVATION_CODE;HookInstall"},
		{"ProductCode", "{1A5E6F0B-0F5C-5E7A-8C55-0D2A63B7E9F1}"},
		{"ProductLanguage", "1033"},
		{"ProductName", "Example Agent"},
		{"ProductVersion", "2.1.0"},
		{"SecureCustomProperties", "ACTIVATION_CODE;OLDVERSIONFOUND;NEWERVERSIONFOUND"},
		{"UpgradeCode", upgradeCode},
	} {
		db.Add("Property", p[0], p[1])
	}
	db.Add("Directory", "TARGETDIR", nil, "SourceDir")
	db.Add("Directory", "ProgramFiles64Folder", "TARGETDIR", ".")
	db.Add("Directory", "CommonAppDataFolder", "TARGETDIR", ".")
	db.Add("Directory", "INSTALLFOLDER", "ProgramFiles64Folder", "EXAMPL~1|Example Agent")
	db.Add("Directory", "DATAFOLDER", "CommonAppDataFolder", "Example")
	db.Add("Component", "c_agent", agentID, "INSTALLFOLDER", 0x100, nil, "f_agent")
	db.Add("Component", "c_conf", confID, "INSTALLFOLDER", 0x190, nil, "f_conf")
	db.Add("Component", "c_data", dataID, "DATAFOLDER", 0x110, nil, nil)
	db.Add("Feature", "Main", nil, "Example Agent", nil, 2, 1, "INSTALLFOLDER", 0)
	for _, c := range []string{"c_agent", "c_conf", "c_data"} {
		db.Add("FeatureComponents", "Main", c)
	}
	db.Add("File", "f_agent", "c_agent", "AGENT.EXE|agent.exe", 5000, "2.1.0.0", "0", 512, 1)
	db.Add("File", "f_conf", "c_conf", "AGENT~1.CON|agent.conf", 100, nil, nil, 512, 2)
	db.Add("MsiFileHash", "f_conf", 0, 1, 2, 3, 4)
	db.Add("Media", 1, 2, nil, "#agent.cab", nil, nil)
	db.Add("CreateFolder", "DATAFOLDER", "c_data")
	db.Add("MsiLockPermissionsEx", "data", "DATAFOLDER", "CreateFolder", "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", nil)
	db.Add("ServiceInstall", "s_agent", "ExampleAgent", "Example Agent", 0x10, 2, 0x8001, nil, "Tcpip[~][~]", nil, nil, `--data "[DATAFOLDER]."`, "c_agent", nil)
	db.Add("ServiceControl", "s_agent", "ExampleAgent", 0xa3, nil, 1, "c_agent")
	db.Add("MsiServiceConfig", "s_agent", "ExampleAgent", 5, 3, "1", "c_agent")
	db.Add("MsiServiceConfigFailureActions", "s_agent", "ExampleAgent", 5, 86400, nil, nil, "0[~]0[~]0", "1000[~]1000[~]0", "c_agent")
	db.Add("Registry", "r_version", 2, `Software\Example`, "Version", "#21", "c_agent")
	db.Add("Environment", "e_path", "=-*PATH", "[~];[INSTALLFOLDER]", "c_agent")
	db.Add("Upgrade", upgradeCode, "0.0.0", "2.1.0", nil, 0x101, nil, "OLDVERSIONFOUND")
	db.Add("Upgrade", upgradeCode, "2.1.0", nil, nil, 2, nil, "NEWERVERSIONFOUND")
	db.Add("LaunchCondition", "Installed OR Privileged", "[ProductName] needs an administrator.")
	db.Add("Binary", "hook", true)
	db.Add("CustomAction", "HookInstall", 0x2c02, "hook", `install "DATAFOLDER=[DATAFOLDER]." "ACTIVATION_CODE=[ACTIVATION_CODE]"`, nil)
	db.Add("CustomAction", "HookInstallRollback", 0xd42, "hook", "install ROLLBACK=1", nil)
	db.Add("CustomAction", "HookRemove", 0xc42, "hook", "remove", nil)
	db.Add("CustomAction", "HookRemoveRollback", 0xd42, "hook", "remove ROLLBACK=1", nil)
	db.Add("CustomAction", "SetLocation", 51, "ARPINSTALLLOCATION", "[INSTALLFOLDER]", nil)
	const goes = `REMOVE~="ALL" AND NOT UPGRADINGPRODUCTCODE`
	for _, s := range []struct {
		action, condition string
		number            int
	}{
		{"FindRelatedProducts", "", 25},
		{"LaunchConditions", "", 100},
		{"CostInitialize", "", 800},
		{"FileCost", "", 900},
		{"CostFinalize", "", 1000},
		{"SetLocation", "", 1010},
		{"MigrateFeatureStates", "", 1200},
		{"InstallValidate", "", 1400},
		{"InstallInitialize", "", 1500},
		{"RemoveExistingProducts", "", 1501},
		{"ProcessComponents", "", 1600},
		{"UnpublishFeatures", "", 1800},
		{"HookRemoveRollback", goes, 1849},
		{"HookRemove", goes, 1850},
		{"StopServices", "VersionNT", 1900},
		{"DeleteServices", "VersionNT", 2000},
		{"RemoveRegistryValues", "", 2600},
		{"RemoveEnvironmentStrings", "", 3300},
		{"RemoveFiles", "", 3500},
		{"RemoveFolders", "", 3600},
		{"CreateFolders", "", 3700},
		{"InstallFiles", "", 4000},
		{"HookInstallRollback", `NOT REMOVE~="ALL"`, 4010},
		{"HookInstall", `NOT REMOVE~="ALL"`, 4020},
		{"WriteRegistryValues", "", 5000},
		{"WriteEnvironmentStrings", "", 5200},
		{"InstallServices", "VersionNT", 5800},
		{"MsiConfigureServices", "VersionNT", 5850},
		{"StartServices", "VersionNT", 5900},
		{"RegisterUser", "", 6000},
		{"RegisterProduct", "", 6100},
		{"PublishFeatures", "", 6300},
		{"PublishProduct", "", 6400},
		{"InstallFinalize", "", 6600},
	} {
		db.Add("InstallExecuteSequence", s.action, s.condition, s.number)
	}
	add := func(table string, actions ...string) {
		for _, a := range actions {
			standard, _ := standard(a)
			db.Add(table, a, nil, standard.sequence)
		}
	}
	add("InstallUISequence", "FindRelatedProducts", "LaunchConditions", "CostInitialize", "FileCost", "CostFinalize", "ExecuteAction")
	add("AdminUISequence", "CostInitialize", "FileCost", "CostFinalize", "ExecuteAction")
	add("AdminExecuteSequence", "CostInitialize", "FileCost", "CostFinalize", "InstallValidate", "InstallInitialize", "InstallAdminPackage", "InstallFiles", "InstallFinalize")
	add("AdvtExecuteSequence", "CostInitialize", "CostFinalize", "InstallValidate", "InstallInitialize", "PublishFeatures", "PublishProduct", "InstallFinalize")
	return db, Contents{[]Cabinet{{Name: "agent.cab", Files: []CabinetFile{{"f_agent", 5000}, {"f_conf", 100}}}}}
}

// set changes a cell of the row with a key, the first one, or each of a composite
// one with dots between.
func set(db *msidb.Database, table, key, column string, value any) {
	t := db.Table(table)
	i := slices.IndexFunc(t.Columns, func(c msidb.Column) bool { return c.Name == column })
	row := find(db, table, key)
	if n, ok := value.(int); ok {
		value = int32(n)
	}
	if value == nil {
		value = msidb.Null{}
	}
	t.Rows[row][i] = value
}

func find(db *msidb.Database, table, key string) int {
	t := db.Table(table)
	for i, row := range t.Rows {
		k := msidb.Record{Table: t, Row: row}.Key()
		if k == table+"."+key || strings.HasPrefix(k, table+"."+key+".") {
			return i
		}
	}
	panic("no row " + table + "." + key)
}

func remove(db *msidb.Database, table, key string) {
	t := db.Table(table)
	i := find(db, table, key)
	t.Rows = slices.Delete(t.Rows, i, i+1)
}

// setProperty sets one, new or not.
func setProperty(db *msidb.Database, name, value string) {
	if slices.ContainsFunc(db.Table("Property").Rows, func(r msidb.Row) bool { return r[0] == name }) {
		set(db, "Property", name, "Value", value)
	} else {
		db.Add("Property", name, value)
	}
}

// custom adds a table that the catalogue does not have, with columns like "Name
// s72*", and its rows in _Validation.
func custom(db *msidb.Database, name string, columns []string, rows ...msidb.Row) {
	validate(db)
	t := &msidb.Table{Name: name, Rows: rows}
	for _, c := range columns {
		column, notation, _ := strings.Cut(c, " ")
		size, err := strconv.Atoi(strings.TrimSuffix(notation[1:], "*"))
		if err != nil {
			panic(err)
		}
		typ := msidb.TypeValid | msidb.Type(size)
		if notation[0] == 's' || notation[0] == 'S' {
			typ |= msidb.TypeString
		}
		nullable := "N"
		if notation[0] == 'S' || notation[0] == 'I' {
			typ |= msidb.TypeNullable
			nullable = "Y"
		}
		if strings.HasSuffix(notation, "*") {
			typ |= msidb.TypeKey
		}
		t.Columns = append(t.Columns, msidb.Column{Name: column, Type: typ})
		db.Add("_Validation", name, column, nullable, nil, nil, nil, nil, nil, nil, nil)
	}
	db.Tables = append(db.Tables, t)
	slices.SortFunc(db.Tables, func(a, b *msidb.Table) int { return strings.Compare(a.Name, b.Name) })
}

// validate adds _Validation, unless it is there.
func validate(db *msidb.Database) {
	if db.Table("_Validation") == nil {
		msidb.AddValidation(db)
	}
}

// dialogs gives the package a user interface without a mistake.
func dialogs(db *msidb.Database) {
	dialog := func(name, first string, attributes int) {
		db.Add("Dialog", name, 50, 50, 300, 200, attributes, "[ProductName]", first, nil, nil)
	}
	control := func(dialog, name, kind string, attributes int, text, next any) {
		db.Add("Control", dialog, name, kind, 0, 0, 50, 20, attributes, nil, text, next, nil)
	}
	dialog("Done", "OK", 3)
	control("Done", "OK", "PushButton", 3, "{&Plain}OK", "Text")
	control("Done", "Text", "ScrollableText", 3, nil, "OK")
	db.Add("ControlEvent", "Done", "OK", "EndDialog", "Exit", "1", 1)
	dialog("Failed", "ErrorText", 0x10003)
	control("Failed", "ErrorText", "Text", 3, "{&Plain}Text", nil)
	db.Add("TextStyle", "Plain", "Tahoma", 8, nil, nil)
	setProperty(db, "ErrorDialog", "Failed")
	setProperty(db, "DefaultUIFont", "Plain")
	for i, table := range []string{"InstallUISequence", "AdminUISequence"} {
		db.Add(table, "Done", nil, -1)
		db.Add(table, "Failed", nil, -3)
		db.Add("CustomAction", fmt.Sprintf("Quit%d", i), 19, nil, "Stopped.", nil)
		db.Add(table, fmt.Sprintf("Quit%d", i), nil, -2)
	}
}

// userFolder adds a component in a user's folder, as it must be.
func userFolder(db *msidb.Database, folder string) {
	db.Add("Directory", folder, "TARGETDIR", ".")
	db.Add("Directory", "USERDIR", folder, "Example")
	db.Add("Component", "c_user", "{0B7C3A52-6E0F-5B1C-8F43-0C9B63D5A009}", "USERDIR", 0x104, nil, "r_user")
	db.Add("FeatureComponents", "Main", "c_user")
	db.Add("Registry", "r_user", 1, `Software\Example`, "User", "1", "c_user")
	db.Add("RemoveFile", "rm_user", "c_user", nil, "USERDIR", 2)
}

// A fault is one change to the base, and the only rule that finds it.
type fault struct {
	rule  string
	name  string
	where string // part of where it is found
	plant func(*msidb.Database, *Contents)
}

// TestBase: nothing is found in the base, nor in what may be done otherwise.
func TestBase(t *testing.T) {
	for _, tt := range right {
		t.Run(tt.name, func(t *testing.T) {
			db, contents := base()
			tt.change(db, &contents)
			validate(db)
			for _, f := range Check(db, contents) {
				t.Error(f)
			}
		})
	}
}

// TestFaults plants one mistake for each rule, and more, in the base.
func TestFaults(t *testing.T) {
	planted := map[string]bool{}
	for _, f := range faults {
		planted[f.rule] = true
		t.Run(f.rule+" "+f.name, func(t *testing.T) {
			db, contents := base()
			f.plant(db, &contents)
			if f.name != "no _Validation" {
				validate(db)
			}
			findings := Check(db, contents)
			if len(findings) == 0 {
				t.Fatal("nothing is found")
			}
			for _, got := range findings {
				if got.Rule != f.rule || !strings.Contains(got.Where, f.where) {
					t.Errorf("found %v, want %s at %s alone", got, f.rule, f.where)
				}
				if strings.ContainsAny(got.Text, "\r\n") || got.Text == "" {
					t.Errorf("%q is no line", got.Text)
				}
				rule := rules[slices.IndexFunc(rules, func(r Rule) bool { return r.Number == f.rule })]
				if got.Severity < rule.Severity {
					t.Errorf("%v is worse than its rule, which says %v", got, rule.Severity)
				}
			}
		})
	}
	for _, r := range Rules() {
		if !planted[r.Number] {
			t.Errorf("no fault is planted for %s", r.Number)
		}
	}
}

// TestSameVersion: builds of one version replace each other, of which ICE61 warns.
// It is the one finding that this project's packages have.
func TestSameVersion(t *testing.T) {
	db, contents := base()
	set(db, "Upgrade", upgradeCode+".0.0.0", "Attributes", 0x301)
	validate(db)
	findings := Check(db, contents)
	if len(findings) != 1 || findings[0].Rule != "ICE61" || findings[0].Severity != Warning {
		t.Errorf("found %v, want one warning of ICE61", findings)
	}
}

func TestFindingString(t *testing.T) {
	for _, tt := range []struct {
		finding Finding
		want    string
	}{
		{Finding{"ICE03", Error, "File.f.Version", "wrong"}, "ICE03 error: File.f.Version: wrong"},
		{Finding{"ICE82", Warning, "", "odd"}, "ICE82 warning: odd"},
	} {
		if got := tt.finding.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestRulesAreSorted(t *testing.T) {
	previous := ""
	for _, r := range Rules() {
		n := strings.TrimPrefix(r.Number, "ICE")
		if len(n) == 2 {
			n = "0" + n
		}
		if n <= previous {
			t.Errorf("%s comes after %s", r.Number, previous)
		}
		previous = n
		if !strings.HasSuffix(r.Title, ".") || !strings.HasSuffix(r.Help, ".") {
			t.Errorf("%s: %q and %q are to be sentences", r.Number, r.Title, r.Help)
		}
	}
}

// TestRulesPage compares docs/msi-rules.md with the rules; -update writes it.
func TestRulesPage(t *testing.T) {
	const name = "../../../docs/msi-rules.md"
	var b strings.Builder
	b.WriteString(`# What is checked in Windows Installer packages

Every package that vpkg builds, and every one that ` + "`vpkg verify FILE.msi`" + ` is given, is checked by these
rules. Those named ICE are Microsoft's internal consistency evaluators, by
[their numbers](https://learn.microsoft.com/en-us/windows/win32/msi/ice-reference), as far as the file alone tells; those
named VPKG are this project's own. An error stops an installation or makes it do wrong; a warning need not. A rule that is
an error may also have findings that are warnings.

vpkg's own packages have one finding, a warning of ICE61: another build of the same x.y.z takes its place.

| Rule | Severity | What must be so | What to do |
|---|---|---|---|
`)
	for _, r := range Rules() {
		cell := strings.NewReplacer("|", `\|`, "[", `\[`, "]", `\]`)
		fmt.Fprintf(&b, "| %s | %v | %s | %s |\n", r.Number, r.Severity, cell.Replace(r.Title), cell.Replace(r.Help))
	}
	want := b.String()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the rules say; run go test ./msi/internal/ice -update", name)
	}
}

func deleteTable(db *msidb.Database, name string) []*msidb.Table {
	return slices.DeleteFunc(db.Tables, func(t *msidb.Table) bool { return t.Name == name })
}
