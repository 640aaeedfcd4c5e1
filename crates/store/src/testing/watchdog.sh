# Stops the test cluster when no test process has used it for a minute: $1 is PostgreSQL's folder of
# programs, $2 the cluster's. Test processes hold `in-use` shared; `lock` is held to start and stop.
trap '' HUP INT
cd "$2" || exit
exec 8>>lock 9>>in-use
idle=0
while "$1/pg_ctl" -D data status >/dev/null; do
    sleep 2
    flock -n 8 || continue
    if flock -n 9; then idle=$((idle + 1)); else idle=0; fi
    if [ "$idle" -ge 30 ]; then
        "$1/pg_ctl" -D data -m immediate stop >/dev/null
        rm -rf data
        exit
    fi
    flock -u 9
    flock -u 8
done
