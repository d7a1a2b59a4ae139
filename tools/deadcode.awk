# Prints the functions that deadcode finds and the first file does not state, and what that states in vain; fails if any.
NR == FNR { if (NF && $1 !~ /^#/) stated[$1]; next }
NF == 0 { next }
{ sub(/^github\.com\/splitbench\/splitbench\//, "") }
!($1 in stated) { print $1 ": no program reaches it"; bad = 1; next }
{ delete stated[$1] }
END {
	for (f in stated) { print f ": stated in tools/deadcode.txt, but reached"; bad = 1 }
	exit bad
}
