package ice

import (
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// cell plants a fault in a cell.
func cell(table, key, column string, value any) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { set(db, table, key, column, value) }
}

// row plants a fault by a row more.
func row(table string, values ...any) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { db.Add(table, values...) }
}

// without plants a fault by a row less.
func without(table, key string) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { remove(db, table, key) }
}

// prop plants a fault in a property.
func prop(name, value string) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { setProperty(db, name, value) }
}

// change plants any other.
func change(f func(*msidb.Database)) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { f(db) }
}

// inDialogs plants one in a package with a user interface.
func inDialogs(f func(*msidb.Database)) func(*msidb.Database, *Contents) {
	return func(db *msidb.Database, _ *Contents) { dialogs(db); f(db) }
}

const (
	execute = "InstallExecuteSequence"
	older   = upgradeCode + ".0.0.0"
)

// otherComponent adds a component with a file that is in no cabinet.
func otherComponent(db *msidb.Database, directory, name string) {
	db.Add("Component", "c_other", "{0B7C3A52-6E0F-5B1C-8F43-0C9B63D5A008}", directory, 0x110, nil, "f_other")
	db.Add("FeatureComponents", "Main", "c_other")
	db.Add("File", "f_other", "c_other", name, 10, nil, nil, 0x2200, 1)
}

var faults = []fault{
	{"ICE02", "another component's file", "Component.c_conf.KeyPath", cell("Component", "c_conf", "KeyPath", "f_agent")},
	{"ICE02", "a file as registry value", "Component.c_conf.KeyPath", cell("Component", "c_conf", "Attributes", 0x194)},
	{"ICE03", "no _Validation", "_Validation", change(func(*msidb.Database) {})},
	{"ICE03", "null", "Registry.r_version.Key", cell("Registry", "r_version", "Key", nil)},
	{"ICE03", "too long", "Media.1.VolumeLabel", cell("Media", "1", "VolumeLabel", strings.Repeat("x", 33))},
	{"ICE03", "number in text", "Feature.Main.Title", cell("Feature", "Main", "Title", 5)},
	{"ICE03", "text in number", "Feature.Main.Display", cell("Feature", "Main", "Display", "two")},
	{"ICE03", "too large", "Feature.Main.Display", cell("Feature", "Main", "Display", 32767+1)},
	{"ICE03", "too small", "Feature.Main.Display", cell("Feature", "Main", "Display", -1)},
	{"ICE03", "not in the set", "Feature.Main.Attributes", cell("Feature", "Main", "Attributes", 12)},
	{"ICE03", "text not in the set", "MsiLockPermissionsEx.data.Table", change(func(db *msidb.Database) {
		db.Add("Icon", "DATAFOLDER", true)
		set(db, "MsiLockPermissionsEx", "data", "Table", "Icon")
	})},
	{"ICE03", "foreign key", "Feature.Main.Directory_", cell("Feature", "Main", "Directory_", "NOWHERE")},
	{"ICE03", "two rows with a key", "Registry.r_version", row("Registry", "r_version", 2, `Software\Other`, "Version", "2", "c_agent")},
	{"ICE03", "identifier", "Registry.r version", row("Registry", "r version", 2, `Software\Other`, "Version", "2", "c_agent")},
	{"ICE03", "GUID", "Component.c_agent.ComponentId", cell("Component", "c_agent", "ComponentId", strings.ToLower(agentID))},
	{"ICE03", "no short name", "File.f_conf.FileName", cell("File", "f_conf", "FileName", "agent.conf")},
	{"ICE03", "version", "File.f_agent.Version", cell("File", "f_agent", "Version", "2.1.x")},
	{"ICE03", "condition", execute + ".StopServices.Condition", cell(execute, "StopServices", "Condition", "VersionNT AND")},
	{"ICE03", "file that is not there", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "[#f_none]")},
	{"ICE03", "brackets", "LaunchCondition", cell("LaunchCondition", "Installed OR Privileged", "Description", "[Product Name]")},
	{"ICE03", "security descriptor", "MsiLockPermissionsEx.data.SDDLText", cell("MsiLockPermissionsEx", "data", "SDDLText", "everyone")},
	{"ICE03", "action's source", "CustomAction.HookRemove.Source", cell("CustomAction", "HookRemove", "Source", "nothing")},
	{"ICE03", "column not described", "Media.Source", change(func(db *msidb.Database) { validate(db); remove(db, "_Validation", "Media.Source") })},
	{"ICE03", "unknown category", "Media.1.Cabinet", change(func(db *msidb.Database) {
		validate(db)
		set(db, "_Validation", "Media.Cabinet", "Category", "Wardrobe")
	})},
	{"ICE03", "short row", "Media.1.", change(func(db *msidb.Database) {
		rows := db.Table("Media").Rows
		rows[0] = rows[0][:5]
	})},
	{"ICE03", "number of no row", "PatchPackage", row("PatchPackage", agentID, -1)},
	{"ICE04", "beyond the last medium", "File.f_conf.Sequence", cell("Media", "1", "LastSequence", 1)},
	{"ICE05", "no manufacturer", "Property.Manufacturer", without("Property", "Manufacturer")},
	{"ICE06", "column that is not there", "Media.Color", change(func(db *msidb.Database) {
		validate(db)
		db.Add("_Validation", "Media", "Color", "Y", nil, nil, nil, nil, "Text", nil, nil)
	})},
	{"ICE08", "the same GUID", "Component.c_conf.ComponentId", cell("Component", "c_conf", "ComponentId", agentID)},
	{"ICE09", "system folder", "Component.c_agent.Attributes", change(func(db *msidb.Database) {
		db.Add("Directory", "System64Folder", "TARGETDIR", ".")
		set(db, "Component", "c_agent", "Directory_", "System64Folder")
	})},
	{"ICE14", "root follows", "Feature.Main.Attributes", cell("Feature", "Main", "Attributes", 2)},
	{"ICE14", "own parent", "Feature.Main.Feature_Parent", cell("Feature", "Main", "Feature_Parent", "Main")},
	{"ICE14", "circle", "Feature_Parent", change(func(db *msidb.Database) {
		db.Add("Feature", "Part", "Main", "Part", nil, 2, 1, nil, 0)
		set(db, "Feature", "Main", "Feature_Parent", "Part")
	})},
	{"ICE16", "long name", "Property.ProductName", prop("ProductName", strings.Repeat("ä", 64))},
	{"ICE17", "button without event", "Control.Done.Next", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Next", "PushButton", 0, 0, 9, 9, 3, nil, "Next", nil, nil)
	})},
	{"ICE17", "picture", "Control.Done.Picture.Text", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Picture", "Bitmap", 0, 0, 9, 9, 1, nil, "banner", nil, nil)
	})},
	{"ICE17", "empty list", "Control.Done.List.Property", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "List", "ComboBox", 0, 0, 9, 9, 1, "CHOICE", nil, nil, nil)
	})},
	{"ICE17", "empty list of what there is", "Control.Done.List.Property", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "List", "ListBox", 0, 0, 9, 9, 1, "CHOICE", nil, nil, nil)
	})},
	{"ICE17", "bitmap and icon", "Control.Done.OK.Attributes", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.OK", "Attributes", 0xc0003) })},
	{"ICE17", "picture on a button", "Control.Done.Tick.Text", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Tick", "CheckBox", 0, 0, 9, 9, 0x40003, "TICK", "tick", nil, nil)
	})},
	{"ICE18", "folder that is not made", "Component.c_data.KeyPath", change(func(db *msidb.Database) {
		db.Add("CreateFolder", "INSTALLFOLDER", "c_agent")
		set(db, "MsiLockPermissionsEx", "data", "LockObject", "INSTALLFOLDER")
		remove(db, "CreateFolder", "DATAFOLDER")
	})},
	{"ICE20", "no dialog after failure", "InstallUISequence", inDialogs(func(db *msidb.Database) { remove(db, "InstallUISequence", "Failed") })},
	{"ICE20", "no dialog for errors", "Property.ErrorDialog", inDialogs(func(db *msidb.Database) { remove(db, "Property", "ErrorDialog") })},
	{"ICE20", "dialog for errors without the bit", "Dialog.Failed.Attributes", inDialogs(func(db *msidb.Database) { set(db, "Dialog", "Failed", "Attributes", 3) })},
	{"ICE20", "unknown dialog for errors", "Property.ErrorDialog.Value", inDialogs(func(db *msidb.Database) { setProperty(db, "ErrorDialog", "Oops") })},
	{"ICE20", "dialog for errors without its text", "Dialog.Failed.Control_First", inDialogs(func(db *msidb.Database) {
		set(db, "Control", "Failed.ErrorText", "Control", "Message")
		set(db, "Dialog", "Failed", "Control_First", "Message")
	})},
	{"ICE21", "in no feature", "Component.c_conf", without("FeatureComponents", "Main.c_conf")},
	{"ICE22", "published with another feature", "PublishComponent", change(func(db *msidb.Database) {
		db.Add("Feature", "Part", "Main", "Part", nil, 2, 1, nil, 0)
		custom(db, "PublishComponent", []string{"ComponentId s38*", "Qualifier s255*", "Component_ s72*", "AppData S255", "Feature_ s38"},
			msidb.Row{agentID, "x", "c_agent", msidb.Null{}, "Part"})
	})},
	{"ICE23", "dead end", "Dialog.Done", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.Text", "Control_Next", nil) })},
	{"ICE23", "no first control", "Dialog.Done.Control_First", inDialogs(func(db *msidb.Database) { set(db, "Dialog", "Done", "Control_First", "ErrorText") })},
	{"ICE23", "left out", "Dialog.Done", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Extra", "Text", 0, 0, 9, 9, 3, nil, nil, "OK", nil)
	})},
	{"ICE23", "next one of another dialog", "Done", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.Text", "Control_Next", "ErrorText") })},
	{"ICE24", "version", "Property.ProductVersion", change(func(db *msidb.Database) {
		setProperty(db, "ProductVersion", "300.1.0")
	})},
	{"ICE24", "product code", "Property.ProductCode", prop("ProductCode", strings.ToLower(agentID))},
	{"ICE24", "language", "Property.ProductLanguage", prop("ProductLanguage", "65536")},
	{"ICE26", "action is missing", execute + ".UnpublishFeatures", without(execute, "UnpublishFeatures")},
	{"ICE26", "action of another sequence", execute + ".ExecuteAction", row(execute, "ExecuteAction", nil, 1300)},
	{"ICE27", "unknown action", execute + ".DoIt", row(execute, "DoIt", nil, 1110)},
	{"ICE27", "order", execute + ".StopServices", cell(execute, "StopServices", "Sequence", 2001)},
	{"ICE27", "section", execute + ".AppSearch", row(execute, "AppSearch", nil, 950)},
	{"ICE27", "nothing to finish", "AdvtExecuteSequence", change(func(db *msidb.Database) {
		set(db, "AdvtExecuteSequence", "InstallFinalize", "Sequence", nil)
	})},
	{"ICE27", "nothing to run", "AdvtExecuteSequence", change(func(db *msidb.Database) {
		set(db, "AdvtExecuteSequence", "InstallFinalize", "Sequence", 6200)
	})},
	{"ICE29", "long stream name", "Binary.", change(func(db *msidb.Database) {
		db.Streams = append(db.Streams, msidb.Stream{Name: "Binary." + strings.Repeat("x", 56)})
	})},
	{"ICE29", "two streams", "Binary.hook", change(func(db *msidb.Database) {
		db.Streams = append(db.Streams, msidb.Stream{Name: "Binary.hook"})
	})},
	{"ICE30", "the same name", "File.f_other.FileName", change(func(db *msidb.Database) { otherComponent(db, "INSTALLFOLDER", "AGENT.EXE|other.exe") })},
	{"ICE30", "the same long name in the same place by two keys", "File.f_other.FileName", change(func(db *msidb.Database) {
		db.Add("Directory", "AGAIN", "ProgramFiles64Folder", "EXAMPL~2|example agent")
		otherComponent(db, "AGAIN", "OTHER.EXE|Agent.exe")
	})},
	{"ICE30", "on conditions", "File.f_other.FileName", change(func(db *msidb.Database) {
		otherComponent(db, "INSTALLFOLDER", "AGENT.EXE|other.exe")
		set(db, "Component", "c_other", "Condition", "VersionNT")
		set(db, "Component", "c_agent", "Condition", "NOT VersionNT")
	})},
	{"ICE31", "style", "Control.Done.OK.Text", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.OK", "Text", "{&Fancy}OK") })},
	{"ICE31", "no brace", "Control.Done.OK.Text", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.OK", "Text", "{&Plain OK") })},
	{"ICE31", "in the middle", "Control.Done.OK.Text", inDialogs(func(db *msidb.Database) { set(db, "Control", "Done.OK", "Text", "OK {&Plain}") })},
	{"ICE31", "font", "Property.DefaultUIFont", inDialogs(func(db *msidb.Database) { setProperty(db, "DefaultUIFont", "Fancy") })},
	{"ICE32", "width", "Feature.Directory_", change(func(db *msidb.Database) {
		c := db.Table("Feature").Columns
		c[6].Type = c[6].Type&^msidb.TypeSize | 64
	})},
	{"ICE33", "class", "Registry.r_class.Key", row("Registry", "r_class", 2, `Software\Classes\CLSID\`+agentID, nil, "x", "c_agent")},
	{"ICE33", "extension", "Registry.r_ext.Key", row("Registry", "r_ext", 0, `.agent`, nil, "x", "c_agent")},
	{"ICE34", "no choice", "Control.Done.Which.Property", inDialogs(func(db *msidb.Database) {
		setProperty(db, "WHICH", "3")
		db.Add("Control", "Done", "Which", "RadioButtonGroup", 0, 0, 9, 9, 3, "WHICH", nil, nil, nil)
		custom(db, "RadioButton", []string{"Property s72*", "Order i2*", "Value s64"}, msidb.Row{"WHICH", int32(1), "1"}, msidb.Row{"WHICH", int32(2), "2"})
	})},
	{"ICE34", "no property", "Control.Done.Which.Property", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Which", "RadioButtonGroup", 0, 0, 9, 9, 3, nil, nil, nil, nil)
	})},
	{"ICE34", "no value", "Control.Done.Which.Property", inDialogs(func(db *msidb.Database) {
		setProperty(db, "INDIRECT", "WHICH")
		db.Add("Control", "Done", "Which", "RadioButtonGroup", 0, 0, 9, 9, 11, "INDIRECT", nil, nil, nil)
	})},
	{"ICE38", "machine's key", "Component.c_user.KeyPath", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		set(db, "Registry", "r_user", "Root", 2)
	})},
	{"ICE38", "no registry value", "Component.c_user.KeyPath", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		set(db, "Component", "c_user", "KeyPath", nil)
	})},
	{"ICE39", "template", "Summary.Template", change(func(db *msidb.Database) { db.Summary.Template = "x64;en,1033" })},
	{"ICE39", "package code", "Summary.PackageCode", change(func(db *msidb.Database) { db.Summary.PackageCode = "" })},
	{"ICE39", "schema", "Summary.Schema", change(func(db *msidb.Database) {
		db.Summary.Template, db.Summary.Schema = "Intel;1033", 5
		for _, t := range []string{"MsiLockPermissionsEx", "MsiServiceConfig", "MsiServiceConfigFailureActions", "MsiFileHash"} {
			db.Tables = deleteTable(db, t)
		}
		make32(db)
	})},
	{"ICE39", "saved before", "Summary.Saved", change(func(db *msidb.Database) { db.Summary.Saved = time.Unix(1, 0) })},
	{"ICE39", "certificate", "MsiPackageCertificate", change(func(db *msidb.Database) {
		db.Summary.Source = 10
		db.Add("MsiDigitalCertificate", "cert", true)
		db.Add("MsiPackageCertificate", "cert", "cert")
	})},
	{"ICE39", "word count", "Summary.Source", change(func(db *msidb.Database) { db.Summary.Source = 0x42 })},
	{"ICE39", "compressed twice", "File.f_conf.Attributes", cell("File", "f_conf", "Attributes", 0x4200)},
	{"ICE43", "shortcut of the machine", "Component.c_agent.KeyPath", change(func(db *msidb.Database) {
		db.Add("Shortcut", "sc", "INSTALLFOLDER", "Agent", "c_agent", "[#f_agent]", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
	})},
	{"ICE44", "dialog that is not there", "ControlEvent.Done.OK", inDialogs(func(db *msidb.Database) {
		db.Add("ControlEvent", "Done", "OK", "NewDialog", "Nowhere", "1", 2)
	})},
	{"ICE45", "reserved bit", "File.f_conf.Attributes", cell("File", "f_conf", "Attributes", 0x280)},
	{"ICE46", "property like a system's", "Property.ReinstallMode", prop("ReinstallMode", "omus")},
	{"ICE46", "in a condition", execute + ".StopServices.Condition", cell(execute, "StopServices", "Condition", "VersionNt")},
	{"ICE46", "in a text", "LaunchCondition", cell("LaunchCondition", "Installed OR Privileged", "Description", "[productName]")},
	{"ICE48", "local path", "Property.DATAFOLDER.Value", prop("DATAFOLDER", `D:\agent`)},
	{"ICE54", "companion", "File.f_agent.Version", cell("File", "f_agent", "Version", "f_conf")},
	{"ICE55", "object", "LockPermissions.c_none", change(func(db *msidb.Database) {
		db.Tables = deleteTable(db, "MsiLockPermissionsEx")
		db.Add("LockPermissions", "c_none", "File", nil, "guest", 1)
	})},
	{"ICE55", "no permission", "LockPermissions.f_conf", change(func(db *msidb.Database) {
		db.Tables = deleteTable(db, "MsiLockPermissionsEx")
		db.Add("LockPermissions", "f_conf", "File", nil, "guest", nil)
	})},
	{"ICE56", "second root", "Directory.CommonAppDataFolder", cell("Directory", "CommonAppDataFolder", "Directory_Parent", nil)},
	{"ICE56", "not SourceDir", "Directory.TARGETDIR", cell("Directory", "TARGETDIR", "DefaultDir", "Temp")},
	{"ICE57", "user's and machine's", "Component.c_agent", row("Registry", "r_user", 1, `Software\Example`, "User", "1", "c_agent")},
	{"ICE57", "either", "Component.c_agent", row("Registry", "r_user", -1, `Software\Example`, "User", "1", "c_agent")},
	{"ICE57", "user's key path", "Component.c_user", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		db.Add("Registry", "r_all", 2, `Software\Example`, "All", "1", "c_user")
	})},
	{"ICE57", "file of a user's", "Component.c_user", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		db.Add("CreateFolder", "INSTALLFOLDER", "c_user")
	})},
	{"ICE58", "many media", "Media", change(func(db *msidb.Database) {
		for i := 2; i <= 81; i++ {
			db.Add("Media", i, 2, nil, nil, nil, nil)
		}
		db.Summary.Template, db.Summary.Schema = "Intel;1033", 100
		for _, t := range []string{"MsiLockPermissionsEx", "MsiServiceConfig", "MsiServiceConfigFailureActions", "MsiFileHash"} {
			db.Tables = deleteTable(db, t)
		}
		make32(db)
	})},
	{"ICE60", "no language", "File.f_agent.Language", cell("File", "f_agent", "Language", nil)},
	{"ICE60", "hash", "MsiFileHash.f_agent", row("MsiFileHash", "f_agent", 0, 1, 2, 3, 4)},
	{"ICE61", "not secure", "Upgrade", prop("SecureCustomProperties", "ACTIVATION_CODE;NEWERVERSIONFOUND")},
	{"ICE61", "preset", "Upgrade", prop("OLDVERSIONFOUND", "1")},
	{"ICE61", "of another row", "Upgrade", change(func(db *msidb.Database) {
		set(db, "Upgrade", upgradeCode+".2.1.0", "ActionProperty", "OLDVERSIONFOUND")
	})},
	{"ICE61", "range", "Upgrade", cell("Upgrade", older, "VersionMin", "2.2.0")},
	{"ICE61", "newer", "Upgrade", cell("Upgrade", older, "VersionMax", "2.1.1")},
	{"ICE61", "same", "Upgrade", cell("Upgrade", older, "Attributes", 0x301)},
	{"ICE61", "all", "Upgrade", cell("Upgrade", older, "VersionMax", nil)},
	{"ICE61", "version", "Upgrade", cell("Upgrade", older, "VersionMin", "0.256.0")},
	{"ICE61", "private", "Upgrade", change(func(db *msidb.Database) {
		set(db, "Upgrade", older, "ActionProperty", "OldVersion")
		setProperty(db, "SecureCustomProperties", "ACTIVATION_CODE;OldVersion;NEWERVERSIONFOUND")
		validate(db)
		set(db, "_Validation", "Upgrade.ActionProperty", "Category", "Identifier")
	})},
	{"ICE61", "no range", "Upgrade", change(func(db *msidb.Database) {
		set(db, "Upgrade", older, "UpgradeCode", confID)
		set(db, "Upgrade", confID, "VersionMin", nil)
		set(db, "Upgrade", confID, "VersionMax", nil)
	})},
	{"ICE63", "after script", execute + ".RemoveExistingProducts", cell(execute, "RemoveExistingProducts", "Sequence", 1700)},
	{"ICE63", "before validation", execute, change(func(db *msidb.Database) {
		set(db, execute, "RemoveExistingProducts", "Sequence", 1300)
	})},
	{"ICE63", "after an action", execute + ".RemoveExistingProducts", change(func(db *msidb.Database) {
		set(db, execute, "HookRemove", "Sequence", 1504)
		set(db, execute, "HookRemoveRollback", "Sequence", 1503)
		set(db, execute, "RemoveExistingProducts", "Sequence", 1510)
	})},
	{"ICE64", "directory stays", "Directory.USERDIR", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		set(db, "RemoveFile", "rm_user", "InstallMode", 1)
	})},
	{"ICE65", "two separators", "Environment.e_path.Value", cell("Environment", "e_path", "Value", ";x;[~]")},
	{"ICE65", "letter", "Environment.e_path.Value", cell("Environment", "e_path", "Value", "[~]exyz")},
	{"ICE65", "middle", "Environment.e_path.Value", cell("Environment", "e_path", "Value", "a[~]b")},
	{"ICE65", "both", "Environment.e_path.Value", cell("Environment", "e_path", "Value", "[~];x;[~]")},
	{"ICE65", "no separator", "Environment.e_path.Value", cell("Environment", "e_path", "Value", "[~];")},
	{"ICE66", "old schema", "Msi", change(func(db *msidb.Database) { db.Summary.Schema = 450 })},
	{"ICE68", "unknown type", "CustomAction.Odd.Type", row("CustomAction", "Odd", 3, "hook", nil, nil)},
	{"ICE68", "as system at once", "CustomAction.Now.Type", row("CustomAction", "Now", 0x802, "hook", nil, nil)},
	{"ICE68", "property later", "CustomAction.Later.Type", row("CustomAction", "Later", 0xc00|51, "P", "v", nil)},
	{"ICE68", "both ends", "CustomAction.Both.Type", row("CustomAction", "Both", 0xf02, "hook", nil, nil)},
	{"ICE69", "another component's file", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "[#f_conf]")},
	{"ICE69", "another component", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "[$c_conf]")},
	{"ICE69", "component of another feature", "Registry.r_version.Value", change(func(db *msidb.Database) {
		db.Add("Feature", "Part", "Main", "Part", nil, 2, 1, nil, 0)
		remove(db, "FeatureComponents", "Main.c_conf")
		db.Add("FeatureComponents", "Part", "c_conf")
		set(db, "Registry", "r_version", "Value", "[$c_conf]")
	})},
	{"ICE70", "number", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "#12xz34")},
	{"ICE70", "hexadecimal", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "#xz34")},
	{"ICE70", "nothing", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "#")},
	{"ICE71", "no first medium", "Media", cell("Media", "1", "DiskId", 2)},
	{"ICE72", "code", "AdvtExecuteSequence.Now", change(func(db *msidb.Database) {
		db.Add("CustomAction", "Now", 2, "hook", nil, nil)
		db.Add("AdvtExecuteSequence", "Now", nil, 1010)
	})},
	{"ICE74", "FASTOEM", "Property.FASTOEM", prop("FASTOEM", "1")},
	{"ICE74", "no upgrade code", "Property.UpgradeCode", without("Property", "UpgradeCode")},
	{"ICE74", "null upgrade code", "Property.UpgradeCode", prop("UpgradeCode", "{00000000-0000-0000-0000-000000000000}")},
	{"ICE75", "before costing", execute + ".Now", change(func(db *msidb.Database) {
		db.Add("CustomAction", "Now", 18, "f_agent", "x", nil)
		db.Add(execute, "Now", nil, 950)
	})},
	{"ICE75", "before installation", execute + ".Now", change(func(db *msidb.Database) {
		db.Add("CustomAction", "Now", 18, "f_agent", "x", nil)
		db.Add(execute, "Now", nil, 3950)
	})},
	{"ICE75", "after removal", execute + ".Now", change(func(db *msidb.Database) {
		db.Add("CustomAction", "Now", 18, "f_agent", "x", nil)
		db.Add(execute, "Now", "Installed", 4500)
	})},
	{"ICE77", "deferred too early", execute + ".HookInstall", change(func(db *msidb.Database) {
		set(db, execute, "HookInstallRollback", "Sequence", 1510)
		set(db, execute, "HookInstall", "Sequence", 1410)
		set(db, execute, "HookInstallRollback", "Sequence", 1405)
	})},
	{"ICE79", "component", execute + ".StopServices.Condition", cell(execute, "StopServices", "Condition", "$c_none=3")},
	{"ICE79", "feature", execute + ".StopServices.Condition", cell(execute, "StopServices", "Condition", "&None=3")},
	{"ICE80", "32-bit folder", "Component.c_conf", change(func(db *msidb.Database) {
		db.Add("Directory", "ProgramFilesFolder", "TARGETDIR", ".")
		set(db, "Component", "c_conf", "Directory_", "ProgramFilesFolder")
	})},
	{"ICE80", "32-bit component", "Component.c_conf.Directory_", cell("Component", "c_conf", "Attributes", 0x90)},
	{"ICE80", "64-bit component", "Component.", change(func(db *msidb.Database) { db.Summary.Template = "Intel;1033" })},
	{"ICE80", "language", "Property.ProductLanguage", prop("ProductLanguage", "1031")},
	{"ICE80", "schema", "Summary.Schema", change(func(db *msidb.Database) {
		db.Summary.Template, db.Summary.Schema = "x64;1033", 150
		for _, t := range []string{"MsiLockPermissionsEx", "MsiServiceConfig", "MsiServiceConfigFailureActions", "MsiFileHash"} {
			db.Tables = deleteTable(db, t)
		}
	})},
	{"ICE80", "64-bit script", "CustomAction.Script.Type", change(func(db *msidb.Database) {
		make32(db)
		db.Add("CustomAction", "Script", 0x1006, "hook", "a[0]", nil)
	})},
	{"ICE80", "64-bit search", "RegLocator.FOUND.Type", change(func(db *msidb.Database) {
		make32(db)
		db.Add("AppSearch", "FOUND", "FOUND")
		db.Add("RegLocator", "FOUND", 2, "Software", "x", 18)
	})},
	{"ICE80", "64-bit property", "Registry.r_version.Value", change(func(db *msidb.Database) {
		make32(db)
		set(db, "Registry", "r_version", "Value", "[System64Folder]")
	})},
	{"ICE82", "not registered", execute, change(func(db *msidb.Database) { remove(db, execute, "RegisterUser") })},
	{"ICE82", "nothing registered", execute, change(func(db *msidb.Database) {
		for _, a := range []string{"RegisterUser", "RegisterProduct", "PublishFeatures", "PublishProduct"} {
			remove(db, execute, a)
		}
	})},
	{"ICE82", "same number", execute + ".StopServices", cell(execute, "StopServices", "Sequence", 1850)},
	{"ICE84", "condition", execute + ".InstallValidate.Condition", cell(execute, "InstallValidate", "Condition", "NOT Installed")},
	{"ICE86", "AdminUser", "LaunchCondition", row("LaunchCondition", "AdminUser", "no")},
	{"ICE91", "user's folder", "IniFile.ini", change(func(db *msidb.Database) {
		userFolder(db, "AppDataFolder")
		db.Add("IniFile", "ini", "a.ini", "USERDIR", "s", "k", "v", 0, "c_user")
	})},
	{"ICE92", "no GUID", "Component.c_data.ComponentId", cell("Component", "c_data", "ComponentId", nil)},
	{"ICE92", "superseded", "Component.c_data.Attributes", cell("Component", "c_data", "Attributes", 0x510)},
	{"ICE93", "standard action's name", "CustomAction.InstallODBC", row("CustomAction", "InstallODBC", 51, "P", "v", nil)},
	{"ICE95", "too wide", "BBControl.bb.c.Width", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Board", "Billboard", 0, 0, 100, 100, 1, nil, nil, nil, nil)
		custom(db, "BBControl", []string{"Billboard_ s50*", "BBControl s50*", "X i2", "Y i2", "Width i2", "Height i2"}, msidb.Row{"bb", "c", int32(50), int32(0), int32(60), int32(20)})
	})},
	{"ICE95", "too high", "BBControl.bb.c.Height", inDialogs(func(db *msidb.Database) {
		db.Add("Control", "Done", "Board", "Billboard", 0, 0, 100, 100, 1, nil, nil, nil, nil)
		custom(db, "BBControl", []string{"Billboard_ s50*", "BBControl s50*", "X i2", "Y i2", "Width i2", "Height i2"}, msidb.Row{"bb", "c", int32(0), int32(90), int32(60), int32(20)})
	})},
	{"ICE96", "not published", "AdvtExecuteSequence.PublishProduct", without("AdvtExecuteSequence", "PublishProduct")},
	{"ICE99", "directory like a property", "Directory.ROOTDRIVE", row("Directory", "ROOTDRIVE", "TARGETDIR", "drive")},
	{"ICE102", "delayed start", "MsiServiceConfig.s_agent.Argument", cell("MsiServiceConfig", "s_agent", "Argument", "yes")},
	{"ICE102", "type", "MsiServiceConfig.s_agent.ConfigType", cell("MsiServiceConfig", "s_agent", "ConfigType", 8)},
	{"ICE102", "no event", "MsiServiceConfig.s_agent.Event", cell("MsiServiceConfig", "s_agent", "Event", 0)},
	{"ICE102", "privilege", "MsiServiceConfig.s_agent.Argument", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 6)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "SeDebugPrivilege[~]root")
	})},
	{"ICE102", "SID", "MsiServiceConfig.s_agent.Argument", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 5)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "2")
	})},
	{"ICE102", "time", "MsiServiceConfig.s_agent.Argument", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 7)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "0")
	})},
	{"ICE102", "no time", "MsiServiceConfig.s_agent.Argument", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 7)
		set(db, "MsiServiceConfig", "s_agent", "Argument", nil)
	})},
	{"ICE102", "delays", "MsiServiceConfigFailureActions.s_agent.DelayActions", cell("MsiServiceConfigFailureActions", "s_agent", "DelayActions", "1000")},
	{"ICE102", "actions", "MsiServiceConfigFailureActions.s_agent.Actions", cell("MsiServiceConfigFailureActions", "s_agent", "Actions", "1,1,0")},
	{"ICE102", "never forgotten", "MsiServiceConfigFailureActions.s_agent.ResetPeriod", cell("MsiServiceConfigFailureActions", "s_agent", "ResetPeriod", nil)},
	{"ICE103", "nothing to print", "ControlEvent.Failed", inDialogs(func(db *msidb.Database) {
		db.Add("ControlEvent", "Failed", "ErrorText", "MsiPrint", "1", "1", 1)
	})},
	{"ICE104", "object", "MsiLockPermissionsEx.data.LockObject", cell("MsiLockPermissionsEx", "data", "LockObject", "INSTALLFOLDER")},
	{"ICE104", "both tables", "LockPermissions", row("LockPermissions", "f_conf", "File", nil, "guest", 1)},

	{"VPKG01", "not hidden", "Property.MsiHiddenProperties", prop("MsiHiddenProperties", "HookInstall")},
	{"VPKG01", "not secure", "Property.SecureCustomProperties", prop("SecureCustomProperties", "OLDVERSIONFOUND;NEWERVERSIONFOUND")},
	{"VPKG01", "has a value", "Property.ACTIVATION_CODE", prop("ACTIVATION_CODE", "x")},
	{"VPKG01", "command line in the log", "CustomAction.HookInstall.Type", cell("CustomAction", "HookInstall", "Type", 0xc02)},
	{"VPKG01", "in the registry", "Registry.r_version.Value", cell("Registry", "r_version", "Value", "[ACTIVATION_CODE]")},
	{"VPKG01", "in a service's arguments", "ServiceInstall.s_agent.Arguments", cell("ServiceInstall", "s_agent", "Arguments", "--code [ACTIVATION_CODE]")},
	{"VPKG01", "by another property", "", row("CustomAction", "SetData", 51, "HookRemove", "[ACTIVATION_CODE]", nil)},
	{"VPKG02", "directory in quotation marks", "ServiceInstall.s_agent.Arguments", cell("ServiceInstall", "s_agent", "Arguments", `--data "[DATAFOLDER]"`)},
	{"VPKG02", "two of them", "CustomAction.HookRemove.Target", cell("CustomAction", "HookRemove", "Target", `"A=[DATAFOLDER]" "B=[INSTALLFOLDER]"`)},
	{"VPKG02", "backslash", "CustomAction.HookRemove.Target", cell("CustomAction", "HookRemove", "Target", `remove "C:\agent\"`)},
	{"VPKG03", "no twin", execute + ".HookInstall", without(execute, "HookInstallRollback")},
	{"VPKG03", "twin comes later", execute + ".HookInstall", cell(execute, "HookInstallRollback", "Sequence", 4030)},
	{"VPKG03", "twin with another condition", execute + ".HookInstall", cell(execute, "HookInstallRollback", "Condition", "NOT Installed")},
	{"VPKG03", "one twin for two", execute + ".HookInstall", change(func(db *msidb.Database) {
		db.Add("CustomAction", "HookInstall2", 0xc02, "hook", "again", nil)
		db.Add(execute, "HookInstall2", `NOT REMOVE~="ALL"`, 4030)
	})},
	{"VPKG03", "twin for another property", execute + ".HookInstall", change(func(db *msidb.Database) {
		set(db, execute, "HookInstall", "Condition", `ACTIVATION_CODE AND NOT REMOVE`)
		set(db, execute, "HookInstallRollback", "Condition", `NOT ACTIVATION_CODE AND NOT REMOVE`)
	})},
	{"VPKG03", "twin for another value", execute + ".HookInstall", change(func(db *msidb.Database) {
		set(db, execute, "HookInstall", "Condition", `MODE="a"`)
		set(db, execute, "HookInstallRollback", "Condition", `MODE="b"`)
	})},
	{"VPKG04", "installed file", "CustomAction.HookRemoveRollback.Type", change(func(db *msidb.Database) {
		set(db, "CustomAction", "HookRemoveRollback", "Type", 0xd52)
		set(db, "CustomAction", "HookRemoveRollback", "Source", "f_agent")
	})},
	{"VPKG05", "runs in an upgrade", execute + ".HookRemove", change(func(db *msidb.Database) {
		set(db, execute, "HookRemove", "Condition", `REMOVE="ALL"`)
		set(db, execute, "HookRemoveRollback", "Condition", `REMOVE="ALL"`)
	})},
	{"VPKG06", "tree", "agent.cab", func(_ *msidb.Database, c *Contents) { c.Cabinets[0].IncompleteTrees = []int{3} }},
	{"VPKG07", "no program", "ServiceInstall.s_agent.Component_", change(func(db *msidb.Database) { moveService(db, "c_data") })},
	{"VPKG07", "not a program", "ServiceInstall.s_agent.Component_", change(func(db *msidb.Database) { moveService(db, "c_conf") })},
	{"VPKG07", "configured elsewhere", "ServiceControl.s_agent.Component_", cell("ServiceControl", "s_agent", "Component_", "c_conf")},
	{"VPKG07", "twice", "ServiceInstall.s_again.Name", row("ServiceInstall", "s_again", "ExampleAgent", nil, 0x10, 2, 1, nil, nil, nil, nil, nil, "c_agent", nil)},
	{"VPKG08", "no stream", "Media.1.Cabinet", change(func(db *msidb.Database) { db.Streams = db.Streams[:1] })},
	{"VPKG08", "file is missing", "File.f_conf", func(_ *msidb.Database, c *Contents) { c.Cabinets[0].Files = c.Cabinets[0].Files[:1] }},
	{"VPKG08", "file without a row", "Media.1.Cabinet", func(_ *msidb.Database, c *Contents) {
		c.Cabinets[0].Files = append(c.Cabinets[0].Files, CabinetFile{"f_more", 1})
	}},
	{"VPKG08", "file twice", "Media.1.Cabinet", func(_ *msidb.Database, c *Contents) {
		c.Cabinets[0].Files = append(c.Cabinets[0].Files, c.Cabinets[0].Files[1])
	}},
	{"VPKG08", "size", "File.f_agent.FileSize", func(_ *msidb.Database, c *Contents) { c.Cabinets[0].Files[0].Size++ }},
	{"VPKG08", "order", "File.f_conf.Sequence", func(_ *msidb.Database, c *Contents) {
		f := c.Cabinets[0].Files
		f[0], f[1] = f[1], f[0]
	}},
	{"VPKG08", "two of one sequence", "File.f_conf.Sequence", cell("File", "f_conf", "Sequence", 1)},
	{"VPKG08", "media out of order", "Media.2.LastSequence", row("Media", 2, 1, nil, nil, nil, nil)},
	{"VPKG08", "too many files", "Media.1.Cabinet", func(db *msidb.Database, c *Contents) {
		for i := range 65534 {
			key := "f" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strconv.Itoa(i)
			db.Add("File", key, "c_agent", "F"+strconv.Itoa(i), 1, nil, nil, 512, i+3)
			c.Cabinets[0].Files = append(c.Cabinets[0].Files, CabinetFile{key, 1})
		}
		set(db, "Media", "1", "LastSequence", 65536)
	}},
	{"VPKG09", "as the user", "CustomAction.HookRemove.Type", cell("CustomAction", "HookRemove", "Type", 0x442)},
	{"VPKG10", "restart", "MsiServiceConfigFailureActions.s_agent.Actions", cell("MsiServiceConfigFailureActions", "s_agent", "Actions", "0[~]1[~]0")},
}

// make32 makes a package of 32 bits of the base.
func make32(db *msidb.Database) {
	set(db, "Directory", "ProgramFiles64Folder", "Directory", "ProgramFilesFolder")
	set(db, "Directory", "INSTALLFOLDER", "Directory_Parent", "ProgramFilesFolder")
	for _, c := range []string{"c_agent", "c_conf", "c_data"} {
		set(db, "Component", c, "Attributes", 0)
	}
	db.Summary.Template = "Intel;1033"
}

func moveService(db *msidb.Database, component string) {
	for _, t := range []string{"ServiceInstall", "ServiceControl", "MsiServiceConfig", "MsiServiceConfigFailureActions"} {
		set(db, t, "s_agent", "Component_", component)
	}
}

// right is what may be done otherwise than in the base.
var right = []struct {
	name   string
	change func(*msidb.Database, *Contents)
}{
	{"as it is", func(*msidb.Database, *Contents) {}},
	{"with dialogs", change(dialogs)},
	{"with a user's folder", change(func(db *msidb.Database) { userFolder(db, "ProgramMenuFolder") })},
	{"for Arm64", change(func(db *msidb.Database) { db.Summary.Template = "Arm64;1033,1031" })},
	{"of 32 bits", change(make32)},
	{"not for the machine", change(func(db *msidb.Database) {
		remove(db, "Property", "ALLUSERS")
		set(db, "CustomAction", "HookRemove", "Type", 0x442)
	})},
	{"advertised shortcut", row("Shortcut", "sc", "INSTALLFOLDER", "Agent", "c_agent", "Main", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)},
	{"shortcut of each user", change(func(db *msidb.Database) {
		userFolder(db, "ProgramMenuFolder")
		db.Add("Shortcut", "sc", "USERDIR", "Agent", "c_user", "[INSTALLFOLDER]agent.exe", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
	})},
	{"hexadecimal", cell("Registry", "r_version", "Value", "#X1fA0")},
	{"negative", cell("Registry", "r_version", "Value", "#-5")},
	{"text with a number sign", cell("Registry", "r_version", "Value", "##5 of 6")},
	{"text to expand", cell("Registry", "r_version", "Value", "#%%PATH%")},
	{"number of a property", cell("Registry", "r_version", "Value", "#1[PART]")},
	{"property and text", cell("Registry", "r_version", "Value", "#[PART] [#f_agent]")},
	{"own file", cell("Registry", "r_version", "Value", "[#f_agent] [$c_agent] [!f_agent]")},
	{"variable set", cell("Environment", "e_path", "Value", "[INSTALLFOLDER]")},
	{"variable removed", cell("Environment", "e_path", "Value", nil)},
	{"variable before", cell("Environment", "e_path", "Value", "[INSTALLFOLDER];[~]")},
	{"removal before the transaction", cell(execute, "RemoveExistingProducts", "Sequence", 1450)},
	{"removal after it", cell(execute, "RemoveExistingProducts", "Sequence", 6700)},
	{"removal at its end", change(func(db *msidb.Database) {
		db.Add(execute, "InstallExecute", nil, 6500)
		set(db, execute, "RemoveExistingProducts", "Sequence", 6510)
	})},
	{"removal after an action at once", change(func(db *msidb.Database) {
		db.Add("CustomAction", "Now", 51, "NOW", "1", nil)
		db.Add(execute, "Now", nil, 1505)
		set(db, execute, "RemoveExistingProducts", "Sequence", 1510)
	})},
	{"SID of a service", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 5)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "3")
	})},
	{"privileges", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 6)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "SeDebugPrivilege[~]SeBackupPrivilege[~][~]")
	})},
	{"time to shut down", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfig", "s_agent", "ConfigType", 7)
		set(db, "MsiServiceConfig", "s_agent", "Argument", "60000")
	})},
	{"start by a property", cell("MsiServiceConfig", "s_agent", "Argument", "[DELAYED]")},
	{"no failure actions", change(func(db *msidb.Database) {
		set(db, "MsiServiceConfigFailureActions", "s_agent", "Actions", nil)
		set(db, "MsiServiceConfigFailureActions", "s_agent", "DelayActions", nil)
	})},
	{"actions by a component", change(func(db *msidb.Database) {
		for _, a := range []string{"HookInstall", "HookInstallRollback"} {
			set(db, execute, a, "Condition", "$c_agent=3 AND NOT (?c_agent=3 OR &Main=2)")
		}
	})},
	{"actions of an upgrade and a repair", change(func(db *msidb.Database) {
		set(db, execute, "HookInstall", "Condition", "OLDVERSIONFOUND OR REINSTALL")
		set(db, execute, "HookInstallRollback", "Condition", `OLDVERSIONFOUND OR REINSTALL="ALL"`)
	})},
	{"actions by a value", change(func(db *msidb.Database) {
		for _, a := range []string{"HookInstall", "HookInstallRollback"} {
			set(db, execute, a, "Condition", `MODE="a"`)
		}
	})},
	{"removal in an upgrade alone", change(func(db *msidb.Database) {
		set(db, execute, "HookRemove", "Condition", "UPGRADINGPRODUCTCODE")
		set(db, execute, "HookRemoveRollback", "Condition", "UPGRADINGPRODUCTCODE")
	})},
	{"the installed program as an action", change(func(db *msidb.Database) {
		set(db, "CustomAction", "HookInstall", "Type", 0x2c12)
		set(db, "CustomAction", "HookInstall", "Source", "f_agent")
	})},
	{"script", row("CustomAction", "Script", 38, nil, "a[0 + 1] = \"[x y]\"", nil)},
	{"secret set from another", change(func(db *msidb.Database) {
		db.Add("CustomAction", "SetHookInstall", 51, "HookInstall", "[ACTIVATION_CODE]", nil)
	})},
	{"path of a secret", prop("ACTIVATION_CODE_FILE", "x")},
	{"password of a service", change(func(db *msidb.Database) {
		setProperty(db, "MsiHiddenProperties", "ACTIVATION_CODE;HookInstall;SERVICE_PASSWORD")
		setProperty(db, "SecureCustomProperties", "ACTIVATION_CODE;OLDVERSIONFOUND;NEWERVERSIONFOUND;SERVICE_PASSWORD")
		set(db, "ServiceInstall", "s_agent", "Password", "[SERVICE_PASSWORD]")
	})},
	{"quoted quotation mark", cell("CustomAction", "HookRemove", "Target", `"say \"yes\"" "C:\a b\\" [DATAFOLDER]`)},
	{"files of two cabinets", func(db *msidb.Database, c *Contents) {
		set(db, "Media", "1", "LastSequence", 1)
		db.Add("Media", 2, 2, nil, "#more.cab", nil, nil)
		db.Streams = append(db.Streams, msidb.Stream{Name: "more.cab"}, msidb.Stream{Name: "\x05DigitalSignature" + strings.Repeat("x", 70)})
		c.Cabinets = []Cabinet{{Name: "agent.cab", Files: c.Cabinets[0].Files[:1]}, {Name: "more.cab", Files: c.Cabinets[0].Files[1:]}}
	}},
	{"file beside the package", change(func(db *msidb.Database) { otherComponent(db, "INSTALLFOLDER", "OTHER.EXE|other.exe") })},
	{"file with the version of another", change(func(db *msidb.Database) {
		db.Add("File", "f_lib", "c_agent", "AGENT.DLL|agent.dll", 10, "f_agent", nil, 0x2200, 1)
	})},
	{"no advertisement", change(func(db *msidb.Database) { db.Tables = deleteTable(db, "AdvtExecuteSequence") })},
	{"no administrator's image", change(func(db *msidb.Database) { db.Tables = deleteTable(db, "AdminExecuteSequence") })},
	{"search", change(func(db *msidb.Database) {
		db.Add(execute, "AppSearch", nil, 50)
		db.Add("AppSearch", "FOUND", "FOUND")
		db.Add("RegLocator", "FOUND", 2, "Software", "x", 18)
		db.Add("LaunchCondition", `FOUND="#1" OR %PATH`, "no")
	})},
	{"font", change(func(db *msidb.Database) {
		set(db, "File", "f_agent", "Language", nil)
		db.Add("Font", "f_agent", nil)
	})},
	{"permanent in the system folder", change(func(db *msidb.Database) {
		db.Add("Directory", "System64Folder", "TARGETDIR", ".")
		set(db, "Component", "c_agent", "Directory_", "System64Folder")
		set(db, "Component", "c_agent", "Attributes", 0x110)
	})},
}
