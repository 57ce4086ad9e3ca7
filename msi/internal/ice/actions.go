package ice

import (
	"slices"
	"strings"
)

// The sequence tables.
const (
	installExecute = "InstallExecuteSequence"
	installUI      = "InstallUISequence"
	adminExecute   = "AdminExecuteSequence"
	adminUI        = "AdminUISequence"
	advtExecute    = "AdvtExecuteSequence"
)

// sequenceTables is all of them. Windows Installer does not use AdvtUISequence.
var sequenceTables = [...]string{installExecute, installUI, adminExecute, adminUI, advtExecute}

// A section is the part of a sequence that an action belongs to: the page ICE27.
type section int

const (
	anywhere  section = iota
	search            // before CostInitialize
	costing           // from CostInitialize to CostFinalize
	selection         // between CostFinalize and InstallValidate
	execution         // between InstallValidate and InstallFinalize: it writes the script
)

func (s section) String() string {
	return [...]string{
		"anywhere", "before CostInitialize", "from CostInitialize to CostFinalize",
		"between CostFinalize and InstallValidate", "between InstallValidate and InstallFinalize",
	}[s]
}

// A standardAction is one of Windows Installer's own.
type standardAction struct {
	name     string
	sequence int // where the SDK's suggested sequences have it; 0 for an action that they leave out
	section  section
	tables   string // the sequences that it may stand in: Xecute, Ui, Admin, admin-Ui (a), adVertisement
}

// in reports whether the action may stand in a sequence.
func (a standardAction) in(table string) bool {
	letter := map[string]string{installExecute: "X", installUI: "U", adminExecute: "A", adminUI: "a", advtExecute: "V"}[table]
	return strings.Contains(a.tables, letter)
}

// standardActions are those of the SDK's page "Standard Actions Reference", in the
// order of its suggested sequences.
var standardActions = [...]standardAction{
	{"FindRelatedProducts", 25, anywhere, "XU"},
	{"AppSearch", 50, search, "XUa"},
	{"LaunchConditions", 100, anywhere, "XUAa"},
	{"CCPSearch", 500, search, "XUa"},
	{"RMCCPSearch", 600, anywhere, "XU"},
	{"ValidateProductID", 700, anywhere, "XU"},
	{"CostInitialize", 800, costing, "XUAaV"},
	{"ResolveSource", 850, anywhere, "XUAa"},
	{"FileCost", 900, costing, "XUAa"},
	{"IsolateComponents", 950, costing, "XU"},
	{"CostFinalize", 1000, costing, "XUAaV"},
	{"SetODBCFolders", 1100, selection, "XU"},
	{"MigrateFeatureStates", 1200, anywhere, "XU"},
	{"ExecuteAction", 1300, anywhere, "Ua"},
	{"InstallValidate", 1400, anywhere, "XUAV"},
	{"RemoveExistingProducts", 1450, anywhere, "X"},
	{"InstallInitialize", 1500, execution, "XAV"},
	{"AllocateRegistrySpace", 1550, execution, "X"},
	{"ProcessComponents", 1600, execution, "X"},
	{"UnpublishComponents", 1700, execution, "X"},
	{"MsiUnpublishAssemblies", 1750, execution, "X"},
	{"UnpublishFeatures", 1800, execution, "X"},
	{"UnpublishProduct", 1850, execution, "X"},
	{"StopServices", 1900, execution, "X"},
	{"DeleteServices", 2000, execution, "X"},
	{"UnregisterComPlus", 2100, execution, "X"},
	{"SelfUnregModules", 2200, execution, "X"},
	{"UnregisterTypeLibraries", 2300, execution, "X"},
	{"RemoveODBC", 2400, execution, "X"},
	{"UnregisterFonts", 2500, execution, "X"},
	{"RemoveRegistryValues", 2600, execution, "X"},
	{"UnregisterClassInfo", 2700, execution, "X"},
	{"UnregisterExtensionInfo", 2800, execution, "X"},
	{"UnregisterProgIdInfo", 2900, execution, "X"},
	{"UnregisterMIMEInfo", 3000, execution, "X"},
	{"RemoveIniValues", 3100, execution, "X"},
	{"RemoveShortcuts", 3200, execution, "X"},
	{"RemoveEnvironmentStrings", 3300, execution, "X"},
	{"RemoveDuplicateFiles", 3400, execution, "X"},
	{"RemoveFiles", 3500, execution, "X"},
	{"RemoveFolders", 3600, execution, "X"},
	{"CreateFolders", 3700, execution, "X"},
	{"MoveFiles", 3800, execution, "X"},
	{"InstallAdminPackage", 3900, execution, "A"},
	{"InstallFiles", 4000, execution, "XA"},
	{"InstallSFPCatalogFile", 4070, execution, "X"},
	{"PatchFiles", 4090, execution, "XA"},
	{"DuplicateFiles", 4210, execution, "X"},
	{"BindImage", 4300, execution, "X"},
	{"CreateShortcuts", 4500, execution, "XV"},
	{"RegisterClassInfo", 4600, execution, "XV"},
	{"RegisterExtensionInfo", 4700, execution, "XV"},
	{"RegisterProgIdInfo", 4800, execution, "XV"},
	{"RegisterMIMEInfo", 4900, execution, "XV"},
	{"WriteRegistryValues", 5000, execution, "X"},
	{"WriteIniValues", 5100, execution, "X"},
	{"WriteEnvironmentStrings", 5200, execution, "X"},
	{"RegisterFonts", 5300, execution, "X"},
	{"InstallODBC", 5400, execution, "X"},
	{"RegisterTypeLibraries", 5500, execution, "X"},
	{"SelfRegModules", 5600, execution, "X"},
	{"RegisterComPlus", 5700, execution, "X"},
	{"InstallServices", 5800, execution, "X"},
	{"MsiConfigureServices", 5850, execution, "X"},
	{"StartServices", 5900, execution, "X"},
	{"RegisterUser", 6000, execution, "X"},
	{"RegisterProduct", 6100, execution, "X"},
	{"PublishComponents", 6200, execution, "XV"},
	{"MsiPublishAssemblies", 6250, execution, "XV"},
	{"PublishFeatures", 6300, execution, "XV"},
	{"PublishProduct", 6400, execution, "XV"},
	{"ScheduleReboot", 6410, anywhere, "XUAa"},
	{"InstallExecute", 6500, execution, "X"},
	{"InstallExecuteAgain", 6550, execution, "X"},
	{"InstallFinalize", 6600, anywhere, "XAV"},
	{"ForceReboot", 0, anywhere, "XUAa"},
	{"DisableRollback", 0, anywhere, "XA"},
	// What runs a sequence has no place in one.
	{"INSTALL", 0, anywhere, ""},
	{"ADMIN", 0, anywhere, ""},
	{"ADVERTISE", 0, anywhere, ""},
	{"SEQUENCE", 0, anywhere, "XUAa"},
}

// standard finds a standard action by its name.
func standard(name string) (standardAction, bool) {
	for _, a := range standardActions {
		if a.name == name {
			return a, true
		}
	}
	return standardAction{}, false
}

// requiredActions are those that a sequence cannot do without.
var requiredActions = []struct {
	table   string
	actions []string
}{
	{installExecute, []string{"CostInitialize", "FileCost", "CostFinalize", "InstallValidate", "InstallInitialize", "ProcessComponents", "UnpublishFeatures", "InstallFinalize"}},
	{installUI, []string{"CostInitialize", "FileCost", "CostFinalize", "ExecuteAction"}},
	{adminExecute, []string{"CostInitialize", "FileCost", "CostFinalize", "InstallValidate", "InstallInitialize", "InstallAdminPackage", "InstallFiles", "InstallFinalize"}},
	{adminUI, []string{"CostInitialize", "FileCost", "CostFinalize", "ExecuteAction"}},
}

// unconditional are the actions that must run always: the page ICE84.
var unconditional = []string{
	"CostInitialize", "CostFinalize", "FileCost", "InstallValidate", "InstallInitialize", "InstallFinalize",
	"ProcessComponents", "PublishFeatures", "PublishProduct", "RegisterProduct", "UnpublishFeatures",
}

// actionOrder says which action must stand before which: the paragraphs "Sequence
// Restrictions" of the actions' pages.
var actionOrder = [...][2]string{
	{"AppSearch", "RMCCPSearch"},
	{"CCPSearch", "RMCCPSearch"},
	{"CostInitialize", "FileCost"},
	{"CostInitialize", "ResolveSource"},
	{"FileCost", "CostFinalize"},
	{"CostFinalize", "MigrateFeatureStates"},
	{"CostFinalize", "InstallValidate"},
	{"CostFinalize", "ExecuteAction"},
	{"FindRelatedProducts", "MigrateFeatureStates"},
	{"FindRelatedProducts", "RemoveExistingProducts"},
	{"InstallValidate", "InstallInitialize"},
	{"InstallInitialize", "ProcessComponents"},
	{"InstallInitialize", "InstallFinalize"},
	{"ProcessComponents", "UnpublishComponents"},
	{"ProcessComponents", "UnpublishFeatures"},
	{"ProcessComponents", "RemoveFiles"},
	{"ProcessComponents", "InstallFiles"},
	{"StopServices", "DeleteServices"},
	{"StopServices", "RemoveFiles"},
	{"StopServices", "InstallFiles"},
	{"StopServices", "StartServices"},
	{"DeleteServices", "RemoveFiles"},
	{"DeleteServices", "InstallServices"},
	{"SelfUnregModules", "RemoveFiles"},
	{"SelfUnregModules", "SelfRegModules"},
	{"UnregisterComPlus", "RegisterComPlus"},
	{"UnregisterTypeLibraries", "RegisterTypeLibraries"},
	{"RemoveODBC", "InstallODBC"},
	{"UnregisterFonts", "RegisterFonts"},
	{"UnregisterFonts", "RemoveFiles"},
	{"RemoveRegistryValues", "WriteRegistryValues"},
	{"UnregisterClassInfo", "RegisterClassInfo"},
	{"UnregisterExtensionInfo", "RegisterExtensionInfo"},
	{"UnregisterProgIdInfo", "RegisterProgIdInfo"},
	{"UnregisterMIMEInfo", "RegisterMIMEInfo"},
	{"RemoveIniValues", "WriteIniValues"},
	{"RemoveShortcuts", "CreateShortcuts"},
	{"RemoveEnvironmentStrings", "WriteEnvironmentStrings"},
	{"RemoveDuplicateFiles", "DuplicateFiles"},
	{"RemoveFiles", "InstallFiles"},
	{"RemoveFiles", "RemoveFolders"},
	{"CreateFolders", "InstallFiles"},
	{"MoveFiles", "InstallFiles"},
	{"InstallFiles", "PatchFiles"},
	{"InstallFiles", "DuplicateFiles"},
	{"InstallFiles", "BindImage"},
	{"InstallFiles", "SelfRegModules"},
	{"InstallFiles", "InstallServices"},
	{"InstallFiles", "RegisterFonts"},
	{"InstallServices", "MsiConfigureServices"},
	{"InstallServices", "StartServices"},
	{"MsiConfigureServices", "StartServices"},
	{"PublishFeatures", "PublishProduct"},
	{"InstallExecute", "InstallFinalize"},
	{"InstallExecuteAgain", "InstallFinalize"},
}

// writesScript reports whether an action leaves operations in the script that
// InstallFinalize runs.
func writesScript(a standardAction) bool {
	return a.section == execution && a.name != "InstallInitialize"
}

// userFolders are the properties of folders in a user's profile; those that are
// true stay there even when ALLUSERS asks for all users: the page ICE91.
var userFolders = map[string]bool{
	"AppDataFolder": true, "FavoritesFolder": true, "LocalAppDataFolder": true, "MyPicturesFolder": true,
	"NetHoodFolder": true, "PersonalFolder": true, "PrintHoodFolder": true, "RecentFolder": true, "SendToFolder": true,
	"AdminToolsFolder": false, "DesktopFolder": false, "ProgramMenuFolder": false, "StartMenuFolder": false,
	"StartupFolder": false, "TemplateFolder": false,
}

// folders64 is the folders that differ between 32 and 64 bits; true for the latter.
var folders64 = map[string]bool{
	"ProgramFilesFolder": false, "CommonFilesFolder": false, "SystemFolder": false,
	"ProgramFiles64Folder": true, "CommonFiles64Folder": true, "System64Folder": true,
}

// systemFolders is the rest of the folders that are properties.
var systemFolders = []string{"CommonAppDataFolder", "FontsFolder", "System16Folder", "TempFolder", "WindowsFolder", "WindowsVolume"}

// systemProperties are those that Windows Installer sets or reads, but the folders:
// the SDK's page "Property Reference".
var systemProperties = strings.Fields(`
ACTION ADDDEFAULT ADDLOCAL ADDSOURCE ADMINISTRATOR ADVERTISE AdminProperties AdminUser Alpha ALLUSERS ARPAUTHORIZEDCDFPREFIX ARPCOMMENTS ARPCONTACT
ARPHELPLINK ARPHELPTELEPHONE ARPINSTALLLOCATION ARPNOMODIFY ARPNOREMOVE ARPNOREPAIR ARPPRODUCTICON ARPREADME ARPSETTINGSIDENTIFIER ARPSHIM ARPSIZE
ARPSYSTEMCOMPONENT ARPURLINFOABOUT ARPURLUPDATEINFO AVAILABLEFREEREG BorderSide BorderTop CCP_DRIVE COMPADDDEFAULT COMPADDLOCAL COMPADDSOURCE
COMPANYNAME CaptionHeight ColorBits ComputerName CostingComplete CustomActionData DISABLEADVTSHORTCUTS DISABLEMEDIA DISABLEROLLBACK Date
DefaultUIFont DiskPrompt EXECUTEACTION EXECUTEMODE ErrorDialog FASTOEM FILEADDDEFAULT FILEADDLOCAL FILEADDSOURCE INSTALLLEVEL Installed Intel Intel64
IsAdminPackage LIMITUI LOGACTION LogonUser MEDIAPACKAGEPATH MSIARPSETTINGSIDENTIFIER MSICHECKCRCS MSIDEPLOYMENTCOMPLIANT MSIDISABLEEEUI
MSIDISABLERMRESTART MSIENFORCEUPGRADECOMPONENTRULES MSIFASTINSTALL MSIINSTALLPERUSER MSIINSTANCEGUID MSINEWINSTANCE MSINODISABLEMEDIA
MSIPATCHREMOVE MSIRESTARTMANAGERCONTROL MSIRMSHUTDOWN MSIUNINSTALLSUPERSEDEDCOMPONENTS MSIUSEREALADMINDETECTION Manufacturer Msix64 MsiAMD64
MsiHiddenProperties MsiLogFileLocation MsiLogging MsiNTProductType MsiNTSuiteBackOffice MsiNTSuiteDataCenter MsiNTSuiteEnterprise
MsiNTSuitePersonal MsiNTSuiteSmallBusiness MsiNTSuiteSmallBusinessRestricted MsiNTSuiteWebServer MsiNetAssemblySupport
MsiPatchRemovalList MsiRestartManagerSessionKey MsiRunningElevated MsiSystemRebootPending MsiTabletPC MsiTrueAdminUser MsiUILevel
MsiUIHideCancel MsiUIProgressOnly MsiUISourceResOnly MsiUnattended MsiWin32AssemblySupport NOCOMPANYNAME NOUSERNAME OLEAdvtSupport OriginalDatabase
OutOfDiskSpace OutOfNoRbDiskSpace PATCH PATCHNEWPACKAGECODE PATCHNEWSUMMARYCOMMENTS PATCHNEWSUMMARYSUBJECT PIDKEY PIDTemplate PRIMARYFOLDER
PROMPTROLLBACKCOST ParentOriginalDatabase ParentProductCode PhysicalMemory Preselected PrimaryVolumePath PrimaryVolumeSpaceAvailable
PrimaryVolumeSpaceRemaining PrimaryVolumeSpaceRequired Privileged ProductCode ProductID ProductLanguage ProductName ProductState ProductVersion
QFEUpgrade REBOOT REBOOTPROMPT REINSTALL REINSTALLMODE REMOVE ROOTDRIVE RTLSystem RedirectedDllSupport RemoteAdminTS ReplacedInUseFiles
RestrictedUserControl RollbackDisabled SEQUENCE SHORTFILENAMES ScreenX ScreenY SecureCustomProperties ServicePackLevel ServicePackLevelMinor
SharedWindows ShellAdvtSupport SourceDir SystemLanguageID TARGETDIR TRANSFORMS TRANSFORMSATSOURCE TRANSFORMSSECURE TTCSupport TerminalServer
TextHeight TextInternalLeading Time UILevel UPGRADINGPRODUCTCODE USERNAME UpdateStarted UpgradeCode UserLanguageID UserSID Version9X VersionDatabase
VersionMsi VersionNT VersionNT64 VirtualMemory WindowsBuild`)

// isSystemProperty reports whether Windows Installer gives a property its meaning,
// folders included.
func isSystemProperty(name string) bool {
	_, user := userFolders[name]
	_, bits := folders64[name]
	return user || bits || slices.Contains(systemProperties, name) || slices.Contains(systemFolders, name)
}
