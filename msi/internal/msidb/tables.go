package msidb

// The catalogue has a line for a table, and one for each of its columns:
//
//	NAME TYPE[*] [CATEGORY] [MIN..MAX] [>KEYTABLE[;KEYTABLE][/KEYCOLUMN]] [{VALUE;VALUE}] | DESCRIPTION
//
// with the type in the notation of IDT files, and * for a key. The types and rules
// are those of the SDK's schema.
const catalogue = `
_Validation
	Table s32* Identifier | Name of the table.
	Column s32* Identifier | Name of the column.
	Nullable s4 {Y;N;@} | Whether the column may be null.
	MinValue I4 -2147483647..2147483647 | Least number.
	MaxValue I4 -2147483647..2147483647 | Largest number.
	KeyTable S255 Identifier | Tables that the column refers to.
	KeyColumn I2 1..32 | Column of those tables that has the value.
	Category S32 {Text;Formatted;Template;Condition;Guid;Path;Version;Language;Identifier;Binary;UpperCase;LowerCase;Filename;Paths;AnyPath;WildCardFilename;RegPath;CustomSource;Property;Cabinet;Shortcut;FormattedSDDLText;Integer;DoubleInteger;TimeDate;DefaultDir} | Kind of string.
	Set S255 Text | The only values.
	Description S255 Text | What the column is for.

ActionText
	Action s72* Identifier | Action that the text is for.
	Description L0 Text | Shown while the action runs.
	Template L0 Template | How its data is shown.

AdminExecuteSequence
	Action s72* Identifier | Action to run.
	Condition S255 Condition | Runs it only if true.
	Sequence I2 -4..32767 | Place in the order; null never runs it.

AdminUISequence
	Action s72* Identifier | Action to run.
	Condition S255 Condition | Runs it only if true.
	Sequence I2 -4..32767 | Place in the order; null never runs it.

AdvtExecuteSequence
	Action s72* Identifier | Action to run.
	Condition S255 Condition | Runs it only if true.
	Sequence I2 -4..32767 | Place in the order; null never runs it.

AppSearch
	Property s72* Identifier | Property that gets what is found.
	Signature_ s72* Identifier >Signature;RegLocator;IniLocator;DrLocator;CompLocator | What is searched for.

Binary
	Name s72* Identifier | Name of the data.
	Data v0 Binary | The data.

CompLocator
	Signature_ s72* Identifier | What is searched for.
	ComponentId s38 Guid | Component whose key path is looked at.
	Type I2 0..1 | 0 finds a directory, 1 a file.

Component
	Component s72* Identifier | Name of the component.
	ComponentId S38 Guid | What identifies it on all machines; null leaves it unregistered.
	Directory_ s72 Identifier >Directory | Where its files go.
	Attributes i2 | Bits: 256 is 64-bit, 16 permanent, 128 never overwrite.
	Condition S255 Condition | Installs it only if true.
	KeyPath S72 Identifier >File;Registry;ODBCDataSource | What shows that it is there; null is its directory.

Condition
	Feature_ s38* Identifier >Feature | Feature whose level changes.
	Level i2* 0..32767 | Level that it gets.
	Condition S255 Condition | Changes it if true.

Control
	Dialog_ s72* Identifier >Dialog | Dialog that the control is in.
	Control s50* Identifier | Name of the control in its dialog.
	Type s20 Identifier | Kind of control.
	X i2 0..32767 | Left edge.
	Y i2 0..32767 | Upper edge.
	Width i2 0..32767 | Width.
	Height i2 0..32767 | Height.
	Attributes I4 0..2147483647 | Bits of its kind.
	Property S50 Identifier | Property that it shows or sets.
	Text L0 Formatted | Its text.
	Control_Next S50 Identifier >Control/2 | Next control by the tab key.
	Help L50 Text | Tip and help, with a bar between.

ControlCondition
	Dialog_ s72* Identifier >Dialog | Dialog that the control is in.
	Control_ s50* Identifier >Control/2 | Control.
	Action s50* {Default;Disable;Enable;Hide;Show} | What happens to it.
	Condition s255* Condition | It happens if true.

ControlEvent
	Dialog_ s72* Identifier >Dialog | Dialog that the control is in.
	Control_ s50* Identifier >Control/2 | Control.
	Event s50* Formatted | What it triggers.
	Argument s255* Formatted | Argument of the event.
	Condition S255* Condition | Triggers it only if true.
	Ordering I2 0..2147483647 | Place among the events of the control.

CreateFolder
	Directory_ s72* Identifier >Directory | Directory to make.
	Component_ s72* Identifier >Component | Component that it comes with.

CustomAction
	Action s72* Identifier | Name of the action.
	Type i2 1..32767 | Bits: what it runs, when and as whom.
	Source S72 CustomSource | Where its program is.
	Target S255 Formatted | Its arguments, by type.
	ExtendedType I4 0..2147483647 | More bits.

Dialog
	Dialog s72* Identifier | Name of the dialog.
	HCentering i2 0..100 | Horizontal place, 50 is the middle.
	VCentering i2 0..100 | Vertical place, 50 is the middle.
	Width i2 0..32767 | Width.
	Height i2 0..32767 | Height.
	Attributes I4 0..2147483647 | Bits of its style.
	Title L128 Formatted | Its title.
	Control_First s50 Identifier >Control/2 | Control with the focus at first.
	Control_Default S50 Identifier >Control/2 | Control for the return key.
	Control_Cancel S50 Identifier >Control/2 | Control for the escape key.

Directory
	Directory s72* Identifier | Name of the directory, and the property with its path.
	Directory_Parent S72 Identifier >Directory | Directory that it is in; null for the root.
	DefaultDir l255 DefaultDir | Its name there.

DrLocator
	Signature_ s72* Identifier | What is searched for.
	Parent S72* Identifier | Signature of the directory that it is below.
	Path S255* AnyPath | Path below the parent, or a full one.
	Depth I2 0..32767 | Levels to search.

DuplicateFile
	FileKey s72* Identifier | Name of the row.
	Component_ s72 Identifier >Component | Component that it comes with.
	File_ s72 Identifier >File | File to copy.
	DestName L255 Filename | Name of the copy.
	DestFolder S72 Identifier | Property with the directory of the copy.

Environment
	Environment s72* Identifier | Name of the row.
	Name l255 Text | Name of the variable, after characters that say what to do.
	Value L255 Formatted | Its value.
	Component_ s72 Identifier >Component | Component that it comes with.

Error
	Error i2* 0..32767 | Number of the error.
	Message L0 Template | Its message.

Feature
	Feature s38* Identifier | Name of the feature.
	Feature_Parent S38 Identifier >Feature | Feature that it is part of.
	Title L64 Text | Its title.
	Description L255 Text | What it is.
	Display I2 0..32767 | Place in the tree; 0 hides it.
	Level i2 0..32767 | Level from which it is installed.
	Directory_ S72 UpperCase >Directory | Directory that a user may change.
	Attributes i2 {0;1;2;4;5;6;8;9;10;16;17;18;20;21;22;24;25;26;32;33;34;36;37;38;48;49;50;52;53;54} | Bits: where it runs from and whether it can be left out.

FeatureComponents
	Feature_ s38* Identifier >Feature | Feature.
	Component_ s72* Identifier >Component | Component that is part of it.

File
	File s72* Identifier | Name of the file in its cabinet.
	Component_ s72 Identifier >Component | Component that it is part of.
	FileName l255 Filename | Its name on disk: short, or short and long.
	FileSize i4 0..2147483647 | Its size in bytes.
	Version S72 Version >File | Its version, or the file whose version counts.
	Language S20 Language | Its languages.
	Attributes I2 0..32767 | Bits: 1 is read-only, 2 hidden, 4 system, 512 vital.
	Sequence i4 1..2147483647 | Its place in the cabinets.

Font
	File_ s72* Identifier >File | File with the font.
	FontTitle S128 Text | Name of the font.

Icon
	Name s72* Identifier | Name of the icon.
	Data v0 Binary | Icon or program with it.

IniFile
	IniFile s72* Identifier | Name of the row.
	FileName l255 Filename | File to change.
	DirProperty S72 Identifier | Property with its directory.
	Section l96 Formatted | Section of the file.
	Key l128 Formatted | Key in the section.
	Value l255 Formatted | Value to write.
	Action i2 {0;1;3} | How it is written.
	Component_ s72 Identifier >Component | Component that it comes with.

IniLocator
	Signature_ s72* Identifier | What is searched for.
	FileName s255 Filename | File to look in.
	Section s96 Text | Section of the file.
	Key s128 Text | Key in the section.
	Field I2 0..32767 | Field of the value; 0 is all.
	Type I2 0..2 | 0 finds a directory, 1 a file, 2 the value.

InstallExecuteSequence
	Action s72* Identifier | Action to run.
	Condition S255 Condition | Runs it only if true.
	Sequence I2 -4..32767 | Place in the order; null never runs it.

InstallUISequence
	Action s72* Identifier | Action to run.
	Condition S255 Condition | Runs it only if true.
	Sequence I2 -4..32767 | Place in the order; null never runs it.

LaunchCondition
	Condition s255* Condition | What must be true.
	Description l255 Formatted | Message if it is not.

LockPermissions
	LockObject s72* Identifier | Row of the table with the object.
	Table s32* Identifier {Directory;File;Registry} | Table with the object.
	Domain S255* Formatted | Domain of the user.
	User s255* Formatted | User who gets the permission.
	Permission I4 -2147483647..2147483647 | Bits of the permission.

Media
	DiskId i2* 1..32767 | Number of the medium.
	LastSequence i4 0..2147483647 | Sequence of the last file on it.
	DiskPrompt L64 Text | Name that a user sees.
	Cabinet S255 Cabinet | Name of the cabinet; # says that it is in the package.
	VolumeLabel S32 Text | Label of the volume.
	Source S72 Property | Property with its place.

MoveFile
	FileKey s72* Identifier | Name of the row.
	Component_ s72 Identifier >Component | Component that it comes with.
	SourceName L255 Text | Files to move.
	DestName L255 Filename | Name that they get.
	SourceFolder S72 Identifier | Property with the directory that they are in.
	DestFolder s72 Identifier | Property with the directory that they get to.
	Options i2 0..1 | 0 copies, 1 moves.

MsiAssembly
	Component_ s72* Identifier >Component | Component with the assembly.
	Feature_ s38 Identifier >Feature | Feature that needs it.
	File_Manifest S72 Identifier >File | File with its manifest.
	File_Application S72 Identifier >File | File of the program that it is private to.
	Attributes I2 | 0 is .NET, 1 Win32.

MsiAssemblyName
	Component_ s72* Identifier >Component | Component with the assembly.
	Name s255* Text | Attribute of its name.
	Value s255 Text | The attribute's value.

MsiDigitalCertificate
	DigitalCertificate s72* Identifier | Name of the certificate.
	CertData v0 Binary | The certificate.

MsiDigitalSignature
	Table s32* {Media} | Table with what is signed.
	SignObject s72* Text | Row of that table.
	DigitalCertificate_ s72 Identifier >MsiDigitalCertificate | Certificate that must have signed it.
	Hash V0 Binary | Hash of the signature.

MsiFileHash
	File_ s72* Identifier >File | File that the hash is of.
	Options i2 0..32767 | Must be 0.
	HashPart1 i4 | First four bytes of the MD5.
	HashPart2 i4 | Second four bytes.
	HashPart3 i4 | Third four bytes.
	HashPart4 i4 | Last four bytes.

MsiLockPermissionsEx
	MsiLockPermissionsEx s72* Identifier | Name of the row.
	LockObject s72 Identifier | Row of the table with the object.
	Table s32 Identifier {CreateFolder;File;Registry;ServiceInstall} | Table with the object.
	SDDLText s0 FormattedSDDLText | Permissions in the security descriptor language.
	Condition S255 Condition | Sets them only if true.

MsiPackageCertificate
	PackageCertificate s72* Identifier | Name of the row.
	DigitalCertificate_ s72 Identifier >MsiDigitalCertificate | Certificate that may sign the package.

MsiServiceConfig
	MsiServiceConfig s72* Identifier | Name of the row.
	Name l255 Formatted | Name of the service.
	Event i2 0..7 | Bits: 1 is install, 2 uninstall, 4 reinstall.
	ConfigType i4 -2147483647..2147483647 | What is set.
	Argument S0 Formatted | What it is set to.
	Component_ s72 Identifier >Component | Component that it comes with.

MsiServiceConfigFailureActions
	MsiServiceConfigFailureActions s72* Identifier | Name of the row.
	Name l255 Formatted | Name of the service.
	Event i2 0..7 | Bits: 1 is install, 2 uninstall, 4 reinstall.
	ResetPeriod I4 0..2147483647 | Seconds without a failure until they are forgotten.
	RebootMessage L255 Formatted | Message before a restart of the machine.
	Command L255 Formatted | Command to run.
	Actions S0 Text | What happens at each failure.
	DelayActions S0 Text | Milliseconds until then.
	Component_ s72 Identifier >Component | Component that it comes with.

MsiShortcutProperty
	MsiShortcutProperty s72* Identifier | Name of the row.
	Shortcut_ s72 Identifier >Shortcut | Shortcut that gets the property.
	PropertyKey s0 Formatted | Name of the property.
	PropVariantValue s0 Formatted | Its value.

PatchPackage
	PatchId s38* Guid | Code of the patch.
	Media_ i2 0..32767 | Medium with the patch.

Property
	Property s72* Identifier | Name of the property.
	Value l0 Text | Its value.

Registry
	Registry s72* Identifier | Name of the row.
	Root i2 -1..3 | Root of the key: 0 is classes, 1 user, 2 machine, 3 users, -1 by context.
	Key l255 RegPath | Path of the key.
	Name L255 Formatted | Name of the value.
	Value L0 Formatted | The value.
	Component_ s72 Identifier >Component | Component that it comes with.

RegLocator
	Signature_ s72* Identifier | What is searched for.
	Root i2 0..3 | Root of the key.
	Key s255 RegPath | Path of the key.
	Name S255 Formatted | Name of the value.
	Type I2 0..18 | 0 finds a directory, 1 a file, 2 the value; 16 is 64-bit.

RemoveFile
	FileKey s72* Identifier | Name of the row.
	Component_ s72 Identifier >Component | Component that it comes with.
	FileName L255 WildCardFilename | Files to remove; null is the directory.
	DirProperty s72 Identifier | Property with the directory.
	InstallMode i2 {1;2;3} | When: 1 is install, 2 uninstall.

RemoveIniFile
	RemoveIniFile s72* Identifier | Name of the row.
	FileName l255 Filename | File to change.
	DirProperty S72 Identifier | Property with its directory.
	Section l96 Formatted | Section of the file.
	Key l128 Formatted | Key in the section.
	Value L255 Formatted | Value to remove.
	Action i2 {2;4} | How it is removed.
	Component_ s72 Identifier >Component | Component that it comes with.

RemoveRegistry
	RemoveRegistry s72* Identifier | Name of the row.
	Root i2 -1..3 | Root of the key.
	Key l255 RegPath | Path of the key.
	Name L255 Formatted | Name of the value to remove.
	Component_ s72 Identifier >Component | Component that it comes with.

ReserveCost
	ReserveKey s72* Identifier | Name of the row.
	Component_ s72 Identifier >Component | Component that needs the space.
	ReserveFolder S72 Identifier | Property with the directory.
	ReserveLocal i4 0..2147483647 | Bytes when it is installed.
	ReserveSource i4 0..2147483647 | Bytes when it runs from its source.

SelfReg
	File_ s72* Identifier >File | Library that registers itself.
	Cost I2 0..32767 | Its cost.

ServiceControl
	ServiceControl s72* Identifier | Name of the row.
	Name l255 Formatted | Name of the service.
	Event i2 0..187 | Bits: what happens to it, and when.
	Arguments L255 Formatted | Arguments for its start.
	Wait I2 0..1 | Whether to wait for it.
	Component_ s72 Identifier >Component | Component that it comes with.

ServiceInstall
	ServiceInstall s72* Identifier | Name of the row.
	Name s255 Formatted | Name of the service.
	DisplayName L255 Formatted | Name that a user sees.
	ServiceType i4 -2147483647..2147483647 | Kind of service.
	StartType i4 0..4 | When it starts.
	ErrorControl i4 -2147483647..2147483647 | What happens if it does not start.
	LoadOrderGroup S255 Formatted | Group that it starts with.
	Dependencies S255 Formatted | Services that it needs.
	StartName S255 Formatted | User that it runs as.
	Password S255 Formatted | That user's password.
	Arguments S255 Formatted | Arguments of its program.
	Component_ s72 Identifier >Component | Component whose key path is its program.
	Description L255 Text | What it does.

Shortcut
	Shortcut s72* Identifier | Name of the row.
	Directory_ s72 Identifier >Directory | Directory that it is in.
	Name l128 Filename | Its name.
	Component_ s72 Identifier >Component | Component that it comes with.
	Target s72 Shortcut | What it starts.
	Arguments S255 Formatted | Arguments for that.
	Description L255 Text | What it is.
	Hotkey I2 0..32767 | Key that starts it.
	Icon_ S72 Identifier >Icon | Its icon.
	IconIndex I2 -32767..32767 | Which of the icons.
	ShowCmd I2 {1;3;7} | How the window opens.
	WkDir S72 Identifier | Property with the directory that it runs in.
	DisplayResourceDLL S255 Formatted | Library with its name.
	DisplayResourceId I2 0..32767 | Number of its name there.
	DescriptionResourceDLL S255 Formatted | Library with its description.
	DescriptionResourceId I2 0..32767 | Number of its description there.

Signature
	Signature s72* Identifier | Name of the signature.
	FileName s255 Filename | File that is searched for.
	MinVersion S20 Text | Least version.
	MaxVersion S20 Text | Largest version.
	MinSize I4 0..2147483647 | Least size.
	MaxSize I4 0..2147483647 | Largest size.
	MinDate I4 0..2147483647 | Earliest date.
	MaxDate I4 0..2147483647 | Latest date.
	Languages S255 Language | Its languages.

TextStyle
	TextStyle s72* Identifier | Name of the style.
	FaceName s32 Text | Name of the font.
	Size i2 0..32767 | Size in points.
	Color I4 0..16777215 | Color: red, green times 256, blue times 65536.
	StyleBits I2 0..15 | Bits: 1 is bold, 2 italic, 4 underlined, 8 struck out.

TypeLib
	LibID s38* Guid | What identifies the library.
	Language i2* 0..32767 | Its language.
	Component_ s72* Identifier >Component | Component with the library.
	Version I4 0..16777215 | Its version.
	Description L128 Text | What it is.
	Directory_ S72 Identifier >Directory | Directory with its help.
	Feature_ s38 Identifier >Feature | Feature that needs it.
	Cost I4 0..2147483647 | Its cost.

UIText
	Key s72* Identifier | Name of the text.
	Text L255 Text | The text.

Upgrade
	UpgradeCode s38* Guid | Products to look for.
	VersionMin S20* Text | Least version.
	VersionMax S20* Text | Largest version.
	Language S255* Language | Languages.
	Attributes i4* 0..2147483647 | Bits: 1 migrates features, 2 only detects, 256 and 512 include the versions.
	Remove S255 Formatted | Features to remove; null is all.
	ActionProperty s72 UpperCase | Property that gets the products found.
`
