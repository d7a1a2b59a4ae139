package podexec

// uploadScript finds a directory in which a file can be created and run, takes the file from stdin, and becomes it,
// all in one command: each costs a way to the node and back, and a process there. It is a constant. What differs comes
// as positional parameters, which a shell does not interpret: $1 the file's name, $2 its size, $3 its SHA-256, $4 the
// byte that names the machine in the header of a program as printf writes it, or nothing, $5 how many candidates for
// directories follow, of which the words TMPDIR and PWD stand for the container's own variables; then come the
// program's arguments. It keeps to POSIX sh, printf, cat, chmod, rm, wc and dd, and to head -c and sha256sum, as
// busybox, dash and bash have them, and starts as few processes as it can.
//
// It talks with [Program.Exec] by lines. It says "bad<TAB>directory<TAB>reason" of a candidate that is no good, and
// "dir<TAB>unpacker<TAB>directory" of one that is, with what may unpack gzip there, or nothing. The answer is "next",
// or "UNPACKER BYTES" with so many bytes behind it, where cat is for a file as it is. Then it says "no<TAB>reason" and
// is answered anew, or "run", from where on its streams are the program's. It says "end" when no candidate is left.
//
// A directory must be tried, not looked at: a noexec mount shows in no permission bit. The interpreter of that probe
// is the shell that runs this, since images for debugging keep theirs outside /bin. noclobber makes the creation of
// the file exclusive, and it is opened for reading once: what is hashed and what is executed is one descriptor,
// whatever has become of its name. A shell takes a program for another processor for a script and runs that, so the
// machine is held against that of the shell's own program. Whatever ends the script before it is the program, the end
// of stdin above all, takes the file along.
const uploadScript = `
LC_ALL=C
umask 077
set -C
name=$1 size=$2 sum=$3 machine=$4 left=$5 mine= self=/proc/self/fd/3
shift 5
trap '[ -z "$mine" ] || rm -f "$mine"' EXIT
trap 'exit 1' HUP PIPE TERM # by which dash would end without the former
own=$(dd bs=1 skip=18 count=1 < /proc/self/exe 2> /dev/null)
if [ "$own" ] && [ "$machine" ] && [ "$own" != "$(printf "$machine")" ]; then
	echo "exec format error" >&2
	exit 126
fi
for sh in /bin/sh "$(command -v sh)"; do
	[ ! -x "$sh" ] || break
done
for unpacker in gzip zcat busybox ''; do
	! command -v "$unpacker" > /dev/null || break
done
for lacks in head sha256sum cat chmod dd rm wc ''; do
	command -v "$lacks" > /dev/null || break
done
unpack() {
	case $1 in gzip) gzip -dc ;; zcat) zcat ;; busybox) busybox zcat ;; *) cat ;; esac
}
receive() {
	head -c "$2" | {
		unpack "$1" >&4 || {
			cat > /dev/null # what an unpacker that gave up has left
			exit 1
		}
	} && chmod 0700 /proc/self/fd/4
}
while [ "$left" -gt 0 ]; do
	dir=$1 left=$((left - 1))
	shift
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
	if [ "$lacks" ]; then
		printf 'bad\t%s\tno %s in the container, to take and check a file with\n' "$dir" "$lacks"
		continue
	fi
	if [ ! -d "$dir" ]; then
		printf 'bad\t%s\tnot a directory\n' "$dir"
		continue
	fi
	if ! real=$(cd -P "$dir" 2> /dev/null && pwd -P); then
		printf 'bad\t%s\tcannot be entered\n' "$dir"
		continue
	fi
	dir=$real
	case $dir in *'
'*) continue ;;
	esac
	if [ -e "${dir%/}/$name" ]; then
		printf 'bad\t%s\ta file of the name %s is there\n' "$dir" "$name"
		continue
	fi
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
	printf 'dir\t%s\t%s\n' "$unpacker" "$dir"
	while read -r by count || exit 1; do
		[ "$by" != next ] || break
		if ! { command exec 4> "$file"; } 2> /dev/null; then # without command it would end the shell
			head -c "$count" > /dev/null
			printf 'no\tit was there, and a file cannot be made now\n'
			continue
		fi
		mine=$file
		why=$(receive "$by" "$count" 2>&1)
		code=$?
		exec 4>&- 3< "$file"
		if [ "$code" -eq 0 ]; then
			got=$(sha256sum < $self)
			if [ "${got%% *}" = "$sum" ]; then
				echo run
				shift "$left"
				exec $self "$@"
			fi
			why="$(wc -c < $self) of $size bytes arrived, hash ${got%% *} there, $sum here"
		fi
		exec 3<&-
		rm -f "$file"
		mine=
		printf 'no\t%s\n' "$why"
	done
done
echo end
`
