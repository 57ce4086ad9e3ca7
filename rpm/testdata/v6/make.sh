#!/bin/sh
# Made the packages beside it, as root in a chroot of Debian sid, with rpm 6.1.0:
#
#	sh make.sh DIR
#
# signed.rpm is zstd.rpm after rpmsign --addsign, once with an RSA key of 2048 bits
# and once with an Ed25519 key, of gpg 2.2.40.
set -eu
mkdir -p "$1"; cd "$1"
cat >v6.spec <<'SPEC'
Name: v6
Version: 1.0
Release: 1
Summary: a package of rpm 6
License: MIT
BuildArch: noarch
Requires: other >= 2
%description
Made for tests.
%prep
%build
%install
mkdir -p %{buildroot}/opt/v6/empty %{buildroot}/etc
echo body >%{buildroot}/opt/v6/file
: >%{buildroot}/opt/v6/nothing
printf '%5000s' x >%{buildroot}/opt/v6/page
ln %{buildroot}/opt/v6/file %{buildroot}/opt/v6/hard
ln %{buildroot}/opt/v6/file %{buildroot}/opt/v6/zhard
ln -s ../v6/file %{buildroot}/opt/v6/link
echo a=1 >%{buildroot}/etc/v6.conf
touch -d 2020-02-03T04:05:06Z %{buildroot}/opt/v6/file
%post
echo installed
%files
%dir /opt/v6
%dir /opt/v6/empty
%attr(4750,root,bin) /opt/v6/file
/opt/v6/hard
/opt/v6/zhard
/opt/v6/nothing
/opt/v6/page
/opt/v6/link
%config(noreplace) /etc/v6.conf
SPEC
printf '%s\n' 'Name: v6none' 'Version: 1' 'Release: 1' 'Summary: no files' 'License: MIT' 'BuildArch: noarch' %description Nothing. %files >none.spec
export SOURCE_DATE_EPOCH=1700000000
build() { # NAME SPEC IO
	rpmbuild -bb --quiet --define '_rpmformat 6' --define "_binary_payload $3" --define "_rpmdir $1.d" --define "_topdir $PWD/top" \
		--define '_buildhost localhost' --define 'use_source_date_epoch_as_buildtime 1' "$2"
	mv "$1".d/noarch/*.rpm "$1.rpm"
}
build gzip v6.spec w9.gzdio
build bzip2 v6.spec w9.bzdio
build xz v6.spec w6.xzdio
build lzma v6.spec w6.lzdio
build zstd v6.spec w3.zstdio
build none v6.spec w.ufdio
build nofiles none.spec w19.zstdio
