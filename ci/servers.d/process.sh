# Processes known by pid and start time, so that a pid that was given to somebody else is never taken for ours.

# stat_of PID: the fields after its name (which may hold anything) of /proc/PID/stat, from the state on.
stat_of() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) && echo "${stat##*) }"
}

# born PID: when it started, in clock ticks since boot; fails when all its threads are gone, though nobody may have reaped it.
born() {
  local stat
  read -ra stat <<<"$(stat_of "$1")"
  [ ${#stat[@]} -gt 0 ] && ! [[ ${stat[0]} = [ZX] && ${stat[17]} -le 1 ]] && echo "${stat[19]}"
}

# dying PID: it is on its way out, or a KILL has been sent that it has not felt yet.
dying() {
  local stat pending
  read -ra stat <<<"$(stat_of "$1")"
  pending=$(sed -n 's/^S[a-z]*Pnd:\t/0x/pi' "/proc/$1/status" 2>/dev/null)
  # 4 is PF_EXITING in the kernel; bit 8 of the pending signals is KILL.
  ((${#stat[@]} == 0 || stat[6] & 4 || (${pending//$'\n'/ | } + 0) & 0x100))
}

# launch SERVER COMMAND...: in the background, with nothing of this terminal; its words go to DIRECTORY/SERVER/log.
launch() {
  local home=$DIRECTORY/$1 server=$1
  shift
  mkdir -p "$home"
  [ ! -e "$home/log" ] || mv "$home/log" "$home/log.before"
  (cd "$home" && exec setsid "$@" </dev/null >"$home/log" 2>&1) &
  echo "$! $(born $!)" >"$home/pid"
}

# pid_of SERVER: its process, if that is the one we started.
pid_of() {
  local pid start
  read -r pid start 2>/dev/null <"$DIRECTORY/$1/pid" && [ "$(born "$pid")" = "$start" ] && echo "$pid"
}

running() {
  local pid
  pid=$(pid_of "$1") && ! dying "$pid"
}

# bring SERVER: starts it unless it runs, and returns when it is ready.
bring() {
  if ! running "$1"; then
    sweep "$1"
    "start_$1"
  fi
  await "$1"
}

# await SERVER: returns when SERVER answers, or dies with the end of its log.
await() {
  local deadline=$((SECONDS + 60))
  until "ready_$1"; do
    running "$1" || die "$1 ended: $(tail -n 5 "$DIRECTORY/$1/log")"
    [ "$SECONDS" -lt "$deadline" ] || die "$1 was not ready within 60 s: $(tail -n 5 "$DIRECTORY/$1/log")"
    sleep 0.1
  done
}

# end SERVER SIGNAL: asks it to end, insists after 15 s, and returns when it and its children are gone.
end() {
  local pid round
  if pid=$(pid_of "$1"); then
    kill -s "$2" "$pid"
    for ((round = 0; round < 150; round++)); do running "$1" || break; sleep 0.1; done
    ! running "$1" || kill -KILL "$pid"
  fi
  sweep "$1"
}

# sweep SERVER: waits for the end of one that is dying, and ends the children it left behind: they work in its data directory.
sweep() {
  local pid
  while pid_of "$1" >/dev/null; do sleep 0.02; done
  while pid=$(find /proc -maxdepth 2 -name cwd -lname "$DIRECTORY/$1/data" -printf '%h\n' 2>/dev/null | head -n 1) && [ -n "$pid" ]; do
    kill -KILL "${pid#/proc/}" 2>/dev/null || true
    sleep 0.02
  done
}

# listening PORT: somebody accepts connections there.
listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
