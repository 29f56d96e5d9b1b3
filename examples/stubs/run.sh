#!/bin/sh
# Executes a run by curl alone, with no worker and no SDK:  run.sh RUN_ID
# Started again after a crash, it continues from where it was. docs/protocol.md explains it.
set -eu
run=$1
http=${PAWL_HTTP:-http://127.0.0.1:8000} # where `pawl serve` answers HTTP

# Sends a message, again and again while the server is away: nobody knows what it has recorded.
call() {
  until curl -sS -H 'content-type: application/json' -d "$2" "$http/pawl.v1.$1"; do sleep 1; done
}
# The value of a member of the JSON on standard input, where there is only one of that name.
member() { sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'; }

# Claims the run: creates it, or takes it on where another process has left it.
while claim=$(call RunService/StartRun '{"workflow":"stub-report","runId":"'"$run"'","claim":true}'); do
  case $claim in
    *'"RUN_LEASED"'*) sleep 1 ;; # the crashed process holds it until the lease ends, 15 s at most
    *) break ;;
  esac
done
case $claim in
  *'"claimed"'*) ;;
  *'"RUN_STATUS_COMPLETED"'*) echo "ended before: $(echo "$claim" | member data | base64 -d)"; exit ;;
  *) echo "$claim" >&2; exit 1 ;;
esac
fence=$(echo "$claim" | sed 's/.*"lease":{\([^}]*\)}.*/\1/' | member fence)

# Keeps the lease while this script runs.
while sleep 5 && kill -0 $$; do
  call WorkerService/HeartbeatLeases '{"leases":[{"runId":"'"$run"'","fence":'"$fence"'}]}' >/dev/null
done 2>/dev/null &
trap 'kill $!' EXIT

# Ends the run as failed through a step, or as cancelled.
fail() {
  keys=${2:+'"'$2'"'}
  call WorkerService/FailRun '{"runId":"'"$run"'","fence":'"$fence"',"failedStepKeys":['"$keys"'],
    "failure":{"type":"Error","message":"'"$1"'"}}' >/dev/null
  echo "failed: $1" >&2
  exit 1
}

# step NAME COMMAND: what the command printed, now or when it was recorded.
step() {
  about='"runId":"'"$run"'","fence":'"$fence"',"stepKey":"'"$1"'"'
  # With a request id the same start may be sent twice, should its answer be lost.
  answer=$(call StepService/StepStarted "{$about"',"name":"'"$1"'","kind":"STEP_KIND_STEP","requestId":"only"}')
  case $answer in
    *'"replay":{"failure"'*) fail "$(echo "$answer" | member message)" "$1" ;;
    *'"replay"'*) echo "$answer" | member data | base64 -d ;; # it was done before the crash
    *'"execute"'*)
      attempt=$(echo "$answer" | member attempt)
      if output=$(sh -c "$2"); then
        data=$(printf '"%s"' "$output" | base64 | tr -d '\n') # a payload is bytes, here of JSON
        done=$(call StepService/StepCompleted "{$about"',"attempt":'"$attempt"',"output":{"data":"'"$data"'"}}')
        case $done in
          *'"seq"'*) printf '"%s"' "$output" ;;
          *'"LEASE_LOST"'*) step "$1" "$2" ;; # cancelled, or taken away: the answer to a start tells
          *) echo "$done" >&2; exit 1 ;;
        esac
      else
        failure='"failure":{"type":"Error","message":"'"$1"' ended with '"$?"'"}'
        call StepService/StepFailed "{$about"',"attempt":'"$attempt,$failure}" >/dev/null
        step "$1" "$2" # it backs off, or has failed finally: the server says which
      fi ;;
    *'"wait"'*) sleep 1; step "$1" "$2" ;; # it backs off
    *'"REASON_RUN_CANCELLED"'*) # there is nothing to undo here
      fence=$(echo "$answer" | sed 's/.*"stop"//' | member fence)
      fail cancelled ;;
    *'"REASON_RUN_PAUSED"'*) # given back, with nothing in flight, it is paused
      call WorkerService/SuspendRun '{"runId":"'"$run"'","fence":'"$fence"'}' >/dev/null
      echo "the run is paused" >&2
      exit 1 ;;
    *) echo "$answer" >&2; exit 1 ;; # somebody else has the run
  esac
}

first=$(step first "${FIRST:-date +%s}")
second=$(step second "${SECOND:-hostname}")
data=$(printf '[%s,%s]' "$first" "$second" | base64 | tr -d '\n')
end=$(call WorkerService/CompleteRun '{"runId":"'"$run"'","fence":'"$fence"',"output":{"data":"'"$data"'"}}')
case $end in *'"code"'*) echo "$end" >&2; exit 1 ;; esac
echo "ended: [$first,$second]"
