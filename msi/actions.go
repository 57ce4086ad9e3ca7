package msi

import (
	"cmp"
	"fmt"

	"github.com/vpkg/vpkg/packaging"
)

// Types of custom actions, SDK "Custom Action Types".
const (
	fromBinary   = 2      // an executable in the table Binary
	setProperty  = 51     // a property is given a formatted text
	ignoreResult = 0x0040 // whatever it returns
	inScript     = 0x0400 // deferred: runs when the installation script does
	rollback     = 0x0100 // with inScript: when the script is undone
	commit       = 0x0200 // with inScript: when the script went well
	asSystem     = 0x0800 // not as the user
	hideTarget   = 0x2000 // the log does not show its command line
)

// What the hook is told: see hooks.FromMSI. A folder ends in a backslash, before
// which a quotation mark would not end an argument: hence the dots.
const (
	hookFolders = ` "INSTALLFOLDER=[INSTALLFOLDER]."`
	hookData    = ` "DATAFOLDER=[DATAFOLDER]."`
	hookComes   = ` "Installed=[Installed]" "OLDVERSIONFOUND=[OLDVERSIONFOUND]"`
	hookPairs   = ` "MANAGEMENT_SERVER=[MANAGEMENT_SERVER]" "ACTIVATION_FILE=[ACTIVATION_FILE]" "ACTIVATION_CODE=[ACTIVATION_CODE]" "PROFILE_ID=[PROFILE_ID]"`
	hookGoes    = ` "REMOVE=[REMOVE]" "UPGRADINGPRODUCTCODE=[UPGRADINGPRODUCTCODE]" "REMOVEDATA=[REMOVEDATA]"`
)

// Conditions of a coming and of a going product. An old version that a new one
// takes the place of is not going.
const (
	comes = `NOT REMOVE~="ALL"`
	goes  = `REMOVE~="ALL" AND NOT UPGRADINGPRODUCTCODE`
	// pairs is the condition of the activation; the hook says what is missing for it.
	// An ordinary user may have an installed product repaired, and give properties:
	// he is not to choose the host's server.
	pairs = `NOT Installed AND (MANAGEMENT_SERVER OR ACTIVATION_FILE OR ACTIVATION_CODE)`
)

// A step is an action of a sequence.
type step struct {
	action    string
	condition string
	number    int
}

// A customAction is a row of CustomAction with its place in InstallExecuteSequence.
type customAction struct {
	step
	kind   int
	source string
	target string
	text   string // what people see while it runs; empty means nothing
}

// hookActions are those that call the hook. What an action does, the one before it
// takes back when the installation fails.
func (b *builder) hookActions() []customAction {
	if b.p.Windows.Hook == nil {
		return nil
	}
	folders := hookFolders
	if b.p.Windows.Data != "" {
		folders += hookData
	}
	call := func(number int, name, phase, args, condition string, kind int, text string) customAction {
		return customAction{step{name, condition, number}, fromBinary | inScript | asSystem | kind, hookKey, phase + " --format msi --" + folders + args, text}
	}
	const back = rollback | ignoreResult
	return []customAction{
		call(1519, "HookPreInstallRollback", "pre-install", hookComes+" ROLLBACK=1", comes, back, ""),
		call(1520, "HookPreInstall", "pre-install", hookComes, comes, 0, "Looking at this host"),
		call(1849, "HookPreRemoveRollback", "pre-remove", hookGoes+" ROLLBACK=1", goes, back, ""),
		call(1850, "HookPreRemove", "pre-remove", hookGoes, goes, ignoreResult, "Taking leave of this host"),
		call(3649, "HookPostRemoveRollback", "post-remove", hookGoes+" ROLLBACK=1", goes, back, ""),
		call(3650, "HookPostRemove", "post-remove", hookGoes, goes, ignoreResult, "Clearing up"),
		call(5859, "HookPostInstallRollback", "post-install", hookComes+" ROLLBACK=1", comes, back, ""),
		call(5860, "HookPostInstall", "post-install", hookComes, comes, 0, "Setting up this host"),
		call(5949, "HookActivateRollback", "activate", " ROLLBACK=1", pairs, back, ""),
		call(5950, "HookActivate", "activate", hookPairs, pairs, ignoreResult|hideTarget, "Activating"),
		call(6580, "HookCommit", "post-install", hookComes+" COMMIT=1", comes, commit|ignoreResult, ""),
		call(6590, "HookCommitRemove", "post-remove", hookGoes+" COMMIT=1", goes, commit|ignoreResult, ""),
	}
}

// propertyActions set properties before and after folders are known. A folder stays
// what it was unless a new version is given another one.
//
// In an upgrade every file is installed, whatever its version. Windows Installer
// decides that before the old version is taken away, and would leave out a program
// of which a newer file is there still: it would be missing afterwards.
func (b *builder) propertyActions() []customAction {
	set := func(number int, name, value, condition string) customAction {
		return customAction{step{"Set" + name, condition, number}, setProperty, name, value, ""}
	}
	as := []customAction{
		set(51, programFolder, "[OLDINSTALLFOLDER]", "OLDINSTALLFOLDER AND (Installed OR NOT INSTALLFOLDER)"),
		set(53, "REINSTALLMODE", "amus", "OLDVERSIONFOUND"),
		set(1010, "ARPINSTALLLOCATION", "[INSTALLFOLDER]", ""),
	}
	if b.p.Windows.Data != "" {
		as = append(as, set(52, dataFolder, "[OLDDATAFOLDER]", "OLDDATAFOLDER AND (Installed OR NOT DATAFOLDER)"))
	}
	return as
}

func (b *builder) actions() {
	if b.p.Windows.Hook != nil {
		b.db.Add("Binary", hookKey, true)
	}
	for _, a := range append(b.propertyActions(), b.hookActions()...) {
		b.db.Add("CustomAction", a.action, a.kind, a.source, a.target, nil)
		if a.text != "" {
			b.db.Add("ActionText", a.action, a.text, nil)
		}
	}
}

// The tables of sequences.
const (
	execute = 1 << iota
	interfaces
	admin // an administrator's image
	adminInterfaces
	advertise
	everywhere = execute | interfaces | admin | adminInterfaces | advertise
)

var sequenceTables = []struct {
	in   int
	name string
}{
	{execute, "InstallExecuteSequence"},
	{interfaces, "InstallUISequence"},
	{admin, "AdminExecuteSequence"},
	{adminInterfaces, "AdminUISequence"},
	{advertise, "AdvtExecuteSequence"},
}

// The standard actions, with the numbers that the SDK recommends. An upgrade takes
// the old version away right after the installation has begun, within the
// transaction: so nothing of the old version is left, and a failed installation
// brings it back.
var standardActions = []struct {
	step
	in int
}{
	{step{"FindRelatedProducts", "", 25}, execute | interfaces},
	{step{"AppSearch", "", 50}, execute | interfaces},
	{step{"LaunchConditions", "", 100}, execute | interfaces},
	{step{"ValidateProductID", "", 700}, execute | interfaces},
	{step{"CostInitialize", "", 800}, everywhere},
	{step{"FileCost", "", 900}, everywhere &^ advertise},
	{step{"CostFinalize", "", 1000}, everywhere},
	{step{"MigrateFeatureStates", "", 1200}, execute | interfaces},
	{step{"ExecuteAction", "", 1300}, interfaces | adminInterfaces},
	{step{"InstallValidate", "", 1400}, execute | admin | advertise},
	{step{"InstallInitialize", "", 1500}, execute | admin | advertise},
	{step{"RemoveExistingProducts", "", 1501}, execute},
	{step{"ProcessComponents", "", 1600}, execute},
	{step{"UnpublishFeatures", "", 1800}, execute},
	{step{"StopServices", "VersionNT", 1900}, execute},
	{step{"DeleteServices", "VersionNT", 2000}, execute},
	{step{"RemoveRegistryValues", "", 2600}, execute},
	{step{"RemoveEnvironmentStrings", "", 3300}, execute},
	{step{"RemoveFiles", "", 3500}, execute},
	{step{"RemoveFolders", "", 3600}, execute},
	{step{"CreateFolders", "", 3700}, execute},
	{step{"InstallAdminPackage", "", 3900}, admin},
	{step{"InstallFiles", "", 4000}, execute | admin},
	{step{"WriteRegistryValues", "", 5000}, execute},
	{step{"WriteEnvironmentStrings", "", 5200}, execute},
	{step{"InstallServices", "VersionNT", 5800}, execute},
	{step{"MsiConfigureServices", "VersionNT", 5850}, execute},
	{step{"StartServices", "VersionNT", 5900}, execute},
	{step{"RegisterUser", "", 6000}, execute},
	{step{"RegisterProduct", "", 6100}, execute},
	{step{"PublishFeatures", "", 6300}, execute | advertise},
	{step{"PublishProduct", "", 6400}, execute | advertise},
	{step{"InstallFinalize", "", 6600}, execute | admin | advertise},
}

func (b *builder) sequences() {
	add := func(s step, in int) {
		for _, t := range sequenceTables {
			if in&t.in != 0 {
				b.db.Add(t.name, s.action, s.condition, s.number)
			}
		}
	}
	for _, a := range standardActions {
		add(a.step, a.in)
	}
	for _, a := range b.propertyActions() {
		add(a.step, execute|interfaces)
	}
	for _, a := range b.hookActions() {
		add(a.step, execute)
	}
}

// hookKey is the hook's key in the table Binary.
const hookKey = "hook"

// The properties that a user sets on the command line of msiexec. Those that are
// secret stay out of logs.
var (
	publicProperties = []string{programFolder, dataFolder, "MANAGEMENT_SERVER", "ACTIVATION_FILE", "ACTIVATION_CODE", "PROFILE_ID", "REMOVEDATA"}
	hiddenProperties = []string{"ACTIVATION_CODE", "HookActivate"}
)

// Properties of vpkg's own, which say what Windows Installer has no place for.
const (
	nameProperty        = "VpkgName"
	buildProperty       = "VpkgBuild"
	licenseProperty     = "VpkgLicense"
	descriptionProperty = "VpkgDescription"
	maintainerProperty  = "ARPCONTACT"
	recordProperty      = "VpkgLayoutSha256"
)

func (b *builder) properties() {
	p, w := b.p, b.p.Windows
	record := ""
	if !w.Record.IsZero() {
		record = w.Record.String()
	}
	for _, v := range []struct{ name, value string }{
		{"ProductName", w.ProductName},
		{"ProductCode", b.ids.product(p)},
		{"ProductVersion", p.Version},
		{"ProductLanguage", fmt.Sprint(language)},
		{"Manufacturer", manufacturer(p)},
		{"UpgradeCode", w.UpgradeCode},
		{"ALLUSERS", "1"},                       // for the machine, not for a user
		{"ARPNOMODIFY", "1"},                    // there are no features to choose from
		{"REBOOT", "ReallySuppress"},            // 3010 says that one is needed
		{"MSIRESTARTMANAGERCONTROL", "Disable"}, // services are stopped by name
		{"ARPCOMMENTS", p.Summary},
		{maintainerProperty, p.Maintainer},
		{"ARPURLINFOABOUT", p.Homepage},
		{"ARPHELPLINK", w.HelpLink},
		{"ARPURLUPDATEINFO", w.UpdateLink},
		{"SecureCustomProperties", list(publicProperties, append(searched(w), "OLDVERSIONFOUND", "NEWERVERSIONFOUND")...)},
		{"MsiHiddenProperties", list(hiddenProperties)},
		{nameProperty, p.Name},
		{buildProperty, p.Release},
		{licenseProperty, p.License},
		{descriptionProperty, p.Description},
		{recordProperty, record},
	} {
		if v.value != "" { // a row without a value is not allowed
			b.db.Add("Property", v.name, v.value)
		}
	}
}

// manufacturer is who stands beside the product in the list of programs.
func manufacturer(p *packaging.Package) string { return cmp.Or(p.Vendor, p.Maintainer, p.Name) }
