# Sourced by the tests of programs: a folder of their own, and expect. $1 is the program.
program=$1
folder=$(mktemp -d)
trap '[[ $BASHPID == $$ ]] && rm -rf "$folder"' EXIT  # and not where a job is ended before it is a program
cd "$folder" || exit 1
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE
broken=0

say() { printf 'broken: %s\n' "$*"; broken=1; }

# expect STATUS TEXT COMMAND...: the command ends with the status, and says the text on either stream.
expect() {
    local status=$1 text=$2 said seen
    shift 2
    said=$("$@" 2>&1 </dev/null)
    seen=$?
    [[ $seen == "$status" ]] || say "'$*' ended with $seen, expected $status: $said"
    [[ $said == *"$text"* ]] || say "'$*' does not say '$text': $said"
}
