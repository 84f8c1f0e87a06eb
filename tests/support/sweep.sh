# Ends every process whose working directory is in $1, frees its shared memory, and removes $1.
# PostgreSQL's processes work in their data directory and PgBouncer is started in its own, so this
# finds backends too, stopped ones and orphans of a killed postmaster included.
dir=$1

processes() {
    find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$dir" -o -lname "$dir/*" \) 2>/dev/null | cut -d/ -f3
}

# An immediate shutdown lets a postmaster free its shared memory itself. Stopped processes have to be woken for it.
# Waits at most 2 s.
for pid in $(processes); do
    lock=$(readlink "/proc/$pid/cwd")/postmaster.pid
    if [ -f "$lock" ] && [ "$(head -n 1 "$lock")" = "$pid" ]; then
        kill -QUIT "$pid"
    fi
    kill -CONT "$pid"
done 2>/dev/null
tries=0
while [ -n "$(processes)" ] && [ "$tries" -lt 40 ]; do
    # Whatever is no server ends at once: only servers are worth waiting for.
    find "$dir" -name postmaster.pid 2>/dev/null | grep -q . || break
    sleep 0.05
    tries=$((tries + 1))
done
tries=0
while left=$(processes) && [ -n "$left" ] && [ "$tries" -lt 100 ]; do
    kill -KILL $left 2>/dev/null
    sleep 0.02
    tries=$((tries + 1))
done

# The seventh line of the lock file of a server that was killed: key and id of its shared memory.
find "$dir" -name postmaster.pid 2>/dev/null | while read -r lock; do
    id=$(sed -n '7s/^ *[0-9]* *//p' "$lock")
    [ -n "$id" ] && ipcrm -m "$id" 2>/dev/null
done
rm -rf "$dir"
