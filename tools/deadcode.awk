# Prints the functions that deadcode finds and the first file does not state; fails if there are any.
NR == FNR { if (NF && $1 !~ /^#/) stated[$1]; next }
NF == 0 { next }
{ sub(/^github\.com\/splitbench\/splitbench\//, "") }
/^test\/recorded\./ { next } # a package of tests only, which no program is to reach
!($1 in stated) { print $1 ": no program reaches it"; bad = 1 }
END { exit bad }
