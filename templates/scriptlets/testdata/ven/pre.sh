# Group and user must exist before rpm unpacks, or the files are root's. The hook
# is not on disk yet; everything else is its work.
die() { echo "illumio-ven: $*" >&2; exit 1; }
unset VEN_ACTIVATION_CODE # no program below has any use for it
user=${VEN_NONPRIV_USER:-}
case $user in -* | *[!A-Za-z0-9_.-]*) die "VEN_NONPRIV_USER: \"$user\" is not a user's name" ;; esac
if [ -n "$user" ] && ! getent passwd "$user" >/dev/null; then
	die "VEN_NONPRIV_USER: there is no user \"$user\" on this host"
fi
user=ilo-ven group=ilo-ven state=/var/lib/vpkg/illumio-ven
made() { mkdir -p "$state" && echo "$1" >>"$state/made"; }
# Where all system numbers are taken, an ordinary one serves as well.
if ! getent group "$group" >/dev/null; then
	groupadd -r "$group" || groupadd "$group" || die "group \"$group\" cannot be made"
	made "group $group"
fi
if ! getent passwd "$user" >/dev/null; then
	set -- -M -g "$group" -d /opt/illumio_ven_data -s /sbin/nologin -c 'Illumio'\''s VEN' "$user"
	useradd -r "$@" || useradd "$@" || die "user \"$user\" cannot be made"
	made "user $user"
fi
exit 0
