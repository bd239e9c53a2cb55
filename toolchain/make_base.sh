#!/bin/sh
# Makes the root file system of a small Debian image.
# make_base.sh SUITE ARCHIVE MIRROR SECURITY_MIRROR: an empty MIRROR is debootstrap's default,
# an empty SECURITY_MIRROR leaves the security suite out. Needs root.
set -eu
suite=$1 archive=$2 mirror=$3 security=$4
PATH=$PATH:/usr/sbin:/sbin

work=$(mktemp -d "$(dirname "$archive")/.base.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root

script=/usr/share/debootstrap/scripts/$suite
[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
if [ -n "$mirror" ]; then
    debootstrap --variant=minbase "$suite" "$root" "$mirror" "$script"
else
    debootstrap --variant=minbase "$suite" "$root"
    mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
fi

{
    echo "deb $mirror $suite main"
    echo "deb $mirror $suite-updates main"
    if [ -n "$security" ]; then echo "deb $security $suite-security main"; fi
} >"$root/etc/apt/sources.list"

# What Debian's own slim images leave out: caches, documentation, services that start by themselves.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'EOF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
EOF
cat >"$root/etc/apt/apt.conf.d/slim" <<'EOF'
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Apt::AutoRemove::SuggestsImportant "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Binary::apt::APT::Keep-Downloaded-Packages "false";
EOF
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root/usr/share/man" "$root/usr/share/info" "$root/usr/share/locale"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/machine-id"

tar --numeric-owner --one-file-system -C "$root" -cf "$work/base.tar" .
chmod 644 "$work/base.tar"
mv "$work/base.tar" "$archive"
