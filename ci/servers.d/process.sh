# Processes are identified by pid and start time, so that another process with a reused pid is never taken for ours.

# stat_of PID: the fields of /proc/PID/stat after the name (which may contain anything), from the state on.
stat_of() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) && echo "${stat##*) }"
}

# born PID: when it started, in clock ticks since boot. Fails when all its threads are gone, even if it has not been reaped.
born() {
  local stat
  read -ra stat <<<"$(stat_of "$1")"
  [ ${#stat[@]} -gt 0 ] && ! [[ ${stat[0]} = [ZX] && ${stat[17]} -le 1 ]] && echo "${stat[19]}"
}

# dying PID: whether it is exiting, or a KILL is pending for it.
dying() {
  local stat pending
  read -ra stat <<<"$(stat_of "$1")"
  pending=$(sed -n 's/^S[a-z]*Pnd:\t/0x/pi' "/proc/$1/status" 2>/dev/null)
  # 4 is PF_EXITING in the kernel; bit 8 of the pending signals is KILL.
  ((${#stat[@]} == 0 || stat[6] & 4 || (${pending//$'\n'/ | } + 0) & 0x100))
}

# launch SERVER COMMAND...: starts it in the background, detached from this terminal; its output goes to DIRECTORY/SERVER/log.
launch() {
  local home=$DIRECTORY/$1 server=$1
  shift
  mkdir -p "$home"
  [ ! -e "$home/log" ] || mv "$home/log" "$home/log.before"
  (cd "$home" && exec setsid "$@" </dev/null >"$home/log" 2>&1) &
  echo "$! $(born $!)" >"$home/pid"
}

# pid_of SERVER: its pid, if it is the process that we started.
pid_of() {
  local pid start
  read -r pid start 2>/dev/null <"$DIRECTORY/$1/pid" && [ "$(born "$pid")" = "$start" ] && echo "$pid"
}

running() {
  local pid
  pid=$(pid_of "$1") && ! dying "$pid"
}

# bring SERVER: starts it unless it is running, and returns when it is ready.
bring() {
  if ! running "$1"; then
    sweep "$1"
    "start_$1"
  fi
  await "$1"
}

# await SERVER: returns when it answers, or dies with the end of its log. A Kafka with the topics of a hundred tests took 70 s
# on a busy machine.
await() {
  local patience=180
  local deadline=$((SECONDS + patience))
  until "ready_$1"; do
    running "$1" || die "$1 ended: $(tail -n 5 "$DIRECTORY/$1/log")"
    [ "$SECONDS" -lt "$deadline" ] || die "$1 was not ready within $patience s: $(tail -n 5 "$DIRECTORY/$1/log")"
    sleep 0.1
  done
}

# end SERVER SIGNAL: sends the signal, kills it after 15 s, and returns when it and its children are gone.
end() {
  local pid round
  if pid=$(pid_of "$1"); then
    kill -s "$2" "$pid"
    for ((round = 0; round < 150; round++)); do running "$1" || break; sleep 0.1; done
    ! running "$1" || kill -KILL "$pid"
  fi
  sweep "$1"
}

# sweep SERVER: waits for a dying one to exit, and kills the children that it left behind, because they use its data directory.
sweep() {
  local pid
  while pid_of "$1" >/dev/null; do sleep 0.02; done
  while pid=$(find /proc -maxdepth 2 -name cwd -lname "$DIRECTORY/$1/data" -printf '%h\n' 2>/dev/null | head -n 1) && [ -n "$pid" ]; do
    kill -KILL "${pid#/proc/}" 2>/dev/null || true
    sleep 0.02
  done
}

# listening PORT: whether connections are accepted there.
listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
