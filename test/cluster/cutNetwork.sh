#!/bin/bash
# By hand, as root, with iproute2: three workers in network namespaces of their own. First they train, undisturbed, and their weights are compared
# with those of one process. Then the link of one is cut for 5 seconds, which all are to get over, and for good, which each is to tell in an
# error within the time-out.
#
#     test/cluster/cutNetwork.sh
set -eu
export TF_CPP_MIN_LOG_LEVEL=3
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
clean() {
  jobs -p | xargs -r kill -9 2>/dev/null || true
  for i in 0 1 2; do ip netns del "tfm$i" 2>/dev/null || true; done
  ip link del tfmbridge 2>/dev/null || true
  rm -r "$folder"
}
trap clean EXIT

ip link add tfmbridge type bridge
ip link set tfmbridge up
for i in 0 1 2; do
  ip netns add "tfm$i"
  ip link add "tfmlink$i" type veth peer name eth0 netns "tfm$i"
  ip link set "tfmlink$i" master tfmbridge up
  ip -n "tfm$i" addr add "10.77.0.1$i/24" dev eth0
  ip -n "tfm$i" link set eth0 up
  ip -n "tfm$i" link set lo up
done

# PROGRAM [ARGUMENT]: as three workers, of which each writes what it finds to a file of its own.
start() {
  for i in 0 1 2; do
    TF_CONFIG="{\"cluster\": {\"worker\": [\"10.77.0.10:2222\", \"10.77.0.11:2222\", \"10.77.0.12:2222\"]}, \"task\": {\"type\": \"worker\", \"index\": $i}}" \
      ip netns exec "tfm$i" node --import tsx "test/cluster/$1" ${2:+"$2"} > "$folder/$i" 2>/dev/null &
  done
}

start training.ts together
node --import tsx test/cluster/training.ts alone > "$folder/alone"
wait
node --import tsx test/cluster/difference.ts "$folder/alone" "$folder/0" "$folder/1" "$folder/2"

start cutNetwork.ts
until grep -q ready "$folder/0" && grep -q ready "$folder/1" && grep -q ready "$folder/2"; do sleep 0.2; done
sleep 2
ip link set tfmlink2 down
sleep 5
ip link set tfmlink2 up
echo 'link of worker 2 was down for 5 s'
for i in 0 1 2; do
  calls=$(grep -c call "$folder/$i")
  until [ "$(grep -c call "$folder/$i")" -gt $((calls + 5)) ] || grep -q error "$folder/$i"; do sleep 0.2; done
  echo "worker $i: $(grep error "$folder/$i" || echo 'goes on')"
done
ip link set tfmlink2 down
echo 'link of worker 2 is down for good'
wait
for i in 0 1 2; do echo "worker $i: $(grep error "$folder/$i")"; done
