# A job that a signal ended can say nothing any more: its shell does, as the last line of the rule's log.
ended() {
  case "$1" in
    134) echo "error: a library gave up (SIGABRT); its last words are above" ;;
    135) echo "error: a file it was reading was cut short or has gone, or the disk is full (SIGBUS); look at the disk, then run again" ;;
    137) echo "error: killed (SIGKILL), as a rule because memory ran out; give the job more (\`mem_mb\`), lower \`batch\`, or run fewer jobs at once" ;;
    139) echo "error: a library crashed (SIGSEGV); run again, and if it stays, tell its authors" ;;
    143) echo "error: ended from outside (SIGTERM): cancelled, preempted or out of time; run again, it goes on where it can" ;;
    152) echo "error: out of CPU time (SIGXCPU); raise the limit (ulimit -t), then run again" ;;
  esac >&2
  return "$1"
}
