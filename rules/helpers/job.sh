# How the shell of a job runs its script: it hands SIGTERM on, and says in the log's last line what a script that a signal
# has ended cannot say any more.
job() {
  local status=0
  "$@" &
  trap 'kill -TERM "$!" 2> /dev/null' TERM
  wait "$!" || status=$?
  while kill -0 "$!" 2> /dev/null; do # the signal ended the wait, not the script
    status=0
    wait "$!" || status=$?
  done
  case "$status" in
    134) echo "error: a library gave up (SIGABRT); its last words are above" ;;
    135) echo "error: a file it was reading was cut short or has gone, or the disk is full (SIGBUS); look at the disk, then run again" ;;
    137) echo "error: killed (SIGKILL), as a rule because memory ran out; give the job more (\`mem_mb\`), lower \`batch\`, or run fewer jobs at once" ;;
    139) echo "error: a library crashed (SIGSEGV); run again, and if it stays, tell its authors" ;;
    143) echo "error: ended from outside (SIGTERM): cancelled, preempted or out of time; run again, it goes on where it can" ;;
    152) echo "error: out of CPU time (SIGXCPU); raise the limit (ulimit -t), then run again" ;;
  esac >&2
  return "$status"
}
