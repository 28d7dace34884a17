// One step of Mamba-2's scan, for decoding. Lanes are neighbouring states of one channel, as the state lies.
#include "../problem.h"
#include "fold.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

// Below this many states a call is over before a second thread has started.
constexpr int64_t kSerial = 1 << 14;

void stepHead(const SsdStep &p, int64_t b, int64_t head) {
  const int64_t N = p.states, P = p.headDim, first = (b * p.heads + head) * P;
  const float *B = p.B + (b * p.groups + head / (p.heads / p.groups)) * N, *C = p.C + (B - p.B);
  Vec delta = splat(p.delta[b * p.heads + head] + (p.deltaBias ? p.deltaBias[head] : 0));
  if (p.softplus) delta = softplusVec(delta);
  delta = clamp(delta, p.deltaMin, p.deltaMax);
  const Vec decay = expVec(delta * p.A[head]);
  for (int64_t c = 0; c < P; c += kLanes) {
    const int64_t width = P - c < kLanes ? P - c : kLanes;
    const Vec u = loadFirst(p.u + first + c, width), x = delta * u;
    alignas(64) float rows[kLanes * kLanes] = {};
    for (int64_t i = 0; i < width; ++i) {
      const float *h = p.initialState + (first + c + i) * N;
      float *to = p.newState + (first + c + i) * N;
      Vec sum{};
      for (int64_t n = 0; n < N; n += kLanes) {
        const Vec next = decay * loadFirst(h + n, N - n) + x[i] * loadFirst(B + n, N - n);
        storeFirst(to + n, next, N - n);
        // Beyond the last state next may be infinity times 0; what was stored is not.
        sum += (N - n < kLanes ? loadFirst(to + n, N - n) : next) * loadFirst(C + n, N - n);
      }
      store(rows + i * kLanes, sum);
    }
    Vec y = sumEach(rows);
    if (p.D) y += u * (p.skipWidth == 1 ? splat(p.D[head]) : loadFirst(p.D + head * P + c, width));
    if (p.z) y *= silu(loadFirst(p.z + first + c, width));
    storeFirst(p.y + first + c, y, width);
  }
}

}  // namespace

void ssdStep(const SsdStep &p) {
  const auto task = [&](int64_t i) { stepHead(p, i / p.heads, i % p.heads); };
  const int64_t tasks = p.batch * p.heads;
  if (tasks * p.headDim * p.states < kSerial)
    for (int64_t i = 0; i < tasks; ++i) task(i);
  else
    parallelFor(tasks, task);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
