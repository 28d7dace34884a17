// The selective scan, backward: time runs back over a chunk of steps, whose states are computed again from the saved
// one into shared memory. Sums over the channels of a block go by shuffles, over blocks and pieces in kernels of their
// own. selective_scan_grad.cu and selective_scan_grad_16.cu instantiate it.
#pragma once

#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

// Sums that cross blocks, in the workspace: by batch and piece (slice), or by block of channels.
struct Partials {
  float *ends, *sumDelta;         // tiles of states by slice; [slices,D]
  float *dA, *dFixedB, *dFixedC;  // [slices,N,D]
  float *dD, *dBias;              // [slices,D], or [runs,D] where the states are cut into parts
  float *dBC;                     // [blocks,B,L,kBoth]
  float *parts;                   // [parts,3,B,L,D]: of each part of the states, its Sums
};

// More states than these do not fit a thread's registers: they are cut into two parts, whose sums over states are added up in a
// kernel of its own, in runs of so many steps.
constexpr int64_t kMostStates = 32, kRun = 32;
int64_t partsOf(const ScanShape &p) { return p.states > kMostStates ? 2 : 1; }
int64_t runsOf(const ScanShape &p) { return (p.length + kRun - 1) / kRun; }

// dB and dC of a block at a step: for each quarter of the states those of B, then those of C. S: states a thread would have if
// they were not cut into parts.
template <int S>
constexpr int kBoth = 2 * S * kShare;

Partials divide(const ScanShape &p, const Pieces &pieces, float *workspace) {
  const int64_t slices = p.batch * pieces.count, vectors = slices * p.channels, matrices = vectors * p.states;
  Partials q;
  q.ends = workspace;
  q.dBC = q.ends + slices * stateFloats(p);
  q.sumDelta = q.dBC + p.batch * p.length * 2 * stateFloats(p) / kChannels;
  q.dD = q.sumDelta + vectors;
  q.dBias = q.dD + vectors;
  q.dA = q.dBias + vectors;
  q.dFixedB = q.dA + matrices;
  q.dFixedC = q.dFixedB + matrices;
  q.parts = q.dFixedC + matrices;
  if (partsOf(p) > 1) {
    q.dD = q.parts + partsOf(p) * 3 * p.batch * p.length * p.channels;
    q.dBias = q.dD + p.batch * runsOf(p) * p.channels;
  }
  return q;
}

// To a matrix [N,D] of a slice, for addSlices.
template <int S>
__device__ inline void toSlice(float *to, const States<S> &from, const ScanShape &p, const Place &at) {
  for (int j = 0; j < kShare; ++j)
    for (int i = 0; i < S; ++i) {
      const int n = at.state<S>(i);
      if (at.active(j) && n < p.states) to[(at.slice * p.states + n) * p.channels + at.channel(j)] = from.v[j][i];
    }
}

template <typename T, int S>
struct EndsMemory {
  ChannelRows<T> delta, dy, z;
  StateRows<T, S> C;
};

// What each piece hands to the one before it if nothing comes from the one behind.
template <typename T, int S, bool kSelective, bool kPacked>
__global__ void __launch_bounds__(32)
    reverseEnds(ScanBackwardOf<T> p, bool fit, Grid grid, Pieces pieces, Partials out) {
  __shared__ EndsMemory<T, S> s;
  letNextBegin();
  if (kSelective) p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces, static_cast<int>(pieces.count) - 1, 1);  // nothing comes before the first
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, p.delta);
    ask.channels(s.dy, p.dy);
    if (p.z) ask.channels(s.z, p.z);
    if (!p.constantC) ask.states(s.C, p.C, p.groupsC, at.groupC);
  };
  const int64_t last = (at.end - 1) / kSteps * kSteps;
  ask(fit, p, at, 0, last, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p.A, p, at);
  States<S> fixedC, g = {};
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  float total = 0;
  bool cut = false;
  int room = 0;
  for (int64_t t0 = last; t0 >= at.begin; t0 -= kSteps, room ^= 1) {
    __syncwarp();
    ask(fit, p, at, room ^ 1, t0 - kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    float delta[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p.sequenceIds, p, at, t0, left);
    cut = cut || starts != 0;
#pragma unroll
    for (int k = kSteps - 1; k >= 0; --k) {
      float deltas[kShare], dOuts[kShare], rowC[S], dOut = s.dy.get(room, k);
      if (p.z) dOut *= silu(s.z.get(room, k));
      spread(deltas, delta[k]);
      spread(dOuts, dOut);
      if (!p.constantC) s.C.get(rowC, room, k);
      g.each([&](float &x, int j, int i) {
        x = (x + dOuts[j] * (p.constantC ? fixedC.v[j][i] : rowC[i])) * exp2Fast(deltas[j] * A2.v[j][i]);
      });
      if (starts >> k & 1) g = {};
      total += delta[k];
    }
  }
  g.store(out.ends + States<S>::place(at, grid, at.slice));
  if (at.active()) out.sumDelta[at.slice * p.channels + at.channel()] = cut ? kCut : total;
}

// Sums 2S values of each lane over the lanes that have the same quarter of the states (lane bits 2 to 4). Each exchange
// hands half of the values over, so 7 shuffles do for 8 values; then a lane holds the sums of values from `first` on,
// kLeft of them.
template <int S>
struct ChannelSum {
  static constexpr int kLeft = 2 * S >= 8 ? 2 * S / 8 : 1;
  int first = 0;
  bool writes = true;  // with fewer values than lanes several lanes hold the same sum

  __device__ ChannelSum(float (&v)[2 * S], int lane) {
    int count = 2 * S;
#pragma unroll
    for (int mask = 16; mask >= 4; mask /= 2) {
      const bool upper = lane & mask;
      if (count > 1) {
        count /= 2;
#pragma unroll
        for (int i = 0; i < S; ++i) {
          if (i >= count) break;
          const float other = __shfl_xor_sync(kFullWarp, upper ? v[i] : v[i + count], mask);
          v[i] = (upper ? v[i + count] : v[i]) + other;
        }
        if (upper) first += count;
      } else {
        v[0] += __shfl_xor_sync(kFullWarp, v[0], mask);
        writes = writes && !upper;
      }
    }
  }
};

// Sums over the states of a channel at a step: of the gradient of the state times B, of what reaches the exponents in units of ln
// 2, and y before skip connection and gate.
struct Sums {
  float gB, decay, y;
};

// What a channel at a step is given, delta with its bias, and what follows.
struct Position {
  float x, step, u, dy, z, gate, dOut;

  __device__ Position(float x, float step, float u, float dy, float z, bool gated)
      : x(x), step(step), u(u), dy(dy), z(z), gate(sigmoid(z)), dOut(gated ? dy * z * gate : dy) {}
  __device__ float dDelta(const Sums &sums, bool withSoftplus) const {
    const float slope = withSoftplus && x <= 20.0f ? sigmoid(x) : 1.0f;
    return (sums.decay * (1 / kLog2e) + u * sums.gB) * slope;
  }
  __device__ float du(const Sums &sums, float D) const { return D * dOut + step * sums.gB; }
  __device__ float dz(const Sums &sums, float D) const {
    return dy * (sums.y + D * u) * gate * (1.0f + z * (1.0f - gate));
  }
};

template <typename T, int S>
struct Memory {
  ChannelRows<T> delta, u, dy, z;
  StateRows<T, S> B, C;
  float steps[kSteps][kChannels];     // delta after bias and softplus
  float h[kSteps][States<S>::kTile];  // before each step
};

template <typename T, int S, bool kSelective, bool kPacked, int kParts>
__global__ void __launch_bounds__(32)
    reverseKernel(ScanBackwardOf<T> p, bool fit, Grid grid, Pieces pieces, Partials out) {
  extern __shared__ float4 memory[];
  Memory<T, S> &s = *reinterpret_cast<Memory<T, S> *>(memory);
  if (kSelective) p.constantB = p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces, static_cast<int>(pieces.count), 0, kParts);
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, p.delta);
    ask.channels(s.u, p.u);
    ask.channels(s.dy, p.dy);
    if (p.z) ask.channels(s.z, p.z);
    if (!p.constantB) ask.states(s.B, p.B, p.groupsB, at.groupB);
    if (!p.constantC) ask.states(s.C, p.C, p.groupsC, at.groupC);
  };
  const int64_t last = (at.end - 1) / kSteps * kSteps;
  ask(fit, p, at, 0, last, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f, D = p.D ? p.D[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p.A, p, at);
  States<S> fixedB, fixedC, dA = {}, dFixedB = {}, dFixedC = {};
  if (p.constantB) fixedB.fromMatrix(p.B, p, at);
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  States<S> g = startOf<S, kParts>(p.dFinalState, out.ends, p, at, grid, pieces);
  const float *saved = 
      p.chunkStates + States<S>::template place<kParts>(at, grid, at.batch * savedStates(p.length) + last / kSteps);
  float sumD = 0, sumBias = 0;
  int room = 0;

  for (int64_t t0 = last; t0 >= at.begin; t0 -= kSteps, room ^= 1) {
    States<S> h;
    h.template load<kParts>(saved), saved -= grid.blocks() * kParts * States<S>::kTile;
    __syncwarp();
    ask(fit, p, at, room ^ 1, t0 - kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));

    float delta[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p.sequenceIds, p, at, t0, left);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) s.steps[k][at.lane] = delta[k];
#pragma unroll 2
    for (int k = 0; k < kSteps; ++k) {
      float deltas[kShare], deltaUs[kShare], rowB[S];
      const float step = s.steps[k][at.lane];
      spread(deltas, step);
      spread(deltaUs, step * s.u.get(room, k));
      if (!p.constantB) s.B.get(rowB, room, k);
      h.store(s.h[k] + at.lane * States<S>::kVector);
      if (starts >> k & 1) h = {};
      h.each([&](float &x, int j, int i) {
        x = exp2Fast(deltas[j] * A2.v[j][i]) * x + deltaUs[j] * (p.constantB ? fixedB.v[j][i] : rowB[i]);
      });
    }

#pragma unroll 2
    for (int k = kSteps - 1; k >= 0; --k) {
      const Position own(s.delta.get(room, k) + bias, s.steps[k][at.lane], s.u.get(room, k), s.dy.get(room, k),
                         p.z ? s.z.get(room, k) : 0.0f, p.z);
      float deltas[kShare], deltaUs[kShare], dOuts[kShare], rowB[S], rowC[S];
      spread(deltas, own.step);
      spread(deltaUs, own.step * own.u);
      spread(dOuts, own.dOut);
      if (!p.constantB) s.B.get(rowB, room, k);
      if (!p.constantC) s.C.get(rowC, room, k);
      States<S> before;
      before.load(s.h[k] + at.lane * States<S>::kVector);
      const bool begins = starts >> k & 1;
      float both[2 * S] = {}, y[kShare] = {}, sumSB[kShare] = {}, dDelta[kShare] = {};
      g.each([&](float &x, int j, int i) {
        const float B = p.constantB ? fixedB.v[j][i] : rowB[i], C = p.constantC ? fixedC.v[j][i] : rowC[i];
        x += dOuts[j] * C;
        both[i] += x * deltaUs[j];
        both[S + i] += dOuts[j] * h.v[j][i];
        if (!kSelective) dFixedB.v[j][i] += x * deltaUs[j], dFixedC.v[j][i] += dOuts[j] * h.v[j][i];
        y[j] += C * h.v[j][i];
        sumSB[j] += x * B;
        x *= exp2Fast(deltas[j] * A2.v[j][i]);
        const float product = begins ? 0.0f : x * before.v[j][i];
        dA.v[j][i] += deltas[j] * product;
        dDelta[j] += A2.v[j][i] * product;
        h.v[j][i] = before.v[j][i];
      });
      if (begins) g = {};
      const Sums sums{gather(sumSB), gather(dDelta), gather(y)};
      const bool stores = k < left && at.active();
      const int64_t to = (at.batch * p.length + t0 + k) * p.channels + at.channel();
      if (kParts > 1) {
        const int64_t size = p.batch * p.length * p.channels;
        float *part = out.parts + at.part * 3 * size + to;
        if (stores) part[0] = sums.gB, part[size] = sums.decay, part[2 * size] = sums.y;
      } else {
        const float ownDelta = own.dDelta(sums, p.softplus);
        sumD += own.dOut * own.u;
        sumBias += k < left ? ownDelta : 0.0f;
        if (stores) {
          p.ddelta[to] = static_cast<T>(ownDelta);
          p.du[to] = static_cast<T>(own.du(sums, D));
          if (p.z) p.dz[to] = static_cast<T>(own.dz(sums, D));
        }
      }
      if (!p.constantB || !p.constantC) {
        const ChannelSum<S> sum(both, at.lane);
        const int64_t row = (at.block * p.batch + at.batch) * p.length + t0 + k;
        const int ofC = sum.first / S, n = sum.first % S + at.part * S;
        float *to = out.dBC + (row * kShare + at.quarter()) * 2 * S * kParts + ofC * S * kParts + n;
        if (k < left && sum.writes)
          for (int i = 0; i < ChannelSum<S>::kLeft; ++i) to[i] = both[i];
      }
    }
  }

  letNextBegin();
  toSlice(out.dA, dA, p, at);
  if (p.constantB) toSlice(out.dFixedB, dFixedB, p, at);
  if (p.constantC) toSlice(out.dFixedC, dFixedC, p, at);
  if (p.dInitialState && at.piece == 0) g.toMatrix(p.dInitialState + at.batch * p.channels * p.states, p, at);
  if (kParts == 1 && at.active()) {
    out.dD[at.slice * p.channels + at.channel()] = sumD;
    out.dBias[at.slice * p.channels + at.channel()] = sumBias;
  }
}

// The gradients that need the sums over all states, where these are in parts; and a run's share of those of D and deltaBias.
template <typename T>
__global__ void finishKernel(ScanBackwardOf<T> p, Partials out, int parts, int64_t runs) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= p.batch * runs * p.channels) return;
  const int64_t d = i % p.channels, run = i / p.channels % runs, batch = i / p.channels / runs;
  const int64_t size = p.batch * p.length * p.channels, end = min((run + 1) * kRun, p.length);
  const float bias = p.deltaBias ? p.deltaBias[d] : 0.0f, D = p.D ? p.D[d] : 0.0f;
  float sumD = 0, sumBias = 0;
#pragma unroll 4
  for (int64_t t = run * kRun; t < end; ++t) {
    const int64_t at = (batch * p.length + t) * p.channels + d;
    Sums sums{};
    for (int part = 0; part < parts; ++part) {
      const float *from = out.parts + part * 3 * size + at;
      sums.gB += from[0], sums.decay += from[size], sums.y += from[2 * size];
    }
    const float x = static_cast<float>(p.delta[at]) + bias;
    const Position own(x, p.softplus ? softplus(x) : x, static_cast<float>(p.u[at]), static_cast<float>(p.dy[at]),
                       p.z ? static_cast<float>(p.z[at]) : 0.0f, p.z);
    const float ownDelta = own.dDelta(sums, p.softplus);
    sumD += own.dOut * own.u;
    sumBias += ownDelta;
    p.ddelta[at] = static_cast<T>(ownDelta);
    p.du[at] = static_cast<T>(own.du(sums, D));
    if (p.z) p.dz[at] = static_cast<T>(own.dz(sums, D));
  }
  out.dD[i] = sumD, out.dBias[i] = sumBias;
}

// dB, then dC [B,L,G,N], where they are wanted = the sum over the blocks of each group.
template <int S, typename T>
__global__ void addBlocks(ScanBackwardOf<T> p, int64_t sizeB, int64_t sizeC, const float *from, int64_t blocks) {
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  awaitLast();
  if (i >= sizeB + sizeC) return;
  const bool ofC = i >= sizeB;
  if (ofC) i -= sizeB;
  const int64_t groups = ofC ? p.groupsC : p.groupsB, each = blocks / groups;
  const int64_t n = i % p.states, g = i / p.states % groups, step = i / p.states / groups;
  from += step * kBoth<S> + n / S * 2 * S + (ofC ? S : 0) + n % S;
  float sum = 0;
#pragma unroll 8
  for (int64_t k = g * each; k < (g + 1) * each; ++k) sum += from[k * p.batch * p.length * kBoth<S>];
  (ofC ? p.dC : p.dB)[i] = static_cast<T>(sum);
}

}  // namespace

template <typename T>
const char *launchSelectiveScanGrad(const ScanBackwardOf<T> &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Grid grid(p);
  const Partials out = divide(p, pieces, workspace);
  const int64_t slices = p.batch * pieces.count;
  const unsigned blocks = static_cast<unsigned>(slices * grid.blocks());
  const bool selective = !p.constantB && !p.constantC, packed = p.sequenceIds != nullptr;
  if (!selective && !std::is_same_v<T, float>) return kConstant16;
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value, kParts = S * kShare > kMostStates ? 2 : 1;
    constexpr int kBytes = static_cast<int>(sizeof(Memory<T, S / kParts>));
    const auto passes = [&](auto first, auto whole) {
      const bool fit = fits<S / kParts>(p, grid, p.dy);
      if (kBytes > 48 * 1024) cudaFuncSetAttribute(whole, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
      if (pieces.count == 1) {
        whole<<<kParts * blocks, 32, kBytes, stream>>>(p, fit, grid, pieces, out);
        return;
      }
      first<<<blocks - static_cast<unsigned>(p.batch * grid.blocks()), 32, 0, stream>>>(p, fit, grid, pieces, out);
      launchStringPieces<S>(p, grid, pieces, p.A, p.dFinalState, out.ends, out.sumDelta, true, stream);
      launchEarly(whole, kParts * blocks, 32, kBytes, stream, p, fit, grid, pieces, out);
    };
    if (packed && selective)
      passes(reverseEnds<T, S, true, true>, reverseKernel<T, S / kParts, true, true, kParts>);
    else if (selective)
      passes(reverseEnds<T, S, true, false>, reverseKernel<T, S / kParts, true, false, kParts>);
    else if constexpr (std::is_same_v<T, float>)
      passes(reverseEnds<T, S, false, true>, reverseKernel<T, S / kParts, false, true, kParts>);
    if (kParts > 1) {
      const int64_t runs = runsOf(p);
      finishKernel<<<blocksFor(p.batch * runs * p.channels, 128), 128, 0, stream>>>(p, out, kParts, runs);
    }
    const int64_t sums = kParts > 1 ? p.batch * runsOf(p) : slices;
    const auto constant = [](bool is, auto *to) {
      if constexpr (std::is_same_v<T, float>) return is ? to : nullptr;
      return static_cast<float *>(nullptr);
    };
    addSlices({{p.dA, out.dA, slices, p.states, p.channels},
               {p.dD, out.dD, sums, 1, p.channels},
               {p.ddeltaBias, out.dBias, sums, 1, p.channels},
               {constant(p.constantB, p.dB), out.dFixedB, slices, p.states, p.channels},
               {constant(p.constantC, p.dC), out.dFixedC, slices, p.states, p.channels}},
              stream);
    const int64_t sizeB = p.constantB ? 0 : p.batch * p.length * p.groupsB * p.states;
    const int64_t sizeC = p.constantC ? 0 : p.batch * p.length * p.groupsC * p.states;
    if (sizeB + sizeC > 0)
      launchEarly(addBlocks<S, T>, blocksFor(sizeB + sizeC, 128), 128, 0, stream, p, sizeB, sizeC, out.dBC,
                  static_cast<int64_t>(grid.blocks()));
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
