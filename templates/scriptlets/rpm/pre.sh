# Group and user must exist before rpm unpacks, or the files are root's. The hook
# is not on disk yet; everything else is its work.
{{- if or .EnvPrefix .User}}
die() { echo "{{.Name}}: $*" >&2; exit 1; }
{{- end}}
{{- with .EnvPrefix}}
unset {{.}}ACTIVATION_CODE # no program below has any use for it
user=${{"{"}}{{.}}NONPRIV_USER:-}
case $user in -* | *[!A-Za-z0-9_.-]*) die "{{.}}NONPRIV_USER: \"$user\" is not a user's name" ;; esac
if [ -n "$user" ] && ! getent passwd "$user" >/dev/null; then
	die "{{.}}NONPRIV_USER: there is no user \"$user\" on this host"
fi
{{- end}}
{{- with .User}}
user={{sh .}} group={{sh $.GroupName}} state={{sh $.State}}
made() { mkdir -p "$state" && echo "$1" >>"$state/made"; }
# Where all system numbers are taken, an ordinary one serves as well.
if ! getent group "$group" >/dev/null; then
	groupadd -r "$group" || groupadd "$group" || die "group \"$group\" cannot be made"
	made "group $group"
fi
if ! getent passwd "$user" >/dev/null; then
	set -- -M -g "$group" -d {{sh $.HomeDir}} -s {{sh $.LoginShell}} -c {{sh $.Comment}} "$user"
	useradd -r "$@" || useradd "$@" || die "user \"$user\" cannot be made"
	made "user $user"
fi
{{- end}}
exit 0
