#!/bin/sh
# pair.sh - installs {{.Product}} {{.Version}} on this host and pairs it with its server.
#
# The server made it for one release of the product. Nothing happens before the last
# line, so that a download that was cut off does nothing. It is a script for any POSIX
# shell; "pair.sh --help" tells what it takes and how it ends.

constants() {
	product={{sh .Product}}
	release={{sh .Version}}
	api={{.API}}
	profile={{if .Profile}}{{.Profile}}{{end}}
	program=/opt/illumio_ven
	data=/opt/illumio_ven_data
	account=ilo-ven
	state=/var/lib/vpkg/$product
	log_file=/var/log/illumio_install.log
}

# images lists the packages of the release: system, architecture, format, version,
# file, bytes, SHA-256.
images() {
	cat <<'END'
{{- range .Images}}
{{.OS}} {{.Arch}} {{.Format}} {{.Version}} {{.FileName}} {{.Size}} {{.SHA256}}
{{- end}}
END
}

usage() {
	cat <<'END'
Usage: pair.sh --management-server HOST:PORT --activation-code CODE [OPTION...]

Installs the VEN on this host and pairs it with its server.

  --management-server HOST:PORT  the server
  --activation-code CODE         the code, which others on this host can see while
                                 the script runs
  --activation-code-file FILE    the code is in the file, or comes from standard
                                 input if FILE is "-"
  --enforcement_mode MODE        idle, visibility_only, selective or full
  --role --app --env --loc LABEL labels
  --proxy-server HOST:PORT       an HTTP proxy on the way to the server
  --ca-file FILE                 trust these authorities, PEM, in the place of the
                                 system's
  --insecure                     trust any server: for tests
  --version RELEASE              install this release
  --dry-run                      look at everything and change nothing
  --help                         print this

Values can also be given as --option=VALUE, and "-" and "_" are the same in the name of
an option. What happens is written to /var/log/illumio_install.log, without the code.

Exit status:
   0  the VEN is paired, or was already
   2  the command line is wrong
   3  not run as root
   4  there is no package for this system
   5  a program is missing
   6  not enough space on a disk
   7  the clock is wrong
   8  the server's certificate is not trusted
   9  the server cannot be reached
  10  remains of an earlier installation are in the way
  11  the package could not be downloaded
  12  the package is not the one that the server announced
  13  the package manager could not install it
  14  packages that it needs are missing
  15  what was installed does not work
  16  it could not be started
  17  the activation code was refused
  18  pairing failed for another reason
  19  paired, but not everything runs yet
  20  the server does not have the release that --version names
  129, 130, 143  ended by a signal
If the installation fails (11 to 16, signals) it is taken back.
END
}

# redact leaves the text in clean, without the activation code.
redact() {
	clean='' rest=$*
	if [ -n "$code" ]; then
		while :; do
			case $rest in
			*"$code"*)
				clean=$clean${rest%%"$code"*}'[redacted]'
				rest=${rest#*"$code"}
				;;
			*) break ;;
			esac
		done
	fi
	clean=$clean$rest
}

# note writes a line into the log.
note() {
	redact "$*"
	now=$(date -u '+%Y-%m-%dT%H:%M:%SZ')
	printf '%s %s\n' "$now" "$clean" >&3
}

# say prints a line and writes it into the log.
say() {
	note "$*"
	printf '%s\n' "$clean"
}

# fail ends with an exit status, after it has taken back what was begun.
fail() {
	status=$1
	shift
	say "pair.sh: $*" >&2
	exit "$status"
}

misuse() {
	redact "$*"
	printf 'pair.sh: %s\nTry "pair.sh --help".\n' "$clean" >&2
	exit 2
}

# shown prints what the last command of logged said.
shown() {
	tail -n 15 "$work/output" 2>/dev/null | while IFS= read -r line || [ -n "$line" ]; do
		redact "$line"
		printf '  %s\n' "$clean" >&2
	done
}

# noted writes what the last command said into the log.
noted() {
	while IFS= read -r line || [ -n "$line" ]; do
		note "| $line"
	done <"$work/output"
}

# logged runs a command whose output goes into the log. (It goes through a file: a
# daemon that keeps a pipe open must not keep this script.)
logged() {
	note "+ $*"
	"$@" >"$work/output" 2>&1 </dev/null 3>&-
	result=$?
	noted
	return "$result"
}

# The command line

# once takes the value of an option that may be there once.
once() { # OPTION OLD NEW
	[ -z "$2" ] || misuse "$1 is there twice"
	[ -n "$3" ] || misuse "$1 wants a value"
	case $3 in
	' '* | *' ') misuse "$1: the value begins or ends with a space" ;;
	*[[:cntrl:]]*) misuse "$1: the value has a character that cannot be printed" ;;
	*) ;;
	esac
	[ "${#3}" -le 1024 ] || misuse "$1: the value is longer than 1024 bytes"
}

parse() {
	server='' code='' code_file='' mode='' role='' app='' env='' loc='' proxy='' ca_file=''
	insecure='' wanted='' dry_run=''
	while [ $# -gt 0 ]; do
		word=$1 value='' has=''
		shift
		case $word in
		--*=*) value=${word#*=} word=${word%%=*} has=1 ;;
		*) ;;
		esac
		case $word in
		--help | -h)
			usage
			exit 0
			;;
		--insecure | --dry-run | --dry_run)
			[ -z "$has" ] || misuse "$word takes no value"
			case $word in --insecure) insecure=1 ;; *) dry_run=1 ;; esac
			continue
			;;
		--management[-_]server | --activation[-_]code | --activation[-_]code[-_]file | --enforcement[-_]mode | \
			--role | --app | --env | --loc | --proxy[-_]server | --ca[-_]file | --version) ;;
		--*[!a-z_-]* | -[!-]* | [!-]* | '' | - | --) misuse 'only options are taken' ;; # it may be the code
		*) misuse "there is no option $word" ;;
		esac
		if [ -z "$has" ]; then
			case ${1-} in
			'' | --*) misuse "$word wants a value; one that begins with -- is given as $word=VALUE" ;;
			*) ;;
			esac
			value=$1
			shift
		fi
		take
	done
	check_options
}

take() {
	case $word in
	--management*) once "$word" "$server" "$value" && server=$value ;;
	--activation[-_]code) once "$word" "$code" "$value" && code=$value ;;
	--activation*) once "$word" "$code_file" "$value" && code_file=$value ;;
	--enforcement*) once "$word" "$mode" "$value" && mode=$value ;;
	--role) once "$word" "$role" "$value" && role=$value ;;
	--app) once "$word" "$app" "$value" && app=$value ;;
	--env) once "$word" "$env" "$value" && env=$value ;;
	--loc) once "$word" "$loc" "$value" && loc=$value ;;
	--proxy*) once "$word" "$proxy" "$value" && proxy=$value ;;
	--ca*) once "$word" "$ca_file" "$value" && ca_file=$value ;;
	--version) once "$word" "$wanted" "$value" && wanted=$value ;;
	*) ;;
	esac
}

check_options() {
	[ -n "$server" ] || misuse 'which server? give --management-server HOST:PORT'
	is_host_port "$server" || misuse "--management-server $server: want HOST:PORT, without https://"
	[ -z "$proxy" ] || is_host_port "$proxy" || misuse "--proxy-server $proxy: want HOST:PORT"
	case $mode in
	'' | idle | visibility_only | selective | full) ;;
	*) misuse "--enforcement_mode $mode: want idle, visibility_only, selective or full" ;;
	esac
	case $wanted in
	*[!A-Za-z0-9.+~_-]*) misuse "--version $wanted: want a release such as $release" ;;
	*) ;;
	esac
	case $ca_file in
	'' | /*) ;;
	*) ca_file=$PWD/$ca_file ;;
	esac
	[ -z "$code" ] || [ -z "$code_file" ] || misuse 'give --activation-code or --activation-code-file, not both'
	read_code
	[ -n "$code" ] || [ -n "$dry_run" ] || misuse 'there is no activation code: give --activation-code-file FILE or --activation-code CODE'
	case $code in
	*[!!-~]*) misuse 'the activation code is not one word' ;;
	*) ;;
	esac
}

read_code() {
	case $code_file in
	'') return ;;
	-) IFS= read -r code || [ -n "$code" ] || misuse 'there is no activation code on standard input' ;;
	*)
		[ -e "$code_file" ] || misuse "--activation-code-file $code_file: there is no such file"
		[ ! -d "$code_file" ] || misuse "--activation-code-file $code_file: it is a folder"
		[ -r "$code_file" ] || misuse "--activation-code-file $code_file: it cannot be read"
		IFS= read -r code <"$code_file" || [ -n "$code" ] || misuse "--activation-code-file $code_file: the file is empty"
		;;
	esac
	code=${code%"$cr"}
}

# is_host_port takes a name, an IPv4 address or an IPv6 address in brackets.
is_host_port() {
	case $1 in
	*:*) host=${1%:*} port=${1##*:} ;;
	*) return 1 ;;
	esac
	case $port in
	'' | 0* | *[!0-9]* | ??????*) return 1 ;;
	*) [ "$port" -le 65535 ] || return 1 ;;
	esac
	case $host in
	\[*\])
		host=${host#\[}
		host=${host%\]}
		case $host in
		*[!0-9A-Fa-f:.]*) return 1 ;;
		*:*) return 0 ;;
		*) return 1 ;;
		esac
		;;
	'' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | *..*) return 1 ;;
	*) [ "${#host}" -le 253 ] ;;
	esac
}

# The system

# os_release reads a file of that form, which is data and is not executed.
os_release() {
	while IFS= read -r line || [ -n "$line" ]; do
		key=${line%%=*} value=${line#*=}
		case $value in
		\"*\")
			value=${value#\"}
			value=${value%\"}
			;;
		\'*\')
			value=${value#\'}
			value=${value%\'}
			;;
		*) ;;
		esac
		case $key in
		ID | DISTRIB_ID) id=$value ;;
		NAME) name=$value ;;
		VERSION_ID | DISTRIB_RELEASE) version_id=$value ;;
		ID_LIKE) like=$value ;;
		PLATFORM_ID) platform=$value ;;
		VERSION_CODENAME) codename=$value ;;
		UBUNTU_CODENAME) ubuntu=$value ;;
		DEBIAN_CODENAME) debian=$value ;;
		*) ;;
		esac
	done <"$1"
}

# older_release is for systems that have no os-release.
older_release() {
	for file in /etc/oracle-release /etc/centos-release /etc/redhat-release /etc/system-release; do
		[ -r "$file" ] || continue
		IFS= read -r line <"$file" || [ -n "$line" ] || continue
		name=${line%% release *}
		version_id=${line#* release }
		version_id=${version_id%% *}
		case $name in
		Red\ Hat\ Enterprise*) id=rhel ;;
		CentOS*) id=centos ;;
		Oracle*) id=ol ;;
		Rocky*) id=rocky ;;
		AlmaLinux*) id=almalinux ;;
		Scientific*) id=scientific ;;
		Amazon*) id=amzn ;;
		*) id=$name ;;
		esac
		return
	done
	if [ -r /etc/SuSE-release ]; then
		while IFS= read -r line; do
			case $line in
			SUSE\ Linux\ Enterprise\ Server*) id=sles name='SUSE Linux Enterprise Server' ;;
			VERSION\ =*) version_id=${line##*= } ;;
			*) ;;
			esac
		done </etc/SuSE-release
		return
	fi
	if [ -r /etc/lsb-release ]; then
		os_release /etc/lsb-release
		name=$id
		case $id in
		Ubuntu) id=ubuntu ;;
		Debian) id=debian ;;
		*) ;;
		esac
	fi
	if [ -z "$id" ] && [ -r /etc/debian_version ]; then
		IFS= read -r version_id </etc/debian_version || :
		id=debian name=Debian
	fi
}

# detect finds the label of the system's packages. A derivative has one only where it
# says itself which release it is built from: versions of its own mean nothing.
detect() {
	id='' name='' version_id='' like='' platform='' codename='' ubuntu='' debian='' label=''
	for file in /etc/os-release /usr/lib/os-release; do
		if [ -r "$file" ]; then
			os_release "$file"
			break
		fi
	done
	[ -n "$id" ] || older_release
	major=${version_id%%.*}
	case $id in
	rhel | centos | rocky | almalinux | ol | scientific) label=el$major ;;
	amzn) label=amzn$version_id ;;
	sles | sles_sap | sle_hpc | opensuse-leap) label=sles$major ;;
	debian | raspbian) debian_label "$major" "$codename" ;;
	ubuntu)
		case $version_id in
		*.04) label=ubuntu$major ;;
		*) ;;
		esac
		;;
	*)
		case "$platform $like" in
		platform:el[0-9]*\ *rhel* | platform:el[0-9]*\ *centos* | platform:el[0-9]*\ *fedora*) label=${platform#platform:} ;;
		*)
			case $ubuntu in
			bionic) label=ubuntu18 ;;
			focal) label=ubuntu20 ;;
			jammy) label=ubuntu22 ;;
			noble) label=ubuntu24 ;;
			*) debian_label '' "$debian" ;;
			esac
			;;
		esac
		;;
	esac
	case $label in
	debian* | ubuntu*) format=deb ;;
	*) format=rpm ;;
	esac
	detect_arch
	redact "$(printf '%s' "${name:-$id} $version_id" | tr -d '[:cntrl:]')"
	system=$clean
}

debian_label() { # MAJOR CODENAME
	case $1 in
	[0-9]*) label=debian$1 ;;
	*)
		case $2 in
		buster) label=debian10 ;;
		bullseye) label=debian11 ;;
		bookworm) label=debian12 ;;
		trixie) label=debian13 ;;
		*) ;;
		esac
		;;
	esac
}

# detect_arch finds the architecture of the programs, which need not be the kernel's.
detect_arch() {
	arch=$(uname -m)
	if [ "$format" = deb ]; then
		if has dpkg; then
			arch=$(dpkg --print-architecture)
		else
			case $arch in
			x86_64) arch=amd64 ;;
			aarch64) arch=arm64 ;;
			*) ;;
			esac
		fi
	elif [ "$arch" = x86_64 ] && has getconf && [ "$(getconf LONG_BIT)" = 32 ]; then
		arch=i686
	fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# find_image looks the package up, and lists what there is.
find_image() {
	version='' size='' sum='' offered='' last=''
	while read -r os machine kind number file bytes digest; do
		[ -n "$os" ] || continue
		if [ "$os" = "$last" ]; then
			offered="$offered $machine"
		else
			offered="$offered${offered:+), }$os ($machine"
		fi
		last=$os
		if [ "$os $machine" = "$label $arch" ]; then
			format=$kind version=$number package=$file size=$bytes sum=$digest
		fi
	done <<END
$(images)
END
	offered="$offered${offered:+)}"
}

# The host

# installed_version leaves what the package manager has of the product: a version,
# nothing, or "broken".
installed_version() {
	installed=''
	if [ "$format" = deb ]; then
		has dpkg-query || return 0
		found=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$product" 2>/dev/null) || return 0
		case $found in
		installed\ *) installed=${found#installed } ;;
		not-installed* | config-files*) ;;
		*) installed=broken ;;
		esac
	else
		has rpm || return 0
		found=$(rpm -q --qf '%{VERSION}-%{RELEASE}\n' "$product" 2>/dev/null) || return 0
		case $found in
		*"
"*) installed=broken ;;
		*) installed=$found ;;
		esac
	fi
}

# look finds out how far the host is: none, broken, installed, paired, other (with
# another server).
look() {
	host_state=none there='' paired_with=''
	installed_version
	case $installed in
	'') return 0 ;;
	broken)
		host_state=broken
		return
		;;
	*) ;;
	esac
	host_state=installed
	there=$("$program/illumio-ven-ctl" version 2>/dev/null) || {
		host_state=broken
		return
	}
	[ -s "$data/etc/agent_id.cfg" ] && [ -r "$data/etc/agent_activation.cfg" ] || return 0
	while IFS= read -r line; do
		case $line in
		masterconfig_server:\ *[[:cntrl:]]*) ;;
		masterconfig_server:\ *) paired_with=${line#*: } ;;
		*) ;;
		esac
	done <"$data/etc/agent_activation.cfg"
	host_state=other
	[ "$(lower "$paired_with")" != "$(lower "$server")" ] || host_state=paired
}

lower() { printf '%s\n' "$1" | tr '[:upper:]' '[:lower:]'; }

# older compares releases: numbers, separated by dots and hyphens. What is not made of
# numbers is not older.
older() {
	a=$1 b=$2
	while [ -n "$a" ] && [ -n "$b" ]; do
		x=${a%%[.-]*} y=${b%%[.-]*}
		a=${a#"$x"} b=${b#"$y"}
		a=${a#[.-]} b=${b#[.-]}
		case $x$y in
		*[!0-9]* | ?????????????????*) return 1 ;;
		*) ;;
		esac
		[ "$x" -eq "$y" ] || {
			[ "$x" -lt "$y" ]
			return
		}
	done
	[ -z "$a" ] && [ -n "$b" ]
}

# problem notes something that stands in the way; the first one is the exit status.
problem() { # STATUS SENTENCE
	problems="$problems
$2"
	trouble=${trouble:-$1}
}

# preflight looks for everything that stands in the way, and tells it all at once.
preflight() {
	problems='' trouble=''
	[ "$root" = 1 ] || problem 3 'This has to be run as root: put "sudo" in front of it, or become root.'
	check_programs
	if [ "$host_state" = broken ]; then
		problem 10 "An installation of $product is not complete: finish or remove it (rpm -e $product, or dpkg --configure -a)."
	fi
	if [ "$needed" = 1 ]; then
		[ -n "$version" ] || problem 4 "$system on $arch is not supported. Packages are there for: ${offered:-no system}."
		check_leftovers
	fi
	if [ -n "$ca_file" ] && { [ ! -f "$ca_file" ] || [ ! -r "$ca_file" ]; }; then
		problem 8 "The file $ca_file of --ca-file cannot be read."
	elif [ -n "$downloader" ]; then
		check_server
	fi
	[ "$needed" != 1 ] || [ -z "$size" ] || check_space
	[ -n "$trouble" ] || return 0
	say 'Nothing was changed, for this is in the way:' >&2
	printf '%s\n' "${problems#?}" | while IFS= read -r line; do
		say "  - $line" >&2
	done
	exit "$trouble"
}

check_programs() {
	downloader='' hasher='' missing=''
	for tool in chmod chown cat date df grep ls mkdir mktemp mv rm rmdir sleep tail tr uname wc; do
		has "$tool" || missing="$missing $tool"
	done
	if has curl; then
		downloader=curl
	elif has wget && wget --version 2>/dev/null | grep -q 'GNU Wget'; then # busybox's checks no certificate
		downloader=wget
	else
		missing="$missing curl"
	fi
	for tool in sha256sum shasum openssl python3 python busybox; do
		if has "$tool"; then
			hasher=$tool
			break
		fi
	done
	[ -n "$hasher" ] || missing="$missing sha256sum"
	manager=''
	for tool in apt-get dpkg dnf yum zypper rpm; do
		case $format:$label:$tool in
		deb:*:apt-get | deb:*:dpkg | rpm:*:rpm) ;;
		rpm:sles*:zypper) ;;
		rpm:sles*:*) continue ;;
		rpm:*:dnf | rpm:*:yum | rpm:*:zypper) ;;
		*) continue ;;
		esac
		if has "$tool"; then
			manager=$tool
			break
		fi
	done
	[ -n "$manager" ] || missing="$missing $([ "$format" = deb ] && echo dpkg || echo rpm)"
	[ -z "$missing" ] || problem 5 "Programs are missing, install them first:$missing."
}

check_leftovers() {
	[ "$host_state" = none ] || return 0
	if [ -n "$(ls -A "$program" 2>/dev/null)" ]; then
		problem 10 "$program has files of no package: move or remove the folder."
	fi
	if [ -e "$data/etc/agent_id.cfg" ]; then
		problem 10 "$data has the identity of an earlier installation: unpair that workload in the console, and remove the folder."
	fi
	if [ -L "$data" ] || [ -L "$data/tmp" ]; then
		problem 10 "$data or its folder tmp is a link: remove it."
	fi
}

# free_kb tells the space there is for a path, and on which file system.
free_kb() {
	dir=$1
	while [ ! -d "$dir" ]; do dir=${dir%/*} && dir=${dir:-/}; done
	df -Pk "$dir" | {
		read -r _
		read -r _ _ _ free _ mounted
		printf '%s %s\n' "$free" "$mounted"
	}
}

# check_space: the package, and what it unpacks to, which is about three times as much;
# its hook is there twice during an upgrade.
check_space() {
	kb=$((size / 1024 + 1))
	space=$(free_kb "$data/tmp")
	opt=$(free_kb "$program")
	if [ "${space#* }" = "${opt#* }" ]; then
		[ "${space%% *}" -ge $((kb * 5 + 4096)) ] || problem 6 "${space#* } has ${space%% *} kB free, and $((kb * 5 + 4096)) kB are needed: make room there."
		return 0
	fi
	[ "${space%% *}" -ge $((kb + 1024)) ] || problem 6 "${space#* } has ${space%% *} kB free, and the package needs $((kb + 1024)) kB: make room there."
	[ "${opt%% *}" -ge $((kb * 4 + 3072)) ] || problem 6 "${opt#* } has ${opt%% *} kB free, and $((kb * 4 + 3072)) kB are needed: make room there."
}

# The server

# ask calls the downloader with what the options say about the way to the server.
ask() {
	if [ "$downloader" = curl ]; then
		[ -z "$proxy" ] || set -- --proxy "http://$proxy" "$@"
		[ -z "$ca_file" ] || set -- --cacert "$ca_file" "$@"
		[ -z "$insecure" ] || set -- --insecure "$@"
		curl --tlsv1 --silent --show-error --connect-timeout 20 "$@"
	else
		[ -z "$proxy" ] || set -- -e "https_proxy=http://$proxy" -e use_proxy=yes "$@"
		[ -z "$ca_file" ] || set -- --ca-certificate="$ca_file" "$@"
		[ -z "$insecure" ] || set -- --no-check-certificate "$@"
		wget --no-verbose --tries=1 --timeout=30 --max-redirect=0 "$@"
	fi
}

# headers asks for those of an address.
headers() {
	if [ "$downloader" = curl ]; then
		answer=$(ask --max-time 60 --head "$1" 2>&1)
	else
		answer=$(ask --server-response --spider "$1" 2>&1)
	fi
	asked=$?
	http='' date='' length='' checksum='' reason=''
	while IFS= read -r line; do
		line=${line%"$cr"}
		while :; do case $line in ' '*) line=${line# } ;; *) break ;; esac done
		case $line in
		HTTP/*) # the last one's counts: a proxy answers before the server does
			http=${line#* } date='' length='' checksum=''
			http=${http%% *}
			;;
		curl:* | ERROR:* | *failed:*) reason=${reason:-$line} ;;
		[Dd]ate:*) date=${line#*: } ;;
		[Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
		[Xx]-[Cc]hecksum-[Ss][Hh][Aa]256:*) checksum=${line#*: } ;;
		*) ;;
		esac
	done <<END
$answer
END
	case $downloader:$asked in
	curl:0 | wget:0 | wget:8) ;;
	*) http='' ;; # nobody but a proxy has answered
	esac
}

# is_untrusted says whether the downloader ended with that status because it does not
# trust the server. To wget a proxy that refuses is the same.
is_untrusted() { # STATUS OUTPUT
	case $downloader:$1 in
	curl:51 | curl:58 | curl:60 | curl:66 | curl:77 | curl:83) ;;
	wget:5) case $2 in *'Proxy tunneling failed'*) return 1 ;; *) ;; esac ;;
	*) return 1 ;;
	esac
}

# check_server asks for the package, or for this script if there is none to install.
check_server() {
	address="https://$server/api/v$api/software/ven/image"
	query="${profile:+&profile_id=$profile}"
	if [ "$needed" = 1 ] && [ -n "$version" ]; then
		address="$address?os=$label&arch=$arch&version=${wanted:-$release}$query"
	else
		address="$address?pair_script=pair.sh$query"
	fi
	headers "$address"
	why=${reason:-${answer##*"$nl"}}
	if [ -n "$http" ]; then
		check_clock 3600
		case $http in
		200 | 405) ;;
		404)
			if [ -n "$wanted" ]; then
				problem 20 "$server has no package of release $wanted for $label on $arch: choose one that its console lists."
			else
				problem 11 "$server has nothing for this line any more: copy a new one from its console."
			fi
			;;
		*) problem 9 "$server answers with the status $http: try again later, or ask its administrator." ;;
		esac
		if [ "$needed$http" = 1200 ] && [ -n "$wanted" ]; then
			size=$length sum=$checksum
			case $size in
			'' | *[!0-9]*) sum='' size='' ;;
			*) ;;
			esac
			[ "${#sum}" -eq 64 ] || problem 11 "$server does not say what the package of $wanted is: ask its administrator."
		fi
		return
	fi
	if ! is_untrusted "$asked" "$answer"; then
		problem 9 "$server cannot be reached ($why): look at its name and port, the network, firewalls and --proxy-server."
		return
	fi
	insecure_was=$insecure insecure=1
	headers "$address" # for the clock alone; it carries nothing secret
	insecure=$insecure_was
	check_clock 300
	if [ -z "$late" ]; then
		problem 8 "The certificate of $server is not trusted ($why): install its authority's certificate, or name it with --ca-file."
	fi
}

# check_clock compares with the server's. Five minutes spoil certificates that are new;
# where they did not, they are told, and an hour is in the way.
check_clock() { # SECONDS
	late=''
	epoch "$date"
	[ -n "$seconds" ] || return 0
	skew=$(($(date -u +%s) - seconds))
	side=ahead
	[ "$skew" -ge 0 ] || side=behind skew=$((-skew))
	if [ "$skew" -gt "$1" ]; then
		late=1
		problem 7 "The clock is $skew seconds $side of the server's: set it, or have it set by NTP."
	elif [ "$skew" -gt 300 ]; then
		say "Warning: the clock is $skew seconds $side of the server's" >&2
	fi
}

# epoch leaves the seconds since 1970 of "Fri, 27 Nov 2026 18:58:48 GMT".
epoch() {
	seconds=''
	# shellcheck disable=SC2086 # words
	set -- $1
	[ $# -eq 6 ] || return 0
	case $2$4$5 in
	*[!0-9:]*) return 0 ;;
	*) ;;
	esac
	day=${2#0} year=$4 hour=${5%%:*} second=${5##*:} minute=${5#*:}
	minute=${minute%%:*}
	case $3 in
	Mar) month=3 ;; Apr) month=4 ;; May) month=5 ;; Jun) month=6 ;; Jul) month=7 ;; Aug) month=8 ;;
	Sep) month=9 ;; Oct) month=10 ;; Nov) month=11 ;; Dec) month=12 ;;
	Jan) month=13 year=$((year - 1)) ;;
	Feb) month=14 year=$((year - 1)) ;;
	*) return 0 ;;
	esac
	# Days of a year that begins in March, so that the leap day is its last.
	days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 - 719468))
	seconds=$((days * 86400 + ${hour#0} * 3600 + ${minute#0} * 60 + ${second#0}))
}

# make_work makes the folder for the download. Where the data folder is the account's
# already, its processes could exchange what root is about to install: then it is
# another one.
make_work() {
	base=$data/tmp
	if [ -e "$data" ] && ! is_roots "$data"; then
		base=/opt
	elif [ ! -d "$base" ]; then
		(umask 026 && mkdir -p "$base") || fail 6 "$base cannot be made: make room, or look at its file system."
	fi
	work=$(mktemp -d "$base/pair.XXXXXX") || fail 6 "A folder in $base cannot be made: make room, or look at its file system."
	# apt reads packages as another user.
	chmod 755 "$work"
}

is_roots() {
	# shellcheck disable=SC2012,SC2046 # only the owner is looked at
	set -- $(ls -ldn "$1")
	[ "${3-}" = 0 ]
}

# download gets the package whole, in several attempts if need be.
download() {
	file=$work/$package
	attempt=0 again=''
	while :; do
		have=0
		[ ! -f "$file" ] || have=$(($(wc -c <"$file")))
		if [ "$have" -eq "$size" ]; then
			say 'Validating sha256'
			got=$(sha256 "$file")
			[ "$got" != "$sum" ] || return 0
			note "sha256 is $got, announced was $sum"
			[ -z "$again" ] || fail 12 "The package has another SHA-256 than the server announced: run the line from the console again; if that does not help, what is in between changes files."
			again=1
			say 'The package is not the one that the server announced: downloading it again'
			rm -f "$file"
		elif [ "$have" -gt "$size" ]; then
			rm -f "$file"
		fi
		attempt=$((attempt + 1))
		if [ "$attempt" -gt 8 ]; then
			shown
			fail 11 "The package could not be downloaded from $server: look at the network and the server, and run the line again."
		fi
		if [ "$attempt" -gt 1 ] && [ "$have" -ne "$size" ]; then
			pause=$((attempt < 6 ? 1 << (attempt - 2) : 15))
			say "Download interrupted at $have of $size bytes: going on in $pause s"
			sleep "$pause"
		fi
		if [ "$downloader" = curl ]; then
			logged ask --fail --speed-limit 1 --speed-time 30 --continue-at - --output "$file" "$address"
		else
			logged ask --continue --output-document="$file" "$address"
		fi
		if is_untrusted "$result" "$(cat "$work/output")"; then
			shown
			fail 8 "The certificate of $server is not trusted any more: look at what is between this host and the server, and run the line again."
		fi
		case $downloader:$result in
		curl:33 | curl:36) rm -f "$file" ;; # it cannot go on in the middle
		curl:22 | wget:8)
			case $(cat "$work/output") in
			*' 416'*) rm -f "$file" ;;
			*' 403'* | *' 404'* | *' 410'*) attempt=8 ;; # again would be in vain
			*) ;;
			esac
			;;
		curl:23 | wget:3) fail 6 'The package cannot be written: make room on the disk.' ;;
		*) ;;
		esac
	done
}

sha256() {
	{
		case $hasher in
		sha256sum) sha256sum "$1" ;;
		shasum) shasum -a 256 "$1" ;;
		openssl) openssl dgst -sha256 -r "$1" ;;
		busybox) busybox sha256sum "$1" ;;
		*) "$hasher" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1" ;;
		esac
	} | {
		read -r digest line || :
		printf '%s' "$digest"
	}
}

# The installation

install_package() {
	say "Retrieving Illumio Packages [$arch][${name:-$id}][$version_id]"
	make_work
	download
	say 'Installing Illumio Packages'
	chmod 644 "$file"
	[ "$format" != rpm ] || ! is_unsigned || unsigned=1
	had_data='' had_state='' had_account=''
	for entry in "$data"/* "$data"/.[!.]*; do
		[ ! -e "$entry" ] || [ "$entry" = "$data/tmp" ] || had_data=1
	done
	[ ! -e "$state" ] || had_state=1
	! id -u "$account" >/dev/null 2>&1 || had_account=1
	check_dependencies
	installing=1
	if [ "$format" = deb ]; then install_deb; else install_rpm; fi
	result=$?
	if [ "$result" -ne 0 ]; then
		shown
		if grep -q -i -e 'dependency problems' -e 'unmet dependencies' -e 'nothing provides' -e 'is needed by' -e '^Error: .*Requires:' "$work/output"; then
			fail 14 "Packages that it needs are missing, and $manager does not get them: install those that are named above, and run the line again."
		fi
		if grep -q -e NOKEY -e 'key is not available' "$work/output"; then
			fail 13 "The package is signed with a key that this host does not know: get it from whoever made the package, rpm --import it, and run the line again."
		fi
		fail 13 "$manager could not install the package (exit status $result): see above and $log_file."
	fi
	installed_version
	say "EXPECTED_VERSION: $version"
	say "INSTALLED_VERSION: ${installed:-none}"
	[ "$installed" = "$version" ] || fail 13 "$manager did not install the package: see $log_file."
	there=$("$program/illumio-ven-ctl" version) || there=none
	if [ "$there" != "${wanted:-$release}" ] || [ -e "$state/failed" ]; then
		fail 15 "The package is installed and could not set up the host: see $log_file."
	fi
}

# check_dependencies finds out whether all that an RPM needs is there, for rpm alone
# gets nothing, and the others do not need the network then.
check_dependencies() {
	lacking=''
	[ "$format" = rpm ] || return 0
	set -- --test -U
	[ -z "$unsigned" ] || set -- "$@" --nosignature
	rpm "$@" "$file" >"$work/output" 2>&1 </dev/null && return
	grep -q 'is needed by' "$work/output" || return 0
	noted
	lacking=1
	[ "$manager" = rpm ] || return 0
	shown
	fail 14 'Packages that it needs are missing: install those that are named above, and run the line again.'
}

# is_unsigned reports whether an RPM has no signature at all.
is_unsigned() {
	signed=$(rpm -qp --nosignature --qf '%{SIGPGP:pgpsig}%{SIGGPG:pgpsig}%{RSAHEADER:pgpsig}%{DSAHEADER:pgpsig}' "$file" 2>/dev/null)
	# Only rpm 6 knows that tag.
	case $signed$(rpm -qp --nosignature --qf '[%{OPENPGP:pgpsig}]' "$file" 2>/dev/null) in
	*Key* | *key*) return 1 ;;
	*) return 0 ;;
	esac
}

install_rpm() {
	case $manager in
	dnf | yum)
		set -- "$manager" -y
		# Without the network where all that it needs is there.
		[ -n "$lacking" ] || set -- "$@" '--disablerepo=*'
		if [ -n "$unsigned" ]; then
			aloud "$manager --setopt=localpkg_gpgcheck=0"
			set -- "$@" --setopt=localpkg_gpgcheck=0
		fi
		logged "$@" install "$file"
		;;
	zypper)
		set -- zypper --non-interactive --no-refresh
		if [ -n "$unsigned" ]; then
			if zypper help install 2>/dev/null | grep -q -e --allow-unsigned-rpm; then
				aloud 'zypper --allow-unsigned-rpm'
				set -- "$@" install --allow-unsigned-rpm
			else
				aloud 'zypper --no-gpg-checks'
				set -- "$@" --no-gpg-checks install
			fi
		else
			set -- "$@" install
		fi
		logged "$@" "$file"
		;;
	*)
		set -- rpm -U
		case $(rpm --version) in
		*\ [6-9].*)
			if [ -n "$unsigned" ]; then
				aloud 'rpm --nosignature'
				set -- "$@" --nosignature
			fi
			;;
		*) ;;
		esac
		logged "$@" "$file"
		;;
	esac
}

aloud() {
	say "The package is not signed, its SHA-256 is what the server announced: installing it with $1"
}

install_deb() {
	if [ "$manager" = dpkg ]; then
		logged dpkg -i "$file"
		return
	fi
	set -- apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold
	logged "$@" install "$file" && return
	grep -q -i 'unmet dependencies' "$work/output" || return "$result"
	say 'Packages that it needs are missing: looking for them'
	logged "$@" update
	logged "$@" install "$file"
}

# undo takes an installation back. What the package manager got beside it stays.
# shellcheck disable=SC2317 # a trap calls it
undo() {
	[ -n "$installing" ] || return 0
	installing=''
	[ -z "$upgrading" ] || {
		say "The release that was there before was $upgrading; see $log_file" >&2
		return 0
	}
	say 'Taking the installation back' >&2
	rm -rf "$work"
	work=$(mktemp -d /tmp/pair.XXXXXX) || return 0 # a purge removes the data folder
	if [ "$format" = deb ]; then
		# It removes the log too, which says why this was necessary.
		mv -f "$log_file" "$log_file.kept" 2>/dev/null || :
		logged dpkg --purge --force-remove-reinstreq "$product"
		mv -f "$log_file.kept" "$log_file" 2>/dev/null || :
	elif rpm -q "$product" >/dev/null 2>&1; then
		logged rpm -e --allmatches "$product"
	fi
	installed_version
	if [ -n "$installed" ]; then
		say "$product $installed could not be removed: see $log_file" >&2
		return 0
	fi
	[ -n "$had_data" ] || rm -rf "$data"
	# What the hook could not give back stands there, for a person.
	[ -n "$had_state" ] || [ -e "$state/recovery.txt" ] || rm -rf "$state"
	[ -n "$had_account" ] || ! id -u "$account" >/dev/null 2>&1 || userdel "$account" >&3 2>&1 || :
	[ -n "$had_account" ] || ! grep -q "^$account:" /etc/group || groupdel "$account" >&3 2>&1 || :
	rmdir "${state%/*}" 2>/dev/null || :
}

# give_back makes the folder of the download the account's again, where the line from
# the console has made it anew as root's in an installation that is there. It works in
# the folder, for the account could put a link in the place of its name.
# shellcheck disable=SC2317 # a trap calls it
give_back() {
	[ "$root" = 1 ] && [ -z "$dry_run" ] && [ -d "$data/tmp" ] || return 0
	# shellcheck disable=SC2012,SC2046 # only the owner is looked at
	set -- $(ls -ldn "$data")
	[ "${3-0}" != 0 ] || return 0
	(
		cd "$data/tmp" && [ "$(pwd -P)" = "$data/tmp" ] && is_roots . || exit 0
		chown "$3:$4" . && chmod 750 .
	)
}

# finish is what is done last, however the script ends.
# shellcheck disable=SC2317 # a trap calls it
finish() {
	ended=$?
	trap - EXIT
	trap '' HUP INT TERM
	[ "$ended" -eq 0 ] || undo
	[ -z "$work" ] || rm -rf "$work"
	if [ "$ended" -ne 0 ] && [ "$host_state" = none ] && [ -n "$work" ] && [ ! -e "$program" ]; then
		rm -rf "$data/tmp"
		rmdir "$data" 2>/dev/null || :
	fi
	give_back
	note "exit status $ended"
	exit "$ended"
}

# The pairing

# leave ends the pairing with another server.
leave() {
	say 'Detected PCE fqdn/port change'
	logged "$program/illumio-ven-ctl" deactivate && return
	shown
	fail 18 "The VEN could not leave $paired_with: see above, and $program/illumio-ven-ctl deactivate."
}

start() {
	if ! logged "$program/bin/init_Platform" start; then
		shown
		fail 16 "The VEN could not be started: see $log_file and $program/illumio-ven-ctl check-env."
	fi
	say 'Checking Runtime Environment'
	logged "$program/illumio-ven-ctl" check-env || shown
	say 'Starting illumio-control:'
	logged "$program/bin/init_Platform" status || :
	while IFS= read -r line; do
		case $line in
		*' running'*) say "  $line" ;;
		*) ;;
		esac
	done <"$work/output"
	# From here on it is a good installation, paired or not.
	installing=''
}

activate() {
	say 'Pairing with Illumio'
	set -- activate --management-server="$server" --activation-code-file=-
	if [ -n "$profile" ] && "$program/illumio-ven-ctl" activate --help 2>&1 | grep -q -e --profile-id; then
		set -- "$@" --profile-id="$profile"
	fi
	[ -z "$mode" ] || set -- "$@" --enforcement_mode="$mode"
	[ -z "$role" ] || set -- "$@" --role="$role"
	[ -z "$app" ] || set -- "$@" --app="$app"
	[ -z "$env" ] || set -- "$@" --env="$env"
	[ -z "$loc" ] || set -- "$@" --loc="$loc"
	[ -z "$proxy" ] || set -- "$@" --proxy-server="$proxy"
	[ -z "$ca_file" ] || set -- "$@" --ca-file="$ca_file"
	[ -z "$insecure" ] || set -- "$@" --insecure
	note "+ illumio-ven-ctl $*"
	# printf is the shell's own: no process has the code as an argument.
	printf '%s\n' "$code" | "$program/illumio-ven-ctl" "$@" >"$work/output" 2>&1 3>&-
	result=$?
	noted
	if [ "$result" -ne 0 ]; then
		shown
		if grep -q 'the code is erased' "$work/output"; then
			fail 17 "The activation code was refused: make a new one in the console and run its line; the VEN stays installed."
		fi
		fail 18 "The VEN is installed and not paired: see above, and run the line from the console again."
	fi
	say "Created $data/etc/agent_activation.cfg"
}

# report waits until the policy that came with the pairing is in force.
report() {
	tries=0
	while :; do
		"$program/bin/agent_status.sh" >"$work/output" 2>&1 </dev/null 3>&-
		result=$?
		tries=$((tries + 1))
		if [ "$result" -eq 0 ] || [ "$tries" -ge 60 ]; then break; fi
		sleep 1
	done
	while IFS= read -r line; do say "$line"; done <"$work/output"
	[ "$result" -eq 0 ] || fail 19 "The VEN is paired and not everything runs: see $program/illumio-ven-ctl status."
}

open_log() {
	[ -z "$dry_run" ] && [ "$root" = 1 ] || return 0
	if [ -L "$log_file" ] || { [ -e "$log_file" ] && [ ! -f "$log_file" ]; }; then
		printf 'pair.sh: warning: %s is not a file: there will be no log\n' "$log_file" >&2
		return 0
	fi
	if (umask 077 && : >>"$log_file") 2>/dev/null && chmod 600 "$log_file"; then
		exec 3>>"$log_file"
	fi
}

plan() {
	say "This host is $system, $arch"
	if [ "$needed" = 1 ]; then
		say "Would download $package, $size bytes, from $server"
		say "Would install it with $manager"
	fi
	[ "$host_state" != other ] || say "Would leave $paired_with"
	say "Would start $product and pair it with $server${profile:+, profile $profile}"
	say 'Nothing was changed'
}

main() {
	set -u
	umask 022
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	IFS=' 	
'
	nl='
'
	LC_ALL=C
	DEBIAN_FRONTEND=noninteractive
	ZYPP_LOCK_TIMEOUT=300
	export PATH LC_ALL DEBIAN_FRONTEND ZYPP_LOCK_TIMEOUT
	unset CDPATH ENV BASH_ENV VEN_INSTALL_ACTION VEN_MANAGEMENT_SERVER VEN_ACTIVATION_CODE 2>/dev/null || :
	exec 3>/dev/null
	code='' work='' installing='' upgrading='' host_state='' unsigned='' lacking='' package=''
	cr=$(printf '\r')
	constants
	parse "$@"
	root=''
	[ "$(id -u)" != 0 ] || root=1
	detect
	open_log
	trap finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	note "pair.sh of $product $release for $server${profile:+, profile $profile} on $system, $arch"
	find_image
	[ "$wanted" != "$release" ] || wanted=''
	if [ -n "$wanted" ] && [ -n "$label" ]; then
		version=$wanted.$label package=$product-$wanted.$label.$arch.$format size='' sum=''
	fi
	look
	if [ "$host_state" = paired ]; then
		say "The VEN is already paired with $server"
		exit 0
	fi
	needed=''
	case $host_state in
	none) needed=1 ;;
	installed)
		if older "$there" "${wanted:-$release}"; then
			needed=1 upgrading=$there
		elif [ -n "$wanted" ] && [ "$there" != "$wanted" ]; then
			fail 10 "The VEN is installed as $there, which is not older than $wanted: remove it first, or leave --version out."
		fi
		;;
	*) ;;
	esac
	if [ "$needed" = 1 ]; then say 'Installing Illumio'; else say 'Activating Illumio'; fi
	[ -z "$insecure" ] || say "Warning: INSECURE: the certificate of $server is not checked; whoever is in between can read the code and put another package in its place" >&2
	preflight
	if [ -n "$dry_run" ]; then
		plan
		exit 0
	fi
	if [ "$needed" = 1 ]; then
		install_package
		say 'Starting Illumio processes'
		start
		activate
	else
		make_work
		[ "$host_state" != other ] || leave
		say 'Storing Activation Configuration'
		activate
		say 'Starting Illumio Processes'
		start
	fi
	report
	exit 0
}

main "$@"
