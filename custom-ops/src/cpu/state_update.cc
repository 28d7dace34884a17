// One step of the recurrence, for decoding. The state is [B,D,N], so here lanes are neighbouring states of one channel:
// state, A and the rows of B and C are read as they lie.
#include "../problem.h"
#include "fold.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int64_t kBlock = 128;  // channels a task
// Below this many states a call is over before a second thread has started.
constexpr int64_t kSerial = 1 << 14;

// kLogA: p.A holds log(-A), as the weights of a model do.
template <bool kLogA>
void updateBlock(const StateUpdate &p, int64_t b, int64_t first) {
  const int64_t N = p.states, last = first + kBlock < p.channels ? first + kBlock : p.channels;
  for (int64_t c0 = first; c0 < last; c0 += kLanes) {
    const int64_t width = last - c0 < kLanes ? last - c0 : kLanes, at = b * p.channels + c0;
    const Vec u = loadFirst(p.u + at, width);
    Vec delta = loadFirst(p.delta + at, width);
    if (p.deltaBias) delta += loadFirst(p.deltaBias + c0, width);
    if (p.softplus) delta = softplusVec(delta);
    const Vec delta2 = delta * kLog2e, deltaU = delta * u;

    // The group of a channel; without the division where there is one, for it takes as long as the rest.
    const auto group = [&](int64_t groups, int64_t channel) { return groups == 1 ? 0 : channel * groups / p.channels; };
    alignas(64) float rows[kLanes * kLanes] = {};
    for (int64_t i = 0; i < width; ++i) {
      const int64_t channel = c0 + i;
      const float *B = p.B + (p.constantB ? channel : b * p.groupsB + group(p.groupsB, channel)) * N;
      const float *C = p.C + (p.constantC ? channel : b * p.groupsC + group(p.groupsC, channel)) * N;
      const float *A = p.A + channel * N, *h = p.state + (at + i) * N;
      float *to = p.newState + (at + i) * N;
      Vec sum{};
      for (int64_t n = 0; n < N; n += kLanes) {
        const int64_t left = N - n;
        const Vec a = kLogA ? -expVec(loadFirst(A + n, left)) : loadFirst(A + n, left);
        const Vec next = exp2Vec(delta2[i] * a) * loadFirst(h + n, left) +
                         deltaU[i] * loadFirst(B + n, left);
        storeFirst(to + n, next, left);
        // Beyond the last state next may be infinity times 0; what was stored is not.
        sum += (left < kLanes ? loadFirst(to + n, left) : next) * loadFirst(C + n, left);
      }
      store(rows + i * kLanes, sum);
    }
    Vec y = sumEach(rows);
    if (p.D) y += u * loadFirst(p.D + c0, width);
    if (p.z) y *= silu(loadFirst(p.z + at, width));
    storeFirst(p.y + at, y, width);
  }
}

template <bool kLogA>
void update(const StateUpdate &p) {
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock, tasks = p.batch * blocks;
  const auto task = [&](int64_t i) { updateBlock<kLogA>(p, i / blocks, i % blocks * kBlock); };
  if (p.batch * p.channels * p.states < kSerial)
    for (int64_t i = 0; i < tasks; ++i) task(i);
  else
    parallelFor(tasks, task);
}

}  // namespace

void selectiveStateUpdate(const StateUpdate &p) { update<false>(p); }
void selectiveStateUpdateOfLogA(const StateUpdate &p) { update<true>(p); }

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
