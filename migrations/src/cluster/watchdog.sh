# Waits behind one user of a private cluster, and stops the server when that user was killed and
# nobody else is there. Started by counterfoil, written anew each time.
trap '' HUP INT TERM
base=$1 socket=$2 me=$3 linger=$4
while read -r word; do [ "$word" = bye ] && exit 0; done
sleep "$linger"
rm -f "$base/users/$me"
tries=0
until ln -s $$ "$base/stopping" 2>/dev/null; do
    tries=$((tries + 1))
    [ -d "$base" ] && [ $tries -lt 60 ] || exit 0
    sleep 1
done
trap 'rm -f "$base/stopping"' EXIT
[ -e "$base/pinned" ] && exit 0
set -- "$base"/users/*
[ -e "$1" ] && exit 0
pid=$(head -n 1 "$base/cluster/postmaster.pid" 2>/dev/null) || exit 0
if [ -d /proc/self ]; then
    [ "$(readlink "/proc/$pid/cwd")" = "$base/cluster" ] || exit 0
else
    ps -o command= -p "$pid" | grep -qF -e "$base/cluster" -e "-D cluster" || exit 0
fi
kill -INT "$pid" || exit 0
tries=0
while kill -0 "$pid" 2>/dev/null && [ $tries -lt 120 ]; do
    tries=$((tries + 1))
    sleep 1
done
# Present when it had to be in /tmp; the next start makes it again.
rmdir "$socket" 2>/dev/null
