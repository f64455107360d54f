#!/usr/bin/env bash
# A SLURM on this machine, for tests: two nodes on loopback ports, two fake GPUs each, no systemd, no accounting, no
# cgroups.
#   cluster.sh start|stop DIR     everything it writes lies in DIR, but for the link /etc/slurm/slurm.conf
# Needs root and Debian's packages slurm-wlm and munge.
set -euo pipefail
action=$1 base=$(readlink -m "$2")
export SLURM_CONF=$base/etc/slurm.conf
link=/etc/slurm/slurm.conf

# Ended and waiting to be reaped counts as ended: nobody may be there to reap a daemon.
alive() { [ -d "/proc/$1" ] && ! grep -qs ') Z' "/proc/$1/stat"; }

start() {
  if [ -e "$link" ]; then
    echo "error: $link is there: this machine has a SLURM already, which is left alone" >&2
    exit 1
  fi
  mkdir -p "$base"/{etc,state,spool/one,spool/two,log,run,dev} /etc/slurm
  chmod 755 "$base" "$base/run"
  mknod "$base/dev/nvidia0" c 1 3 # a GPU is a device file, here /dev/null by another name; a count alone is refused
  mknod "$base/dev/nvidia1" c 1 3
  (umask 077 && head -c 1024 /dev/urandom > "$base/etc/munge.key")
  sed "s#@BASE@#$base#g; s#@HOST@#$(hostname -s)#g" "$(dirname "$0")/slurm.conf.in" > "$SLURM_CONF"
  echo "NodeName=one,two Name=gpu File=$base/dev/nvidia[0-1] Flags=nvidia_gpu_env" > "$base/etc/gres.conf"
  printf 'CgroupPlugin=cgroup/v1\nCgroupMountpoint=%s/none\nCgroupAutomount=no\n' "$base" > "$base/etc/cgroup.conf"
  ln -s "$SLURM_CONF" "$link" # jobs see no variable of SLURM's, so the configuration has to lie where srun looks
  /usr/sbin/munged --socket="$base/run/munge.socket.2" --pid-file="$base/run/munged.pid" \
    --log-file="$base/log/munged.log" --seed-file="$base/run/munged.seed" --key-file="$base/etc/munge.key"
  /usr/sbin/slurmctld -i
  /usr/sbin/slurmd -N one
  /usr/sbin/slurmd -N two
  for _ in $(seq 600); do
    if [ "$(timeout 5 sinfo -h -p both -t idle -o %D)" = 2 ]; then exit 0; fi
    sleep 0.1
  done
  tail -n 3 "$base"/log/slurm*.log >&2
  stop
  exit 1
}

stop() {
  timeout 5 scancel -u "$(id -un)" 2> /dev/null || true
  for daemon in slurmd-one slurmd-two slurmctld munged; do
    pid=$(cat "$base/run/$daemon.pid" 2> /dev/null) || continue
    kill "$pid" 2> /dev/null || continue
    for _ in $(seq 50); do
      alive "$pid" || continue 2
      sleep 0.1
    done
    kill -9 "$pid" || true
  done
  # SLURM kills a job's tree of processes; one whose parent was gone by then would live on.
  for environ in /proc/[0-9]*/environ; do
    if tr '\0' '\n' 2> /dev/null < "$environ" | grep -qx 'SLURM_CLUSTER_NAME=test'; then
      pid=${environ#/proc/}
      kill -9 "${pid%/environ}" 2> /dev/null || true
    fi
  done
  if [ "$(readlink "$link")" = "$SLURM_CONF" ]; then rm "$link"; fi
}

"$action"
