# Processes known by pid and start time, so that a pid that was given to somebody else is never taken for ours.

# born PID: when it started, in clock ticks since boot; fails for one that is gone, or dead and not yet reaped.
born() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The command's name, in brackets, may hold anything; the state is the first field after it and the start the twentieth.
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && [ "${stat[0]}" != X ] && echo "${stat[19]}"
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

running() { pid_of "$1" >/dev/null; }

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

# end SERVER: asks it to end, insists after 15 s, and returns when it and its children are gone.
end() {
  local pid round
  if pid=$(pid_of "$1"); then
    kill -s "$("signal_$1")" "$pid"
    for ((round = 0; round < 150; round++)); do running "$1" || break; sleep 0.1; done
    ! running "$1" || kill -KILL "$pid"
  fi
  sweep "$1"
}

# sweep SERVER: ends what a killed server left behind; such children work in its data directory and nobody else does.
sweep() {
  local pid
  while pid=$(find /proc -maxdepth 2 -name cwd -lname "$DIRECTORY/$1/data" -printf '%h\n' 2>/dev/null | head -n 1) && [ -n "$pid" ]; do
    kill -KILL "${pid#/proc/}" 2>/dev/null || true
    sleep 0.05
  done
}

# listening PORT: somebody accepts connections there.
listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
