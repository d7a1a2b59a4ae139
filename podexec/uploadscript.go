package podexec

// The scripts are constants. What differs comes as positional parameters, which a shell does not interpret. They keep
// to POSIX sh, printf, cat, chmod, rm, wc and dd, and to sha256sum, as busybox, dash and bash have them.

// probeScript finds a directory in which a file can be created and run. $1: a file name; $2: how many good directories
// to pass over; then the candidates, where the words TMPDIR and PWD stand for the container's own variables. One line
// per candidate that is no good, "bad<TAB>directory<TAB>reason", one "ok<TAB>directory", without links, where
// something unpacks gzip "unpack<TAB>" and its name among unpackers, and "end", without which the output is
// incomplete. The probe must be run, not looked at: a noexec mount shows in no permission bit. Its interpreter is the
// shell that runs this, since images for debugging keep theirs outside /bin.
const probeScript = `
umask 077
set -C
name=$1 skip=$2
shift 2
sh=$(command -v sh)
case $sh in /*) ;; *) sh=/bin/sh ;; esac
for dir in "$@"; do
	case $dir in
	TMPDIR) dir=${TMPDIR:-} ;;
	PWD) dir=${PWD:-} ;;
	esac
	case $dir in
	*'
'*) continue ;;
	/*) ;;
	*) continue ;;
	esac
	if [ ! -d "$dir" ]; then
		printf 'bad\t%s\tnot a directory\n' "$dir"
		continue
	fi
	dir=$(cd -P "$dir" && pwd -P) || continue
	file=${dir%/}/$name
	if ! why=$( (printf '#!%s\nexit 37\n' "$sh" > "$file") 2>&1); then
		printf 'bad\t%s\tnot writable: %s\n' "$dir" "${why##*: }"
		rm -f "$file"
		continue
	fi
	chmod 0700 "$file"
	why=$("$file" 2>&1 < /dev/null)
	code=$?
	rm -f "$file"
	if [ "$code" -ne 37 ]; then
		printf 'bad\t%s\tnot executable: %s\n' "$dir" "${why##*: }"
		continue
	fi
	if [ "$skip" -gt 0 ]; then
		skip=$((skip - 1))
		continue
	fi
	printf 'ok\t%s\n' "$dir"
	break
done
for by in gzip zcat busybox; do
	case $by in gzip) set -- gzip -dc ;; zcat) set -- zcat ;; *) set -- busybox zcat ;; esac
	packed='\037\213\010\0\0\0\0\0\002\003\313\317\006\0\107\335\334\171\002\0\0\0'
	if [ "$(printf "$packed" | "$@" 2> /dev/null)" = ok ]; then
		printf 'unpack\t%s\n' "$by"
		break
	fi
done
echo end
`

// exitExists is writeScript's code for a file that is there already, exitChanged runScript's for one that is not what
// was sent, exitNoHash where that cannot be known.
const (
	exitExists  = 73
	exitChanged = 74
	exitNoHash  = 75
)

// runScript runs the file $1 with the arguments after $2, if its SHA-256 is $2. The name is looked up once: another
// file may have it a moment later. A shell takes a program for another processor for a script and runs that, so the
// machine in its header is held against that of the shell's own.
const runScript = `
LC_ALL=C
exec 3< "$1" || exit 126
file=/proc/self/fd/3
if ! sum=$(sha256sum < $file); then
	echo "no sha256sum in the container, so what would run cannot be checked" >&2
	exit 75 # exitNoHash
fi
if [ "${sum%% *}" != "$2" ]; then
	echo "hash ${sum%% *} there, $2 here" >&2
	exit 74 # exitChanged
fi
bytes() { dd bs=1 skip="$1" count="$2" 2> /dev/null; }
if [ "$(bytes 1 3 < $file)" = ELF ] && [ "$(bytes 18 1 < $file)" != "$(bytes 18 1 < /proc/self/exe)" ]; then
	echo "exec format error" >&2
	exit 126
fi
shift 2
exec $file "$@"
`

// writeScript writes stdin to the new file $1, unpacked by $3 where that is not empty, and prints the file's size;
// unless that is $2 the file is removed, because the end of stdin may be the end of splitbench. noclobber makes the
// creation exclusive. Nothing is printed before the end, and stdout stays open until then: containerd closes stdin
// when stdout ends.
const writeScript = `
umask 077
set -C
if [ -e "$1" ]; then
	echo "file exists" >&2
	exit 73 # exitExists
fi
file=$1 want=$2
case $3 in gzip) set -- gzip -dc ;; zcat) set -- zcat ;; busybox) set -- busybox zcat ;; *) set -- cat ;; esac
if "$@" > "$file" && chmod 0700 "$file" && size=$(wc -c < "$file"); then
	[ "$size" -eq "$want" ] || rm -f "$file"
	printf 'size %s\nend\n' "$size"
else
	code=$?
	rm -f "$file"
	exit "$code"
fi
`
