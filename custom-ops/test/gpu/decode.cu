// Matrix-vector products, and a token through a block.
#include <memory>

#include "harness.h"

namespace tfjs_mamba {
namespace {

// y = x W (+ bias), W [in,out] or, transposed, [out,in].
Doubles multiply(const Doubles &x, const Floats &weight, const Floats &bias, int64_t rows, int64_t in, int64_t out,
                 bool transposed) {
  Doubles y(rows * out);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias.empty() ? 0.0f : bias[o];
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * weight[transposed ? o * in + i : i * out + o];
      y[r * out + o] = sum;
    }
  return y;
}

void testMatVec(Harness &h, int64_t rows, int64_t in, int64_t out, bool transposed, bool withBias) {
  const Floats x = h.random.normal(rows * in), weight = h.random.normal(in * out),
               bias = h.random.normal(withBias ? out : 0);
  DeviceFloats xs(x), weights(weight), biases(bias), y(rows * out);
  const Doubles want = multiply(Doubles(x.begin(), x.end()), weight, bias, rows, in, out, transposed);
  const MatVec p{rows, in, out, transposed, xs.data, weights.data, biases.orNull(), y.data};
  h.expect("matVec [" + std::to_string(rows) + "," + std::to_string(in) + "] to " + std::to_string(out),
           [&](cudaStream_t stream) { return cuda::launchMatVec(p, stream); }, {{y, want, kForward}});
}

struct Case {
  int64_t batch, model, inner, states, taps, rank;
  bool biases, convBias;
  float mixerEpsilon;  // 0: no norms on dt, B and C
  float scale = 1;     // of x
};

struct DeviceBlock {
  Floats x, convState, ssmState, norm, inProj, inBias, conv, convBias, xProj, dtProj, dtBias, ALog, D, outProj, outBias;
  std::vector<std::unique_ptr<DeviceFloats>> inputs;
  DeviceFloats y, newConvState, newSsmState, workspace;
  BlockStep p;

  DeviceBlock(Harness &h, const Case &c)
      : x(h.random.normal(c.batch * c.model, c.scale)),
        convState(h.random.normal(c.batch * (c.taps - 1) * c.inner)),
        ssmState(h.random.normal(c.batch * c.inner * c.states)),
        norm(h.random.normal(c.model, 0.1f, 1)),
        inProj(h.random.normal(c.model * 2 * c.inner, scale(c.model))),
        inBias(h.random.normal(c.biases ? 2 * c.inner : 0)),
        conv(h.random.normal(c.inner * c.taps, 0.5f)),
        convBias(h.random.normal(c.convBias ? c.inner : 0)),
        xProj(h.random.normal(c.inner * (c.rank + 2 * c.states), scale(c.inner))),
        dtProj(h.random.normal(c.rank * c.inner, scale(c.rank))),
        dtBias(h.random.normal(c.inner, 0.5f, -3)),
        ALog(h.random.normal(c.inner * c.states)),
        D(h.random.normal(c.inner)),
        outProj(h.random.normal(c.inner * c.model, scale(c.inner))),
        outBias(h.random.normal(c.biases ? c.model : 0)),
        y(x.size()),
        newConvState(convState.size()),
        newSsmState(ssmState.size()),
        workspace(cuda::blockStepWorkspace(sizes(c))),
        p(sizes(c)) {
    const auto put = [&](const Floats &v) -> const float * {
      inputs.push_back(std::make_unique<DeviceFloats>(v));
      return inputs.back()->orNull();
    };
    p.x = put(x), p.convState = put(convState), p.ssmState = put(ssmState), p.norm = put(norm), p.inProj.floats = put(inProj);
    p.inBias = put(inBias), p.conv = put(conv), p.convBias = put(convBias), p.xProj.floats = put(xProj),
    p.dtProj.floats = put(dtProj);
    p.dtBias = put(dtBias), p.ALog = put(ALog), p.D = put(D), p.outProj.floats = put(outProj), p.outBias = put(outBias);
    p.y = y.data, p.newConvState = newConvState.data, p.newSsmState = newSsmState.data;
  }
  static float scale(int64_t in) { return 1 / std::sqrt(static_cast<float>(in)); }
  static BlockStep sizes(const Case &c) {
    BlockStep p{};
    p.batch = c.batch, p.model = c.model, p.inner = c.inner, p.states = c.states, p.taps = c.taps, p.rank = c.rank;
    p.epsilon = 1e-5f, p.mixerEpsilon = c.mixerEpsilon;
    return p;
  }
  const char *run(cudaStream_t stream) { return cuda::launchBlockStep(p, workspace.data, stream); }
};

void testBlock(Harness &h, const Case &c) {
  DeviceBlock block(h, c);
  const int64_t R = c.batch, M = c.model, E = c.inner, N = c.states, back = c.taps - 1, wide = c.rank + 2 * N;
  Doubles normed(R * M), u(R * E), dt(R * c.rank), y(R * E), newConv(block.convState.size()),
      newSsm(block.ssmState.size());
  for (int64_t b = 0; b < R; ++b) {
    double squares = 0;
    for (int64_t i = 0; i < M; ++i) squares += static_cast<double>(block.x[b * M + i]) * block.x[b * M + i];
    for (int64_t i = 0; i < M; ++i)
      normed[b * M + i] = block.x[b * M + i] / std::sqrt(squares / M + block.p.epsilon) * block.norm[i];
  }
  const Doubles xz = multiply(normed, block.inProj, block.inBias, R, M, 2 * E, false);
  for (int64_t b = 0; b < R; ++b)
    for (int64_t c0 = 0; c0 < E; ++c0) {
      const double x = xz[b * 2 * E + c0];
      double sum = (c.convBias ? block.convBias[c0] : 0.0f) + block.conv[c0 * c.taps + back] * x;
      for (int64_t k = 0; k < back; ++k) {
        sum += static_cast<double>(block.conv[c0 * c.taps + k]) * block.convState[(b * back + k) * E + c0];
        newConv[(b * back + k) * E + c0] = k + 1 < back ? block.convState[(b * back + k + 1) * E + c0] : x;
      }
      u[b * E + c0] = sum * sigmoid64(sum);
    }
  Doubles dbc = multiply(u, block.xProj, {}, R, E, wide, false);
  const auto normalize = [&](double *row, int64_t width) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += row[i] * row[i];
    const double rms = std::sqrt(squares / static_cast<double>(width) + c.mixerEpsilon);
    for (int64_t i = 0; i < width; ++i) row[i] /= rms;
  };
  for (int64_t b = 0; c.mixerEpsilon > 0 && b < R; ++b) {
    double *row = dbc.data() + b * wide;
    normalize(row, c.rank), normalize(row + c.rank, N), normalize(row + c.rank + N, N);
  }
  for (int64_t b = 0; b < R; ++b)
    for (int64_t i = 0; i < c.rank; ++i) dt[b * c.rank + i] = dbc[b * wide + i];
  const Doubles raw = multiply(dt, block.dtProj, block.dtBias, R, c.rank, E, false);
  for (int64_t b = 0; b < R; ++b)
    for (int64_t d = 0; d < E; ++d) {
      const double delta = softplus64(raw[b * E + d]), z = xz[b * 2 * E + E + d];
      double sum = block.D[d] * u[b * E + d];
      for (int64_t n = 0; n < N; ++n) {
        double &next = newSsm[(b * E + d) * N + n];
        next = std::exp(-delta * std::exp(static_cast<double>(block.ALog[d * N + n]))) *
                   block.ssmState[(b * E + d) * N + n] +
               delta * u[b * E + d] * dbc[b * wide + c.rank + n];
        sum += next * dbc[b * wide + c.rank + N + n];
      }
      y[b * E + d] = sum * z * sigmoid64(z);
    }
  Doubles out = multiply(y, block.outProj, block.outBias, R, E, M, false);
  for (int64_t i = 0; i < R * M; ++i) out[i] += block.x[i];
  h.expect("blockStep batch " + std::to_string(R) + ", model " + std::to_string(M) + ", inner " + std::to_string(E),
           [&](cudaStream_t stream) { return block.run(stream); },
           {{block.y, out, kForward}, {block.newConvState, newConv, kForward}, {block.newSsmState, newSsm, kForward}});
}

}  // namespace

void testDecode(Harness &h) {
  for (int i = 0; i < 30; ++i)
    testMatVec(h, h.random.integer(1, 9), h.random.integer(1, 900),
               i % 2 ? 4 * h.random.integer(1, 200) : h.random.integer(1, 900), h.random.flip(), h.random.flip());
  testMatVec(h, 2, 1024, 512, true, true);
  for (int i = 0; i < 16; ++i) {
    const int64_t model = i % 2 ? 4 * h.random.integer(1, 50) : h.random.integer(1, 200);
    testBlock(h, {h.random.integer(1, 6), model, 2 * model, h.random.integer(1, 20), h.random.integer(1, 4),
                  h.random.integer(1, 13), h.random.flip(), h.random.flip(), 0});
  }
  testBlock(h, {1, 768, 1536, 16, 4, 48, false, true, 0});
  testBlock(h, {3, 64, 128, 16, 4, 8, false, true, 0, 1e25f});  // squares leave float32
  // Norms on dt, B and C; more states and taps than usual. A norm of very few terms makes the last digits of small ones
  // those of large ones.
  for (int i = 0; i < 8; ++i)
    testBlock(h, {h.random.integer(1, 6), 4 * h.random.integer(4, 50), 8 * h.random.integer(4, 50),
                  h.random.integer(8, 140), h.random.integer(1, 12), h.random.integer(8, 40), h.random.flip(),
                  h.random.flip(), i % 2 ? 1e-6f : 0.5f});
}

void timeDecode(Harness &h) {
  // As many layers as a model has, so that weights come from memory and not from the cache.
  for (const Case &c : {Case{1, 768, 1536, 16, 4, 48, false, true, 0}, Case{1, 2560, 5120, 16, 4, 160, false, true, 0}}) {
    const int layers = c.model < 1000 ? 24 : 6;
    std::vector<std::unique_ptr<DeviceBlock>> blocks;
    for (int i = 0; i < layers; ++i) blocks.push_back(std::make_unique<DeviceBlock>(h, c));
    double floats = 0;
    for (const auto &input : blocks[0]->inputs) floats += input->size;
    int next = 0;
    h.time("block step, width " + std::to_string(c.model) + ", one token", 4 * floats, c.inner * c.states,
           [&](cudaStream_t stream) { return blocks[next++ % layers]->run(stream); });
  }
  const int64_t in = 768, out = 50280;
  DeviceFloats x(h.random.normal(in)), weight(h.random.normal(in * out, 0.02f)), y(out);
  const MatVec head{1, in, out, true, x.data, weight.data, nullptr, y.data};
  h.time("tied head, 768 to 50,280, one token", 4.0 * in * out, 0,
         [&](cudaStream_t stream) { return cuda::launchMatVec(head, stream); });
}

}  // namespace tfjs_mamba
